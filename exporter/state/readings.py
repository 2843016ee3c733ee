"""What was made of answers, as it is stored, so that a start need not make it again.

docs/adr/0022-readings-in-the-storage.md says what makes sure that it would come out the same.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, Final

from exporter.model import Reading, SavedAnswer, SavedOrganization
from exporter.state import rows
from exporter.state.messages import packed, unpacked

_HEAD: Final = Struct("<HH")  # the lengths of what comes first: what it was made from, and JSON


_TIMES: Final = Struct("<2d")


def reading_rows(
    program: bytes, organizations: Iterable[SavedOrganization]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of readings that a program made, one at a time."""
    for saved in organizations:
        for collector, answer in saved.answers.items():
            if answer.reading is not None:
                kept, message = _packed(answer.reading), unpacked(answer.message)
                times = answer.received, answer.changed
                checksum = _checksum(
                    saved.org_id.encode(), collector.encode(), message, *times, kept
                )
                yield saved.org_id, collector, program, kept, checksum


def answer(row: Sequence[Any]) -> tuple[str, str, SavedAnswer] | None:
    """Return the organization, the collector and the answer of a row, with its reading if any.

    The reading's checksum is the answer's as well: it takes a tenth of the time of the answer's
    own, which older releases know.
    """
    org_id, collector, message, received, changed, _, kept, made = row
    if kept is None or made != _checksum(org_id, collector, message, received, changed, kept):
        return rows.answer(row[:6])
    try:
        saved = SavedAnswer(packed(message), received, changed, _unpacked(kept))
        return org_id.decode(), collector.decode(), saved
    except (ValueError, TypeError, AttributeError, StructError):
        return rows.answer(row[:6])


def _checksum(  # noqa: PLR0913 - all of a row
    org_id: bytes, collector: bytes, message: bytes, received: float, changed: float, kept: bytes
) -> int:
    about = b"%b\0%b\0%b" % (org_id, collector, _TIMES.pack(received, changed))
    return zlib.crc32(kept, zlib.crc32(message, zlib.crc32(about)))


def _packed(of: Reading) -> bytes:
    made_from, as_of, next_change, fragments, *others = of
    plain = json.dumps([as_of, next_change, *others]).encode()
    return b"".join([_HEAD.pack(len(made_from), len(plain)), made_from, plain, fragments])


def _unpacked(kept: bytes) -> Reading:
    sizes = _HEAD.unpack_from(kept)
    begun, ended = _HEAD.size + sizes[0], _HEAD.size + sum(sizes)
    as_of, next_change, *others = json.loads(kept[begun:ended])
    # Names of metrics, which all organizations share.
    others[-1] = {sys.intern(name): value for name, value in others[-1].items()}
    return Reading(kept[_HEAD.size : begun], as_of, next_change, kept[ended:], *others)
