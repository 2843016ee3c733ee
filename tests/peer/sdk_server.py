"""Viam's services on the base classes of Viam's own SDK, answering what a file says.

    python sdk_server.py BILLS.json [CERTIFICATE.pem KEY.pem]

Prints `ready PORT`, serves until SIGTERM, then prints as JSON which calls came, and all that a
reader of bills had no business doing.

BILLS.json has `keys`, {key id: key}, and `organizations`, {organization id: {"key_id": ...,
"usage": ..., "billing_information": ..., "invoices": ...}}, the answers in protobuf's JSON. An
organization may have `pdfs`, {invoice id: the file's bytes as characters of Latin-1}, and
`broken_pdfs` and `huge_pdfs`, lists of the ids of invoices whose stream breaks in the middle, and
that come in one chunk larger than any client of Viam's takes. One with a `name` is listed.
"""

# ruff: noqa: N802, T201 - the SDK names the methods, and the test reads the output

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from google.protobuf.json_format import ParseDict
from grpclib import GRPCError, Status
from grpclib.const import Handler
from grpclib.server import Server, Stream
from viam.gen.app.v1 import app_pb2, billing_pb2
from viam.gen.app.v1.app_grpc import UnimplementedAppServiceBase
from viam.gen.app.v1.billing_grpc import UnimplementedBillingServiceBase
from viam.gen.proto.rpc.v1 import auth_pb2
from viam.gen.proto.rpc.v1.auth_grpc import AuthServiceBase

EXPECTED = frozenset(
    {
        "/proto.rpc.v1.AuthService/Authenticate",
        "/viam.app.v1.BillingService/GetCurrentMonthUsage",
        "/viam.app.v1.BillingService/GetOrgBillingInformation",
        "/viam.app.v1.BillingService/GetInvoicesSummary",
        "/viam.app.v1.BillingService/GetInvoicePdf",
        "/viam.app.v1.AppService/ListOrganizations",
    }
)


class Journal:
    """What happened."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.complaints: list[str] = []

    def complain(self, what: str) -> None:
        """Note loudly what must not happen."""
        self.complaints.append(what)
        print(f"REFUSED: {what}", file=sys.stderr, flush=True)


class JournaledMethods(dict[str, Handler]):
    """The server's methods by path. Whatever is asked for is noted, whether there or not."""

    def __init__(self, methods: dict[str, Handler], journal: Journal) -> None:
        super().__init__(methods)
        self._journal = journal

    def get(self, path: str, default: Any = None) -> Any:
        """Return a method, the SDK's own refusal for one that nobody should call."""
        self._journal.calls[path] += 1
        if path not in EXPECTED:
            self._journal.complain(f"{path} was called")
        return super().get(path, default)


class Auth(AuthServiceBase):
    """Gives a token for a key."""

    def __init__(self, keys: dict[str, str], journal: Journal) -> None:
        self.tokens: dict[str, str] = {}  # token -> key id
        self._keys = keys
        self._journal = journal

    async def Authenticate(self, stream: Stream[Any, Any]) -> None:
        """Answer with a token, unless the call carries one, or the key is wrong."""
        request = await stream.recv_message()
        if "authorization" in stream.metadata:
            self._journal.complain("Authenticate carried authorization")
            raise GRPCError(Status.INVALID_ARGUMENT, "authorization must not be set")
        if request.credentials.type != "api-key":
            self._journal.complain(f"credentials of type {request.credentials.type!r}")
            raise GRPCError(Status.INVALID_ARGUMENT, "unknown type of credentials")
        if self._keys.get(request.entity) != request.credentials.payload:
            raise GRPCError(Status.UNAUTHENTICATED, "invalid credentials")
        token = f"header.{len(self.tokens)}.signature"
        self.tokens[token] = request.entity
        await stream.send_message(auth_pb2.AuthenticateResponse(access_token=token))

    def key_id(self, stream: Stream[Any, Any], name: str) -> str:
        """Return the id of the key that a call's token is of, or refuse the call."""
        authorization = stream.metadata.get("authorization")
        if authorization is None:
            self._refuse(f"{name} was asked for without authorization")
        key_id = self.tokens.get(authorization.removeprefix("Bearer "))
        if key_id is None or not authorization.startswith("Bearer "):
            self._refuse(f"{name} was asked for with no token of ours")
        return key_id

    def _refuse(self, what: str) -> NoReturn:
        self._journal.complain(what)
        raise GRPCError(Status.UNAUTHENTICATED, what)


class Billing(UnimplementedBillingServiceBase):
    """Reads out the bills. Every method that is not here is refused by the base class."""

    def __init__(self, organizations: dict[str, Any], auth: Auth) -> None:
        self._organizations = organizations
        self._auth = auth

    async def GetCurrentMonthUsage(self, stream: Stream[Any, Any]) -> None:
        """Answer with `usage`."""
        await self._answer(stream, "usage", billing_pb2.GetCurrentMonthUsageResponse())

    async def GetOrgBillingInformation(self, stream: Stream[Any, Any]) -> None:
        """Answer with `billing_information`."""
        answer = billing_pb2.GetOrgBillingInformationResponse()
        await self._answer(stream, "billing_information", answer)

    async def GetInvoicesSummary(self, stream: Stream[Any, Any]) -> None:
        """Answer with `invoices`."""
        await self._answer(stream, "invoices", billing_pb2.GetInvoicesSummaryResponse())

    async def GetInvoicePdf(self, stream: Stream[Any, Any]) -> None:
        """Stream the invoice's file of `pdfs`, in small chunks, some of them empty."""
        request, organization = await self._asked(stream, "pdfs")
        file = organization.get("pdfs", {}).get(request.id)
        if file is None:
            raise GRPCError(Status.NOT_FOUND, "no such invoice")
        if request.id in organization.get("huge_pdfs", ()):
            chunk = file.encode("latin-1") + bytes(40 * 1024 * 1024)
            await stream.send_message(billing_pb2.GetInvoicePdfResponse(chunk=chunk))
            return
        for start in range(0, len(file), 7):
            chunk = file[start : start + 7].encode("latin-1")
            await stream.send_message(billing_pb2.GetInvoicePdfResponse(chunk=chunk))
            await stream.send_message(billing_pb2.GetInvoicePdfResponse())
            if start and request.id in organization.get("broken_pdfs", ()):
                raise GRPCError(Status.UNAVAILABLE, "try again later")

    async def _answer(self, stream: Stream[Any, Any], name: str, answer: Any) -> None:
        _, organization = await self._asked(stream, name)
        await stream.send_message(ParseDict(organization[name], answer))

    async def _asked(self, stream: Stream[Any, Any], name: str) -> tuple[Any, dict[str, Any]]:
        """Return a request and the organization that it is about, or refuse it."""
        request = await stream.recv_message()
        key_id = self._auth.key_id(stream, name)
        organization = self._organizations.get(request.org_id)
        if organization is None or organization["key_id"] != key_id:
            raise GRPCError(Status.PERMISSION_DENIED, "not an owner of the organization")
        return request, organization


class App(UnimplementedAppServiceBase):
    """Says which organizations a key reads, and nothing else."""

    def __init__(self, organizations: dict[str, Any], auth: Auth) -> None:
        self._organizations = organizations
        self._auth = auth

    async def ListOrganizations(self, stream: Stream[Any, Any]) -> None:
        """Answer with those of the key, and with more of each than anybody needs."""
        await stream.recv_message()
        key_id = self._auth.key_id(stream, "ListOrganizations")
        answer = app_pb2.ListOrganizationsResponse()
        for org_id, organization in self._organizations.items():
            if organization["key_id"] == key_id and "name" in organization:
                more = {"public_namespace": "PRIVATE", "default_region": "us", "cid": "PRIVATE"}
                listed = answer.organizations.add(id=org_id, name=organization["name"], **more)
                listed.created_on.GetCurrentTime()
        await stream.send_message(answer)


async def serve(bills: dict[str, Any], certificate: list[str]) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    journal = Journal()
    auth = Auth(bills["keys"], journal)
    organizations = bills["organizations"]
    server = Server([auth, Billing(organizations, auth), App(organizations, auth)])
    server._mapping = JournaledMethods(server._mapping, journal)
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*certificate)
        tls.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(sock=listener, ssl=tls)
    print("ready", listener.getsockname()[1], flush=True)
    await stop.wait()
    server.close()
    await server.wait_closed()
    print(json.dumps({"calls": journal.calls, "complaints": journal.complaints}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2:]))
