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
    one that had its time loses its place when another waits.
    """

    def __init__(self, number: float, limits: Limits) -> None:
        self._number = number
        self._limits = limits
        self._inside: dict[Connection, float] = {}  # since when, in the order of coming
        self._freed = asyncio.Event()
        self._first = asyncio.Lock()  # the first of those that wait
        self._waiting = 0

    @asynccontextmanager
    async def enter(self, connection: Connection) -> AsyncIterator[None]:
        """Have a place while inside. Raises Full if none becomes free in time."""
        if self._waiting or len(self._inside) >= self._number:
            await self._wait()
        self._inside[connection] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._inside.pop(connection, None)
            self._freed.set()

    async def _wait(self) -> None:
        if self._waiting >= self._number:
            raise Full
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.queue), self._first:
                while len(self._inside) >= self._number:
                    self._freed.clear()
                    await timing.wait(self._freed, LOOK_AGAIN)
                    if len(self._inside) >= self._number:
                        self._evict()
        except TimeoutError:
            raise Full from None
        finally:
            self._waiting -= 1

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
