"""When garbage is collected."""

from __future__ import annotations

import asyncio
import gc
import weakref

from exporter.process import garbage
from exporter.process.garbage import Garbage
from support.virtual import run


class Cycle:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_are_freed_soon_and_the_collector_is_given_back() -> None:
    """Python's own passes are off meanwhile; ours find what is young within two turns."""

    async def scenario() -> None:
        collecting = asyncio.create_task(Garbage().collect())
        await asyncio.sleep(garbage.EVERY / 2)
        assert not gc.isenabled()
        young = weakref.ref(Cycle())
        assert young() is not None
        await asyncio.sleep(garbage.EVERY)
        assert young() is None
        collecting.cancel()

    gc.collect()
    run(scenario())
    assert gc.isenabled()


def test_what_is_old_is_freed_by_a_full_pass() -> None:
    """Once an hour everything is looked at."""

    async def scenario() -> None:
        collecting = asyncio.create_task(Garbage().collect())
        cycle: Cycle | None = Cycle()
        old = weakref.ref(cycle)
        await asyncio.sleep(5 * garbage.EVERY)
        cycle = None
        await asyncio.sleep(5 * garbage.EVERY)
        assert old() is not None
        await asyncio.sleep(garbage.FULL_EVERY)
        assert old() is None
        collecting.cancel()

    run(scenario())


def test_many_connections_are_freed_within_seconds() -> None:
    """They are old when they end, and nobody would look at them until the hour is over."""

    async def scenario() -> None:
        collector = Garbage()
        collecting = asyncio.create_task(collector.collect())
        cycle: Cycle | None = Cycle()
        old = weakref.ref(cycle)
        await asyncio.sleep(5 * garbage.EVERY)
        cycle = None
        for _ in range(garbage.MANY - 1):
            collector.note_connection()
        await asyncio.sleep(2 * garbage.NOT_BEFORE)
        assert old() is not None
        collector.note_connection()
        await asyncio.sleep(2 * garbage.EVERY)
        assert old() is None
        collecting.cancel()

    run(scenario())
