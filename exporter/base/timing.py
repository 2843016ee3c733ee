"""Deadlines and waiting. Times are seconds of the caller's clock."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

MIN_STALE = 64  # entries that a heap may hold in vain, however few are in use


async def wait(event: asyncio.Event, seconds: float = math.inf) -> None:
    """Wait until an event is set, but no longer than so many seconds."""
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await event.wait()
    except TimeoutError:
        pass


class Deadlines(Generic[KeyT]):
    """A time for each of any number of keys, and which of them is next.

    Among equal times, the one that was set first.
    """

    def __init__(self) -> None:
        self._entries: dict[KeyT, tuple[float, int, KeyT]] = {}
        self._heap: list[tuple[float, int, KeyT]] = []  # with stale ones, that are not in _entries
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: KeyT) -> float | None:
        """Return the time of a key, or None if it has none."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def set(self, key: KeyT, at: float) -> None:
        """Give a key a time, in place of the one that it had."""
        entry = (at, next(self._order), key)
        self._entries[key] = entry
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._entries) + MIN_STALE:
            self._heap = sorted(self._entries.values())

    def discard(self, key: KeyT) -> None:
        """Forget a key's time, if it has one."""
        self._entries.pop(key, None)

    def next(self) -> float:
        """Return the first time; infinity if there is none."""
        while self._heap:
            at, _, key = entry = self._heap[0]
            if self._entries.get(key) is entry:
                return at
            heapq.heappop(self._heap)
        return math.inf

    def take(self, now: float) -> KeyT | None:
        """Return the key whose time came first, and forget its time; None if none has come."""
        if self.next() > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._entries[key]
        return key
