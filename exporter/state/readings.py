"""What was made of answers, as it is stored, so that a start need not make it again.

docs/adr/0050-readings-in-the-storage.md says what makes sure that it would come out the same.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, Final

from exporter.model import Reading, SavedOrganization

_HEAD: Final = Struct("<HH")  # the lengths of what comes first: what it was made from, and JSON


def rows(program: bytes, organizations: Iterable[SavedOrganization]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of readings that a program made, one at a time."""
    for saved in organizations:
        for collector, answer in saved.answers.items():
            if answer.reading is not None:
                kept = _packed(answer.reading)
                yield (
                    saved.org_id,
                    collector,
                    program,
                    kept,
                    _checksum(saved.org_id, collector, kept),
                )


def reading(row: Iterable[Any]) -> tuple[str, str, Reading] | None:
    """Return the organization, the collector and the reading of a row."""
    org_id, collector, kept, stored = row
    try:
        key = org_id.decode(), collector.decode()
        return (*key, _unpacked(kept)) if stored == _checksum(*key, kept) else None
    except (ValueError, TypeError, StructError):  # what is damaged is made again
        return None


def _checksum(org_id: str, collector: str, kept: bytes) -> int:
    return zlib.crc32(kept, zlib.crc32(f"{org_id}\0{collector}".encode()))


def _packed(of: Reading) -> bytes:
    made_from, as_of, next_change, fragments, *others = of
    plain = json.dumps([as_of, next_change, *others]).encode()
    return b"".join([_HEAD.pack(len(made_from), len(plain)), made_from, plain, fragments])


def _unpacked(kept: bytes) -> Reading:
    sizes = _HEAD.unpack_from(kept)
    begun, ended = _HEAD.size + sizes[0], _HEAD.size + sum(sizes)
    as_of, next_change, *others = json.loads(kept[begun:ended])
    return Reading(kept[_HEAD.size : begun], as_of, next_change, kept[ended:], *others)
