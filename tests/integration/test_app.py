"""The whole exporter on one event loop, where a call that blocks fails the test."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from blockbuster import BlockingError
from structlog.testing import capture_logs

from exporter import app, demo
from exporter import app as app_module
from exporter.app import made
from exporter.base.address import Address
from exporter.config import ApiConfig, Config, ConfigError, Problem
from exporter.daemon import Daemon, Options, StartError
from exporter.model import ApiKey, Organization, Secret
from exporter.polling.sharding import Shard
from exporter.process.clock import SystemClock
from exporter.process.version import Version
from exporter.reloads import ReloadQueue
from exporter.state.storage import Storage
from support.process import Response, get
from support.simulated import FIRST, simulation

pytestmark = pytest.mark.alone

WHOLE = Shard()
Scenario = Callable[[Daemon, Callable[[str], Awaitable[Response]]], Awaitable[None]]


def run(  # noqa: PLR0913 - one for each thing that a test may want otherwise
    scenario: Scenario,
    *,
    load: Callable[[Config], Config] = lambda config: config,
    start: Callable[[Config], Config] = lambda config: config,
    storage: Path | None = None,
    shard: Shard = WHOLE,
    service: Callable[[], AbstractAsyncContextManager[Config]] = demo.simulated_service,
) -> None:
    """Run the exporter on a service, that of the demo if none is given, and a scenario beside it.

    `start` and `load` change the configuration of the start, and of a reload.
    """

    async def serve() -> None:
        async with service() as config:
            loop = asyncio.get_running_loop()
            serving: asyncio.Future[Sequence[str]] = loop.create_future()
            options = Options(
                listen=[Address("127.0.0.1", 0)],
                telemetry_path="/metrics",
                version=Version("1.2.3", "abc"),
                storage_path=storage,
                load=lambda: load(config),
                shard=shard,
            )
            stop, reloads = asyncio.Event(), ReloadQueue()
            async with (
                made(start(config), options, reloads) as daemon,
                asyncio.TaskGroup() as tasks,
            ):
                running = tasks.create_task(
                    daemon.run(lambda addresses, _: serving.set_result(addresses), stop)
                )
                port = int((await serving)[0].rpartition(":")[2])
                async with asyncio.timeout(30):
                    await scenario(daemon, lambda path: asyncio.to_thread(get, port, path))
                stop.set()
                await running

    asyncio.run(serve())


async def until(
    fetch: Callable[[str], Awaitable[Response]], path: str, accept: Callable[[Response], bool]
) -> Response:
    """Fetch a path again and again until the answer is as wanted."""
    while not accept(response := await fetch(path)):
        pass
    return response


def test_the_watch_for_blocking_calls_works() -> None:
    """Else every other test here would prove nothing."""
    source = "def blocks():\n    path.read_text()\n"
    scope = {"path": Path(__file__)}
    file = str(Path(app_module.__file__).with_name("fake.py"))
    exec(compile(source, file, "exec"), scope)  # noqa: S102 - as if it were a module of ours

    async def main() -> None:
        scope["blocks"]()  # type: ignore[operator]

    with pytest.raises(BlockingError):
        asyncio.run(main())


def test_it_serves_the_demo_without_blocking_the_event_loop() -> None:
    """Every page, while everything is polled."""

    async def scenario(_daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        await until(fetch, "/-/ready", lambda response: response.status == 200)
        for path in ("/", "/metrics", "/config", "/-/healthy"):
            assert (await fetch(path)).status == 200
        assert "viam_billing_up{" in (await fetch("/metrics")).text

    run(scenario)


def test_storage_and_a_daily_ceiling_do_not_block_the_event_loop_either(tmp_path: Path) -> None:
    """From the start to the stop; what is left of the day is less after some polls."""

    def limited(config: Config) -> Config:
        return replace(config, api=replace(config.api, max_requests_per_day=1000))

    async def scenario(_daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        await until(fetch, "/-/ready", lambda response: response.status == 200)
        stored = "viam_billing_exporter_storage_last_write_successful 1.0"
        page = await until(fetch, "/metrics", lambda response: stored in response.text)
        left = re.search(r"\nviam_billing_exporter_api_requests_remaining (\S+)", page.text)
        assert left
        assert 900 < float(left[1]) < 1000

    run(scenario, start=limited, storage=tmp_path / "state")
    storage = Storage(tmp_path / "state")
    assert len(storage.read().organizations) == 8
    storage.close()


def test_a_ceiling_whose_storage_cannot_be_opened_lets_nothing_through(tmp_path: Path) -> None:
    """It serves, and each poll says why it fails."""
    (tmp_path / "file").touch()

    def limited(config: Config) -> Config:
        return replace(config, api=replace(config.api, max_requests_per_day=1000))

    async def scenario(_daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        await until(fetch, "/-/ready", lambda response: response.status == 200)
        assert (
            "no request can be reserved: cannot use the storage folder" in (await fetch("/")).text
        )
        page = (await fetch("/metrics")).text
        assert 'api_requests_total{method="Authenticate"} 0.0' in page

    run(scenario, start=limited, storage=tmp_path / "file" / "state")


def test_a_reload_takes_a_new_configuration_whole() -> None:
    """Also a new address of the API, for which there is a new connection."""

    def fewer(config: Config) -> Config:
        api = replace(config.api, timeout=9.0)
        return replace(config, api=api, organizations=config.organizations[:2])

    async def scenario(daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        await until(fetch, "/-/ready", lambda response: response.status == 200)
        client = daemon._client
        daemon._components.reloads.request()
        page = await until(
            fetch, "/metrics", lambda response: response.text.count("\nviam_billing_up{") == 2
        )
        assert "viam_billing_exporter_config_last_reload_successful 1.0" in page.text
        assert "timeout: 9s" in (await fetch("/config")).text
        assert daemon._client is not client

    run(scenario, load=fewer)


@asynccontextmanager
async def asking_to_wait(method: str) -> AsyncIterator[Config]:
    """Run a service that answers one call, asking to wait for ten years."""
    fault = f"resource-exhausted:retry-after=87600h,method={method},times=1"
    async with simulation(accounts=[FIRST], clock=SystemClock(), faults=[fault]) as it:
        key = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
        yield Config(
            (Organization(FIRST.id, FIRST.name, key, interval=900.0, max_age=3600.0),),
            api=ApiConfig(address=f"127.0.0.1:{it.port}", tls=False),
        )


@pytest.mark.parametrize(("method", "waiting"), [("GetInvoicesSummary", 1), ("Authenticate", 3)])
def test_a_reload_asks_a_server_that_wanted_to_be_left_alone(method: str, waiting: int) -> None:
    """Until when polls wait is in the metrics and on the page of the organization."""

    async def scenario(daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        waits = "\nviam_billing_collector_retry_timestamp_seconds{"
        await until(fetch, "/metrics", lambda page: page.text.count(waits) == waiting)
        details = (await fetch(f"/organizations/{FIRST.id}")).text
        assert details.count("Paused until, at the server's request") == waiting
        assert await daemon._components.reloads.reload() is None
        page = await until(fetch, "/metrics", lambda response: waits not in response.text)
        assert f'viam_billing_up{{org_id="{FIRST.id}",org_name="{FIRST.name}"}} 1.0' in page.text

    run(scenario, service=partial(asking_to_wait, method))


def test_a_reload_connects_anew_only_if_the_shard_s_part_of_the_api_section_changed(
    tmp_path: Path,
) -> None:
    """A ceiling of one request more, divided by three, is the same ceiling; of three more, not."""
    ceilings = iter((3000, 3001, 3003))

    def limited(config: Config) -> Config:
        api = replace(config.api, max_requests_per_day=next(ceilings))
        return replace(config, api=api)

    async def scenario(daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        client = daemon._client
        assert await daemon._components.reloads.reload() is None
        assert "max_requests_per_day: 3001" in (await fetch("/config")).text
        assert daemon._client is client
        assert await daemon._components.reloads.reload() is None
        assert daemon._client is not client
        limit = "viam_billing_exporter_api_requests_limit 1001.0"
        await until(fetch, "/metrics", lambda response: limit in response.text)

    run(scenario, start=limited, load=limited, storage=tmp_path / "state", shard=Shard(1, 3))


def test_a_ceiling_that_is_removed_leaves_no_metric(tmp_path: Path) -> None:
    """Else an alert would go on about requests that nobody counts."""
    ceilings = iter((3000, None))

    def limited(config: Config) -> Config:
        api = replace(config.api, max_requests_per_day=next(ceilings))
        return replace(config, api=api)

    async def scenario(daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        names = [f"viam_billing_exporter_api_requests_{name}" for name in ("limit", "remaining")]
        await until(fetch, "/metrics", lambda page: all(name in page.text for name in names))
        assert await daemon._components.reloads.reload() is None
        await until(fetch, "/metrics", lambda page: not any(name in page.text for name in names))

    run(scenario, start=limited, load=limited, storage=tmp_path / "state")


def test_a_reload_that_fails_keeps_the_old_configuration() -> None:
    """It is said in a metric, and every error in the log."""

    def broken(_: Config) -> Config:
        raise ConfigError([Problem("f.yml", n, "a.b", "is wrong") for n in (1, 2)])

    async def scenario(daemon: Daemon, fetch: Callable[[str], Awaitable[Response]]) -> None:
        daemon._components.reloads.request()
        failed = "\nviam_billing_exporter_config_last_reload_successful 0.0"
        await until(fetch, "/metrics", lambda response: failed in response.text)
        assert (await fetch("/config")).text.count("  poll_interval:") == 8

    with capture_logs() as logs:
        run(scenario, load=broken)
    problems = [entry["problem"] for entry in logs if entry["log_level"] == "error"]
    assert problems == ["f.yml:1: a.b: is wrong", "f.yml:2: a.b: is wrong"]


def test_an_address_that_is_taken_ends_the_start() -> None:
    """With one line that says which, and what to do."""

    async def scenario() -> None:
        async with demo.simulated_service() as config:
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            options = Options(
                listen=[Address("127.0.0.1", port)],
                telemetry_path="/metrics",
                version=Version("1", "a"),
                storage_path=None,
                load=lambda: config,
            )
            with pytest.raises(
                StartError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .* in use"
            ):
                await app.run(config, options, lambda *_: None)
            server.close()

    asyncio.run(scenario())
