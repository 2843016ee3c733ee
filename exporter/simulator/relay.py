"""One connection through the front, and the faults on its way."""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

from exporter.base.transport import abort
from exporter.simulator import bad_gateway, http2
from exporter.simulator.injection import FaultSet, Injected

READ_BYTES: Final = 65_536
CHECK_INTERVAL: Final = 0.05  # seconds between two checks whether a fault is over
FLOOD: Final = http2.frame(http2.UNKNOWN, 0, 0, bytes(100)) * 500
NO_LINGER: Final = struct.pack("ii", 1, 0)  # unsent data is dropped, and the peer gets a RST


class Relay:
    """A client's connection, passed on to the server on `backend`, a port of this machine."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: FaultSet,
        backend: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._faults = faults
        self._backend = backend
        self._decided: dict[Injected, bool] = {}  # whether a fault hits this connection
        self._last_stream = 0
        self._greeted = False  # whether the client has got the settings, which come first

    async def run(self) -> None:
        """Pass bytes on until one side has ended, or a fault has ended both."""
        try:
            if self._hit("close") is None:
                if (page := self._hit("http-502")) is not None:
                    await self._answer_502(page)
                else:
                    await self._connect()
            self._writer.close()
            await self._writer.wait_closed()
        except OSError:
            pass  # a side that went away without a word is what happens to connections
        finally:
            abort(self._writer.transport)

    def reset(self) -> None:
        """End the connection as a crash does: with a RST in place of what was still to come."""
        if (connected := self._writer.get_extra_info("socket")) is not None:
            try:
                connected.setsockopt(SOL_SOCKET, SO_LINGER, NO_LINGER)
            except OSError:
                pass  # closed already
        abort(self._writer.transport)

    def _hit(self, name: str) -> Injected | None:
        return self._faults.on_connection({name}, self._decided)

    async def _answer_502(self, page: Injected) -> None:
        if page.fault.value("http") == 1:
            await bad_gateway.answer_http1(self._reader, self._writer)
        else:
            await bad_gateway.answer_http2(
                self._reader, self._writer, lambda: self._hit("http-502") is not None
            )

    async def _connect(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._backend)
        directions = [
            asyncio.create_task(self._requests(writer)),
            asyncio.create_task(self._answers(reader, writer)),
            asyncio.create_task(self._flood()),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            abort(writer.transport)
            for direction in directions:
                direction.cancel()
            for ended in await asyncio.gather(*directions, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, OSError):
                    raise ended  # a bug of ours: asyncio logs it

    async def _requests(self, writer: asyncio.StreamWriter) -> None:
        try:
            preface = await self._reader.readexactly(len(http2.PREFACE))
        except asyncio.IncompleteReadError:
            return
        if preface != http2.PREFACE:
            return
        writer.write(preface)
        frames = http2.Frames()
        while data := await self._reader.read(READ_BYTES):
            # A connection made before the proxy lost its server is lost with it.
            if self._hit("close") or self._hit("http-502"):
                return
            for frame in frames.feed(data):
                self._last_stream = max(self._last_stream, frame.stream)
                if frame.ends_stream and self._faults.on_event("reset"):
                    self.reset()
                    return
                writer.write(frame.raw)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        frames = http2.Frames()
        without: set[int] = set()  # streams
        while data := await reader.read(READ_BYTES):
            for frame in frames.feed(data):
                if frame.kind == http2.DATA and (
                    frame.stream in without or self._faults.on_event("lost-message")
                ):
                    without.add(frame.stream)
                    # As if it had been read: else the server would at last have to wait for that.
                    server.write(http2.window_update(0, len(frame.payload)))
                    continue
                await self._pass(frame.raw)
                self._greeted = True
                if frame.ends_stream and self._faults.on_event("goaway"):
                    await self._pass(http2.goaway(self._last_stream))

    async def _flood(self) -> None:
        while True:
            while not (self._greeted and self._hit("flood")):  # noqa: ASYNC110 - its end may be a time
                await asyncio.sleep(CHECK_INTERVAL)
            self._writer.write(FLOOD)
            await self._writer.drain()

    async def _pass(self, data: bytes) -> None:
        while self._hit("blackhole"):  # noqa: ASYNC110 - its end may be a time, which sets no event
            await asyncio.sleep(CHECK_INTERVAL)
        if noise := self._hit("noise"):
            # Never by chance a frame: none may be as long as that says.
            data = b"\xff" + noise.rng.randbytes(len(data) - 1)
        while data and (dribble := self._hit("dribble")):
            self._writer.write(data[:1])
            data = data[1:]
            await asyncio.sleep(1 / (dribble.fault.value("rate") or 1))
        self._writer.write(data)
        await self._writer.drain()
