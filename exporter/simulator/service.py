"""The simulated RPCs: authentication, answers, and the faults that hit them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any, Protocol, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message

from exporter.api.calls import APP_SERVICE, AUTH_SERVICE, BILLING_SERVICE
from exporter.pb import app_pb2, auth_pb2, billing_pb2
from exporter.simulator import call_faults, ledger, messages
from exporter.simulator.accounts import Account
from exporter.simulator.answer_faults import ON_ANSWER, AnswerContext, distort
from exporter.simulator.call_faults import Context
from exporter.simulator.injection import FaultSet
from exporter.simulator.scenarios import (
    AUTHENTICATE,
    BILLING_INFORMATION,
    BILLING_METHODS,
    INVOICES,
    ORGANIZATIONS,
    PDF,
    USAGE,
)
from exporter.simulator.simulated_clock import SimulatedClock
from exporter.simulator.tokens import Grant, Tokens

# Empty, longer than 64 KiB, or more than a header may hold.
ODD_TOKENS = ("", "x\ny", "x\0y", "t\u00f6ken", "x" * (64 * 1024 + 1))
PDF_CHUNK_BYTES = 512  # small, so that even a short file comes in several chunks

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Called with bare RPC name, organization id, the message's bytes and the wall time in Unix seconds.
Journal = Callable[[str, str, bytes, float], None]


class OrganizationRequest(Protocol):
    """What all requests of the billing service have in common."""

    org_id: str


class Service:
    """Viam's authentication and billing services: what answers a call. See Simulator."""

    def __init__(  # noqa: PLR0913 - all of it comes from the simulator
        self,
        accounts: Iterable[Account],
        clock: SimulatedClock,
        *,
        rng: Random,
        token_lifetime: float | None,
        faults: FaultSet,
        on_answer: Journal | None = None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.answers: dict[tuple[str, str], Message | bytes | grpc.StatusCode] = {}
        self._on_answer = on_answer
        self.accounts = {account.id: account for account in accounts}
        self.tokens = Tokens(self.accounts.values(), clock, rng)
        self._of_key: dict[str, list[str]] = {}  # organization ids by the id of a key
        for account in self.accounts.values():
            self._of_key.setdefault(account.api_key_id, []).append(account.id)
        self._histories: dict[str, tuple[ledger.Period, tuple[ledger.Invoice, ...]]] = {}
        self._clock = clock
        self._token_lifetime = math.inf if token_lifetime is None else token_lifetime
        self._faults = faults

    def rotate(self, account_id: str, api_key: str, api_key_id: str | None = None) -> None:
        """Replace the key of an account, and of those that share it; None keeps its id."""
        old_id = self.accounts[account_id].api_key_id
        new_id = old_id if api_key_id is None else api_key_id
        self.tokens.rotate(old_id, new_id, api_key)
        self._of_key[new_id] = self._of_key.pop(old_id)
        for org_id in self._of_key[new_id]:
            self.accounts[org_id] = replace(self.accounts[org_id], api_key_id=new_id)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return what a gRPC server needs to serve the RPCs."""
        authenticate: Handler = grpc.unary_unary_rpc_method_handler(
            self._authenticate, request_deserializer=auth_pb2.AuthenticateRequest.FromString
        )
        organizations: Handler = grpc.unary_unary_rpc_method_handler(
            self._list_organizations,
            request_deserializer=app_pb2.ListOrganizationsRequest.FromString,
        )
        billing: dict[str, Handler] = {
            PDF: grpc.unary_stream_rpc_method_handler(
                self._get_invoice_pdf,
                request_deserializer=billing_pb2.GetInvoicePdfRequest.FromString,
            )
        }
        for method, request_type, answer in (
            (USAGE, billing_pb2.GetCurrentMonthUsageRequest, self._current_month_usage),
            (
                BILLING_INFORMATION,
                billing_pb2.GetOrgBillingInformationRequest,
                self._org_billing_information,
            ),
            (INVOICES, billing_pb2.GetInvoicesSummaryRequest, self._invoices_summary),
        ):
            billing[method] = self._unary(method, request_type, answer)
        return (
            grpc.method_handlers_generic_handler(AUTH_SERVICE, {AUTHENTICATE: authenticate}),
            grpc.method_handlers_generic_handler(BILLING_SERVICE, billing),
            grpc.method_handlers_generic_handler(APP_SERVICE, {ORGANIZATIONS: organizations}),
        )

    def _unary(
        self, method: str, request_type: Any, answer: Callable[[Account, float], Message]
    ) -> Handler:
        async def handle(request: OrganizationRequest, context: Context) -> bytes:
            account = await self._admit(method, request, context)
            replacement = self.answers.get((method, account.id))
            if isinstance(replacement, grpc.StatusCode):
                await context.abort(replacement, "simulated failure")
            moment = self._clock.time()
            message = answer(account, moment) if replacement is None else replacement
            return self._send(method, account, moment, message)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request_type.FromString
        )

    def _send(
        self, method: str, account: Account, moment: float, message: Message | bytes
    ) -> bytes:
        """Return the bytes of an answer, once the faults are in it and the journal has it."""
        hits = self._faults.on_call(ON_ANSWER, method, (account.id,))
        raw = distort(message, hits, AnswerContext(method, account, moment, self._clock.wall))
        if self._on_answer is not None and method in BILLING_METHODS:
            self._on_answer(method, account.id, raw, self._clock.wall(moment))
        return raw

    async def _authenticate(self, request: auth_pb2.AuthenticateRequest, context: Context) -> bytes:
        organizations = self._of_key.get(request.entity, [])
        await self._arrive(AUTHENTICATE, organizations, context)
        if _authorization(context) is not None:
            text = "Authenticate must not carry authorization metadata"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if request.credentials.type != "api-key":
            text = "credentials must be of type api-key"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if not self.tokens.accepts_key(request.entity, request.credentials.payload) or any(
            self._faults.on_call({"wrong-key"}, AUTHENTICATE, organizations)
        ):
            # The same words for id and key: which ids exist is not disclosed.
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid credentials")
        lifetime = self._token_lifetime
        for hit in self._faults.on_call({"short-lived-tokens"}, AUTHENTICATE, organizations):
            lifetime = min(lifetime, hit.fault.value("lifetime") or lifetime)
        token = self.tokens.grant(request.entity, lifetime)
        for hit in self._faults.on_call({"odd-token"}, AUTHENTICATE, organizations):
            token = hit.rng.choice(ODD_TOKENS)
        message = auth_pb2.AuthenticateResponse(access_token=token)
        account = self.accounts[organizations[0]]
        return self._send(AUTHENTICATE, account, self._clock.time(), message)

    async def _list_organizations(
        self, _request: app_pb2.ListOrganizationsRequest, context: Context
    ) -> bytes:
        """Answer with the accounts of the key. Faults hit if they are about any of them."""
        found = self.tokens.find(_token(context))
        org_ids = tuple(self._of_key[found.api_key_id]) if found else ()
        await self._grant(ORGANIZATIONS, org_ids, context)
        first = self.accounts[org_ids[0]]
        replacement = self.answers.get((ORGANIZATIONS, first.id))
        if isinstance(replacement, grpc.StatusCode):
            await context.abort(replacement, "simulated failure")
        message = app_pb2.ListOrganizationsResponse(
            organizations=[
                app_pb2.Organization(id=org_id, name=self.accounts[org_id].name)
                for org_id in org_ids
            ]
        )
        moment = self._clock.time()
        return self._send(ORGANIZATIONS, first, moment, replacement or message)

    async def _get_invoice_pdf(
        self, request: billing_pb2.GetInvoicePdfRequest, context: Context
    ) -> AsyncIterator[bytes]:
        account = await self._admit(PDF, request, context)
        moment = self._clock.time()
        replacement = self.answers.get((PDF, account.id))
        if isinstance(replacement, (Message, bytes)):
            yield self._send(PDF, account, moment, replacement)
            return
        found = self._invoices(account, moment)
        invoice = next((i for i in found if i.id == request.id), None)
        if invoice is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such invoice")
        file = messages.invoice_pdf(account, invoice, self._clock.wall)
        if any(self._faults.on_call({"short-stream"}, PDF, (account.id,))):
            file = file[: len(file) // 2]
        first = billing_pb2.GetInvoicePdfResponse(chunk=file[:PDF_CHUNK_BYTES])
        yield self._send(PDF, account, moment, first)
        if replacement is not None:
            await context.abort(replacement, "simulated failure")
        if any(self._faults.on_call({"broken-stream"}, PDF, (account.id,))):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "simulated: the stream breaks off")
        # Chunks may be empty: clients have to cope.
        chunks = [b"", *_chunks(file[PDF_CHUNK_BYTES:])]
        for chunk in chunks:
            message = billing_pb2.GetInvoicePdfResponse(chunk=chunk)
            yield self._send(PDF, account, moment, message)

    def _current_month_usage(self, account: Account, moment: float) -> Message:
        usage = ledger.usage(account, moment)
        return messages.current_month_usage(account, usage, self._clock.wall)

    def _org_billing_information(self, account: Account, moment: float) -> Message:
        period = ledger.period_at(moment)
        return messages.org_billing_information(account, period, self._clock.wall)

    def _invoices_summary(self, account: Account, moment: float) -> Message:
        found = self._invoices(account, moment)
        return messages.invoices_summary(found, moment, self._clock.wall)

    def _invoices(self, account: Account, moment: float) -> tuple[ledger.Invoice, ...]:
        """Return what `ledger.invoices` does, adding up fourteen months only once a month."""
        period = ledger.period_at(moment)
        kept = self._histories.get(account.id)
        if kept is None or kept[0] != period:
            kept = self._histories[account.id] = (period, ledger.history(account, period))
        return ledger.issued(kept[1], moment)

    async def _admit(self, method: str, request: OrganizationRequest, context: Context) -> Account:
        """Return the account that is asked for, or fail the call as the API does."""
        grant = await self._grant(method, (request.org_id,), context)
        account = self.accounts.get(request.org_id)
        if account is None or account.api_key_id != grant.api_key_id:
            text = "the organization does not exist, or the key may not read it"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, text)
        return account

    async def _grant(self, method: str, organizations: tuple[str, ...], context: Context) -> Grant:
        """Return what the token of a call stands for, or fail the call."""
        await self._arrive(method, organizations, context)
        grant = self._accepted(_token(context), method, organizations)
        if grant is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid or expired token")
        return grant

    def _accepted(self, token: str, method: str, organizations: tuple[str, ...]) -> Grant | None:
        """Return what a token stands for, None if it is dead, or if a fault has killed it."""
        grant = self.tokens.find(token)
        if grant is None or any(self._faults.on_call({"refused-token"}, method, organizations)):
            return None
        if any(self._faults.on_call({"revoked-tokens"}, method, organizations)):
            self.tokens.revoke_all()
            return None
        # A new token is good for one call at least, or else authenticating again would not help.
        if grant.used and any(self._faults.on_call({"expired-token"}, method, organizations)):
            self.tokens.revoke(token)
            return None
        grant.used = True
        return grant

    async def _arrive(self, method: str, organizations: Iterable[str], context: Context) -> None:
        self.calls[method] += 1
        hits = self._faults.on_call(call_faults.ON_ARRIVAL, method, tuple(organizations))
        await call_faults.fail(hits, context)


def _chunks(file: bytes) -> Iterable[bytes]:
    for offset in range(0, len(file), PDF_CHUNK_BYTES):
        yield file[offset : offset + PDF_CHUNK_BYTES]


def _token(context: Context) -> str:
    """Return the token of a call, empty if it has none."""
    scheme, _, token = (_authorization(context) or "").partition(" ")
    return token if scheme == "Bearer" else ""


def _authorization(context: Context) -> str | None:
    """Return the authorization metadata of a call, None if it has none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value)
    return None
