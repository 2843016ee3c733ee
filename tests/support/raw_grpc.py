"""A billing service made of single frames, for what no library of gRPC would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from exporter.simulator import http2

READ_BYTES = 65_536

Field = tuple[bytes, bytes]
# What is sent on a stream whose request has ended.
Answer = Callable[[int], bytes]

OK: Iterable[Field] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
DONE: Iterable[Field] = ((b"grpc-status", b"0"),)


def fields(pairs: Iterable[Field]) -> bytes:
    """Return header fields that no table remembers, by RFC 7541, section 6.2.2."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in pairs)


def _string(value: bytes) -> bytes:
    """Return a string literal: its length has seven bits of the first byte, then as many again."""
    head, rest = bytearray([min(len(value), 127)]), len(value) - 127
    while rest >= 128:
        head.append(rest % 128 + 128)
        rest //= 128
    if len(value) >= 127:
        head.append(rest)
    return bytes(head) + value


def headers(stream: int, pairs: Iterable[Field], *, end: bool = False) -> bytes:
    """Return a frame of headers, or of trailers if it ends the stream."""
    flags = http2.END_HEADERS | (http2.END_STREAM if end else 0)
    return http2.frame(http2.HEADERS, flags, stream, fields(pairs))


def message(stream: int, content: bytes, compressed: int = 0) -> bytes:
    """Return a frame with a message of gRPC."""
    head = bytes([compressed]) + len(content).to_bytes(4, "big")
    return http2.frame(http2.DATA, 0, stream, head + content)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """Answer all calls so while inside; yields the port."""
    connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.current_task()
        frames = http2.Frames(skip=len(http2.PREFACE))
        writer.write(http2.frame(http2.SETTINGS, 0, 0))
        try:
            while data := await reader.read(READ_BYTES):
                for frame in frames.feed(data):
                    writer.write(_reply(frame, answer))
                await writer.drain()
        except ConnectionError:
            pass  # the client is free to go
        finally:
            connections.pop(writer)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        ending = [task for task in connections.values() if task is not None]
        for writer in connections:
            writer.close()
        await asyncio.gather(*ending)


def _reply(frame: http2.Frame, answer: Answer) -> bytes:
    if frame.ends_stream:
        return answer(frame.stream)
    if frame.flags & http2.ACK:
        return b""
    if frame.kind == http2.SETTINGS:
        return http2.frame(http2.SETTINGS, http2.ACK, 0)
    if frame.kind == http2.PING:
        return http2.frame(http2.PING, http2.ACK, 0, frame.payload)
    return b""
