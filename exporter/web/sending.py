"""Sends answers, piece by piece: a client takes as long as it likes, and others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from exporter.web.connection import Connection
from exporter.web.http import BaseRequest, Response, StreamResponse
from exporter.web.limits import TURN, WRITE

log = structlog.get_logger(__name__)


def connection_of(request: BaseRequest) -> Connection:
    """Return the connection that a request came on."""
    assert isinstance(request.protocol, Connection)  # noqa: S101 - for mypy
    return request.protocol


async def send(
    request: BaseRequest, response: StreamResponse, chunks: Iterable[bytes] = ()
) -> StreamResponse:
    """Send a response, and return when the client has taken it, or went away."""
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            await _write(response, chunks)
        await response.write_eof()
    except ConnectionError:
        log.debug("the client disconnected in the middle of an answer", client=request.remote)
    if isinstance(response, Response):
        # aiohttp keeps a response until the next request of its connection, or its end.
        response.body = None
    return response


async def _write(response: StreamResponse, chunks: Iterable[bytes]) -> None:
    # One write of a whole page would be copied whole, and hold the event loop. And a client that
    # reads as fast as we write would keep the loop busy.
    sent = 0
    for chunk in chunks:
        for start in range(0, len(chunk), WRITE):
            await response.write(memoryview(chunk)[start : start + WRITE])
        sent += len(chunk)
        if sent >= TURN:
            await asyncio.sleep(0)
            sent = 0
