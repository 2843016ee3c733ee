"""The client against the simulated service, over a real connection."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause, Secret
from exporter.pb import billing_pb2 as pb
from exporter.pb import status_pb2
from exporter.process.clock import SystemClock
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet
from support.process import free_port
from support.tokens import hold

USAGE = ReadRpc.GET_CURRENT_MONTH_USAGE
FIRST, SECOND, *_ = demo_fleet(1)


@dataclass
class Pair:
    """A client and the service that it is connected to."""

    client: BillingClient
    simulator: Simulator
    telemetry: Telemetry

    async def usage(self, account: Account = FIRST, key: ApiKey | None = None) -> bytes:
        """Read the account's usage."""
        return await self.client.read(USAGE, account.id, key or key_of(account))


def key_of(account: Account) -> ApiKey:
    """Return the account's own key."""
    return ApiKey(account.api_key_id, secret=Secret(account.api_key))


def make_client(telemetry: Telemetry, address: str, **api: Any) -> BillingClient:
    """Return a client for an address."""
    roots = api.pop("roots", None)
    return BillingClient(
        ApiConfig(address=address, **{"tls": False, "timeout": 5.0} | api),
        user_agent="viam-billing-exporter/1.2.3",
        roots=roots,
        telemetry=telemetry,
        clock=SystemClock(),
    )


@asynccontextmanager
async def connected(deadline: float = 5.0, **simulator: Any) -> AsyncIterator[Pair]:
    """Run a service and a client of it."""
    telemetry = Telemetry("1.2.3", "abc")
    service = Simulator(demo_fleet(1), SimulatedClock(SystemClock()), rng=Random(1), **simulator)
    port = await service.start()
    client = make_client(telemetry, f"127.0.0.1:{port}", timeout=deadline)
    try:
        yield Pair(client, service, telemetry)
    finally:
        await client.close()
        await service.stop()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on an event loop of its own."""
    asyncio.run(scenario())


async def failure(read: Coroutine[Any, Any, bytes]) -> BillingError:
    """Return the error that a read ends with."""
    with pytest.raises(BillingError) as caught:
        await read
    return caught.value


def test_each_call_returns_its_answer_undecoded() -> None:
    """The bytes are those of the response message."""

    async def scenario() -> None:
        async with connected() as pair:
            messages: tuple[type[Any], ...] = (
                pb.GetCurrentMonthUsageResponse,
                pb.GetOrgBillingInformationResponse,
                pb.GetInvoicesSummaryResponse,
            )
            for rpc, message in zip(ReadRpc, messages, strict=True):
                raw = await pair.client.read(rpc, FIRST.id, key_of(FIRST))
                assert message.FromString(raw).ByteSize() == len(raw) > 0
                assert pair.simulator.calls[rpc] == 1

    run(scenario)


def test_a_token_is_fetched_once_however_many_calls_wait() -> None:
    """One for each key, shared by all calls with it."""

    async def scenario() -> None:
        async with connected(latency=0.05) as pair:
            await asyncio.gather(*(pair.usage(FIRST) for _ in range(30)))
            assert pair.simulator.calls["Authenticate"] == 1
            await asyncio.gather(pair.usage(SECOND), pair.usage(FIRST))
            assert pair.simulator.calls["Authenticate"] == 2

    run(scenario)


def test_a_refused_token_is_replaced_once_for_all_who_wait() -> None:
    """An expired token costs one authentication and one retry of each call, and no failure."""

    async def scenario() -> None:
        async with connected(latency=0.02) as pair:
            await pair.usage()
            pair.simulator.revoke_tokens()
            await asyncio.gather(*(pair.usage() for _ in range(20)))
            assert pair.simulator.calls["Authenticate"] == 2
            assert pair.simulator.calls[USAGE] == 1 + 20 + 20

    run(scenario)


def test_a_call_that_is_refused_again_is_not_retried_for_ever() -> None:
    """After a new token was refused as well, the call fails."""

    async def scenario() -> None:
        async with connected() as pair:
            pair.simulator.answers[USAGE, FIRST.id] = grpc.StatusCode.UNAUTHENTICATED
            error = await failure(pair.usage())
            assert (error.cause, error.code) == (Cause.CREDENTIALS, "UNAUTHENTICATED")
            assert pair.simulator.calls["Authenticate"] == 2
            assert pair.simulator.calls[USAGE] == 2

    run(scenario)


def test_a_caller_that_gives_up_takes_no_other_along() -> None:
    """The token that it waited for still arrives for the others."""

    async def scenario() -> None:
        async with connected(latency=0.1) as pair:
            patient = asyncio.create_task(pair.usage())
            impatient = asyncio.create_task(pair.usage())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(impatient, 0.05)
            assert await patient
            assert pair.simulator.calls["Authenticate"] == 1

    run(scenario)


def test_a_rotated_key_file_is_read_again(tmp_path: Path) -> None:
    """The old key is dead at once; the new one is picked up without a restart."""

    async def scenario() -> None:
        file = tmp_path / "key"
        file.write_text(FIRST.api_key + "\n")
        key = ApiKey(FIRST.api_key_id, file=file)
        async with connected() as pair:
            assert await pair.usage(key=key)
            pair.simulator.rotate(FIRST.id, "new-key")
            assert (await failure(pair.usage(key=key))).cause is Cause.CREDENTIALS
            file.write_text("new-key")
            assert await pair.usage(key=key)
            file.unlink()
            assert await pair.usage(key=key), "a token that is good needs no key"
            pair.simulator.revoke_tokens()
            error = await failure(pair.usage(key=key))
            assert (error.cause, error.code) == (Cause.CREDENTIALS, "KEY_FILE")
            assert str(file) in str(error)

    run(scenario)


def test_a_key_with_a_new_id_is_picked_up_from_its_files(tmp_path: Path) -> None:
    """A new key of Viam's has a new id. Until both files are written, the login is refused."""

    async def scenario() -> None:
        file, id_file = tmp_path / "key", tmp_path / "id"
        file.write_text(FIRST.api_key + "\n")
        id_file.write_text(FIRST.api_key_id + "\n")
        key = ApiKey(str(id_file), file=file, id_file=id_file)
        async with connected() as pair:
            assert await pair.usage(key=key)
            pair.simulator.rotate(FIRST.id, "new-key", "new-id")
            file.write_text("new-key")
            assert (await failure(pair.usage(key=key))).cause is Cause.CREDENTIALS
            id_file.write_text("new-id")
            assert await pair.usage(key=key)
            id_file.unlink()
            pair.simulator.revoke_tokens()
            error = await failure(pair.usage(key=key))
            assert (error.cause, error.code) == (Cause.CREDENTIALS, "KEY_FILE")
            assert f"api_key_id_file {id_file}" in str(error)

    run(scenario)


def test_wrong_keys_fail_for_all_who_wait_and_are_tried_again() -> None:
    """A failure to authenticate is not kept: the next poll tries again."""

    async def scenario() -> None:
        async with connected(latency=0.02) as pair:
            wrong = ApiKey(FIRST.api_key_id, secret=Secret("wrong"))
            reads = [pair.usage(key=wrong) for _ in range(5)]
            errors = await asyncio.gather(*reads, return_exceptions=True)
            assert all(isinstance(e, BillingError) for e in errors)
            assert {e.cause for e in errors if isinstance(e, BillingError)} == {Cause.CREDENTIALS}
            assert pair.simulator.calls["Authenticate"] == 1
            assert await pair.usage()

    run(scenario)


@pytest.mark.parametrize(
    ("status", "cause", "transient"),
    [
        (grpc.StatusCode.UNAVAILABLE, Cause.OUTAGE, True),
        (grpc.StatusCode.ABORTED, Cause.OUTAGE, True),
        (grpc.StatusCode.INTERNAL, Cause.OUTAGE, True),
        (grpc.StatusCode.UNKNOWN, Cause.OUTAGE, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Cause.THROTTLED, True),
        (grpc.StatusCode.PERMISSION_DENIED, Cause.PERMISSION, False),
        (grpc.StatusCode.NOT_FOUND, Cause.OTHER, False),
        (grpc.StatusCode.INVALID_ARGUMENT, Cause.OTHER, False),
        (grpc.StatusCode.UNIMPLEMENTED, Cause.OTHER, False),
    ],
)
def test_errors_have_a_cause_a_code_and_are_transient_or_not(
    status: grpc.StatusCode,
    cause: Cause,
    transient: bool,  # noqa: FBT001 - from the list above
) -> None:
    """So that what to do about them can be told apart; the server's own words stay out."""

    async def scenario() -> None:
        async with connected() as pair:
            pair.simulator.answers[USAGE, FIRST.id] = status
            error = await failure(pair.usage())
            assert (error.cause, error.code, error.transient) == (cause, status.name, transient)
            assert str(error).startswith("GetCurrentMonthUsage: ")
            metrics = (await asyncio.to_thread(pair.telemetry.text)).decode()
            requests = "viam_billing_exporter_api_requests_total"
            failures = "viam_billing_exporter_api_request_failures_total"
            assert f'{requests}{{method="GetCurrentMonthUsage"}} 1.0' in metrics
            assert (
                f'{failures}{{code="{status.name}",method="GetCurrentMonthUsage"}} 1.0' in metrics
            )
            assert f'{requests}{{method="Authenticate"}} 1.0' in metrics

    run(scenario)


def test_another_organizations_key_is_a_matter_of_permission() -> None:
    """One key reads one organization, and the message says whose key it takes."""

    async def scenario() -> None:
        async with connected() as pair:
            error = await failure(pair.usage(SECOND, key_of(FIRST)))
            assert error.cause is Cause.PERMISSION
            assert "role Owner" in str(error)

    run(scenario)


def test_a_failure_leaves_nothing_for_the_garbage_collector() -> None:
    """What failed is freed with it: thousands of calls a second may fail."""

    async def scenario() -> None:
        async with connected() as pair:
            await pair.usage()  # with a token, so that what fails is the one call
            pair.simulator.inject("unavailable")
            left: weakref.ref[BillingError] | None = None
            gc.disable()
            try:
                await pair.usage()
            except BillingError as error:
                left = weakref.ref(error)
            finally:
                gc.enable()
            assert left is not None
            assert left() is None

    run(scenario)


def test_every_call_has_a_deadline() -> None:
    """A server that accepts and never answers fails the call, authentication too."""

    async def scenario() -> None:
        async with connected(latency=60.0, deadline=0.2) as pair:
            error = await failure(pair.usage())
            assert (error.cause, error.transient) == (Cause.OUTAGE, True)
            assert error.code == "DEADLINE_EXCEEDED"
            assert "Authenticate" in str(error)
            hold(pair.client, FIRST.api_key_id, "a token")
            error = await failure(pair.usage())
            assert error.code == "DEADLINE_EXCEEDED"
            assert "GetCurrentMonthUsage" in str(error)

    run(scenario)


def test_an_unreachable_server_is_an_outage_and_is_found_when_it_comes() -> None:
    """Connecting is tried again by itself, within the backoff."""

    async def scenario() -> None:
        port = free_port()
        telemetry = Telemetry("1.2.3", "abc")
        client = make_client(telemetry, f"127.0.0.1:{port}")
        error = await failure(client.read(USAGE, FIRST.id, key_of(FIRST)))
        assert (error.cause, error.code) == (Cause.OUTAGE, "UNAVAILABLE")
        assert "cannot be reached" in str(error)
        service = Simulator(demo_fleet(1), SimulatedClock(SystemClock()), rng=Random(1))
        await service.start(f"127.0.0.1:{port}")
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await client.read(USAGE, FIRST.id, key_of(FIRST))
                    break
                except BillingError:
                    with client._channel:  # which would be closed without a call
                        await client._channel._get().channel_ready()
        await client.close()
        await service.stop()

    run(scenario)


def test_an_answer_over_the_limit_is_invalid_and_one_below_is_not() -> None:
    """It is gRPC that refuses it, before it is here whole."""

    async def scenario() -> None:
        async with connected() as pair:
            for kibibytes, fits in ((4095, True), (4097, False)):
                answer = pb.GetInvoicesSummaryResponse()
                answer.invoices.add(id="x" * (kibibytes << 10))
                rpc = ReadRpc.GET_INVOICES_SUMMARY
                pair.simulator.answers[rpc, FIRST.id] = answer
                read = pair.client.read(rpc, FIRST.id, key_of(FIRST))
                if fits:
                    assert len(await read) > kibibytes << 10
                else:
                    error = await failure(read)
                    assert (error.cause, error.transient) == (Cause.INVALID_ANSWER, False)
                    assert "is larger than 4 MiB" in str(error)

    run(scenario)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a key and a self-signed certificate for 127.0.0.1, as PEM."""
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=test",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ),
            *("-keyout", str(key), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    return key.read_bytes(), file.read_bytes()


def test_tls_trusts_the_roots_it_is_given_and_no_others(certificate: tuple[bytes, bytes]) -> None:
    """The server's certificate is checked; one that nobody vouches for is an outage."""

    async def scenario() -> None:
        service = Simulator(demo_fleet(1), SimulatedClock(SystemClock()), rng=Random(1))
        credentials = grpc.ssl_server_credentials([certificate])
        address = f"127.0.0.1:{await service.start(credentials=credentials)}"
        telemetry = Telemetry("1.2.3", "abc")
        trusting = make_client(telemetry, address, tls=True, roots=certificate[1])
        assert await trusting.read(USAGE, FIRST.id, key_of(FIRST))
        wary = make_client(telemetry, address, tls=True, roots=None)
        error = await failure(wary.read(USAGE, FIRST.id, key_of(FIRST)))
        assert (error.cause, error.code) == (Cause.OUTAGE, "UNAVAILABLE")
        assert "certificate" in str(error).lower()
        for client in (trusting, wary):
            await client.close()
        await service.stop()

    run(scenario)


def test_calls_name_us_and_authenticate_carries_no_token() -> None:
    """The user agent has our version; every call but Authenticate has the token."""
    seen: dict[str, dict[str, str]] = {}

    class Recorder(grpc.aio.ServerInterceptor):
        async def intercept_service(self, _continuation: Any, details: Any) -> Any:
            seen[details.method] = dict(details.invocation_metadata)
            return None

    async def scenario() -> None:
        server = grpc.aio.server(interceptors=[Recorder()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        telemetry = Telemetry("1.2.3", "abc")
        client = make_client(telemetry, f"127.0.0.1:{port}")
        hold(client, "id", "the-token")
        await failure(client.read(USAGE, "o", ApiKey("other", secret=Secret("k"))))
        await failure(client.read(USAGE, "o", ApiKey("id", secret=Secret("k"))))
        await client.close()
        await server.stop(None)

    run(scenario)
    authenticate = seen["/proto.rpc.v1.AuthService/Authenticate"]
    usage = seen["/viam.app.v1.BillingService/GetCurrentMonthUsage"]
    assert authenticate["user-agent"].startswith("viam-billing-exporter/1.2.3 ")
    assert "authorization" not in authenticate
    assert usage["authorization"] == "Bearer the-token"


def _retry_info(seconds: float) -> bytes:
    """Return the trailing metadata of a server that asks to wait."""
    info = status_pb2.RetryInfo()
    info.retry_delay.FromMicroseconds(int(seconds * 1e6))
    status = status_pb2.Status(code=8, message="busy")
    detail = status.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo")
    detail.value = info.SerializeToString()
    return status.SerializeToString()


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Cause.THROTTLED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Cause.OUTAGE),
        (grpc.StatusCode.UNAVAILABLE, Cause.OUTAGE),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((), None),
        ((("retry-after", "30"),), 30.0),
        ((("grpc-status-details-bin", _retry_info(1.5)),), 1.5),
        ((("retry-after", "2"), ("grpc-status-details-bin", _retry_info(7.25))), 7.25),
        ((("retry-after", "soon"),), None),
        ((("retry-after", "-1"),), None),
        ((("grpc-status-details-bin", b"\xff\xff"),), None),
    ],
)
def test_the_server_s_wish_for_a_pause_is_understood(
    metadata: tuple[tuple[str, str | bytes], ...],
    expected: float | None,
    status: grpc.StatusCode,
    cause: Cause,
) -> None:
    """RetryInfo and retry-after, of which the longer counts; what makes no sense does not."""

    async def refuse(_request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata(metadata)
        await context.abort(status, "busy")
        return b""

    async def scenario() -> None:
        server = grpc.aio.server()
        handler: Any = grpc.unary_unary_rpc_method_handler(refuse)
        methods = {"GetCurrentMonthUsage": handler}
        service = grpc.method_handlers_generic_handler("viam.app.v1.BillingService", methods)
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        client = make_client(Telemetry("1", "a"), f"127.0.0.1:{port}")
        hold(client, "id", "token")
        error = await failure(client.read(USAGE, "o", ApiKey("id", secret=Secret("k"))))
        assert (error.cause, error.retry_after) == (cause, expected)
        await client.close()
        await server.stop(None)

    run(scenario)


def test_a_request_that_is_not_admitted_is_not_made() -> None:
    """The daily ceiling comes before each request, Authenticate too."""

    async def scenario() -> None:
        left = 2

        async def admit() -> None:
            nonlocal left
            if not left:
                raise BillingError(Cause.THROTTLED, "DAILY_LIMIT", "used up")
            left -= 1

        async with connected() as pair:
            pair.client._admit = admit
            assert await pair.usage()
            assert (await failure(pair.usage())).code == "DAILY_LIMIT"
            assert sum(pair.simulator.calls.values()) == 2

    run(scenario)
