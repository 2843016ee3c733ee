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


class Time:
    """A monotonic clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def time() -> Iterator[Time]:
    """Return a clock; Python's own collector is off meanwhile."""
    gc.collect()
    gc.disable()
    yield Time()
    gc.enable()


def old_cycle(collector: Garbage, time: Time) -> weakref.ref[Cycle | None]:
    """Return a cycle that became garbage when the collector had looked at it often."""
    cycle: Cycle | None = Cycle()
    old = weakref.ref(cycle)
    for _ in range(5):
        time.now += 2 * garbage.EVERY
        collector.collect()
    cycle = None
    return old


def test_what_is_young_is_freed_soon(time: Time) -> None:
    """It is looked at once in a while, however often it could be."""
    collector = Garbage(time)
    young = weakref.ref(Cycle())
    collector.collect()
    assert young() is not None
    time.now += garbage.EVERY
    collector.collect()
    assert young() is None


def test_what_is_old_is_freed_by_a_full_pass(time: Time) -> None:
    """Once an hour everything is looked at."""
    collector = Garbage(time)
    old = old_cycle(collector, time)
    time.now = garbage.FULL_EVERY - 1.0
    collector.collect()
    assert old() is not None
    time.now += 1.0
    collector.collect()
    assert old() is None


def test_many_connections_are_freed_within_seconds(time: Time) -> None:
    """They are old when they end, and nobody would look at them until the hour is over."""
    collector = Garbage(time)
    old = old_cycle(collector, time)
    for _ in range(garbage.MANY - 1):
        collector.note_connection()
    time.now += garbage.NOT_BEFORE
    collector.collect()
    assert old() is not None
    collector.note_connection()
    time.now += 2 * garbage.EVERY
    collector.collect()
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
