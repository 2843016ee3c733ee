"""Discovery in the whole exporter, of the simulated service's accounts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from exporter.api.billing import BillingError
from exporter.app import made
from exporter.base.address import Address
from exporter.config import ApiConfig, Config, DiscoveryConfig, PollConfig
from exporter.daemon import Options
from exporter.model import ApiKey, FoundOrganization, Organization, Secret
from exporter.pb import app_pb2
from exporter.polling.sharding import Shard
from exporter.process.version import Version
from exporter.reloads import ReloadQueue
from support.process import PATIENCE, Response, get
from support.simulated import ACCOUNTS, Simulation, exporter_client, run, simulation

# Three organizations of one key.
FIRST, SECOND, THIRD = (
    replace(account, api_key_id=ACCOUNTS[0].api_key_id, api_key=ACCOUNTS[0].api_key)
    for account in ACCOUNTS[:3]
)
FLEET = (FIRST, SECOND, THIRD)
KEY = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
ALL = [FoundOrganization(account.id, account.name) for account in FLEET]
WHOLE = Shard()
Fetch = Callable[[str], Awaitable[Response]]


def config(port: int, *organizations: Organization, **discovery: Any) -> Config:
    """Return a configuration that lists some organizations, and looks for others all the time."""
    settings: dict[str, Any] = {"enabled": True, "refresh": 0.2} | discovery
    return Config(
        organizations,
        api=ApiConfig(address=f"127.0.0.1:{port}", tls=False, timeout=5.0),
        poll=PollConfig(interval=0.5, max_age=600.0),
        credentials=KEY,
        discovery=DiscoveryConfig(**settings),
    )


@asynccontextmanager
async def exporting(
    configuration: Config,
    storage: Path | None = None,
    load: Callable[[], Config] | None = None,
    shard: Shard = WHOLE,
) -> AsyncIterator[tuple[ReloadQueue, Fetch]]:
    """Run the exporter while inside."""
    serving: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    options = Options(
        listen=[Address("127.0.0.1", 0)],
        telemetry_path="/metrics",
        version=Version("1.2.3", "abc"),
        storage_path=storage,
        load=load or (lambda: configuration),
        shard=shard,
    )
    stop, reloads = asyncio.Event(), ReloadQueue()
    async with made(configuration, options, reloads) as daemon, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(
            daemon.run(lambda addresses, _: serving.set_result([*addresses]), stop)
        )
        port = int((await serving)[0].rpartition(":")[2])
        yield reloads, lambda path: asyncio.to_thread(get, port, path)
        stop.set()
        await running


async def polled(fetch: Fetch, *accounts: object) -> str:
    """Wait until exactly these accounts are up, and return the page."""
    wanted = {f'viam_billing_up{{org_id="{account.id}"' for account in accounts}  # type: ignore[attr-defined]
    while True:
        page = (await fetch("/metrics")).text
        up = [line for line in page.splitlines() if line.startswith("viam_billing_up{")]
        if {line.partition(",")[0] for line in up if line.endswith(" 1.0")} == wanted:
            return page


NAMELESS = Organization(SECOND.id, SECOND.id, KEY, 0.5, 600.0)


def named(page: str) -> set[str]:
    """Return the names in a page's series of an organization that was polled."""
    return set(
        re.findall(
            rf'^viam_billing_up{{org_id="{SECOND.id}",org_name="([^"]*)"', page, re.MULTILINE
        )
    )


def test_who_is_listed_without_a_name_has_that_of_the_api(tmp_path: Path) -> None:
    """From its first poll on, and after a restart in which no name can be had."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            given = config(it.port, NAMELESS, enabled=False)
            async with exporting(given, tmp_path) as (_, fetch):
                page = await polled(fetch, SECOND)
                assert named(page) == {SECOND.name}
                assert f'org_name="{SECOND.id}"' not in page
                assert "viam_billing_exporter_discovery" not in page
                assert 'method="ListOrganizations"' in page
            answer(it, grpc.StatusCode.PERMISSION_DENIED)
            async with exporting(given, tmp_path) as (_, fetch):
                assert named(await polled(fetch, SECOND)) == {SECOND.name}

    run(scenario())


def test_a_name_that_cannot_be_had_is_the_id() -> None:
    """Which is no failure of polls, and nothing that readiness waits for."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            answer(it, grpc.StatusCode.PERMISSION_DENIED)
            async with exporting(config(it.port, NAMELESS, enabled=False)) as (_, fetch):
                assert named(await polled(fetch, SECOND)) == {SECOND.id}
                await accepted(fetch, "/-/ready", lambda response: response.status == 200)

    run(scenario())


async def accepted(fetch: Fetch, path: str, accept: Callable[[Response], bool]) -> None:
    """Wait until a page is as it should be."""
    async with asyncio.timeout(PATIENCE):
        while not accept(await fetch(path)):
            pass


def answer(it: Simulation, value: app_pb2.ListOrganizationsResponse | grpc.StatusCode) -> None:
    """Let the simulator answer with something else than its accounts."""
    it.simulator.answers["ListOrganizations", FIRST.id] = value


def listed(*accounts: object) -> app_pb2.ListOrganizationsResponse:
    """Return an answer that lists some accounts."""
    response = app_pb2.ListOrganizationsResponse()
    for account in accounts:
        response.organizations.add(id=account.id, name=account.name)  # type: ignore[attr-defined]
    return response


def test_the_client_lists_what_a_key_reads_and_no_more() -> None:
    """With a token like any call, and another one when that is refused."""

    async def scenario() -> None:
        async with (
            simulation(accounts=(*FLEET, ACCOUNTS[3])) as it,
            exporter_client(it.port) as client,
        ):
            assert [*await client.organizations(KEY)] == ALL
            it.simulator.revoke_tokens()
            assert [*await client.organizations(KEY)] == ALL
            assert it.simulator.calls["Authenticate"] == 2

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("unavailable", "outage"),
        ("permission-denied", "permission"),
        ("garbage", "invalid_answer"),
        ("truncated", "invalid_answer"),
        ("huge", "invalid_answer"),
        ("refused-token", "credentials"),
        ("hang", "outage"),
    ],
)
def test_a_fault_is_an_error_and_never_an_empty_list(fault: str, cause: str) -> None:
    """Or an outage would withdraw everything."""

    async def scenario() -> None:
        faults = [f"{fault}:method=ListOrganizations"]
        async with (
            simulation(accounts=FLEET, faults=faults) as it,
            exporter_client(it.port, timeout=1.0) as client,
        ):
            with pytest.raises(BillingError) as caught:
                await client.organizations(KEY)
            assert caught.value.cause == cause

    run(scenario())


def test_what_is_found_is_polled_and_what_disappears_is_withdrawn() -> None:
    """Without a list, without a restart; ready only when it is known what there is."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it, exporting(config(it.port)) as (_, fetch):
            page = await polled(fetch, *FLEET)
            assert f'org_name="{FIRST.name}"' in page
            assert (await fetch("/-/ready")).status == 200
            assert (await fetch(f"/organizations/{SECOND.id}")).status == 200
            answer(it, listed(FIRST, THIRD))
            await polled(fetch, FIRST, THIRD)
            assert (await fetch(f"/organizations/{SECOND.id}")).status == 404
            answer(it, grpc.StatusCode.UNAVAILABLE)
            calls = it.simulator.calls["ListOrganizations"]
            while it.simulator.calls["ListOrganizations"] < calls + 3:
                await polled(fetch, FIRST, THIRD)

    run(scenario())


def test_until_it_is_known_what_there_is_the_exporter_is_not_ready() -> None:
    """An orchestrator that waits for it must not go on with an empty page."""

    async def scenario() -> None:
        faults = ["hang:method=ListOrganizations"]
        async with (
            simulation(accounts=FLEET, faults=faults) as it,
            exporting(config(it.port)) as (_, fetch),
        ):
            assert (await fetch("/-/ready")).status == 503
            assert (await fetch("/-/healthy")).status == 200
            it.simulator.faults.clear()
            await polled(fetch, *FLEET)
            while (await fetch("/-/ready")).status != 200:
                pass

    run(scenario())


def test_a_restart_in_an_outage_keeps_what_was_found_and_its_data(tmp_path: Path) -> None:
    """With storage; and what is listed wins."""
    named = Organization(SECOND.id, "mine", KEY, 0.5, 600.0)

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            async with exporting(config(it.port, named), tmp_path / "s") as (_, fetch):
                page = await polled(fetch, *FLEET)
                assert 'org_name="mine"' in page
                assert SECOND.name not in page
            for method in ("ListOrganizations", "GetInvoicesSummary"):
                it.simulator.inject(f"unavailable:method={method}")
            async with exporting(config(it.port, named), tmp_path / "s") as (_, fetch):
                page = (await fetch("/metrics")).text
                assert page.count("viam_billing_outstanding_balance_usd{") == 3, "restored"

    run(scenario())


def test_what_was_found_before_and_is_read_late_is_shown_in_an_outage_too(tmp_path: Path) -> None:
    """The storage was not there at the start, as a share that is mounted late."""
    folder, away = tmp_path / "state", tmp_path / "away"
    name = "viam_billing_outstanding_balance_usd{"

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            async with exporting(config(it.port), folder) as (_, fetch):
                await polled(fetch, *FLEET)
            folder.rename(away)
            folder.touch()
            it.simulator.inject("unavailable")
            async with exporting(config(it.port), folder) as (_, fetch):
                await accepted(fetch, "/-/ready", lambda response: response.status == 200)
                assert name not in (await fetch("/metrics")).text
                folder.unlink()
                away.rename(folder)
                await accepted(fetch, "/metrics", lambda page: page.text.count(name) == 3)
            async with exporting(config(it.port), folder) as (_, fetch):
                assert (await fetch("/metrics")).text.count(name) == 3, "it was kept"

    run(scenario())


def test_a_reload_switches_it_on_and_off_and_a_shard_takes_its_part() -> None:
    """What is found is divided like what is listed."""
    shards = [Shard(ordinal, 2) for ordinal in range(2)]
    mine = [[account for account in FLEET if shard.owns(account.id)] for shard in shards]

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            one = Organization(FIRST.id, "mine", KEY, 0.5, 600.0)
            off, on = config(it.port, one, enabled=False), config(it.port, one)
            configurations = [off, on]
            async with exporting(off, load=lambda: configurations[-1]) as (reloads, fetch):
                await polled(fetch, FIRST)
                assert await reloads.reload() is None
                await polled(fetch, *FLEET)
                configurations.append(off)
                assert await reloads.reload() is None
                await polled(fetch, FIRST)
            for shard, accounts in zip(shards, mine, strict=True):
                async with exporting(config(it.port), shard=shard) as (_, fetch):
                    await polled(fetch, *accounts)

    run(scenario())
