"""Reads bills over gRPC.

Only calls that read can be made from here: `exporter.api.calls` has all the paths there are, and
there are no generated stubs.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from exporter.api.billing import BillingError, aside, decoded, invalid
from exporter.api.calls import (
    AUTHENTICATE,
    GET_INVOICE_PDF,
    LIST_ORGANIZATIONS,
    POLLED,
    ReadRpc,
    Rpc,
)
from exporter.api.channel import Channel
from exporter.api.claims import Lifetime
from exporter.api.connections import Calls
from exporter.api.exchange import Exchange
from exporter.api.failures import MAX_ANSWER_BYTES, MAX_CHUNK_BYTES, late, meaning
from exporter.api.key_files import KeyFiles, Revealed
from exporter.api.proxy import Proxy
from exporter.api.route import Route
from exporter.api.tokens import Call, Tokens
from exporter.config import ApiConfig
from exporter.model import ApiKey, Cause, Clock, FoundOrganization
from exporter.pb import app_pb2, auth_pb2, billing_pb2

log = structlog.get_logger(__name__)

T = TypeVar("T")

REQUESTS: Final[Mapping[ReadRpc, type[Any]]] = {
    ReadRpc.GET_CURRENT_MONTH_USAGE: billing_pb2.GetCurrentMonthUsageRequest,
    ReadRpc.GET_ORG_BILLING_INFORMATION: billing_pb2.GetOrgBillingInformationRequest,
    ReadRpc.GET_INVOICES_SUMMARY: billing_pb2.GetInvoicesSummaryRequest,
}
SILENCE: Final = "nothing arrived for as long as a request may take (api.timeout)"
LATE: Final = 1.0  # seconds after api.timeout at which a call is ended if gRPC has not done it

LONGEST: Final = 365 * 86_400.0  # seconds; deadlines that are centuries away are past to gRPC
AROUND_ANSWER: Final = 1024  # bytes of headers and trailers
LIMITS: Final = {
    "methodConfig": [
        {"name": [{}], "maxResponseMessageBytes": MAX_ANSWER_BYTES},  # all that are not named
        {
            "name": [{"service": GET_INVOICE_PDF.service, "method": GET_INVOICE_PDF.name}],
            "maxResponseMessageBytes": MAX_CHUNK_BYTES,
        },
    ]
}
CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_CHUNK_BYTES),  # the lower limit counts
    ("grpc.service_config", json.dumps(LIMITS)),
    ("grpc.service_config_disable_resolution", 1),  # which would let DNS have another
    # Retries are decided here, where they can be counted.
    ("grpc.enable_retries", 0),
    # Servers close connections that ping more often than every five minutes. The timeout is
    # the part that matters: it also bounds how long sent bytes may stay unacknowledged, so
    # that a connection whose peer silently vanished fails one poll and not the next.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A connection made after a reload owes nothing to the one before it.
    ("grpc.use_local_subchannel_pool", 1),
    # An endpoint that comes back is found again within a poll or two.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    # Which proxy is used is decided here: see exporter.api.proxy.
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)


class Requests(Protocol):
    """Counts calls."""

    def api_request(self, method: str, seconds: float, failure_code: str | None) -> None:
        """Take note of a call: bare name, duration, and the status of a failure."""


class Received:
    """An answer as it came. Bytes would be in what asyncio logs of gRPC's tasks in debug mode."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes | None) -> None:
        self.raw = raw  # None if a call succeeded without a message: gRPC lets that pass


NO_METADATA: Final = grpc.aio.Metadata()


class BillingClient:
    """A BillingReader over one gRPC channel, with one token for each API key."""

    def __init__(  # noqa: PLR0913 - all of it comes from the composition root
        self,
        api: ApiConfig,
        *,
        user_agent: str,
        roots: bytes | None,
        telemetry: Requests,
        clock: Clock,
        admit: Callable[[], Awaitable[None]] | None = None,
        proxy: Proxy | None = None,
        next_call: Callable[[], float] = lambda: math.inf,
        opened: Callable[[], object] = lambda: None,
    ) -> None:
        """Connect at the first call. Needs a running event loop.

        `roots` are the PEM certificates to trust; None trusts those that gRPC ships. `admit` is
        awaited before every request, and raises BillingError if it must not be made. The API is
        reached through `proxy`, if there is one. The others are as in `Channel`.
        """
        self.proxy = proxy
        self._roots = roots
        target = api.address if proxy is None else proxy.target
        tunnel = () if proxy is None else proxy.channel_options(api.address)
        options = (*CHANNEL_OPTIONS, ("grpc.primary_user_agent", user_agent), *tunnel)
        if api.tls:
            credentials = grpc.ssl_channel_credentials(root_certificates=roots)
            open_one = partial(grpc.aio.secure_channel, target, credentials, options)
        else:
            open_one = partial(grpc.aio.insecure_channel, target, options)
        self._channel = Channel(open_one, clock, next_call, opened)
        self._timeout = min(api.timeout, LONGEST)
        self._telemetry = telemetry
        self._clock = clock
        self._admit = admit
        self._received = 0
        self._tokens = Tokens(KeyFiles().reveal, self._fetch_token, carry=_bearer, clock=clock)

    @classmethod
    def along(  # noqa: PLR0913 - all of it comes from the composition root
        cls,
        route: Route,
        api: ApiConfig,
        *,
        user_agent: str,
        telemetry: Requests,
        clock: Clock,
        admit: Callable[[], Awaitable[None]] | None = None,
        next_call: Callable[[], float] = lambda: math.inf,
        opened: Callable[[], object] = lambda: None,
    ) -> BillingClient:
        """Return a client along a route, and say which way it goes."""
        proxy, roots = route
        if roots is not None:
            log.debug("trusting certificate authorities", source=roots.source)
        if proxy is not None:
            log.info("reaching the API through a proxy", proxy=str(proxy), variable=proxy.variable)
            if not api.tls:
                log.warning(
                    #: `api.tls` is `false`, and the environment names a proxy.
                    "the proxy can read the API keys, which travel in plain text: use api.tls, or "
                    "name the host in no_proxy",
                    proxy=str(proxy),
                )
        return cls(
            api,
            user_agent=user_agent,
            roots=roots and roots.pem,
            telemetry=telemetry,
            clock=clock,
            admit=admit,
            proxy=proxy,
            next_call=next_call,
            opened=opened,
        )

    def uses(self, route: Route) -> bool:
        """Tell whether this is how the API is reached from here."""
        return (self.proxy, self._roots) == (route.proxy, route.roots and route.roots.pem)

    async def log_in(self, api_key: ApiKey) -> None:
        """Have a token for a key, so that the next call need not wait. Raises BillingError."""
        await self._tokens.log_in(api_key)

    def ask_now(self) -> None:
        """Log in once with each key though the server asked to wait."""
        self._tokens.ask_now()

    async def read(
        self, rpc: ReadRpc, org_id: str, api_key: ApiKey, exchange: Exchange | None = None
    ) -> bytes:
        """Return the answer undecoded, and keep what came with it in `exchange`.

        A token that is refused is replaced once: by then it has expired, or the key was
        rotated and is read again. Raises BillingError.
        """
        request = REQUESTS[rpc](org_id=org_id)
        return await self._read(POLLED[rpc], request, api_key, exchange)

    def token_lifetime(self, api_key: ApiKey) -> Lifetime | None:
        """Return how long the token of a key says that it lives, None without a token."""
        return self._tokens.lifetime(api_key)

    async def read_at_once(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Return the same, but raise TokenNeeded rather than wait for a login."""
        request = REQUESTS[rpc](org_id=org_id)
        make = partial(self._call, POLLED[rpc], request)
        return await self._tokens.attempt(Call(rpc, org_id), api_key, make)

    async def organizations(self, api_key: ApiKey) -> Iterable[FoundOrganization]:
        """Return the organizations that a key reads. Raises BillingError."""
        request = app_pb2.ListOrganizationsRequest()
        raw = await self._read(LIST_ORGANIZATIONS, request, api_key)
        return await aside(raw, _organizations, raw)

    async def _read(
        self,
        rpc: Rpc,
        request: Any,
        api_key: ApiKey,
        exchange: Exchange | None = None,
    ) -> bytes:
        """Return the answer to a call that takes a token, undecoded."""
        call = Call(rpc.name, getattr(request, "org_id", ""))
        make = partial(self._call, rpc, request, exchange=exchange)
        return await self._tokens.call(call, api_key, make)

    async def read_invoice_pdf(
        self,
        org_id: str,
        invoice_id: str,
        api_key: ApiKey,
        take: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Hand an invoice's file to `take`, chunk by chunk; chunks can be empty.

        The file is whole when this returns. It may take as long as it likes, but not be silent
        for longer than `api.timeout`. Raises BillingError, and whatever `take` raises.
        """
        request = billing_pb2.GetInvoicePdfRequest(id=invoice_id, org_id=org_id)
        begun = False

        async def note_and_take(chunk: bytes) -> None:
            nonlocal begun
            begun = True
            await take(chunk)

        async def stream(metadata: grpc.aio.Metadata) -> BillingError | None:
            try:
                await self._stream_pdf(request, metadata, note_and_take)
            except BillingError as error:
                if not begun:
                    raise
                return error  # no chunk is handed over twice
            return None

        call = Call(GET_INVOICE_PDF.name, org_id)
        if (error := await self._tokens.call(call, api_key, stream)) is not None:
            raise error

    @property
    def calls(self) -> Calls:
        """What explains the traffic of its connection."""
        return Calls(
            self._received,
            self._channel.under_way,
            proxied=self.proxy is not None,
            open=self._channel.is_open,
            connected=self._channel.is_connected,
        )

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._tokens.close()
        await self._channel.close()

    async def _fetch_token(self, revealed: Revealed) -> str:
        request = auth_pb2.AuthenticateRequest(
            entity=revealed.id,
            credentials=auth_pb2.Credentials(type="api-key", payload=revealed.key.reveal()),
        )
        # It is refused when it carries a token.
        raw = await self._call(AUTHENTICATE, request, NO_METADATA)
        answer = await aside(raw, decoded, AUTHENTICATE.name, auth_pb2.AuthenticateResponse, raw)
        return str(answer.access_token)

    async def _call(
        self,
        rpc: Rpc,
        request: Message,
        metadata: grpc.aio.Metadata,
        exchange: Exchange | None = None,
    ) -> bytes:
        name = rpc.name

        def begin() -> Awaitable[Received]:
            method = self._channel.unary(rpc, _serialized, Received)
            call = method(request, metadata=metadata, timeout=self._timeout)
            return call if exchange is None else exchange.observe(call)

        if self._admit is not None:
            await self._admit()
        with _Counted(self._count, name, self._clock), self._channel:
            answer = await _outcome(
                name,
                begin,
                # gRPC keeps a deadline of its own behind all that a server sends or does not read.
                self._timeout + LATE,
                proxied=self.proxy is not None,
            )
            raw = _content(name, answer)
            self._received += len(raw)
            return raw

    async def _stream_pdf(
        self,
        request: billing_pb2.GetInvoicePdfRequest,
        metadata: grpc.aio.Metadata,
        take: Callable[[bytes], Awaitable[None]],
    ) -> None:
        name = GET_INVOICE_PDF.name

        async def start() -> grpc.aio.UnaryStreamCall[Any, Received]:
            method = self._channel.stream(GET_INVOICE_PDF, _serialized, Received)
            return method(request, metadata=metadata)

        if self._admit is not None:
            await self._admit()
        with _Counted(self._count, name, self._clock), self._channel:
            outcome = partial(_outcome, name, proxied=self.proxy is not None)
            call = await outcome(start, self._timeout)
            try:
                patience = self._timeout
                while True:
                    asked = self._clock.monotonic()
                    received = await outcome(call.read, patience, SILENCE)
                    if received is grpc.aio.EOF:
                        return
                    raw = _content(name, received)
                    self._received += len(raw)
                    answer = await aside(raw, decoded, name, billing_pb2.GetInvoicePdfResponse, raw)
                    chunk = answer.chunk
                    # A chunk without bytes is silence, too. What `take` needs is none.
                    waited = self._clock.monotonic() - asked
                    patience = self._timeout if chunk else patience - waited
                    await take(chunk)
                    # They may be large, and would stay until the next one is there.
                    del received, raw, answer, chunk
            finally:
                call.cancel()  # which does nothing to a call that has ended
                del call  # as in _outcome

    def _count(self, name: str, seconds: float, code: str | None) -> None:
        """Take note of a request that has ended."""
        self._received += AROUND_ANSWER
        self._telemetry.api_request(name, seconds, code)


class _Counted:
    """A request, counted when it ends. No generator, which takes several times as long."""

    __slots__ = ("_clock", "_count", "_name", "_started")

    def __init__(
        self, count: Callable[[str, float, str | None], None], name: str, clock: Clock
    ) -> None:
        self._count, self._name, self._clock = count, name, clock
        self._started = clock.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        code = None
        if error is not None:
            code = error.code if isinstance(error, BillingError) else "CANCELLED"
        self._count(self._name, self._clock.monotonic() - self._started, code)


def _serialized(request: Message) -> bytes:
    return request.SerializeToString()


def _organizations(raw: bytes) -> list[FoundOrganization]:
    answer = decoded(LIST_ORGANIZATIONS.name, app_pb2.ListOrganizationsResponse, raw)
    return [FoundOrganization(each.id, each.name) for each in answer.organizations]


async def _outcome(
    name: str,
    operation: Callable[[], Awaitable[T]],
    seconds: float,
    silence: str | None = None,
    *,
    proxied: bool = False,
) -> T:
    """Return what an operation of gRPC gives within a time. Raises BillingError.

    It raises nothing else, so that no call is the end of more than itself: what a server sends can
    make gRPC raise what it documents nowhere.
    """
    refusal, failure = None, None
    try:
        async with asyncio.timeout(seconds):
            return await operation()
    except asyncio.CancelledError:
        failure = None if _cancelled() else _closed(name)
    except TimeoutError:
        failure = late(name, proxied=proxied, words=silence)
    except grpc.aio.AioRpcError as error:
        refusal = error
    except Exception as error:  # noqa: BLE001 - see above
        reason = f"{name}: gRPC itself failed ({type(error).__name__})"
        failure = BillingError(Cause.OTHER, "CLIENT", reason)
    # Outside of the handler and without a cause: a traceback would show the server's words, which
    # may repeat what it was sent. It would also hold the call, and a task that is cancelled keeps
    # its traceback, perhaps until a full collection of garbage; a call keeps its connection open.
    try:
        if refusal is not None:
            failure = meaning(name, refusal, proxied=proxied)
        raise failure or asyncio.CancelledError
    finally:
        del refusal, failure  # or it would refer to itself by way of its traceback


def _cancelled() -> bool:
    """Tell whether the running task is cancelled, and it is not gRPC that says so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _closed(name: str) -> BillingError:
    reason = f"{name}: the call ended when its connection did"
    return BillingError(Cause.OUTAGE, "CANCELLED", reason, transient=True)


def _content(name: str, received: object) -> bytes:
    """Return the message that an answer has to hold. Raises BillingError."""
    if not isinstance(received, Received) or received.raw is None:
        raise invalid(name, "contains no message")
    return received.raw


def _bearer(token: str) -> grpc.aio.Metadata:
    """Return a token as calls carry it, made once: otherwise gRPC builds it for every call."""
    return grpc.aio.Metadata(("authorization", f"Bearer {token}"))
