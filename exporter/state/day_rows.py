"""A day of the ledger, and the bytes that it is kept as, in memory and in the storage."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Final, NamedTuple

from isal import isal_zlib

from exporter.metrics.extract.values import enum_label, exact_sum
from exporter.pb import billing_pb2 as pb

DAY: Final = 86_400  # seconds
# Answers so far apart, in seconds, with a midnight between them, do not say on which day something
# was spent; as much unknown time makes a day unknown.
APART: Final = 6 * 3600.0


class Moved(NamedTuple):
    """What was spent of an amount, and what was corrected, in US dollars."""

    spend: float
    corrections: float


class Entry(NamedTuple):
    """What a day has of one period."""

    period: float  # its start, in Unix seconds
    spend: float  # US dollars
    corrections: float
    estimated: float  # of the spend: what was divided among days
    by_resource: Mapping[str, Moved]  # before discounts


class Day(NamedTuple):
    """A UTC day."""

    unknown: float  # seconds of which nothing is known
    entries: tuple[Entry, ...]  # for each period that it belongs to

    @property
    def is_unknown(self) -> bool:
        """Whether too little is known of it for any number."""
        return self.unknown > APART

    @property
    def spend(self) -> float:
        """What was spent on it, in US dollars."""
        if len(self.entries) == 1:  # nearly always
            return self.entries[0].spend
        return exact_sum([entry.spend for entry in self.entries])

    @property
    def corrections(self) -> float:
        """What was corrected on it, in US dollars."""
        if len(self.entries) == 1:
            return self.entries[0].corrections
        return exact_sum([entry.corrections for entry in self.entries])

    @property
    def estimated(self) -> float:
        """How much of the spend was divided among days."""
        if len(self.entries) == 1:
            return self.entries[0].estimated
        return exact_sum([entry.estimated for entry in self.entries])

    @property
    def is_observed(self) -> bool:
        """Whether at most half of the spend is estimated."""
        return not self.is_unknown and self.estimated <= self.spend / 2

    def resources(self) -> Mapping[str, Moved]:
        """Return what was spent for each resource type, and corrected."""
        if len(self.entries) == 1:
            return self.entries[0].by_resource
        names = sorted({name for entry in self.entries for name in entry.by_resource})
        parts = {
            name: [e.by_resource[name] for e in self.entries if name in e.by_resource]
            for name in names
        }
        return {
            name: Moved(
                exact_sum(moved.spend for moved in each),
                exact_sum(moved.corrections for moved in each),
            )
            for name, each in parts.items()
        }


NOT_MOVED: Final = Moved(0.0, 0.0)
NOTHING: Final = Day(0.0, ())  # was spent
UNKNOWN: Final = Day(float(DAY), ())

# Little-endian. A day is its unknown seconds and its entries. An entry is the period, the spend, a
# byte of flags, how many resource types have spend and how many corrections, by number and by name;
# then the corrections and the estimated spend, if flagged; then the types' numbers and amounts.
_HEAD: Final = struct.Struct("<IB")
_ENTRY: Final = struct.Struct("<ddB4H")
_AMOUNT: Final = struct.Struct("<d")
_LENGTH: Final = struct.Struct("<H")
_TYPES_AT: Final = _HEAD.size + _ENTRY.size  # of the first entry, if it has no flags
_RECORD: Final = struct.Struct("<IH")  # a day's number, and the length of its row
_FASTEST: Final = 0  # level: some microseconds
_CORRECTED, _ESTIMATED = 1, 2
_NUMBERS: Final = {
    enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", number): number
    for number in pb.UsageCostType.values()
}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}


@cache  # as many as there are numbers of resource types
def _amounts(count: int) -> struct.Struct:
    """Return how so many resource types and their amounts are kept."""
    return struct.Struct(f"<{count}H{count}d")


def packed(day: Day) -> bytes:
    """Return a day as it is kept."""
    parts = [_HEAD.pack(round(day.unknown), len(day.entries))]
    for period, spend, corrections, estimated, by_resource in day.entries:
        spends: dict[int, float] = {}
        falls: dict[int, float] = {}
        named_spends: dict[str, float] = {}
        named_falls: dict[str, float] = {}
        for name, (spent, fallen) in by_resource.items():
            number = _NUMBERS.get(name)
            if number is None:
                if spent:
                    named_spends[name] = spent
                if fallen:
                    named_falls[name] = fallen
            else:
                if spent:
                    spends[number] = spent
                if fallen:
                    falls[number] = fallen
        flags = _CORRECTED * bool(corrections) | _ESTIMATED * bool(estimated)
        counts = len(spends), len(falls), len(named_spends), len(named_falls)
        parts.append(_ENTRY.pack(period, spend, flags, *counts))
        if corrections:
            parts.append(_AMOUNT.pack(corrections))
        if estimated:
            parts.append(_AMOUNT.pack(estimated))
        parts += [_amounts(len(each)).pack(*each, *each.values()) for each in (spends, falls)]
        parts += [_named(name, usd) for name, usd in named_spends.items()]
        parts += [_named(name, usd) for name, usd in named_falls.items()]
    return b"".join(parts)


def _named(name: str, usd: float) -> bytes:
    text = name.encode()
    return _LENGTH.pack(len(text)) + text + _AMOUNT.pack(usd)


@lru_cache(100)  # days over which growth is spread mostly have the same
def sound(row: bytes) -> Day:
    """Return a day from what is kept of it, unknown if that is damaged."""
    try:
        day = unpacked(row)
    except ValueError:
        return UNKNOWN
    amounts = [a for e in day.entries for a in (e.spend, e.corrections, e.estimated)]
    amounts += [usd for e in day.entries for moved in e.by_resource.values() for usd in moved]
    return UNKNOWN if [usd for usd in amounts if not 0 <= usd < math.inf] else day


class Glance(NamedTuple):
    """What windows need of a day."""

    spend: float | None  # US dollars; None if it is unknown
    is_observed: bool
    types: frozenset[str]  # resource types that moved


NOT_KNOWN: Final = Glance(None, is_observed=False, types=frozenset())


@lru_cache(100)
def glance(row: bytes) -> Glance:
    """Return what windows need of a day, in a third of the time that all of it takes."""
    try:
        unknown, count = _HEAD.unpack_from(row)
        if unknown > APART:
            return NOT_KNOWN
        if count == 0:
            return _NOTHING
        _, spend, flags, spends, *others = _ENTRY.unpack_from(row, _HEAD.size)
        if count == 1 and not any(others) and not flags & _CORRECTED and 0 <= spend < math.inf:
            at, estimated = _TYPES_AT, 0.0
            if flags & _ESTIMATED:
                (estimated,) = _AMOUNT.unpack_from(row, at)
                at += _AMOUNT.size
            if 0 <= estimated < math.inf:
                return Glance(spend, estimated <= spend / 2, _types(row[at : at + 2 * spends]))
    except (struct.error, KeyError):
        return NOT_KNOWN
    day = sound(row)
    if day.is_unknown:
        return NOT_KNOWN
    return Glance(day.spend, is_observed=day.is_observed, types=frozenset(day.resources()))


@lru_cache(1000)  # most days of most organizations have the same
def _types(numbers: bytes) -> frozenset[str]:
    """Return the types that have these numbers. Raises KeyError and struct.error."""
    return frozenset([_NAMES[number] for (number,) in _LENGTH.iter_unpack(numbers)])


_NOTHING: Final = Glance(0.0, is_observed=True, types=frozenset())


def unpacked(row: bytes) -> Day:
    """Return a day from what is kept of it. Raises ValueError if it is no such thing."""
    try:
        return _unpacked(row)
    except (struct.error, KeyError, UnicodeDecodeError):
        raise ValueError("not a day of the ledger") from None


def _unpacked(row: bytes) -> Day:
    unknown, count = _HEAD.unpack_from(row)
    at = _HEAD.size
    entries = []
    for _ in range(count):
        period, spend, flags, spends, falls, named_spends, named_falls = _ENTRY.unpack_from(row, at)
        at += _ENTRY.size
        corrections = estimated = 0.0
        if flags & _CORRECTED:
            (corrections,) = _AMOUNT.unpack_from(row, at)
            at += _AMOUNT.size
        if flags & _ESTIMATED:
            (estimated,) = _AMOUNT.unpack_from(row, at)
            at += _AMOUNT.size
        spent, at = _numbered(row, at, spends)
        fallen, at = _numbered(row, at, falls)
        if named_spends or named_falls:
            others, at = _read_named(row, at, named_spends)
            spent |= others
            others, at = _read_named(row, at, named_falls)
            fallen |= others
        by_resource = {name: Moved(usd, 0.0) for name, usd in spent.items()}
        for name, usd in fallen.items():
            by_resource[name] = Moved(spent.get(name, 0.0), usd)
        entries.append(Entry(period, spend, corrections, estimated, by_resource))
    if at != len(row):
        raise ValueError("not a day of the ledger")
    return Day(float(unknown), tuple(entries))


def _numbered(row: bytes, at: int, count: int) -> tuple[dict[str, float], int]:
    if not count:
        return {}, at
    form = _amounts(count) if count <= len(_NAMES) else None
    if form is None:
        raise ValueError("not a day of the ledger")
    values = form.unpack_from(row, at)
    names = [_NAMES[number] for number in values[:count]]
    return dict(zip(names, values[count:], strict=True)), at + form.size


def _read_named(row: bytes, at: int, count: int) -> tuple[dict[str, float], int]:
    found: dict[str, float] = {}
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(row, at)
        at += _LENGTH.size
        name = row[at : at + length].decode()
        at += length
        (found[name],) = _AMOUNT.unpack_from(row, at)
        at += _AMOUNT.size
    return found, at


# --- Days, one after another --------------------------------------------------------------


def together(rows: Mapping[int, bytes]) -> bytes:
    """Return several days as they are kept in memory: compressed, for they are read once a day."""
    records = [_RECORD.pack(number, len(row)) + row for number, row in sorted(rows.items())]
    return isal_zlib.compress(b"".join(records), _FASTEST)


def apart(kept: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the row of each day, ascending."""
    days, at = isal_zlib.decompress(kept), 0
    while at < len(days):
        number, length = _RECORD.unpack_from(days, at)
        at += _RECORD.size + length
        yield number, days[at - length : at]
