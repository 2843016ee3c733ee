"""One connection with a client, and what it may cost.

aiohttp parses, queues and answers requests, and limits sizes. What it does not limit is time:
a client could send a header a byte a minute, or take its answer so. Every connection notes
since when it waits for its client, and a check of all ends those that wait too long. That is
cheaper than a timer for each: most requests are over before one would fire.

Nor does it limit what the headers of one request are together, and of all that are on their way.
So every connection counts the bytes that came and are not answered.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

import structlog

from exporter.base.transport import abort
from exporter.web.connections import Connections
from exporter.web.http import (
    BaseRequest,
    HttpServer,
    LineTooLong,
    RequestHandler,
    Response,
    StreamResponse,
)
from exporter.web.limits import HEADER_FIELDS, HEADERS, LINE, PIECE

log = structlog.get_logger(__name__)


class SiteHooks(Protocol):
    """What a connection asks of the site behind it."""

    def admit(self, transport: asyncio.Transport) -> bool:
        """Tell whether a client may connect."""

    def complete_headers(self, response: StreamResponse) -> None:
        """Complete the headers of a response."""

    def error_response(self, request: BaseRequest, status: int) -> Response:
        """Return the response to what is no request."""


class Request(BaseRequest):
    """A request whose response, whatever it is, gets the headers that every response has."""

    async def _prepare_hook(self, response: StreamResponse) -> None:
        assert isinstance(self.protocol, Connection)  # noqa: S101 - for mypy
        self.protocol.site.complete_headers(response)
        if not response.keep_alive:
            self.protocol.last_answer = True


class Connection(RequestHandler):
    """A connection that knows since when it waits for its client."""

    def __init__(
        self,
        server: HttpServer,
        connections: Connections,
        site: SiteHooks,
        since: float,  # when its client came, by the loop's clock
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
        self.last_answer = False  # what still comes is no request
        self.was_quick = False  # it has taken an answer before, without keeping others waiting
        self._begun = 0  # requests that are, or were, being answered
        self._headers = 0  # bytes of a request whose headers are not complete, at most
        self.unanswered = 0  # bytes: these, and those of requests that wait
        self._working = False
        # By the loop's clock; None: it does not wait for that.
        self._headers_since: float | None = since
        self.stalled_since: float | None = None
        self.idle_since: float | None = since

    # --- What the transport says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the client's certificate is not one of those allowed."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._wire = transport
        self._connections.add(self)
        try:
            super().connection_made(transport)
            admitted = self.site.admit(transport)
        except Exception:  # asyncio would leave it open
            #: Report it with the traceback. Other connections are unaffected.
            log.exception("a connection was closed because of a bug")
            admitted = False
        if not admitted:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove it from those that are open."""
        self._connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins, that its headers are complete, and how long they are."""
        if not data:  # aiohttp goes on with what it had put aside
            super().data_received(data)
        for start in range(0, len(data), PIECE):
            self._piece_received(data[start : start + PIECE])

    def _piece_received(self, piece: bytes) -> None:
        if self._force_close or self._close or self.last_answer:
            return
        self._connections.count(self, self.unanswered + len(piece))
        if self._headers_since is None and not self._working:
            self._headers_since = self._loop.time()
        before = self._request_count
        super().data_received(piece)
        if self._request_count > before:
            self._headers_since = None
            self._headers = len(piece)
            return
        self._headers += len(piece)
        if self._headers > HEADERS:
            # Too long together: refused as one is that is too long.
            super().data_received(b"x" * (LINE + 1))
            self.last_answer = True

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
        self._begun += 1
        self._working = True
        self.idle_since = None
        self._connections.works(self)
        try:
            yield
        finally:
            self._working = False
            self.idle_since = self._loop.time()
            self._connections.idles(self)
            if self._begun == self._request_count:
                self._connections.count(self, self._headers)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what came
    ) -> StreamResponse:
        """Answer what is no request, or met a bug, and repeat nothing of it, here or in the log."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            #: Report it with the traceback. The page answered 500.
            log.error("a request failed because of a bug", exc_info=exc)
        else:
            log.debug("no request", client=request.remote, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the response has already begun")
        if isinstance(exc, LineTooLong):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        response = self.site.error_response(request, status)
        response.force_close()
        return response

    # --- Limits ---

    @property
    def due(self) -> float:
        """When it will have waited too long for its client, by the loop's clock."""
        limits = self._connections.limits
        waits = (
            (self._headers_since, limits.headers),
            (self.stalled_since, limits.stall),
            (self.idle_since, limits.idle),
        )
        return min([since + limit for since, limit in waits if since is not None], default=math.inf)

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
