"""Sends answers, piece by piece: a client takes as long as it likes, and others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from exporter.web.connection import Connection
from exporter.web.http import BaseRequest, Response, StreamResponse
from exporter.web.limits import TURN, WRITE

log = structlog.get_logger(__name__)

Chunk = bytes | memoryview


def connection_of(request: BaseRequest) -> Connection:
    """Return the connection that a request came on."""
    assert isinstance(request.protocol, Connection)  # noqa: S101 - for mypy
    return request.protocol


async def send_chunks(
    request: BaseRequest, headers: Mapping[str, str], chunks: Sequence[Chunk]
) -> StreamResponse:
    """Send a response of several chunks, as `send` does."""
    if len(chunks) == 1 and len(chunks[0]) <= WRITE:
        # aiohttp writes it together with the headers, which takes half the time.
        return await send(request, Response(body=chunks[0], headers=headers))
    response = StreamResponse(headers=headers)
    response.content_length = sum(map(len, chunks))
    return await send(request, response, chunks)


async def send(
    request: BaseRequest, response: StreamResponse, chunks: Iterable[Chunk] = ()
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


async def _write(response: StreamResponse, chunks: Iterable[Chunk]) -> None:
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
