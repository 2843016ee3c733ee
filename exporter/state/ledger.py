"""Pure: what was spent on each UTC day, from how amounts moved with each good answer.

docs/adr/0018 has the rules and why the ledger is kept here.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
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
MOST_PERIODS: Final = 16  # on a day; a server that makes up more has them added to the last


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


NOT_MOVED: Final = Moved(0.0, 0.0)
NOTHING: Final = Day(0.0, ())  # was spent
UNKNOWN: Final = Day(float(DAY), ())


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


def between(ledger: Ledger, first: int, until: int) -> dict[int, Day]:
    """Return the days from `first` to `until`, of those from the oldest to the last answered."""
    rows = dict(zip(ledger.numbers, ledger.rows, strict=True))
    first = max(first, ledger.numbers[0])
    until = min(until, ledger.windows.answered)
    return {
        number: sound(rows[number]) if number in rows else UNKNOWN
        for number in range(first, until + 1)
    }


def windows(numbers: Sequence[int], rows: Sequence[bytes], answered: int) -> Windows:
    """Return the windows of these days, the last good answer of which came on `answered`."""
    days = dict(zip(numbers, rows, strict=True))

    def read(number: int) -> Day:
        return sound(days[number]) if number in days else UNKNOWN

    recent = [read(number) for number in range(answered - 28, answered)]
    yesterday = recent[-1]
    resources = yesterday.resources()
    types = sorted({name for each in recent for name in each.resources()})
    past = [number for number in numbers if number < answered]
    older = [number for number in past if number < answered - 28]
    known = sum(each.is_observed for each in (*recent, *map(read, older)))
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
        answered - past[0] - known if past else 0,
    )


def _spent(days: Sequence[Day]) -> float | None:
    """Return what was spent on all of these days; None if any is unknown."""
    if any(each.is_unknown for each in days):
        return None
    return exact_sum(each.spend for each in days)


class _OpenEntry:
    """What a day has of one period, while it is added to."""

    __slots__ = ("by_resource", "corrections", "estimated", "spend")

    def __init__(self, entry: Entry | None = None) -> None:
        self.spend = self.corrections = self.estimated = 0.0
        self.by_resource: dict[str, Moved] = {}
        if entry is not None:
            _, self.spend, self.corrections, self.estimated, by_resource = entry
            self.by_resource = dict(by_resource)


class _OpenDay:
    """A day, while it is added to."""

    __slots__ = ("entries", "unknown")

    def __init__(self, day: Day) -> None:
        self.unknown = day.unknown
        self.entries = {entry.period: _OpenEntry(entry) for entry in day.entries}

    def entry(self, period: float) -> _OpenEntry:
        """Return what there is of a period."""
        if period not in self.entries and len(self.entries) >= MOST_PERIODS:
            return next(reversed(self.entries.values()))
        return self.entries.setdefault(period, _OpenEntry())

    def closed(self) -> Day:
        """Return it as it is now."""
        return Day(
            self.unknown,
            tuple(
                [
                    Entry(period, each.spend, each.corrections, each.estimated, each.by_resource)
                    for period, each in self.entries.items()
                ]
            ),
        )


class _Notes:
    """The days that one answer changes."""

    def __init__(self, ledger: Ledger | None, step: Step, now: float) -> None:
        started = step.spend.period_start
        self._period = started if started is not None else 0.0
        self._now = now
        self._today = day_of(now)
        self._before = ledger
        self._rows = {} if ledger is None else dict(zip(ledger.numbers, ledger.rows, strict=True))
        self._days: dict[int, _OpenDay] = {}
        self._spreads: dict[float, Sequence[tuple[int, float]]] = {}
        self._begin(ledger, started, first=step.first)

    def take(self, step: Step) -> Ledger:
        if step.unknown is not None:
            for number, seconds in _overlaps(*step.unknown):
                day = self._day(number)
                day.unknown = min(day.unknown + seconds, float(DAY))
        if step.month_to_date is not None:
            self._add(step.month_to_date, None)
        for name, change in step.by_resource.items():
            self._add(change, name)
        closed = {number: day.closed() for number, day in self._days.items()}
        rows = self._rows | {number: packed(day) for number, day in closed.items()}
        numbers = sorted(rows)
        # A clock that is ahead must not push out what came before: it may be set back.
        today = bisect_right(numbers, self._today)
        kept = tuple(numbers[max(0, today - KEPT - 1) : today + KEPT])
        after = tuple([rows[number] for number in kept])
        before = self._before
        if (
            before is not None
            and (before.numbers, before.windows.answered) == (kept, self._today)
            and closed.keys() == {self._today}
        ):
            found = before.windows._replace(on_it=_spent([closed[self._today]]))
        else:
            found = windows(kept, after, self._today)
        return Ledger(kept, after, found)

    def _begin(self, ledger: Ledger | None, started: float | None, *, first: bool) -> None:
        """Have the day of the answer, and those since the answer before."""
        before = None if ledger is None else last(ledger, self._today)
        if before is not None and self._today - before <= KEPT:
            for number in range(before + 1, self._today + 1):
                self._days[number] = _OpenDay(NOTHING)
        elif first and started is not None and 0 <= self._now - started <= KEPT * DAY:
            begun = day_of(started)
            self._days[begun] = _OpenDay(Day(started - begun * DAY, ()))
            for number in range(begun + 1, self._today + 1):
                self._days[number] = _OpenDay(NOTHING)
        elif ledger is None and not first:
            # The counters are older: what they counted today before this is not there.
            self._days[self._today] = _OpenDay(UNKNOWN)
        elif self._today not in self._rows:
            self._days[self._today] = _OpenDay(Day(self._now - self._today * DAY, ()))

    def _day(self, number: int) -> _OpenDay:
        if number not in self._days:
            row = self._rows.get(number)
            self._days[number] = _OpenDay(UNKNOWN if row is None else sound(row))
        return self._days[number]

    def _add(self, change: Change, resource: str | None) -> None:
        if change.fallen:
            self._enter(self._today, resource, 0.0, change.fallen, estimated=False)
        if not change.grown:
            return
        spread = self._spread(change.since)
        estimated = len(spread) > 1 and self._now - change.since > APART
        parts = [change.grown * share for _, share in spread[:-1]]
        parts.append(exact_sum([change.grown, *(-part for part in parts)]))
        for (number, _), part in zip(spread, parts, strict=True):
            self._enter(number, resource, part, 0.0, estimated=estimated)

    def _spread(self, since: float) -> Sequence[tuple[int, float]]:
        """Return the days that growth since a moment is spread over, and the share of each."""
        if since not in self._spreads:  # all amounts of an answer mostly have one
            days = list(_overlaps(since, self._now))
            if not days or self._now - since > KEPT * DAY:
                days = [(self._today, 1.0)]
            seconds = exact_sum(length for _, length in days)
            self._spreads[since] = [(number, length / seconds) for number, length in days]
        return self._spreads[since]

    def _enter(
        self, number: int, resource: str | None, spend: float, fallen: float, *, estimated: bool
    ) -> None:
        entry = self._day(number).entry(self._period)
        if resource is None:
            entry.spend += spend
            entry.corrections += fallen
            entry.estimated += spend if estimated else 0.0
        else:
            before = entry.by_resource.get(resource, NOT_MOVED)
            entry.by_resource[resource] = Moved(before.spend + spend, before.corrections + fallen)


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
_PAIR: Final = struct.Struct("<Hd")  # a type's number and amount
_STORED: Final = struct.Struct("<IH")
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
        parts += [_named(name, usd) for name, usd in (*spends, *falls)]
    return b"".join(parts)


def _named(name: str, usd: float) -> bytes:
    number = NUMBERS.get(name)
    if number is not None:
        return _PAIR.pack(number, usd)
    text = name.encode()
    return _NUMBER.pack(NAMED) + _NUMBER.pack(len(text)) + text + _AMOUNT.pack(usd)


def sound(row: bytes) -> Day:
    """Return a day from what is kept of it, unknown if that is damaged."""
    try:
        day = unpacked(row)
    except ValueError:
        return UNKNOWN
    amounts = [a for e in day.entries for a in (e.spend, e.corrections, e.estimated)]
    amounts += [usd for e in day.entries for moved in e.by_resource.values() for usd in moved]
    return day if all(0 <= usd < math.inf for usd in amounts) else UNKNOWN


def dumped(ledger: Ledger) -> bytes:
    """Return the days of a ledger for storage, one after another: number, length and row."""
    parts = zip(ledger.numbers, ledger.rows, strict=True)
    return b"".join([_STORED.pack(number, len(row)) + row for number, row in parts])


def loaded(days: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the row of each day that was dumped. Raises ValueError."""
    at = 0
    while at < len(days):
        try:
            number, length = _STORED.unpack_from(days, at)
        except struct.error:
            raise ValueError("not a ledger") from None
        at += _STORED.size + length
        if at > len(days):
            raise ValueError("not a ledger")
        yield number, days[at - length : at]


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
            name, usd = self._named()
            by_resource[name] = Moved(usd, 0.0)
        for _ in range(falls):
            name, usd = self._named()
            by_resource[name] = Moved(by_resource.get(name, NOT_MOVED).spend, usd)
        return Entry(period, spend, corrections, estimated, by_resource)

    def _named(self) -> tuple[str, float]:
        (number,) = _NUMBER.unpack_from(self._row, self._at)
        if number != NAMED:
            _, usd = self._take(_PAIR)
            return NAMES[number], usd
        _, length = self._take(_COUNT)
        text = self._row[self._at : self._at + length]
        if len(text) < length:
            raise ValueError("not a day of the ledger")
        self._at += length
        return text.decode(), self._take(_AMOUNT)[0]

    def _take(self, what: struct.Struct) -> tuple[Any, ...]:
        values = what.unpack_from(self._row, self._at)
        self._at += what.size
        return values
