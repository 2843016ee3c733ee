"""One connection with a client, and what all of them may cost.

aiohttp parses, queues and answers requests, and limits sizes. What it does not limit is time:
a client could send a header a byte a minute, or take its answer so. Every connection notes
since when it waits for its client, and a check of all once a second ends those that wait too
long. That is cheaper than a timer for each: most requests are over before one would fire.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from exporter.transport import abort
from exporter.web.limits import HEADER_FIELDS, LINE, Limits

log = structlog.get_logger(__name__)


class SiteHooks(Protocol):
    """What a connection asks of the site behind it."""

    def admit(self, transport: asyncio.Transport) -> bool:
        """Tell whether a client may connect."""

    def complete_headers(self, response: web.StreamResponse) -> None:
        """Complete the headers of a response."""

    def error_response(self, status: int) -> web.Response:
        """Return the response to what is no request."""


class Request(web.BaseRequest):
    """A request whose response, whatever it is, gets the headers that every response has."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        assert isinstance(self.protocol, Connection)  # noqa: S101 - for mypy
        self.protocol.site.complete_headers(response)


class Connection(web.RequestHandler):
    """A connection that knows since when it waits for its client."""

    def __init__(
        self,
        server: web.Server,
        connections: Connections,
        site: SiteHooks,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=connections.limits.idle,
            access_log=None,  # type: ignore[arg-type] # as in AppRunner
            max_line_size=LINE,
            max_field_size=LINE,
            max_headers=HEADER_FIELDS,
            lingering_time=connections.limits.linger,
            auto_decompress=False,  # no body is read
        )
        self._connections = connections
        self.site = site
        self._wire: asyncio.Transport | None = None
        self.answered = False  # a request
        self._working = False
        # By the loop's clock; None: it does not wait for that.
        self._headers_since: float | None = None
        self.stalled_since: float | None = None
        self.idle_since: float | None = None

    # --- What the transport says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the client's certificate is not one of those allowed."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._wire = transport
        self._headers_since = self.idle_since = self._loop.time()
        self._connections.add(self)
        super().connection_made(transport)
        if not self.site.admit(transport):
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove it from those that are open."""
        self._connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins, and that its headers are complete."""
        before = self._request_count
        if self._headers_since is None and not self._working:
            self._headers_since = self._loop.time()
        super().data_received(data)
        if self._request_count > before:
            self._headers_since = None

    def pause_writing(self) -> None:
        """Note that the client does not take what it asked for."""
        super().pause_writing()
        self.stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        """Note that it does again."""
        self.stalled_since = None
        super().resume_writing()

    # --- What the pages say ---

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count as busy, not idle, while inside."""
        self._working = True
        self.idle_since = None
        try:
            yield
        finally:
            self._working = False
            self.answered = True
            self.idle_since = self._loop.time()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what came
    ) -> web.StreamResponse:
        """Answer what is no request, or met a bug, and repeat nothing of it, here or in the log."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request met a bug", exc_info=exc)
        else:
            log.debug("no request", client=request.remote, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun")
        if isinstance(exc, LineTooLong):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        response = self.site.error_response(status)
        response.force_close()
        return response

    # --- Limits ---

    def overdue(self, now: float) -> bool:
        """Tell whether it has waited too long for its client."""
        limits = self._connections.limits
        waits = (
            (self._headers_since, limits.headers),
            (self.stalled_since, limits.stall),
            (self.idle_since, limits.idle),
        )
        return any(since is not None and now - since > limit for since, limit in waits)

    def abort(self) -> None:
        """End it now, whatever is still to send: closing would wait for the client to take it."""
        self._connections.discard(self)
        if self._wire is not None:
            abort(self._wire)
        self.force_close()

    def retire(self) -> None:
        """End it as soon as it is idle."""
        if self.idle_since is None:
            self.close()
        else:
            self.abort()


class Connections:
    """All connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: dict[Connection, None] = {}  # in the order in which they began
        # Those that speak no TLS yet: since when, by the loop's clock, and which they will.
        self._beginning: dict[asyncio.Task[None], tuple[float, ssl.SSLContext | None]] = {}

    def __len__(self) -> int:
        return len(self._all) + len(self._beginning)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._all))

    def begin(
        self, task: asyncio.Task[None], accepted: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        """Note a task that makes a connection of a socket."""
        self._beginning[task] = task.get_loop().time(), context

        def ended(task: asyncio.Task[None]) -> None:
            del self._beginning[task]
            if task.cancelled():
                accepted.close()

        task.add_done_callback(ended)

    def give_up(self) -> None:
        """End those that only begin."""
        for task in self._beginning:
            task.cancel()

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
        self._all[connection] = None

    def discard(self, connection: Connection) -> None:
        """Forget one that ended."""
        self._all.pop(connection, None)

    async def enforce_timeouts(self) -> None:
        """Once a second, end those that waited too long. Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.check_interval)
            now = loop.time()
            for connection in self:
                if connection.overdue(now):
                    connection.abort()

    def evict_idle(self) -> bool:
        """End the connection that was idle for longest, and tell whether there was one.

        Those that never got an answer go first: a scrape interval is no idleness.
        """
        idle: list[tuple[bool, float, Callable[[], object]]] = [
            (each.answered, each.idle_since, each.abort)
            for each in self._all
            if each.idle_since is not None
        ]
        idle += [(False, since, task.cancel) for task, (since, _) in self._beginning.items()]
        if not idle:
            return False
        _, _, end = min(idle, key=lambda each: each[:2])
        end()
        return True

    def evict_stalled(self) -> bool:
        """End the response that is stalled for longest, and tell whether there was one."""
        now = asyncio.get_running_loop().time()
        stalled = [c for c in self._all if now - (c.stalled_since or now) > self.limits.patience]
        if not stalled:
            return False
        min(stalled, key=lambda c: c.stalled_since or 0.0).abort()
        return True
