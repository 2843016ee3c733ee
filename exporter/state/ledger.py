"""Pure: what was spent on each UTC day, from how amounts moved with each good answer.

docs/adr/0018 has the rules and why the ledger is kept here.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.metrics.extract.values import enum_label, exact_sum
from exporter.model import Ledger, Windows
from exporter.pb import billing_pb2 as pb
from exporter.state.spend import Change, Step

DAY: Final = 86_400  # seconds
KEPT: Final = 62  # days in memory: as many as growth is spread over at most
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
        return exact_sum(entry.spend for entry in self.entries)

    @property
    def corrections(self) -> float:
        """What was corrected on it, in US dollars."""
        return exact_sum(entry.corrections for entry in self.entries)

    @property
    def estimated(self) -> float:
        """How much of the spend was divided among days."""
        return exact_sum(entry.estimated for entry in self.entries)

    @property
    def is_observed(self) -> bool:
        """Whether at most half of the spend is estimated."""
        return not self.is_unknown and self.estimated <= self.spend / 2

    def resources(self) -> Mapping[str, Moved]:
        """Return what was spent for each resource type, and corrected."""
        names = sorted({name for entry in self.entries for name in entry.by_resource})
        return {
            name: Moved(
                exact_sum(e.by_resource[name].spend for e in self.entries if name in e.by_resource),
                exact_sum(
                    e.by_resource[name].corrections for e in self.entries if name in e.by_resource
                ),
            )
            for name in names
        }


NOTHING: Final = Day(0.0, ())  # was spent
UNKNOWN: Final = Day(float(DAY), ())


def day(ledger: Ledger, number: int) -> Day:
    """Return a day, in days since 1970: unknown if it is not there."""
    index = bisect_left(ledger.numbers, number)
    if index == len(ledger.numbers) or ledger.numbers[index] != number:
        return UNKNOWN
    return unpacked(ledger.rows[index])


def last(ledger: Ledger, today: int) -> int | None:
    """Return the last day on which a good answer came; those to come are not looked at."""
    index = bisect_right(ledger.numbers, today)
    return ledger.numbers[index - 1] if index else None


def day_of(moment: float) -> int:
    """Return the UTC day of a moment in Unix seconds, in days since 1970."""
    return math.floor(moment / DAY)


def is_noted(ledger: Ledger | None, now: float) -> bool:
    """Tell whether a good answer came on the day of `now` before."""
    return ledger is not None and last(ledger, today := day_of(now)) == today


def note(ledger: Ledger | None, step: Step, now: float) -> Ledger | None:
    """Return the days after a good answer that came at `now`, in Unix seconds."""
    if not step.counts or (step.is_still and is_noted(ledger, now)):
        return ledger
    return _Notes(ledger, step, now).take(step)


def windows(numbers: Sequence[int], rows: Sequence[bytes], answered: int) -> Windows:
    """Return the windows of these days, the last good answer of which came on `answered`."""
    days = dict(zip(numbers, rows, strict=True))

    def read(number: int) -> Day:
        return unpacked(days[number]) if number in days else UNKNOWN

    past = [read(number) for number in range(numbers[0], answered)]
    recent = past[-28:]
    recent = [UNKNOWN] * (28 - len(recent)) + recent
    yesterday = recent[-1]
    resources = yesterday.resources()
    types = sorted({name for each in recent for name in each.resources()})
    known = sum(each.is_observed for each in past)
    return Windows(
        answered,
        _spent([read(answered)]),
        _spent([yesterday]),
        _spent(recent[-7:]),
        _spent(recent[-14:-7]),
        _spent(recent),
        {}
        if yesterday.is_unknown
        else {name: resources[name].spend if name in resources else 0.0 for name in types},
        known,
        len(past) - known,
    )


def _spent(days: Sequence[Day]) -> float | None:
    """Return what was spent on all of these days; None if any is unknown."""
    if any(each.is_unknown for each in days):
        return None
    return exact_sum(each.spend for each in days)


class _Notes:
    """The days that one answer changes."""

    def __init__(self, ledger: Ledger | None, step: Step, now: float) -> None:
        started = step.spend.period_start
        self._period = started if started is not None else 0.0
        self._now = now
        self._today = day_of(now)
        self._before = ledger
        self._rows = {} if ledger is None else dict(zip(ledger.numbers, ledger.rows, strict=True))
        self._days: dict[int, Day] = {}
        self._begin(ledger, started, first=step.first)

    def take(self, step: Step) -> Ledger:
        if step.unknown is not None:
            for number, seconds in _overlaps(*step.unknown):
                day = self._day(number)
                self._days[number] = day._replace(unknown=min(day.unknown + seconds, float(DAY)))
        if step.month_to_date is not None:
            self._add(step.month_to_date, None)
        for name, change in step.by_resource.items():
            self._add(change, name)
        rows = self._rows | {number: packed(day) for number, day in self._days.items()}
        numbers = sorted(rows)
        # A clock that is ahead must not push out what came before: it may be set back.
        today = bisect_right(numbers, self._today)
        kept = tuple(numbers[max(0, today - KEPT - 1) : today + KEPT])
        after = tuple([rows[number] for number in kept])
        before = self._before
        if (
            before is not None
            and (before.numbers, before.windows.answered) == (kept, self._today)
            and self._days.keys() == {self._today}
        ):
            found = before.windows._replace(on_it=_spent([self._days[self._today]]))
        else:
            found = windows(kept, after, self._today)
        return Ledger(kept, after, found)

    def _begin(self, ledger: Ledger | None, started: float | None, *, first: bool) -> None:
        """Have the day of the answer, and those since the answer before."""
        before = None if ledger is None else last(ledger, self._today)
        if before is not None and self._today - before <= KEPT:
            for number in range(before + 1, self._today + 1):
                self._days[number] = NOTHING
        elif first and started is not None and 0 <= self._now - started <= KEPT * DAY:
            begun = day_of(started)
            self._days[begun] = Day(started - begun * DAY, ())
            for number in range(begun + 1, self._today + 1):
                self._days[number] = NOTHING
        elif (
            ledger is None and not first
        ):  # its counters are older: what they counted today is lost
            self._days[self._today] = UNKNOWN
        elif self._today not in self._rows:
            self._days[self._today] = Day(self._now - self._today * DAY, ())

    def _day(self, number: int) -> Day:
        known = self._days.get(number)
        if known is None:
            row = self._rows.get(number)
            known = UNKNOWN if row is None else unpacked(row)
        return known

    def _add(self, change: Change, resource: str | None) -> None:
        if change.fallen:
            self._enter(self._today, resource, 0.0, change.fallen, estimated=False)
        if not change.grown:
            return
        spread = list(_overlaps(change.since, self._now))
        if not spread or self._now - change.since > KEPT * DAY:
            spread = [(self._today, 1.0)]
        estimated = len(spread) > 1 and self._now - change.since > APART
        seconds = exact_sum(length for _, length in spread)
        shares = [change.grown * length / seconds for _, length in spread[:-1]]
        shares.append(exact_sum([change.grown, *(-share for share in shares)]))
        for (number, _), share in zip(spread, shares, strict=True):
            self._enter(number, resource, share, 0.0, estimated=estimated)

    def _enter(
        self, number: int, resource: str | None, spend: float, fallen: float, *, estimated: bool
    ) -> None:
        day = self._day(number)
        entries = list(day.entries)
        place = next((n for n, e in enumerate(entries) if e.period == self._period), len(entries))
        if place == len(entries):
            entries.append(Entry(self._period, 0.0, 0.0, 0.0, {}))
        entry = entries[place]
        if resource is None:
            entries[place] = entry._replace(
                spend=entry.spend + spend,
                corrections=entry.corrections + fallen,
                estimated=entry.estimated + (spend if estimated else 0.0),
            )
        else:
            before = entry.by_resource.get(resource, Moved(0.0, 0.0))
            after = Moved(before.spend + spend, before.corrections + fallen)
            entries[place] = entry._replace(by_resource={**entry.by_resource, resource: after})
        self._days[number] = day._replace(entries=tuple(entries))


def _overlaps(since: float, until: float) -> Iterator[tuple[int, float]]:
    """Yield each day between two moments in Unix seconds, and how many seconds of it are."""
    since = max(since, until - KEPT * DAY)
    number = day_of(since)
    while since < until:
        end = min((number + 1) * DAY, until)
        yield number, end - since
        since, number = end, number + 1


# --- As it is kept ------------------------------------------------------------------------

# Little-endian. A day is its unknown seconds and its entries; an entry the period, the spend, and
# after a byte of flags the corrections and the estimated spend if there are any; then the resource
# types. Each type is its number in the API or, for a name of ours, NAMED and the name.
_HEAD: Final = struct.Struct("<IB")
_ENTRY: Final = struct.Struct("<ddB")
_AMOUNT: Final = struct.Struct("<d")
_COUNT: Final = struct.Struct("<HH")
_NUMBER: Final = struct.Struct("<H")
_CORRECTED, _ESTIMATED = 1, 2
NAMED: Final = 0xFFFF
NUMBERS: Final = {
    enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", number): number
    for number in pb.UsageCostType.values()
}
NAMES: Final = {number: name for name, number in NUMBERS.items()}


def packed(day: Day) -> bytes:
    """Return a day as it is kept."""
    parts = [_HEAD.pack(round(day.unknown), len(day.entries))]
    for entry in day.entries:
        flags = _CORRECTED * bool(entry.corrections) | _ESTIMATED * bool(entry.estimated)
        parts.append(_ENTRY.pack(entry.period, entry.spend, flags))
        if entry.corrections:
            parts.append(_AMOUNT.pack(entry.corrections))
        if entry.estimated:
            parts.append(_AMOUNT.pack(entry.estimated))
        spends = [(name, moved.spend) for name, moved in entry.by_resource.items() if moved.spend]
        falls = [
            (name, moved.corrections)
            for name, moved in entry.by_resource.items()
            if moved.corrections
        ]
        parts.append(_COUNT.pack(len(spends), len(falls)))
        for name, usd in (*spends, *falls):
            parts += (_name(name), _AMOUNT.pack(usd))
    return b"".join(parts)


def _name(name: str) -> bytes:
    number = NUMBERS.get(name)
    if number is not None:
        return _NUMBER.pack(number)
    text = name.encode()
    return _NUMBER.pack(NAMED) + _NUMBER.pack(len(text)) + text


def unpacked(row: bytes) -> Day:
    """Return a day from what is kept of it. Raises ValueError if it is no such thing."""
    try:
        return _Reader(row).day()
    except (struct.error, KeyError, UnicodeDecodeError):
        raise ValueError("not a day of the ledger") from None


class _Reader:
    def __init__(self, row: bytes) -> None:
        self._row = row
        self._at = 0

    def day(self) -> Day:
        unknown, count = self._take(_HEAD)
        day = Day(float(unknown), tuple([self._entry() for _ in range(count)]))
        if self._at != len(self._row):
            raise ValueError("not a day of the ledger")
        return day

    def _entry(self) -> Entry:
        period, spend, flags = self._take(_ENTRY)
        corrections = self._take(_AMOUNT)[0] if flags & _CORRECTED else 0.0
        estimated = self._take(_AMOUNT)[0] if flags & _ESTIMATED else 0.0
        spends, falls = self._take(_COUNT)
        by_resource: dict[str, Moved] = {}
        for _ in range(spends):
            name = self._name()
            by_resource[name] = Moved(self._take(_AMOUNT)[0], 0.0)
        for _ in range(falls):
            name = self._name()
            before = by_resource.get(name, Moved(0.0, 0.0))
            by_resource[name] = before._replace(corrections=self._take(_AMOUNT)[0])
        return Entry(period, spend, corrections, estimated, by_resource)

    def _name(self) -> str:
        (number,) = self._take(_NUMBER)
        if number != NAMED:
            return NAMES[number]
        (length,) = self._take(_NUMBER)
        text = self._row[self._at : self._at + length]
        if len(text) < length:
            raise ValueError("not a day of the ledger")
        self._at += length
        return text.decode()

    def _take(self, what: struct.Struct) -> tuple[Any, ...]:
        values = what.unpack_from(self._row, self._at)
        self._at += what.size
        return values
