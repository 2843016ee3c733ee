"""When garbage is collected."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from exporter.process import event_loop, garbage
from exporter.process.event_loop import Turns
from exporter.process.garbage import Garbage


class Cycle:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_else_collects() -> Iterator[None]:
    """Python's own collector is off meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def old_cycle(collector: Garbage) -> weakref.ref[Cycle | None]:
    """Return a cycle that became garbage when the collector had looked at it often, in a second."""
    cycle: Cycle | None = Cycle()
    old = weakref.ref(cycle)
    for turn in range(1, 11):
        collector.collect(turn / 10)
    cycle = None
    return old


def test_what_is_young_is_freed_soon() -> None:
    """It is looked at once in a while, however often it could be."""
    collector = Garbage(0.0)
    young = weakref.ref(Cycle())
    assert not collector.collect(0.99 * garbage.EVERY)
    assert young() is not None
    assert collector.collect(garbage.EVERY)
    assert young() is None


def test_what_is_old_is_freed_by_a_full_pass() -> None:
    """Once an hour everything is looked at."""
    collector = Garbage(0.0)
    old = old_cycle(collector)
    collector.collect(garbage.FULL_EVERY - 1.0)
    assert old() is not None
    collector.collect(garbage.FULL_EVERY)
    assert old() is None


def test_many_connections_are_freed_within_seconds() -> None:
    """They are old when they end, and nobody would look at them until the hour is over."""
    collector = Garbage(0.0)
    old = old_cycle(collector)
    for _ in range(garbage.MANY - 1):
        collector.note_connection()
    collector.collect(garbage.NOT_BEFORE)
    assert old() is not None
    collector.note_connection()
    collector.collect(garbage.NOT_BEFORE + 1.0)
    assert old() is None


def test_each_turn_of_the_event_loop_ends_with_it_and_is_measured() -> None:
    """Python's own passes are off meanwhile, and are on again in the end."""
    turns, took = Turns(), list[float]()
    turns.took = took.append
    seen: list[bool] = []

    async def main() -> None:
        seen.append(gc.isenabled())
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * garbage.EVERY
        while loop.time() < until:  # a turn that is long
            pass

    cycle = weakref.ref(Cycle())
    assert cycle() is not None
    event_loop.run(main(), turns)
    assert seen == [False]
    assert gc.isenabled()
    assert cycle() is None
    assert max(took) >= 2 * garbage.EVERY
    assert min(took) >= 0.0
