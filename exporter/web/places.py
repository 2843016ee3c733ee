"""Answers in flight: how many there may be, who waits for a place, and who loses one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from exporter.base import timing
from exporter.web.connection import Connection
from exporter.web.limits import Full, Limits

LOOK_AGAIN: Final = 0.05  # seconds; so far apart are those that lose their place


class Places:
    """Gives places to answers of a kind, such as scrapes, in the order of coming.

    A client that takes its answer slowly, or again and again, could keep others out for ever: so
    one that had its time loses its place when another waits. It may come back at once, as many may.
    So a connection that took an answer quickly before, such as Prometheus', goes first.
    """

    def __init__(self, number: float, limits: Limits) -> None:
        self._number = number
        self._limits = limits
        self._inside: dict[Connection, float] = {}  # since when, in the order of coming
        self._freed = asyncio.Event()
        # The first of those that wait, of connections that were quick and of others.
        self._first = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._waiting = {True: 0, False: 0}

    @asynccontextmanager
    async def enter(self, connection: Connection) -> AsyncIterator[None]:
        """Have a place while inside. Raises Full if none becomes free in time."""
        quick = connection.was_quick
        if self._waiting[True] or self._waiting[quick] or len(self._inside) >= self._number:
            await self._wait(quick=quick)
        since = self._inside[connection] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            took = asyncio.get_running_loop().time() - since
            was_there = self._inside.pop(connection, None) is not None
            connection.was_quick = was_there and took < self._limits.patience
            self._freed.set()

    async def _wait(self, *, quick: bool) -> None:
        if self._waiting[quick] >= self._number:
            raise Full
        self._waiting[quick] += 1
        try:
            async with asyncio.timeout(self._limits.queue), self._first[quick]:
                while len(self._inside) >= self._number or (self._waiting[True] and not quick):
                    self._freed.clear()
                    await timing.wait(self._freed, LOOK_AGAIN)
                    if len(self._inside) >= self._number:
                        self._evict()
        except TimeoutError:
            raise Full from None
        finally:
            self._waiting[quick] -= 1
            self._freed.set()

    def _evict(self) -> None:
        """End the one that is stalled for longest, or else takes longest, if that is too long."""
        before = asyncio.get_running_loop().time() - self._limits.patience
        stalled = [(c.stalled_since, c) for c in self._inside if c.stalled_since is not None]
        since, connection = min(stalled, key=lambda each: each[0], default=(before, None))
        if connection is None or since >= before:
            connection, since = next(iter(self._inside.items()))
        if since < before:
            del self._inside[connection]
            connection.abort()
