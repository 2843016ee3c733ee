"""The simulated service itself: authentication, answers and faults over gRPC."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from random import Random
from typing import Any, NamedTuple, Protocol

import grpc
import grpc.aio
from google.protobuf.message import Message

from exporter.pb import auth_pb2, billing_pb2
from exporter.simulator import answers, ledger
from exporter.simulator.accounts import Account
from exporter.simulator.clock import SimulatedClock

AUTH_SERVICE = "proto.rpc.v1.AuthService"
BILLING_SERVICE = "viam.app.v1.BillingService"
PDF_CHUNK_BYTES = 512  # small, so that even a short file comes in several chunks

Context = grpc.aio.ServicerContext[Any, Any]


class OrganizationRequest(Protocol):
    """What all requests of the billing service have in common."""

    org_id: str


class Grant(NamedTuple):
    """What a token stands for."""

    api_key_id: str
    expires: float  # by the monotonic clock; infinity if never


class Simulator:
    """Viam's authentication and billing services for the given accounts.

    An API key reads every account that names its id. `latency` is in seconds, before each
    answer; `error_rate`, 0 to 1, is the share of calls of any kind that fail with UNAVAILABLE;
    `token_lifetime` is in seconds of real time, None for tokens that do not expire.

    For tests, `calls` counts the calls that arrived, by bare method name, and `answers` replaces
    the answer to (method, organization id) by a message, or by a status to fail with; a status
    for GetInvoicePdf breaks the stream off after its first chunk.
    """

    def __init__(  # noqa: PLR0913 - knobs, each with a default
        self,
        accounts: Iterable[Account],
        clock: SimulatedClock,
        *,
        rng: Random,
        latency: float = 0.0,
        error_rate: float = 0.0,
        token_lifetime: float | None = None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.answers: dict[tuple[str, str], Message | grpc.StatusCode] = {}
        self._accounts = {account.id: account for account in accounts}
        self._keys = {a.api_key_id: a.api_key for a in self._accounts.values()}
        self._tokens: dict[str, Grant] = {}  # oldest first, and all live equally long
        self._histories: dict[str, tuple[ledger.Period, tuple[ledger.Invoice, ...]]] = {}
        self._clock = clock
        self._rng = rng
        self._latency = latency
        self._error_rate = error_rate
        self._token_lifetime = float("inf") if token_lifetime is None else token_lifetime
        self._server: grpc.aio.Server | None = None

    async def start(
        self, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
    ) -> int:
        """Listen on `address`, host:port, with TLS if there are credentials.

        Returns the port, which matters where 0 was asked for. Raises OSError if it cannot listen.
        """
        _check_free(address)
        server = grpc.aio.server(
            handlers=self._handlers(),
            # By default two servers may share a port on Linux, and each gets half of the calls.
            options=(("grpc.so_reuseport", 0),),
            compression=grpc.Compression.NoCompression,  # the vendor's SDK refuses anything else
        )
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        await server.start()
        self._server = server
        return port

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening; calls in flight get `grace` seconds to end."""
        if self._server is not None:
            await self._server.stop(grace)

    def revoke_tokens(self) -> None:
        """Forget all tokens: every client has to authenticate again."""
        self._tokens.clear()

    def rotate(self, account_id: str, new_key: str) -> None:
        """Replace an account's key. The old one and its tokens are dead at once."""
        key_id = self._accounts[account_id].api_key_id
        self._keys[key_id] = new_key
        self._tokens = {t: g for t, g in self._tokens.items() if g.api_key_id != key_id}

    def _handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        authenticate = grpc.unary_unary_rpc_method_handler(
            self._authenticate,
            request_deserializer=auth_pb2.AuthenticateRequest.FromString,
            response_serializer=auth_pb2.AuthenticateResponse.SerializeToString,
        )
        invoice_pdf = grpc.unary_stream_rpc_method_handler(
            self._get_invoice_pdf,
            request_deserializer=billing_pb2.GetInvoicePdfRequest.FromString,
            response_serializer=billing_pb2.GetInvoicePdfResponse.SerializeToString,
        )
        unary: dict[str, tuple[type[Message], Callable[[Account, float], Message]]] = {
            "GetCurrentMonthUsage": (
                billing_pb2.GetCurrentMonthUsageRequest,
                self._current_month_usage,
            ),
            "GetOrgBillingInformation": (
                billing_pb2.GetOrgBillingInformationRequest,
                self._org_billing_information,
            ),
            "GetInvoicesSummary": (
                billing_pb2.GetInvoicesSummaryRequest,
                self._invoices_summary,
            ),
        }
        billing = {method: self._unary(method, *row) for method, row in unary.items()}
        billing["GetInvoicePdf"] = invoice_pdf
        return (
            grpc.method_handlers_generic_handler(AUTH_SERVICE, {"Authenticate": authenticate}),
            grpc.method_handlers_generic_handler(BILLING_SERVICE, billing),
        )

    def _unary(
        self,
        method: str,
        request_type: type[Message],
        answer: Callable[[Account, float], Message],
    ) -> grpc.RpcMethodHandler[Any, Any]:
        async def handle(request: OrganizationRequest, context: Context) -> Message:
            account = await self._admit(method, request, context)
            replacement = self.answers.get((method, account.id))
            if isinstance(replacement, grpc.StatusCode):
                await context.abort(replacement, "simulated failure")
            return answer(account, self._clock.time()) if replacement is None else replacement

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request_type.FromString, response_serializer=_serialized
        )

    async def _authenticate(
        self, request: auth_pb2.AuthenticateRequest, context: Context
    ) -> auth_pb2.AuthenticateResponse:
        await self._arrive("Authenticate", context)
        if _authorization(context) is not None:
            text = "Authenticate must not carry authorization metadata"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if request.credentials.type != "api-key":
            text = "credentials must be of type api-key"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        key = self._keys.get(request.entity)
        if key is None or key != request.credentials.payload:
            # The same words for both: which ids exist is nobody's business.
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid credentials")
        self._forget_expired_tokens()
        token = f"{self._rng.getrandbits(256):064x}"
        expires = self._clock.monotonic() + self._token_lifetime
        self._tokens[token] = Grant(request.entity, expires)
        return auth_pb2.AuthenticateResponse(access_token=token)

    async def _get_invoice_pdf(
        self, request: billing_pb2.GetInvoicePdfRequest, context: Context
    ) -> AsyncIterator[Message]:
        account = await self._admit("GetInvoicePdf", request, context)
        replacement = self.answers.get(("GetInvoicePdf", account.id))
        if isinstance(replacement, Message):
            yield replacement
            return
        found = self._invoices(account, self._clock.time())
        invoice = next((i for i in found if i.id == request.id), None)
        if invoice is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such invoice")
        file = answers.invoice_pdf(account, invoice, self._clock.wall)
        yield billing_pb2.GetInvoicePdfResponse(chunk=file[:PDF_CHUNK_BYTES])
        if replacement is not None:
            await context.abort(replacement, "simulated failure")
        yield billing_pb2.GetInvoicePdfResponse()  # chunks may be empty: clients have to cope
        for offset in range(PDF_CHUNK_BYTES, len(file), PDF_CHUNK_BYTES):
            chunk = file[offset : offset + PDF_CHUNK_BYTES]
            yield billing_pb2.GetInvoicePdfResponse(chunk=chunk)

    def _current_month_usage(self, account: Account, moment: float) -> Message:
        usage = ledger.usage(account, moment)
        return answers.current_month_usage(account, usage, self._clock.wall)

    def _org_billing_information(self, account: Account, moment: float) -> Message:
        period = ledger.period_at(moment)
        return answers.org_billing_information(account, period, self._clock.wall)

    def _invoices_summary(self, account: Account, moment: float) -> Message:
        found = self._invoices(account, moment)
        return answers.invoices_summary(found, moment, self._clock.wall)

    def _invoices(self, account: Account, moment: float) -> tuple[ledger.Invoice, ...]:
        """Return what `ledger.invoices` does, adding up fourteen months only once a month."""
        period = ledger.period_at(moment)
        kept = self._histories.get(account.id)
        if kept is None or kept[0] != period:
            kept = self._histories[account.id] = (period, ledger.history(account, period))
        return ledger.issued(kept[1], moment)

    async def _admit(self, method: str, request: OrganizationRequest, context: Context) -> Account:
        """Return the account that is asked for, or fail the call as the API does."""
        await self._arrive(method, context)
        scheme, _, token = (_authorization(context) or "").partition(" ")
        grant = self._tokens.get(token)
        if scheme != "Bearer" or grant is None or grant.expires <= self._clock.monotonic():
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid or expired token")
        account = self._accounts.get(request.org_id)
        if account is None or account.api_key_id != grant.api_key_id:
            text = "the organization does not exist, or the key may not read it"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, text)
        return account

    async def _arrive(self, method: str, context: Context) -> None:
        self.calls[method] += 1
        if self._latency > 0:
            await asyncio.sleep(self._latency)
        if self._rng.random() < self._error_rate:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "simulated outage")

    def _forget_expired_tokens(self) -> None:
        now = self._clock.monotonic()
        while self._tokens:
            oldest = next(iter(self._tokens))
            if self._tokens[oldest].expires > now:
                return
            del self._tokens[oldest]


def _check_free(address: str) -> None:
    """Raise an OSError that says why nothing can listen on `address`, host:port.

    When grpc cannot, it prints the reason and raises an error without.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error.strerror}") from error


def _authorization(context: Context) -> str | None:
    """Return the authorization metadata of a call, None if it has none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value)
    return None


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
