"""What the pages learn of polling: how the last polls ended, how many, and when the next is."""

from __future__ import annotations

import asyncio

from exporter.model import Cause
from exporter.pb import billing_pb2 as pb
from exporter.polling.schedule import Unit
from exporter.state import history
from exporter.state.history import LENGTH, NEWS, NO_NEWS
from support.reader import OUTAGE, USAGE, config, organization
from support.rig import Rig
from support.virtual import START, run

USAGE_OF_O1 = Unit("o1", "usage")


def test_each_poll_leaves_how_it_ended() -> None:
    """New data, nothing new, or why it failed; one that is tried again counts once."""
    rig = Rig(config(organization(interval=60.0), collectors=("usage",)))

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(1)
            await asyncio.sleep(60)
            rig.reader.answers[USAGE] = OUTAGE
            await asyncio.sleep(60)
            rig.reader.answers[USAGE] = pb.GetCurrentMonthUsageResponse(subtotal=5.0)
            await asyncio.sleep(60)
            state = rig.store.get("o1")
            assert state is not None
            polls = history.polls(state.collectors["usage"].history)
            assert [poll.outcome for poll in polls] == [NEWS, Cause.OUTAGE, NO_NEWS, NEWS]
            assert polls[-1].ended == START
            assert rig.poller.progress == (3, 1, 0)
            await asyncio.sleep(600)
            state = rig.store.get("o1")
            assert state is not None
            assert len(history.polls(state.collectors["usage"].history)) == LENGTH

    run(scenario())


def test_the_next_poll_is_told_and_while_it_is_made_there_is_none() -> None:
    """On the clock that does not jump."""
    rig = Rig(config(organization(interval=60.0), collectors=("usage",)))
    rig.reader.delays[USAGE] = 10.0

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(5)
            assert rig.poller.next_poll(USAGE_OF_O1) is None
            assert rig.poller.progress == (0, 0, 1)
            await asyncio.sleep(6)
            due = rig.poller.next_poll(USAGE_OF_O1)
            assert due is not None
            assert 11 < due <= 71
            assert rig.poller.next_poll(Unit("nobody", "usage")) is None

    run(scenario())
