"""Parts of a page, plain and compressed, and how they are put together.

Deflate streams that were flushed to a byte boundary can be put one behind another. So each part
of a large page is compressed by itself, when it changes, and a page is still one gzip member:
several clients (curl and wget among them) stop reading after the first. A small page is compressed
whole: that takes less time than putting its parts together, and gives a third of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from isal import isal_zlib

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system
LAST_BLOCK = b"\x03\x00"
LEVEL = 1  # docs/adr/0003-renderer.md has what the others cost
SMALL = 1024 * 1024  # bytes, plain: a page of 80 organizations, compressed in half a millisecond
GZIP_FORMAT = 16 + isal_zlib.MAX_WBITS


class Encoding(Enum):
    """A content coding; the value is its name in HTTP."""

    IDENTITY = "identity"
    GZIP = "gzip"


class Deflated(NamedTuple):
    """A part of a page, compressed up to a byte boundary."""

    buffer: bytes | memoryview
    checksum: int  # CRC-32, plain


class Piece:
    """A part of a page: plain buffers, which are deflated when that is asked for first."""

    __slots__ = ("_parts", "known", "plain", "size")

    def __init__(self, plain: tuple[bytes, ...], parts: Sequence[Piece] = ()) -> None:
        """Of several buffers, `parts` has those that can be deflated by themselves."""
        self.plain = plain
        self.size = sum(map(len, plain))  # bytes
        self._parts = parts
        self.known: Deflated | None = None  # what `deflated` returned

    def deflated(self) -> Deflated:
        """Return it compressed; it refers to nothing outside it."""
        if self.known is None:
            self.known = self._joined() if self._parts else _deflated(b"".join(self.plain))
        return self.known

    def _joined(self) -> Deflated:
        found = [part.deflated() for part in self._parts]
        buffer = b"".join([each.buffer for each in found])
        at = checksum = 0
        for part, each in zip(self._parts, found, strict=True):
            checksum = isal_zlib.crc32_combine(checksum, each.checksum, part.size)
            # The part is in here: it needs no memory of its own any more.
            part.known = each._replace(buffer=memoryview(buffer)[at : at + len(each.buffer)])
            at += len(each.buffer)
        self._parts = ()
        return Deflated(buffer, checksum)


EMPTY = Piece(())


def piece(plain: bytes) -> Piece:
    """Return a part of a page."""
    return Piece((plain,)) if plain else EMPTY


def joined(pieces: Iterable[Piece]) -> Piece:
    """Return the pieces, none of which is part of another, as one. What is plain is not copied."""
    parts = [part for part in pieces if part.size]
    return Piece(tuple(buffer for part in parts for buffer in part.plain), parts)


def _deflated(plain: bytes) -> Deflated:
    compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    buffer = compressor.compress(plain) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    return Deflated(buffer, isal_zlib.crc32(plain))


@dataclass(frozen=True, slots=True)
class Body:
    """What a scrape sends: buffers, sent one after another, and their common length."""

    chunks: tuple[bytes | memoryview, ...]
    length: int


def bodies(pieces: Iterable[Piece]) -> Mapping[Encoding, Body]:
    """Return a whole page as a body of each encoding."""
    pieces = [*pieces]
    plain = [buffer for part in pieces for buffer in part.plain]
    size = sum(part.size for part in pieces)
    if size <= SMALL:
        whole = b"".join(plain)
        compressed = isal_zlib.compress(whole, LEVEL, GZIP_FORMAT)
        return {Encoding.IDENTITY: _body([whole]), Encoding.GZIP: _body([compressed])}
    found = [part.deflated() for part in pieces]
    checksum = 0
    for part, each in zip(pieces, found, strict=True):
        checksum = isal_zlib.crc32_combine(checksum, each.checksum, part.size)
    trailer = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    return {
        Encoding.IDENTITY: _body(plain),
        Encoding.GZIP: _body([HEADER, *(each.buffer for each in found), LAST_BLOCK + trailer]),
    }


def _body(chunks: Iterable[bytes | memoryview]) -> Body:
    parts = tuple(chunk for chunk in chunks if chunk)
    return Body(parts, sum(map(len, parts)))
