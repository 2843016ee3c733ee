"""A proxy on loopback that speaks CONNECT, as well or as badly as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

CONNECTED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy:
    """What it was asked, and what went through it."""

    def __init__(self, answer: bytes | None, destination: int) -> None:
        self._answer = answer
        self._destination = destination
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""
        self.requests: list[str] = []  # the heads, as they came
        self.relayed = bytearray()  # what clients sent

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self._answer is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(self._answer)
                await writer.drain()
                if self._answer == CONNECTED:
                    await self._relay(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the destination, whatever name was asked for."""
        from_there, there = await asyncio.open_connection("127.0.0.1", self._destination)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, there, self.relayed))
                both.create_task(_pump(from_there, writer, bytearray()))
        except* ConnectionError:
            pass
        finally:
            there.close()


@asynccontextmanager
async def connect_proxy(
    answer: bytes | None = CONNECTED, *, destination: int = 0
) -> AsyncIterator[ConnectProxy]:
    """Run a proxy while inside. It relays to a port of this machine if it answers CONNECTED.

    None for an answer that never comes.
    """
    proxy = ConnectProxy(answer, destination)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray
) -> None:
    while received := await reader.read(65_536):
        copy += received
        writer.write(received)
        await writer.drain()
    writer.close()
