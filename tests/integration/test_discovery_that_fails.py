"""What discovery that fails, or is told something else, does to the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc

from exporter.config import Config
from exporter.metrics.own import Own
from exporter.model import ApiKey, Organization, Secret
from integration.test_discovery_in_the_exporter import (
    FIRST,
    FLEET,
    SECOND,
    THIRD,
    Fetch,
    answer,
    config,
    exporting,
    polled,
)
from support.process import parse
from support.simulated import ACCOUNTS, run, simulation

OTHER = ACCOUNTS[3]  # of a key of its own
OTHER_KEY = ApiKey(OTHER.api_key_id, secret=Secret(OTHER.api_key))
WRONG_KEY = ApiKey(OTHER.api_key_id, secret=Secret("wrong"))


async def value(fetch: Fetch, name: str, **labels: str) -> float | None:
    """Return what the page says, or None if it says nothing."""
    return parse((await fetch("/metrics")).text).get((name, frozenset(labels.items())))


async def shown(fetch: Fetch, name: str, expected: float | None) -> None:
    """Wait until the page says something, or nothing."""
    while await value(fetch, name) != expected:
        pass


def listing(port: int, key: ApiKey) -> Config:
    """Return a configuration that lists the organization of another key."""
    return config(port, Organization(OTHER.id, "listed", key, 0.5, 600.0))


def test_a_key_that_is_refused_is_seen_and_harms_no_other() -> None:
    """In a metric and on the status page, with the key's id and what is wrong."""

    async def scenario() -> None:
        async with simulation(accounts=(*FLEET, OTHER)) as it:
            configurations = [listing(it.port, WRONG_KEY)]
            async with exporting(configurations[0], load=lambda: configurations[-1]) as (
                app,
                fetch,
            ):
                await polled(fetch, *FLEET)
                await shown(fetch, Own.DISCOVERY_SUCCESSFUL.name, 0.0)
                await shown(fetch, Own.DISCOVERED.name, 3.0)
                page = (await fetch("/")).text
                assert "fails for 1 of 2 API keys" in page
                assert f"<bdi>{OTHER.api_key_id}: Authenticate: the API key was refused" in page
                configurations.append(listing(it.port, OTHER_KEY))
                assert await app.reload() is None
                await shown(fetch, Own.DISCOVERY_SUCCESSFUL.name, 1.0)
                assert "with 2 API keys" in (await fetch("/")).text

    run(scenario())


def test_an_error_withdraws_nothing_and_is_seen() -> None:
    """And when it has passed, so has what was seen of it."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it, exporting(config(it.port)) as (_, fetch):
            await polled(fetch, *FLEET)
            for status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED):
                answer(it, status)
                await shown(fetch, Own.DISCOVERY_SUCCESSFUL.name, 0.0)
                await polled(fetch, *FLEET)
                it.simulator.answers.clear()
                await shown(fetch, Own.DISCOVERY_SUCCESSFUL.name, 1.0)

    run(scenario())


def test_a_reload_with_another_pattern_takes_effect_at_once() -> None:
    """On what was found already, also in an outage."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            configurations = [config(it.port)]
            async with exporting(configurations[0], load=lambda: configurations[-1]) as (
                app,
                fetch,
            ):
                await polled(fetch, *FLEET)
                answer(it, grpc.StatusCode.UNAVAILABLE)
                configurations.append(config(it.port, name_pattern=SECOND.name))
                assert await app.reload() is None
                await polled(fetch, SECOND)
                await shown(fetch, Own.DISCOVERED.name, 1.0)
                configurations.append(config(it.port, enabled=False))
                assert await app.reload() is None
                for name in (Own.DISCOVERED.name, Own.DISCOVERY_SUCCESSFUL.name):
                    await shown(fetch, name, None)

    run(scenario())


def test_its_calls_are_of_the_day_s_requests(tmp_path: Path) -> None:
    """And at the ceiling it fails like everything else, and withdraws nothing."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            scarce = config(it.port, refresh=0.05)
            scarce = replace(scarce, api=replace(scarce.api, max_requests_per_day=40))
            async with exporting(scarce, tmp_path / "s") as (_, fetch):
                await polled(fetch, FIRST, SECOND, THIRD)
                await shown(fetch, Own.REQUESTS_REMAINING.name, 0.0)
                await shown(fetch, Own.DISCOVERY_SUCCESSFUL.name, 0.0)
                series = parse((await fetch("/metrics")).text)
                made = {
                    dict(labels)["method"]: count
                    for (name, labels), count in series.items()
                    if name == "viam_billing_exporter_api_requests_total"
                }
                assert made["ListOrganizations"] == it.simulator.calls["ListOrganizations"] > 1
                assert sum(made.values()) == series[Own.REQUESTS_LIMIT.name, frozenset()] == 40
                assert await value(fetch, Own.DISCOVERED.name) == 3.0

    run(scenario())
