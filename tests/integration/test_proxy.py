"""The exporter behind a proxy, by the name of an API that only the proxy can reach."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import yaml
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.api.route import find_route
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause, Secret
from exporter.pb import billing_pb2 as pb
from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator
from support.certificates import Authority
from support.process import EXPORTER, TOOL, exporter, free_port, get, parse, running
from support.proxy import CONNECTED, connect_proxy
from support.simulated import ACCOUNTS, FIRST, run

API = "billing.test:443"  # no resolver knows it
KEY = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
USER_INFO = "user:pr0xy%40password"
HEADER = f"Proxy-Authorization: Basic {base64.b64encode(b'user:pr0xy@password').decode()}\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return one that the clients here trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def service(pair: tuple[Path, Path] | None = None) -> AsyncIterator[int]:
    """Run the simulated service, with a certificate and its key or without TLS; yields a port."""
    simulator = Simulator(ACCOUNTS, SimulatedClock(SystemClock()), rng=Random(1))
    credentials = None
    if pair is not None:
        certificate, key = (each.read_bytes() for each in pair)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = await simulator.start("127.0.0.1:0", credentials)
    try:
        yield port
    finally:
        await simulator.stop()


@asynccontextmanager
async def client(environ: Mapping[str, str], **api: Any) -> AsyncIterator[BillingClient]:
    """Have the exporter's own client of the API while inside."""
    config = ApiConfig(**dict[str, Any]({"address": API, "timeout": 5.0} | api))
    it = BillingClient.along(
        await find_route(config, environ),
        config,
        user_agent="test",
        telemetry=Telemetry("0", "0"),
        clock=SystemClock(),
    )
    try:
        yield it
    finally:
        await it.close()


async def usage(reader: BillingClient) -> pb.GetCurrentMonthUsageResponse:
    """Read a bill."""
    raw = await reader.read(ReadRpc.GET_CURRENT_MONTH_USAGE, FIRST.id, KEY)
    return pb.GetCurrentMonthUsageResponse.FromString(raw)


async def failure(reader: BillingClient) -> BillingError:
    """Return the error that reading fails with."""
    with pytest.raises(BillingError) as caught:
        await usage(reader)
    return caught.value


def test_bills_are_read_through_the_proxy_that_the_environment_names(authority: Authority) -> None:
    """With user and password, encrypted up to the API: the proxy sees where to, and no key."""
    pair = authority.issue("billing", "DNS:billing.test")

    async def scenario() -> None:
        async with service(pair) as port, connect_proxy(destination=port) as proxy:
            environ = {"HTTPS_PROXY": f"http://{USER_INFO}@{proxy.address}"}
            with capture_logs() as logs:
                async with client(environ, ca_file=authority.crt) as reader:
                    assert (await usage(reader)).resource_usage_costs_by_source
            (request,) = proxy.requests
            assert request.startswith(f"CONNECT {API} HTTP/1.1\r\n")
            assert HEADER in request
            assert len(proxy.relayed) > 100
            for secret in (FIRST.api_key, FIRST.api_key_id, FIRST.id):
                assert secret.encode() not in proxy.relayed
            assert {
                "event": "reaching the API through a proxy",
                "log_level": "info",
                "proxy": f"http://{proxy.address}",
                "variable": "HTTPS_PROXY",
            } in logs
            assert not [entry for entry in logs if entry["log_level"] == "warning"]

    run(scenario())


def test_the_certificate_is_the_api_s_and_not_the_proxy_s(authority: Authority) -> None:
    """One that has the proxy's name, by the same authority, is refused."""
    pair = authority.issue("proxy", "DNS:localhost,IP:127.0.0.1")

    async def scenario() -> None:
        async with service(pair) as port, connect_proxy(destination=port) as proxy:
            for host in ("127.0.0.1", "localhost"):
                environ = {"https_proxy": f"http://{host}:{proxy.port}"}
                async with client(environ, ca_file=authority.crt) as reader:
                    error = await failure(reader)
                assert "through the proxy: its certificate is for another name" in str(error)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy answered 407: it requires"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy answered 403: it does not let this host"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<p>s3cret", "proxy answered 502: it does not connect"),
        (b"HTTP/1.1 302 Found\r\nLocation: /s3cret\r\n\r\n", "proxy answered 302: it does not"),
        (b"<html>s3cret</html>\r\n\r\n", "the proxy's answer is not HTTP"),
        (b"HTTP/s3cret\r\n\r\n", "the proxy's answer is not HTTP"),
        (b"HTTP/1.1 s3cret\r\n\r\n", "the proxy's answer is not HTTP"),
        (b"\x05\xff\r\n", "the proxy's answer is not HTTP"),
        (b"", "the server cannot be reached through the proxy: the connection was closed"),
    ],
)
def test_a_refusal_of_the_proxy_is_told_as_its_own(answer: bytes, message: str) -> None:
    """With the status that it answered, none of its words, and as an outage, which may pass."""

    async def scenario() -> None:
        async with connect_proxy(answer) as proxy:
            environ = {"https_proxy": f"http://{USER_INFO}@{proxy.address}"}
            async with client(environ) as reader:
                error = await failure(reader)
            assert str(error).startswith("Authenticate: the ")
            assert message in str(error)
            assert "s3cret" not in str(error)
            assert "pr0xy" not in str(error)
            assert (error.cause, error.transient) == (Cause.OUTAGE, True)
            assert HEADER in proxy.requests[0]

    run(scenario())


def test_a_proxy_that_cannot_be_reached_is_told_from_the_server() -> None:
    """Nothing listens there, or its name is unknown."""

    async def scenario() -> None:
        for address, fault in (
            (f"127.0.0.1:{free_port()}", "the connection was refused"),
            ("proxy.invalid:3128", "its name cannot be resolved"),
        ):
            async with client({"https_proxy": address}) as reader:
                error = await failure(reader)
            assert f"the proxy cannot be reached: {fault}" in str(error)

    run(scenario())


def test_a_proxy_that_hangs_ends_with_the_deadline() -> None:
    """It takes the connection and says nothing."""

    async def scenario() -> None:
        async with connect_proxy(None) as proxy:
            async with client({"https_proxy": proxy.address}, timeout=0.5) as reader:
                error = await failure(reader)
            assert error.code == "DEADLINE_EXCEEDED"
            assert str(error).endswith(
                ": no answer through the proxy within the deadline (api.timeout)"
            )
            assert proxy.requests

    run(scenario())


def test_grpc_reads_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one to use, where none is to be used, nor an exception, where there is none."""

    async def scenario() -> None:
        async with service() as port, connect_proxy(destination=port) as other:
            for name in ("grpc_proxy", "https_proxy", "http_proxy"):
                monkeypatch.setenv(name, f"http://{other.address}")
            monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY", other.address)
            monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "127.0.0.0/8")
            async with client({}, address=f"127.0.0.1:{port}", tls=False) as reader:
                await usage(reader)
            assert not other.requests
            for name in ("no_grpc_proxy", "no_proxy"):
                monkeypatch.setenv(name, "test,billing.test")
            async with connect_proxy(destination=port) as proxy:
                environ = {"https_proxy": proxy.address}
                async with client(environ, tls=False, insecure=True) as reader:
                    await usage(reader)
                assert proxy.requests
            assert not other.requests

    run(scenario())


def test_keys_in_plain_text_through_a_proxy_are_warned_of() -> None:
    """`insecure` is the user's choice; that a proxy reads along may come as a surprise."""

    async def scenario() -> None:
        async with service() as port, connect_proxy(destination=port) as proxy:
            environ = {"http_proxy": f"http://{USER_INFO}@{proxy.address}"}
            with capture_logs() as logs:
                async with client(environ, tls=False, insecure=True) as reader:
                    await usage(reader)
            assert FIRST.api_key.encode() in proxy.relayed  # it is true
            (warning,) = (each for each in logs if each["log_level"] == "warning")
            assert warning["event"].startswith("the proxy can read the API keys, ")
            assert warning["proxy"] == f"http://{proxy.address}"

    run(scenario())


# --- As processes ---------------------------------------------------------------------------


def test_the_demo_uses_no_proxy() -> None:
    """Whatever proxy the environment names, all of its companies are up."""

    async def scenario() -> None:
        async with connect_proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
            names = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTPS_PROXY")
            environ = dict.fromkeys(names, f"http://{proxy.address}")

            def demo() -> list[float]:
                with exporter("--demo", environ=environ) as it:
                    it.wait_until_ready()
                    page = parse(it.scrape())
                    assert "Proxy" not in get(it.port, "/").text
                return [value for (name, _), value in page.items() if name == "viam_billing_up"]

            up = await asyncio.to_thread(demo)
            assert up == [1.0] * len(ACCOUNTS)
            assert not proxy.requests

    run(scenario())


def test_the_proxy_is_said_at_the_start_and_on_the_status_page(
    authority: Authority, tmp_path: Path
) -> None:
    """By address and variable; its password is nowhere to be seen, in a failure neither."""
    pair = authority.issue("service", "DNS:billing.test")
    file = configuration(tmp_path, ca_file=str(authority.crt))

    async def scenario() -> None:
        async with service(pair) as port:
            for answer, state in (
                (CONNECTED, ">bill readable<"),
                (REFUSED, "the proxy answered 407: "),
            ):
                async with connect_proxy(answer, destination=port) as proxy:
                    environ = {"HTTPS_PROXY": f"http://{USER_INFO}@{proxy.address}"}
                    shown = await asyncio.to_thread(run_exporter, file, environ)
                    page, log = shown
                    assert f"<code>http://{proxy.address}</code>" in page
                    assert state in page
                    assert f"proxy=http://{proxy.address} variable=HTTPS_PROXY" in log
                    for text in shown:
                        assert "pr0xy" not in text
                        assert base64.b64encode(b"user:pr0xy@password").decode() not in text

    run(scenario())


REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"


def configuration(folder: Path, **api: object) -> Path:
    """Write one that polls the first of the companies at the API."""
    file = folder / "exporter.yml"
    file.touch(0o600)
    credentials = {"api_key_id": FIRST.api_key_id, "api_key": FIRST.api_key}
    organization = {"id": FIRST.id, "name": "Acme", "credentials": credentials}
    document = {"api": {"address": API, "timeout": "2s"} | api, "organizations": [organization]}
    file.write_text(yaml.safe_dump(document))
    return file


def run_exporter(file: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the status page once everything was polled, and the log."""
    flags = (f"--config.file={file}", "--log.level=debug")
    with exporter(*flags, environ=environ) as it:
        it.wait_until_ready()
        page = get(it.port, "/").text
        it.process.stop()
        return page, it.process.stderr.text


@pytest.mark.parametrize(
    "command",
    [(*EXPORTER, "--config.check"), EXPORTER, (*TOOL, "check"), (*TOOL, "usage")],
    ids=["config.check", "start", "check", "usage"],
)
def test_a_proxy_that_is_no_http_proxy_is_refused_at_the_start(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """By the check as well, in one line that does not repeat the password."""
    flag = f"--config.file={configuration(tmp_path)}"
    with running(*command, flag, environ={"ALL_PROXY": f"socks5://{USER_INFO}@host:1"}) as process:
        assert process.wait() == 1
    (line,) = process.stderr.text.splitlines()
    assert line.startswith("environment: ALL_PROXY: must begin with http://, since gRPC supports ")
    assert "pr0xy" not in line
