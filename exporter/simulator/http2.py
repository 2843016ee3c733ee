"""As much of HTTP/2 as it takes to disturb it: where frames end, and a few to send.

By RFC 9113, section 4.1, a frame is 3 bytes of length, type, flags, 4 bytes of stream and then
as many bytes as the length says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # what a client sends first
HEAD_BYTES: Final = 9
# Types and flags of frames.
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
UNKNOWN: Final = 0xEE  # by section 5.5, a receiver ignores frames of a type that it does not know
END_STREAM = ACK = 0x1
END_HEADERS: Final = 0x4
FOUR_BITS: Final = 0xF


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame. `raw` are its bytes, head included."""

    kind: int
    flags: int
    stream: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """The bytes after the head."""
        return self.raw[HEAD_BYTES:]

    @property
    def ends_stream(self) -> bool:
        """Whether its sender has nothing more to send on the stream."""
        return self.kind in {DATA, HEADERS} and bool(self.flags & END_STREAM)


class Frames:
    """Puts the bytes of one direction of a connection together to frames.

    `skip` is how many bytes come before the first frame: the length of the preface, in what a
    client sends.
    """

    def __init__(self, skip: int = 0) -> None:
        self._skip = skip
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete with these bytes."""
        self._buffer += data
        if len(self._buffer) < self._skip:
            return
        del self._buffer[: self._skip]
        self._skip = 0
        while len(self._buffer) >= HEAD_BYTES:
            size = HEAD_BYTES + int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < size:
                return
            raw = bytes(self._buffer[:size])
            del self._buffer[:size]
            stream = int.from_bytes(raw[5:HEAD_BYTES], "big") & 0x7FFF_FFFF
            yield Frame(raw[3], raw[4], stream, raw)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


def goaway(last_stream: int) -> bytes:
    """Return a frame that ends a connection without an error, after the streams begun so far."""
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + bytes(4))


def window_update(stream: int, more: int) -> bytes:
    """Return a frame that lets the other side send so many bytes more; on a stream, or on all."""
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def header(static_index: int, value: str) -> bytes:
    """Return a header field that no table remembers, its name from the static table.

    By RFC 7541, section 6.2.2: four bits for an index below 15, another byte for the rest.
    """
    index = (static_index,) if static_index < FOUR_BITS else (FOUR_BITS, static_index - FOUR_BITS)
    return bytes((*index, len(value))) + value.encode("ascii")
