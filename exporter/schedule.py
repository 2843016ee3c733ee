"""Pure: what is due when. Times are seconds of one clock, whichever the caller means."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections.abc import Hashable, Mapping
from typing import Generic, NamedTuple, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Unit(NamedTuple):
    """What is polled on its own: one collector of one organization."""

    org_id: str
    collector: str


def phase(org_id: str) -> float:
    """Return the organization's own place within an interval, in [0, 1), from its id alone."""
    digest = hashlib.blake2b(org_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Schedule:
    """Polls every unit at once when it is new, then once an interval at its own phase.

    The first round comes as fast as it may; from the second on, each organization has its own
    place within the interval, so that ten thousand do not fire together. A unit that was taken
    is not due again until it is done, however long that takes.

    The clock is one that never jumps.
    """

    def __init__(self) -> None:
        self._intervals: dict[Unit, float] = {}
        self._due: dict[Unit, float] = {}  # units that wait; those taken are not in it
        self._heap: list[tuple[float, int, Unit]] = []  # with stale entries, told by _due
        self._taken: set[Unit] = set()
        self._order = itertools.count()

    def replace(
        self,
        intervals: Mapping[Unit, float],
        now: float,
        first: Mapping[Unit, float] | None = None,
    ) -> None:
        """Poll these units from now on.

        New ones are due at once, or when `first` says; the others keep their turn.
        """
        for unit in self._intervals.keys() - intervals.keys():
            self._due.pop(unit, None)
        for unit, interval in intervals.items():
            known = self._intervals.get(unit)
            if known is None:
                self._wait(unit, max(now, (first or {}).get(unit, now)))
            elif known != interval and unit in self._due:
                self._wait(unit, min(self._due[unit], _next_turn(unit, interval, now)))
        self._intervals = dict(intervals)

    def take(self, now: float) -> Unit | None:
        """Return a unit that is due, the longest waiting first, or None."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, _, unit = heapq.heappop(self._heap)
        del self._due[unit]
        self._taken.add(unit)
        return unit

    def done(self, unit: Unit, now: float, earliest: float = 0.0) -> None:
        """Let a unit that was taken wait for its next turn, which is not before `earliest`."""
        self._taken.remove(unit)
        if (interval := self._intervals.get(unit)) is not None:
            self._wait(unit, max(_next_turn(unit, interval, now), earliest))

    def give_back(self, unit: Unit, at: float) -> None:
        """Let a unit that was taken in vain be due again at a time of the caller's."""
        self._taken.remove(unit)
        if unit in self._intervals:
            self._wait(unit, at)

    def next_due(self) -> float | None:
        """Return when the next unit is due, or None if none waits."""
        while self._heap:
            due, _, unit = self._heap[0]
            if self._due.get(unit) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def _wait(self, unit: Unit, due: float) -> None:
        if unit not in self._taken:
            self._due[unit] = due
            heapq.heappush(self._heap, (due, next(self._order), unit))


class Alarms(Generic[KeyT]):
    """Says when to look at something again: not later than asked, at times sooner.

    There is one alarm for each key, the earliest asked for, so that asking again and again
    takes no memory. Whoever is woken too soon asks anew.
    """

    def __init__(self) -> None:
        self._at: dict[KeyT, float] = {}
        self._heap: list[tuple[float, int, KeyT]] = []  # with stale entries, told by _at
        self._order = itertools.count()

    def ask(self, key: KeyT, at: float) -> None:
        """Ask to be told of a key at a time."""
        if at < self._at.get(key, math.inf):
            self._at[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))

    def next(self) -> float:
        """Return when the next alarm comes, or a little before; infinity if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def take(self, now: float) -> set[KeyT]:
        """Return the keys whose time has come, and forget their alarms."""
        due = set()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                due.add(key)
        return due


def _next_turn(unit: Unit, interval: float, now: float) -> float:
    """Return the first moment after `now` at the unit's phase."""
    offset = phase(unit.org_id) * interval
    turn = (math.floor((now - offset) / interval) + 1) * interval + offset
    return turn if turn > now else turn + interval  # rounding can land on now itself
