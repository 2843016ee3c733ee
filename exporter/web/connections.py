"""All connections: how many there may be, how long they wait, and which is ended for another."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from exporter.web.limits import Limits
from exporter.web.newcomers import Newcomers

if TYPE_CHECKING:
    from exporter.web.connection import Connection


class Connections:
    """All connections.

    Newcomers are those that never asked for anything: silent, shaking hands, or in the middle of
    their first request. They are ended first, and cannot take all places: a scrape interval is no
    idleness.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.newcomers = Newcomers()  # the silent ones
        # Those that speak no TLS yet: since when, by the loop's clock, and which they will.
        self._beginning: dict[asyncio.Task[None], tuple[float, ssl.SSLContext | None]] = {}
        # Each in the order in which they became so. Those that are answered are in `_all` only.
        self._all: dict[Connection, None] = {}
        self._asking: dict[Connection, None] = {}  # for the first time
        self._idle: dict[Connection, None] = {}  # after an answer
        self._unanswered = 0  # bytes, of all of them
        self._came = asyncio.Event()  # one may be there

    def __len__(self) -> int:
        return len(self.newcomers) + len(self._beginning) + len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._all))

    def begin(
        self, task: asyncio.Task[None], accepted: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        """Note a task that makes a connection of a socket."""
        self._beginning[task] = task.get_loop().time(), context
        if context is not None and len(self._beginning) > self.limits.handshakes:
            self._give_up_on(next(iter(self._beginning)))

        def ended(task: asyncio.Task[None]) -> None:
            self._beginning.pop(task, None)
            if task.cancelled():
                accepted.close()

        task.add_done_callback(ended)

    def give_up(self) -> None:
        """End those that only begin."""
        self.newcomers.close_before(math.inf)
        for task in self._beginning:
            task.cancel()

    def abort(self) -> None:
        """End all that are there, whatever is still to send."""
        for connection in self:
            connection.abort()

    def retire(self, current: ssl.SSLContext | None) -> None:
        """Make clients of an older context connect again: a certificate may no longer be good."""
        for task, (_, context) in self._beginning.items():
            if context is not current:
                task.cancel()
        for connection in self:
            if connection.ssl_context is not current:
                connection.retire()

    def add(self, connection: Connection) -> None:
        """Note one that begins."""
        self._all[connection] = self._asking[connection] = None

    def works(self, connection: Connection) -> None:
        """Note that a request is being answered."""
        self._asking.pop(connection, None)
        self._idle.pop(connection, None)

    def idles(self, connection: Connection) -> None:
        """Note that it was."""
        if connection in self._all:
            self._idle[connection] = None

    def discard(self, connection: Connection) -> None:
        """Forget one that ended."""
        if connection in self._all:
            self.works(connection)
            del self._all[connection]
            self._unanswered -= connection.unanswered

    def count(self, connection: Connection, unanswered: int) -> None:
        """Count bytes that came. If there are too many, end the connection with most of them."""
        if connection not in self._all:
            return
        self._unanswered += unanswered - connection.unanswered
        connection.unanswered = unanswered
        if self._unanswered > self.limits.unanswered:
            max(self._all, key=lambda each: each.unanswered).abort()

    async def enforce_timeouts(self) -> None:
        """End those that waited too long, until cancelled. Without any, nothing is looked at."""
        loop = asyncio.get_running_loop()
        limits = self.limits
        while True:
            if not len(self):
                self._came.clear()
                await self._came.wait()
            # What begins to wait meanwhile may do so for as long as the shortest of these.
            pause = min(limits.headers, limits.stall, limits.idle, self._due() - loop.time())
            await asyncio.sleep(max(pause, limits.check_interval))
            now = loop.time()
            self.newcomers.close_before(now - limits.headers)
            for connection in self:
                if connection.due <= now:
                    connection.abort()

    def _due(self) -> float:
        """Return when the next of them will have waited too long, by the loop's clock."""
        newcomer = self.newcomers.oldest
        due = [connection.due for connection in self._all]
        if newcomer is not None:
            due.append(newcomer + self.limits.headers)
        return min(due, default=math.inf)

    def make_room(self) -> bool:
        """Tell whether there is room for one more. Some of it is kept for those that ask."""
        self._came.set()
        newcomers = len(self.newcomers) + len(self._beginning) + len(self._asking)
        if newcomers >= self.limits.newcomers:
            return self._evict_newcomer()
        return len(self) < self.limits.connections or self.evict_idle()

    def evict_idle(self) -> bool:
        """End the connection that was idle for longest, and tell whether there was one.

        Newcomers go first.
        """
        if self._evict_newcomer():
            return True
        for connection in self._idle:
            connection.abort()
            return True
        return False

    def _evict_newcomer(self) -> bool:
        """End the newcomer that came first, and tell whether there was one."""
        silent = self.newcomers.oldest
        beginning = next(iter(self._beginning.items()), None)
        asking = next(iter(self._asking), None)
        first: list[tuple[float, Callable[[], object]]] = []
        if silent is not None:
            first.append((silent, self.newcomers.close_oldest))
        if beginning is not None:
            task, (since, _) = beginning
            first.append((since, partial(self._give_up_on, task)))
        if asking is not None:
            first.append((asking.idle_since or 0.0, asking.abort))
        if not first:
            return False
        _, end = min(first, key=lambda each: each[0])
        end()
        return True

    def _give_up_on(self, task: asyncio.Task[None]) -> None:
        del self._beginning[task]
        task.cancel()
