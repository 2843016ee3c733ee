"""An hour in which nothing comes: what has a clock of its own wakes nobody."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from exporter.api.connections import Calls, Watch
from exporter.polling.intake import CLOCK_CHECK
from exporter.web.connections import Connections
from exporter.web.limits import Limits
from support.reader import config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run, waits

HOUR = 3600.0
ROUNDS = 12  # of polls, five minutes apart
LOOKS = HOUR / CLOCK_CHECK  # at the wall clock, which can be set


def test_polls_and_confirmations_are_what_wakes_the_exporter(tmp_path: Path) -> None:
    """With storage and without: each round of an organization's polls, and the page after it."""

    async def scenario(rig: Rig) -> None:
        async with rig.running():
            await asyncio.sleep(600)  # the first round comes at once, the second at its own phase
            polls, before = len(rig.reader.calls), waits()
            await asyncio.sleep(HOUR)
            assert len(rig.reader.calls) - polls == 2 * 3 * ROUNDS
            # The page is made a second after the polls, and then nothing for a fiftieth.
            assert waits() - before <= LOOKS + 2 * ROUNDS * 3 + 1

    paced = {"interval": 300.0, "max_age": 86_400.0}
    two = config(organization("a", **paced), organization("b", **paced))

    async def stored() -> None:
        async with Rig.stored(tmp_path, two) as rig:
            await scenario(rig)

    run(scenario(Rig(two)))
    run(stored())


def test_connections_are_looked_at_only_while_there_are_any() -> None:
    """And one that says nothing, until it is ended."""

    async def scenario() -> None:
        limits = Limits()
        connections = Connections(limits)
        checking = asyncio.create_task(connections.enforce_timeouts())
        await asyncio.sleep(1.0)
        before = waits()
        await asyncio.sleep(HOUR)
        assert waits() - before == 1
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert connections.make_room()
            connections.newcomers.add(ours, lambda _accepted, _since: None)
            await asyncio.sleep(2 * limits.headers)
            assert len(connections) == 0
            assert ours.fileno() == -1
        before = waits()
        await asyncio.sleep(HOUR)
        assert waits() - before == 1
        checking.cancel()

    run(scenario())


def test_traffic_is_looked_at_only_while_there_is_a_channel() -> None:
    """Or a connection that is left of one: the sockets of this test are none that it began."""

    async def scenario() -> None:
        calls = Calls(received=0, under_way=0, open=False)
        watch = Watch(VirtualClock())
        watching = asyncio.create_task(watch.run(lambda: calls))
        await asyncio.sleep(1.0)
        before = waits()
        await asyncio.sleep(HOUR)
        assert waits() - before == 1
        watch.opened()
        await asyncio.sleep(60.0)
        before = waits()
        await asyncio.sleep(HOUR)
        assert waits() - before == 1
        watching.cancel()

    run(scenario())
