"""Accepts connections and speaks TLS on them, as the web configuration says at that moment."""

from __future__ import annotations

import asyncio
import errno
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from exporter.base.transport import read_little_of_tls
from exporter.web.connection import Connection, Request
from exporter.web.connections import Connections
from exporter.web.http import (
    AbstractStreamWriter,
    HttpServer,
    RawRequestMessage,
    RequestHandler,
    StreamReader,
)
from exporter.web.site import Site
from exporter.web.toolkit import UnreadableCertificateError, WebConfig, WebConfigFile

log = structlog.get_logger(__name__)

STOP_WITHIN = 5.0  # seconds that scrapes under way have to end
ACCEPT_AGAIN = 0.1  # seconds until the next try when none can be accepted
QUIET: Final = 60.0  # seconds between two log lines about it
# No room of the machine's is left, of which an idle connection gives some back.
NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
HELLO = b"\x16"  # what a client that speaks TLS sends first


class Server:
    """Serves a site at sockets that listen."""

    def __init__(
        self,
        site: Site,
        connections: Connections,
        configuration: Callable[[], WebConfig],
        file: WebConfigFile | None,
        on_connection: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_connection` is called for each connection that speaks."""
        self._site = site
        self._connections = connections
        self._configuration = configuration
        self._file = file
        self._told = -math.inf  # when it last said that it cannot accept
        self._warned_of_certificate = False
        self._on_connection = on_connection

    @asynccontextmanager
    async def serve(self, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Serve at the sockets while inside. They are closed in the end."""
        read_little_of_tls()
        requests = HttpServer(self._site.answer, request_factory=_request)
        try:
            async with asyncio.TaskGroup() as tasks:  # a bug in one of them ends the process
                running = [tasks.create_task(self._accept(each, requests)) for each in sockets]
                running.append(tasks.create_task(self._connections.enforce_timeouts()))
                if self._file is not None:
                    running.append(tasks.create_task(self._file.run(self._retire)))
                try:
                    yield
                finally:
                    for task in running:
                        task.cancel()
        finally:
            for listening in sockets:
                listening.close()
            # aiohttp would wait as long again for an answer that nobody reads.
            loop = asyncio.get_running_loop()
            unread = loop.call_later(STOP_WITHIN, self._connections.abort)
            await asyncio.sleep(0)  # what has come by now is answered before connections end
            requests.pre_shutdown()
            await requests.shutdown(STOP_WITHIN)
            unread.cancel()

    def _retire(self) -> None:
        self._connections.retire(self._context())

    def _context(self) -> ssl.SSLContext | None:
        tls = self._configuration().tls
        return None if tls is None else tls.context

    async def _accept(self, listening: socket.socket, server: HttpServer) -> None:
        """Accept connections until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def speaks(accepted: socket.socket, since: float) -> None:
                context = self._context()
                if _will_speak(accepted, tls=context is not None):
                    self._on_connection()
                    task = tasks.create_task(self._connect(accepted, context, server, since))
                    self._connections.begin(task, accepted, context)
                else:
                    accepted.close()

            try:
                while True:
                    accepted = await self._next(listening)
                    # While there are more, accepting gives nobody else a turn.
                    await asyncio.sleep(0)
                    if self._connections.make_room():
                        self._connections.newcomers.add(accepted, speaks)
                    else:
                        accepted.close()
            finally:
                self._connections.give_up()

    async def _next(self, listening: socket.socket) -> socket.socket:
        """Return the next socket, when there is a file descriptor left for it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it went away again
            except OSError as error:
                if loop.time() - self._told >= QUIET:
                    self._told = loop.time()
                    #: Usually no file descriptor is left: raise `LimitNOFILE=`. Logged once a
                    #: minute.
                    log.warning("cannot accept connections", reason=error.strerror)
                if error.errno in NO_ROOM:
                    self._connections.evict_idle()
                await asyncio.sleep(ACCEPT_AGAIN)
            else:
                return accepted

    async def _connect(
        self,
        accepted: socket.socket,
        context: ssl.SSLContext | None,
        server: HttpServer,
        since: float,
    ) -> None:
        """Make a connection of an accepted socket, with TLS if there is a context.

        Whatever goes wrong with it is the end of this one, and of no other.
        """

        def protocol() -> Connection:
            return Connection(server, self._connections, self._site, since)

        limits = self._connections.limits
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol,
                accepted,
                ssl=context,
                ssl_handshake_timeout=None if context is None else limits.handshake,
                ssl_shutdown_timeout=None if context is None else limits.linger,
            )
        except OSError as error:  # an SSLError is one
            if isinstance(error, UnreadableCertificateError) and not self._warned_of_certificate:
                self._warned_of_certificate = True
                #: They are not UTF-8. Logged once.
                log.warning("rejected a client whose certificate has names that are not text")
            log.debug("no TLS connection", reason=type(error).__name__)
            accepted.close()
        except Exception:
            log.exception("a connection was closed because of a bug")
            accepted.close()


def _will_speak(accepted: socket.socket, *, tls: bool) -> bool:
    """Tell by the first byte whether a client speaks, and TLS where it has to."""
    try:
        first = accepted.recv(1, socket.MSG_PEEK)
    except OSError:
        return False
    return first == HELLO if tls else bool(first)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> Request:
    return Request(message, payload, protocol, writer, task, task.get_loop())
