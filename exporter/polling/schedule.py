"""When each unit is polled. No I/O, no clock: the caller passes monotonic times in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

from exporter.base.timing import Deadlines


class Unit(NamedTuple):
    """What is polled on its own: one collector of one organization."""

    org_id: str
    collector: str


def phase(org_id: str) -> float:
    """Return the organization's own place within an interval, in [0, 1), from its id alone."""
    digest = hashlib.blake2b(org_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Turns(NamedTuple):
    """A unit's turns: once per interval, at `offset` into it. In seconds."""

    interval: float
    offset: float

    def after(self, now: float) -> float:
        """Return the first turn after `now`."""
        interval, offset = self
        turn = (math.floor((now - offset) / interval) + 1) * interval + offset
        return turn if turn > now else turn + interval  # rounding can land on now itself


class Schedule:
    """Polls every unit at once when it is new, then once an interval at its own phase.

    The first round comes as fast as it may; from the second on, each organization has its own
    place within the interval, so that ten thousand do not fire together. A unit that was taken
    is not due again until it is done, however long that takes.

    The clock is one that never jumps.
    """

    def __init__(self) -> None:
        self._turns: dict[Unit, Turns] = {}
        self._waiting: Deadlines[Unit] = Deadlines()
        self._taken: set[Unit] = set()

    def __contains__(self, unit: Unit) -> bool:
        return unit in self._turns

    def replace(self, intervals: Mapping[Unit, float], now: float) -> None:
        """Poll these units from now on, and no others."""
        for unit in self._turns.keys() - intervals.keys():
            self._waiting.discard(unit)
            del self._turns[unit]
        self.put(intervals, now)

    def put(
        self,
        intervals: Mapping[Unit, float],
        now: float,
        first: Mapping[Unit, float] | None = None,
    ) -> None:
        """Poll these units, too.

        New ones are due at once, or when `first` says; the others keep their turn.
        """
        for unit, interval in intervals.items():
            known = self._turns.get(unit)
            if known is not None and known.interval == interval:
                continue
            turns = self._turns[unit] = Turns(interval, phase(unit.org_id) * interval)
            if known is None:
                self._wait(unit, max(now, (first or {}).get(unit, now)))
            elif (due := self._waiting.get(unit)) is not None:
                self._wait(unit, min(due, turns.after(now)))

    def take(self, now: float) -> Unit | None:
        """Return a unit that is due, the longest waiting first, or None."""
        unit = self._waiting.take(now)
        if unit is not None:
            self._taken.add(unit)
        return unit

    def done(self, unit: Unit, now: float, earliest: float = 0.0) -> None:
        """Let a unit that was taken wait for its next turn, which is not before `earliest`."""
        self._taken.remove(unit)
        if (turns := self._turns.get(unit)) is not None:
            self._wait(unit, max(turns.after(now), earliest))

    def give_back(self, unit: Unit, at: float) -> None:
        """Return a unit that was not polled after all; it is due again at `at`."""
        self._taken.remove(unit)
        if unit in self._turns:
            self._wait(unit, at)

    def move(self, unit: Unit, at: float) -> None:
        """Let a unit that waits be due at `at`, sooner or later than it was."""
        if unit in self._turns:
            self._wait(unit, at)

    def due(self, unit: Unit) -> float | None:
        """Return when a unit is due; None while it is taken, or is none of these."""
        return self._waiting.get(unit)

    def next_due(self) -> float:
        """Return when the next unit is due; infinity if none waits."""
        return self._waiting.next()

    def _wait(self, unit: Unit, due: float) -> None:
        if unit not in self._taken:
            self._waiting.set(unit, due)
