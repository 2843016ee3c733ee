"""A proxy that has lost its server: an HTML page with status 502, where gRPC is expected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from exporter.simulator import http2

PAGE: Final = (
    b"<html>\n<head><title>502 Bad Gateway</title></head>\n"
    b"<body><h1>502 Bad Gateway</h1>simulated</body>\n</html>\n"
)
# Indexes into HPACK's static table: RFC 7541, appendix A.
STATUS, CONTENT_LENGTH, CONTENT_TYPE = 8, 28, 31
HEADERS: Final = (
    http2.header(STATUS, "502")
    + http2.header(CONTENT_LENGTH, str(len(PAGE)))
    + http2.header(CONTENT_TYPE, "text/html")
)
READ_BYTES: Final = 65_536


async def answer_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever comes first as a proxy does that knows HTTP/1.1 only, and close."""
    await reader.read(READ_BYTES)
    head = (
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n"
        f"Content-Length: {len(PAGE)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + PAGE)
    await writer.drain()


async def answer_http2(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lasts: Callable[[], bool]
) -> None:
    """Answer every request with the page, until the client goes away or the fault is over.

    The first request after that is sent away to another connection, and has not been answered.
    """
    frames = http2.Frames(skip=len(http2.PREFACE))
    answered = 0
    writer.write(http2.frame(http2.SETTINGS, 0, 0))
    while data := await reader.read(READ_BYTES):
        for frame in frames.feed(data):
            if frame.kind == http2.HEADERS:
                if not lasts():
                    writer.write(http2.goaway(answered))
                    await writer.drain()
                    return
                answered = frame.stream
            writer.write(_answer(frame))
        await writer.drain()


def _answer(frame: http2.Frame) -> bytes:
    if frame.kind == http2.HEADERS:
        return http2.frame(http2.HEADERS, http2.END_HEADERS, frame.stream, HEADERS) + http2.frame(
            http2.DATA, http2.END_STREAM, frame.stream, PAGE
        )
    if frame.kind == http2.SETTINGS and not frame.flags & http2.ACK:
        return http2.frame(http2.SETTINGS, http2.ACK, 0)
    if frame.kind == http2.PING and not frame.flags & http2.ACK:
        return http2.frame(http2.PING, http2.ACK, 0, frame.payload)
    return b""
