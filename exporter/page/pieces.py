"""Parts of a page, plain and compressed, and how they are put together.

Deflate streams that were flushed to a byte boundary can be put one behind another. So each part
of a page is compressed by itself, when it changes, and a page is still one gzip member: several
clients (curl and wget among them) stop reading after the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from isal import isal_zlib

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system
LAST_BLOCK = b"\x03\x00"
LEVEL = 1  # docs/adr/0003-renderer.md has what the others cost


class Encoding(Enum):
    """A content coding; the value is its name in HTTP."""

    IDENTITY = "identity"
    GZIP = "gzip"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a page: plain buffers, and the same deflated up to a byte boundary."""

    plain: tuple[bytes, ...]
    deflated: bytes
    size: int  # bytes, plain
    checksum: int  # CRC-32, plain


EMPTY = Piece((), b"", 0, 0)


def compressed(plain: bytes) -> Piece:
    """Return a part of a page; its deflated form refers to nothing outside it."""
    if not plain:
        return EMPTY
    compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    deflated = compressor.compress(plain) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    return Piece((plain,), deflated, len(plain), isal_zlib.crc32(plain))


def joined(pieces: Iterable[Piece]) -> Piece:
    """Return the pieces as one. What is plain is not copied: it is long."""
    pieces = [*pieces]
    checksum = 0
    for part in pieces:
        checksum = isal_zlib.crc32_combine(checksum, part.checksum, part.size)
    return Piece(
        tuple(buffer for part in pieces for buffer in part.plain),
        b"".join(part.deflated for part in pieces),
        sum(part.size for part in pieces),
        checksum,
    )


@dataclass(frozen=True, slots=True)
class Body:
    """What a scrape sends: buffers, sent one after another, and their common length."""

    chunks: tuple[bytes, ...]
    length: int


def bodies(pieces: Iterable[Piece]) -> Mapping[Encoding, Body]:
    """Return a whole page as a body of each encoding. No buffer is copied."""
    pieces = [*pieces]
    size = checksum = 0
    for part in pieces:
        size += part.size
        checksum = isal_zlib.crc32_combine(checksum, part.checksum, part.size)
    trailer = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    return {
        Encoding.IDENTITY: _body(buffer for part in pieces for buffer in part.plain),
        Encoding.GZIP: _body([HEADER, *(part.deflated for part in pieces), LAST_BLOCK + trailer]),
    }


def _body(chunks: Iterable[bytes]) -> Body:
    parts = tuple(chunk for chunk in chunks if chunk)
    return Body(parts, sum(map(len, parts)))
