"""What rows of the storage mean. Those that are not as they are written give nothing."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import compress
from operator import eq
from typing import Any, Final, NamedTuple, cast

from exporter.model import (
    ClosedPeriod,
    ClosedPeriods,
    FoundOrganization,
    Ledger,
    SavedAnswer,
    Spend,
    Tally,
    Windows,
)
from exporter.state import day_rows
from exporter.state.ledger import IN_MEMORY, STORED, made
from exporter.state.messages import packed

MAX_TEXT: Final = 4096  # bytes of an id or a name
MAX_MESSAGE: Final = 4 * 1024 * 1024  # bytes; no answer is larger
MAX_COUNTERS: Final = 1024 * 1024
MAX_DAY: Final = 64 * 1024  # bytes; two hundred times as long as most
MAX_OUTLOOK: Final = 256 * 1024  # bytes; forty times as long as most
MAX_NUMBER: Final = 2**32  # of a day
MAX_TALLIES: Final = 1000  # ten times as many as are made
MAX_TIME: Final = 253_402_300_800.0  # Unix seconds: the year 10000
LARGEST: Final = sys.float_info.max
_NUMBERS: Final = (float, int)  # and not bool, which is an int


def checksum(*values: Any) -> int:
    """Return what tells a row from one with a flipped bit."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def answer(row: Iterable[Any]) -> tuple[str, str, SavedAnswer] | None:
    """Return the organization, the collector and the answer of a row."""
    org_id, collector, message, received, changed, stored = row
    try:
        values = (org_id.decode(), collector.decode(), message, received, changed)
    except UnicodeDecodeError:
        return None
    if stored != checksum(*values) or not (_is_time(received) and _is_time(changed)):
        return None
    return values[0], values[1], SavedAnswer(packed(message), received, changed)


class Head(NamedTuple):
    """What the row of the counters says of the days, each of which has a row of its own."""

    windows: Windows
    older: int  # as a Ledger's


def spend(row: Iterable[Any]) -> tuple[str, Spend, Head | None] | None:
    """Return the organization and the counters of a row, and what it says of its days."""
    org_id, counters, stored = row
    try:
        values = (org_id.decode(), counters.decode())
        if stored != checksum(*values):
            return None
        plain = json.loads(values[1])
        return values[0], _spend(plain), _head(plain.get("ledger"))
    # What JSON holds may be of any shape, and nested as deep as it is long.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def outlook(row: Iterable[Any]) -> tuple[str, bytes] | None:
    """Return the organization of a row, and what is kept of what is expected of it."""
    org_id, kept, stored = row
    try:
        values = (org_id.decode(), kept)
    except UnicodeDecodeError:
        return None
    return values if stored == outlook_checksum(*values) else None


def outlook_checksum(org_id: str, kept: bytes) -> int:
    """Return what tells the row of an outlook from one with a flipped bit."""
    return zlib.crc32(kept, zlib.crc32(org_id.encode()))


def day_checksum(org_id: str, number: int, row: bytes) -> int:
    """Return what tells a day's row from one with a flipped bit: there are millions of them."""
    (checksum,) = _day_checksums(org_id, [number], [row])
    return checksum


def _day_checksums(org_id: str, numbers: Iterable[int], found: Iterable[bytes]) -> Iterable[int]:
    seed = zlib.crc32(org_id.encode())
    return map(zlib.crc32, found, map(seed.__xor__, numbers))


def days(org_id: str, found: Iterable[tuple[int, bytes, int]]) -> dict[int, bytes]:
    """Return the rows of days by number."""
    every = [*found]
    if not every:
        return {}
    numbers, entries, stored = zip(*every, strict=True)
    are_good = map(eq, stored, _day_checksums(org_id, numbers, entries))
    return dict(compress(zip(numbers, entries, strict=True), are_good))


def ledger(head: Head, found: Mapping[int, bytes]) -> Ledger:
    """Return the ledger of these days. One that should be there and is not is unknown."""
    answered = head.windows.answered
    if answered not in found:
        found = {answered: day_rows.packed(day_rows.UNKNOWN), **found}
        return made(found, answered, STORED, head.older)
    others = {number: row for number, row in found.items() if number != answered}
    return Ledger(day_rows.together(others), found[answered], head.windows, head.older)


def interrupted(found: Mapping[int, bytes], answered: int) -> Ledger:
    """Return the ledger of days to which an older release, which keeps none, has added nothing.

    `answered` is the day of the last good answer, which came to it.
    """
    unknown = day_rows.packed(day_rows.UNKNOWN)
    since = max([number for number in found if number <= answered], default=answered)
    missing = range(max(since, answered - IN_MEMORY), answered + 1)
    return made({**found, **dict.fromkeys([since, *missing], unknown)}, answered, STORED)


def closed(row: Iterable[Any]) -> tuple[str, ClosedPeriod] | None:
    """Return the organization and the period of a row."""
    org_id, started, ended, usage, seen, stored = row
    try:
        values = (org_id.decode(), started, ended, usage, seen)
    except UnicodeDecodeError:
        return None
    times = (ended, seen) if started is None else (started, ended, seen)
    if stored != checksum(*values) or not (_is_number(usage) and all(map(_is_time, times))):
        return None
    return values[0], ClosedPeriod(started, ended, usage, seen)


def found(row: Iterable[Any]) -> tuple[str, FoundOrganization] | None:
    """Return the key's id and the organization of a row."""
    *texts, stored = row
    try:
        key_id, org_id, name = (text.decode() for text in texts)
    except UnicodeDecodeError:
        return None
    if stored != checksum(key_id, org_id, name):
        return None
    return key_id, FoundOrganization(org_id, name)


def requests(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the requests reserved by day."""
    return {day: reserved for day, reserved in rows if _is_day(day)}


def day_after(day: str, days: int = 1) -> str:
    """Return the day that is so many days after another, as 2026-11-23."""
    return f"{date.fromisoformat(day) + timedelta(days)}"


def counters(of: Spend) -> str:
    """Return spend counters as they are stored."""

    def tally(one: Tally) -> Any:
        return [one.spend, one.corrections, one.baseline]

    plain: dict[str, Any] = {
        "period_start": of.period_start,
        "month_to_date": tally(of.month_to_date),
        "by_resource": {name: tally(one) for name, one in sorted(of.by_resource.items())},
        "period_end": of.period_end,
        "overrun": of.overrun,
        "paused": of.paused,
        "behind": of.is_behind,
        # That which ended last: releases before know no other. All of them have a table.
        "closed": of.closed.last and [of.closed.last.usage, of.closed.last.end],
        # Beside the tallies, which the release before reads as lists of three.
        "uncounted": [
            [name, one.fallen, one.since]
            for name, one in [(None, of.month_to_date), *sorted(of.by_resource.items())]
            if one.fallen is not None or one.since is not None
        ],
    }
    if of.ledger is not None:
        plain["ledger"] = {"windows": of.ledger.windows, "older": f"{of.ledger.older:x}"}
    return json.dumps(plain)


def _spend(plain: Any) -> Spend:
    """Raises ValueError, or whatever comes of another shape."""
    by_resource = plain["by_resource"]
    times = [plain.get(name) for name in ("period_start", "period_end", "paused")]
    overrun = plain.get("overrun", 0.0)
    if len(by_resource) > MAX_TALLIES or not (_is_number(overrun) and overrun >= 0):
        raise ValueError
    if not all(time is None or _is_time(time) for time in times):
        raise ValueError
    month_to_date = _tally(plain["month_to_date"])
    # Names of resource types, which organizations share.
    tallies = {sys.intern(name): _tally(one) for name, one in by_resource.items()}
    "".join(tallies).encode()  # they are labels: JSON can hold what UTF-8 cannot
    for name, fallen, since in plain.get("uncounted", ()):
        if not (fallen is None or _is_number(fallen)) or not (since is None or _is_time(since)):
            raise ValueError
        if name is None:
            month_to_date = replace(month_to_date, fallen=fallen, since=since)
        else:
            tallies[name] = replace(tallies[name], fallen=fallen, since=since)
    closed = _last_closed(plain.get("closed"))
    return Spend(
        times[0],
        month_to_date,
        tallies,
        times[1],
        overrun,
        times[2],
        closed,
        is_behind=plain.get("behind") is True,
    )


def _last_closed(plain: Any) -> ClosedPeriods:
    """Return the period that ended last, if the counters have it."""
    match plain:
        case [usage, end] if _is_number(usage) and _is_time(end):
            return ClosedPeriods().plus(ClosedPeriod(None, end, usage, end))
    return ClosedPeriods()


def _head(plain: Any) -> Head | None:
    """Return what is said of the days; None if it is not as it was written."""
    try:
        found = Windows(*plain["windows"])
        older = int(plain["older"], 16)
        "".join(found.by_resource).encode()
    except (ValueError, TypeError, KeyError):
        return None
    answered, *amounts, by_resource, known, others = found
    sound = (
        isinstance(answered, int)
        and 0 <= answered < MAX_NUMBER
        and all(usd is None or _is_amount(usd) for usd in amounts)
        and isinstance(by_resource, dict)
        and all(map(_is_amount, by_resource.values()))
        and _is_amount(known)
        and _is_amount(others)
        and 0 < older < 1 << (STORED + 1)
    )
    return Head(found, older) if sound else None


def _tally(plain: Any) -> Tally:
    grown, fallen, baseline = plain
    # Which amounts are too large to go on with is for `spend.restored` to say.
    if not (
        _is_number(grown) and _is_number(fallen) and (baseline is None or _is_number(baseline))
    ):
        raise ValueError
    if grown < 0 or fallen < 0:
        raise ValueError
    return Tally(grown, fallen, baseline)


def _is_number(value: object) -> bool:
    """Tell whether it is one that a float holds."""
    return type(value) in _NUMBERS and abs(cast("float", value)) <= LARGEST  # which NaN is not


def _is_amount(value: object) -> bool:
    return _is_number(value) and cast("float", value) >= 0


def _is_time(value: object) -> bool:
    return _is_number(value) and 0 <= cast("float", value) < MAX_TIME


def _is_day(text: str) -> bool:
    try:
        return f"{date.fromisoformat(text)}" == text
    except ValueError:
        return False
