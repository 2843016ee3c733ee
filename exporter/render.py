"""From samples to the bytes of a scrape.

Everything here runs when something changed, never when a scrape comes. Two facts carry the
design. Sample lines are the same in both formats, so only headers exist twice. And deflate
streams that were flushed to a byte boundary can be put one behind another, so a family's
lines are compressed once for both formats, and a body is one gzip member, because several
clients (curl and wget among them) stop reading after the first.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache

from exporter.model import Family, Fragment, Metric

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system
GZIP_LEVEL = 6
LAST_DEFLATE_BLOCK = b"\x03\x00"

GO_EXPONENT_FROM = 6  # digits before the point; Python would turn to exponents later


class Format(Enum):
    """An exposition format; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Encoding(Enum):
    """A content coding; the value is its name in HTTP."""

    IDENTITY = "identity"
    GZIP = "gzip"


# --- Lines --------------------------------------------------------------------------------


def fragment(family: Family) -> Fragment:
    """Return the sample lines of a family of one organization."""
    names, order = _label_order(family.spec.labels)
    lines = []
    for labels, value, extra in family.samples:
        if extra:
            pairs = sorted([*zip(family.spec.labels, labels, strict=True), *extra])
        else:
            pairs = [(name, labels[index]) for name, index in zip(names, order, strict=True)]
        inside = ",".join(f'{name}="{_escape(label)}"' for name, label in pairs)
        braces = f"{{{inside}}}" if inside else ""
        lines.append(f"{family.spec.name}{braces} {number(value)}\n")
    return Fragment("".join(lines).encode(), len(lines))


@cache
def _label_order(labels: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Label names as they stand in a line, which is sorted, and where to find their values."""
    order = tuple(sorted(range(len(labels)), key=labels.__getitem__))
    return tuple(labels[index] for index in order), order


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """Return a sample value as Prometheus' own libraries write it."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    point = text.find(".")
    if value > 0 and point > GO_EXPONENT_FROM:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text


def header(metric: Metric, form: Format) -> bytes:
    """Return the comment lines above a family."""
    if form is Format.TEXT:
        documentation = metric.help.replace("\\", r"\\").replace("\n", r"\n")
        lines = [f"# HELP {metric.name} {documentation}", f"# TYPE {metric.name} {metric.type}"]
    else:
        name = metric.family
        lines = [f"# HELP {name} {_escape(metric.help)}", f"# TYPE {name} {metric.type}"]
        if metric.unit:
            lines.append(f"# UNIT {name} {metric.unit}")
    return "".join(f"{line}\n" for line in lines).encode()


# --- Pages --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a page, plain and deflated up to a byte boundary."""

    plain: bytes
    deflated: bytes


def piece(plain: bytes) -> Piece:
    """Return a part of a page; its deflated form refers to nothing outside it."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(plain, compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH))


@dataclass(frozen=True, slots=True)
class Body:
    """What a scrape sends: buffers, sent one after another, and their common length."""

    chunks: tuple[bytes, ...]
    length: int


@dataclass(frozen=True, slots=True)
class Stem:
    """Pieces put together, for pages that differ in what comes after them."""

    pieces: tuple[Piece, ...]
    checksum: int
    size: int


def stem(pieces: Iterable[Piece]) -> Stem:
    """Return the pieces with the checksum and the size that a gzip trailer needs."""
    parts = tuple(pieces)
    checksum = size = 0
    for part in parts:
        checksum = zlib.crc32(part.plain, checksum)
        size += len(part.plain)
    return Stem(parts, checksum, size)


def bodies(stem: Stem, end: Piece) -> dict[Encoding, Body]:
    """Return a whole page as a body of each encoding."""
    pieces = (*stem.pieces, end)
    checksum = zlib.crc32(end.plain, stem.checksum).to_bytes(4, "little")
    size = (stem.size + len(end.plain) & 0xFFFFFFFF).to_bytes(4, "little")
    return {
        Encoding.IDENTITY: _body(part.plain for part in pieces),
        Encoding.GZIP: _body(
            [GZIP_HEADER, *(part.deflated for part in pieces), LAST_DEFLATE_BLOCK, checksum, size]
        ),
    }


def _body(chunks: Iterable[bytes]) -> Body:
    parts = tuple(chunk for chunk in chunks if chunk)
    return Body(parts, sum(map(len, parts)))
