"""Pure: what was spent on each UTC day, from how amounts moved with each good answer.

docs/adr/0018 has the rules and why the ledger is kept here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from exporter.metrics.extract.values import exact_sum
from exporter.model import Ledger, Spend, Windows
from exporter.state.day_rows import (
    APART,
    DAY,
    NOT_KNOWN,
    NOT_MOVED,
    NOTHING,
    UNKNOWN,
    Day,
    Entry,
    Glance,
    Moved,
    apart,
    glance,
    packed,
    sound,
    together,
)
from exporter.state.spend import Change, Step

IN_MEMORY: Final = 62  # days: as many as growth is spread over at most
STORED: Final = 400  # days
MOST_PERIODS: Final = 16  # on a day; a server that makes up more has them added to the last


def day_of(moment: float) -> int:
    """Return the UTC day of a moment in Unix seconds, in days since 1970."""
    return math.floor(moment / DAY)


def is_noted(ledger: Ledger | None, now: float) -> bool:
    """Tell whether the last good answer that was noted came on the day of `now`."""
    return ledger is not None and ledger.windows.answered == day_of(now)


def note(ledger: Ledger | None, step: Step, now: float, kept: int = IN_MEMORY) -> Ledger | None:
    """Return the days after a good answer that came at `now`, in Unix seconds.

    `kept` is how many whole days there are in all: more than are in memory if older ones are
    stored.
    """
    if not step.counts or (step.is_still and is_noted(ledger, now)):
        return ledger
    return _Notes(ledger, step, now).take(step, kept)


def last_counted(spend: Spend) -> int:
    """Return the day on which month to date was last counted: of none after it is it known.

    A day before all of them if it never was.
    """
    tally = spend.month_to_date
    if spend.ledger is None or tally.baseline is None:
        return -1
    answered = spend.ledger.windows.answered
    if tally.since is None or tally.fallen is not None:  # a fall is told, and to be confirmed
        return answered
    counted = day_of(tally.since)
    if tally.baseline == 0.0 and tally.since == spend.period_start:
        counted = math.ceil(tally.since / DAY) - 1  # of the period that begins then, nothing was
    return min(answered, counted)


def rows_of(ledger: Ledger) -> dict[int, bytes]:
    """Return the days in memory as they are kept, ascending."""
    return dict(sorted([*apart(ledger.others), (ledger.windows.answered, ledger.row)]))


def between(ledger: Ledger, first: int, until: int) -> dict[int, Day]:
    """Return the days from `first` to `until`, of those in memory until the last answered one."""
    rows = rows_of(ledger)
    first = max(first, next(iter(rows)))
    until = min(until, ledger.windows.answered)
    return {number: _read(rows, number) for number in range(first, until + 1)}


def changed(ledger: Ledger | None, before: Ledger | None) -> dict[int, bytes]:
    """Return the rows that were not there before, or were others."""
    if ledger is None or ledger is before:
        return {}
    if before is not None and ledger.others is before.others:  # as long as a day lasts
        return {} if ledger.row == before.row else {ledger.windows.answered: ledger.row}
    known = {} if before is None else rows_of(before)
    return {number: row for number, row in rows_of(ledger).items() if known.get(number) != row}


def made(rows: Mapping[int, bytes], answered: int, kept: int, older: int = 1) -> Ledger:
    """Return the ledger of these days, the last good answer of which came on `answered`."""
    before = sorted([number for number in rows if number < answered])
    others = together({number: row for number, row in rows.items() if number != answered})
    windows = _windows(rows, before, answered, kept, older)
    return Ledger(others, rows[answered], windows, older)


def rebuilt(rows: Mapping[int, bytes], answered: int, kept: int = STORED) -> Ledger:
    """Return the ledger of all days that are kept, those before the ones in memory included."""
    numbers = sorted(rows)
    first = numbers[max(0, sum(number < answered for number in numbers) - IN_MEMORY)]
    here = {number: row for number, row in rows.items() if number >= first}
    older = _older(1, rows, numbers[0], first, kept - IN_MEMORY)
    return made(here, answered, kept, older)


def _read(rows: Mapping[int, bytes], number: int) -> Day:
    return sound(rows[number]) if number in rows else UNKNOWN


def _windows(
    rows: Mapping[int, bytes], past: Sequence[int], answered: int, kept: int, older: int
) -> Windows:
    """Return what was spent in the windows. `past` are the days before `answered`, ascending."""
    recent = [_glance(rows, number) for number in range(answered - 28, answered)]
    types = sorted({name for each in recent for name in each.types})
    yesterday = _read(rows, answered - 1)
    resources = yesterday.resources()
    known, oldest = 0, answered
    if past:
        oldest = answered - kept
        stored = min(older.bit_length() - 1, max(0, past[0] - oldest))
        known = (older & ((1 << stored) - 1)).bit_count()
        oldest = max(oldest, past[0] - stored)
    known += sum(each.is_observed for each in recent)
    known += sum(
        _glance(rows, number).is_observed for number in past if oldest <= number < answered - 28
    )
    spends = [each.spend for each in recent]
    return Windows(
        answered,
        _glance(rows, answered).spend,
        spends[-1],
        sum_if_known(spends[-7:]),
        sum_if_known(spends[-14:-7]),
        sum_if_known(spends),
        {}
        if yesterday.is_unknown
        else {name: resources[name].spend if name in resources else 0.0 for name in types},
        known,
        answered - oldest - known,
    )


def _glance(rows: Mapping[int, bytes], number: int) -> Glance:
    return glance(rows[number]) if number in rows else NOT_KNOWN


def sum_if_known(spends: Sequence[float | None]) -> float | None:
    """Return what was spent on all of these days; None if any is unknown."""
    known = [spend for spend in spends if spend is not None]
    return exact_sum(known) if len(known) == len(spends) else None


class _OpenEntry:
    """What a day has of one period, while it is added to."""

    __slots__ = ("by_resource", "corrections", "estimated", "spend")

    def __init__(self, entry: Entry | None = None) -> None:
        self.spend = self.corrections = self.estimated = 0.0
        self.by_resource: dict[str, Moved] = {}
        if entry is not None:
            _, self.spend, self.corrections, self.estimated, by_resource = entry
            self.by_resource = dict(by_resource)

    def grow(self, resource: str | None, usd: float, estimated: float) -> None:
        """Add what was spent of a resource type, or of month to date, and how much is estimated."""
        if resource is None:
            self.spend += usd
            self.estimated += estimated
        else:
            spent, fallen = self.by_resource.get(resource, NOT_MOVED)
            self.by_resource[resource] = Moved(spent + usd, fallen)

    def fall(self, resource: str | None, usd: float) -> None:
        """Add what a resource type, or month to date, has fallen by."""
        if resource is None:
            self.corrections += usd
        else:
            spent, fallen = self.by_resource.get(resource, NOT_MOVED)
            self.by_resource[resource] = Moved(spent, fallen + usd)


class _OpenDay:
    """A day, while it is added to."""

    __slots__ = ("entries", "unknown")

    def __init__(self, day: Day) -> None:
        self.unknown = day.unknown
        self.entries = {entry.period: _OpenEntry(entry) for entry in day.entries}

    def entry(self, period: float) -> _OpenEntry:
        """Return what there is of a period."""
        found = self.entries.get(period)
        if found is None:
            if len(self.entries) >= MOST_PERIODS:
                return next(reversed(self.entries.values()))
            found = self.entries[period] = _OpenEntry()
        return found

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
        # A clock that was set back beyond the days in memory shows one that was let go, and may be
        # stored: what is learned meanwhile is of the day of the last good answer.
        self._is_behind = ledger is not None and _has_let_go(ledger, self._today)
        if ledger is not None and self._is_behind:
            self._today = ledger.windows.answered
        self._before = ledger
        self._rows: dict[int, bytes] = {}
        if ledger is not None and ledger.windows.answered == self._today:
            # Mostly nothing but this day is changed.
            self._rows[self._today] = ledger.row
        elif ledger is not None:
            self._rows = rows_of(ledger)
        self._days: dict[int, _OpenDay] = {}
        self._spreads: dict[float, Mapping[_OpenEntry, Sequence[float]]] = {}
        # The day of the last good answer, unless a clock that was behind has come between.
        self._last = max([number for number in self._rows if number <= self._today], default=None)
        if not self._is_behind:
            self._begin(step)

    def take(self, step: Step, kept: int) -> Ledger:
        if step.unknown is not None:
            self._forget(*step.unknown)
        if step.month_to_date is not None:
            self._add(step.month_to_date, None)
        for name, change in step.by_resource.items():
            self._add(change, name)
        days, before, today = self._days, self._before, self._today
        if before is not None and before.windows.answered == today and days.keys() <= {today}:
            return self._same_day(before, days[today].closed()) if days else before
        rows = self._rows
        if before is not None:
            rows |= rows_of(before)
        made = {day: packed(day.closed()) for day in {*days.values()}}
        rows |= {number: made[day] for number, day in days.items()}
        return self._another_day(rows, kept)

    def _same_day(self, before: Ledger, day: Day) -> Ledger:
        """Return the ledger if nothing but the day of the last good answer has changed."""
        found = before.windows._replace(on_it=None if day.is_unknown else day.spend)
        return Ledger(before.others, packed(day), found, before.older)

    def _another_day(self, rows: dict[int, bytes], kept: int) -> Ledger:
        numbers = sorted(rows)
        # A clock that is ahead must not push out what came before: it may be set back. Nor must one
        # that is behind let go of days after it, for they are added to when it is right again.
        today = numbers.index(self._today)
        first = numbers[max(0, today - IN_MEMORY)]
        older = 1
        if self._before is not None:
            earlier = next(iter(rows_of(self._before))) - numbers[0]
            older = max(1, self._before.older >> max(0, earlier))  # days that are here again
        here = {number: rows[number] for number in numbers[: today + STORED] if number >= first}
        return made(
            here, self._today, kept, _older(older, rows, numbers[0], first, kept - IN_MEMORY)
        )

    def _begin(self, step: Step) -> None:
        """Have the day of the answer, and those since the answer before."""
        before, today = self._last, self._today
        days = range(today, today + 1)
        if step.began is not None and 0 <= self._now - step.began <= IN_MEMORY * DAY:
            begun = day_of(step.began)
            if before is not None and step.unknown is None:
                begun = max(begun, before + 1)
            days = range(begun, today + 1)
            if step.first:
                self._days[begun] = _OpenDay(Day(step.began - begun * DAY, ()))
        elif before is not None and today - before <= IN_MEMORY:
            days = range(before + 1, today + 1)
        elif self._before is None and not step.first:
            # The counters are older: what they counted today before this is not there.
            self._days[today] = _OpenDay(UNKNOWN)
        elif before is None and step.unknown is None and today not in self._rows:
            self._days[today] = _OpenDay(Day(self._now - today * DAY, ()))
        if len(days) > 1:
            self._load()
        # At first sight nothing tells one whole day from another: they are the same object.
        whole = _OpenDay(NOTHING)
        for number in days:
            if number not in self._rows:
                is_whole = step.first and days[0] < number and (number + 1) * DAY < self._now
                self._days.setdefault(number, whole if is_whole else _OpenDay(NOTHING))

    def _load(self) -> None:
        """Have the rows of all days."""
        if self._before is not None:
            self._rows |= rows_of(self._before)

    def _forget(self, since: float, until: float) -> None:
        """Note a stretch of time of which nothing is known: all of a day without a row is."""
        self._load()
        if self._last is not None and self._before and self._before.windows.answered < self._last:
            # A clock was behind for a while: what was known before that is known still.
            since = max(since, (self._last + 1) * DAY)
        for number in sorted(self._rows.keys() | self._days.keys()):
            seconds = min((number + 1) * DAY, until) - max(number * DAY, since)
            if seconds > 0:
                day = self._day(number)
                day.unknown = min(day.unknown + seconds, float(DAY))

    def _day(self, number: int) -> _OpenDay:
        if number not in self._days:
            if number not in self._rows:
                self._load()
            self._days[number] = _OpenDay(_read(self._rows, number))
        return self._days[number]

    def _add(self, change: Change, resource: str | None) -> None:
        if change.fallen:
            self._entry(self._today).fall(resource, change.fallen)
        if not change.grown:
            return
        spread = self._spread(change.since)
        is_divided = len(spread) > 1 or self._now - change.since > IN_MEMORY * DAY
        estimated = is_divided and self._now - change.since > APART
        *entries, last = spread
        rest = [change.grown]
        for entry in entries:
            part = change.grown * spread[entry][0]
            entry.grow(resource, part, part if estimated else 0.0)
            rest += [-part] * len(spread[entry])
        part = exact_sum(rest)
        last.grow(resource, part, part if estimated else 0.0)

    def _spread(self, since: float) -> Mapping[_OpenEntry, Sequence[float]]:
        """Return the days that growth since a moment is spread over, and the share of each.

        Those that are one object have the same share, and the last one is by itself.
        """
        if since not in self._spreads:  # all amounts of an answer mostly have one
            days = [(self._today, 1.0)]
            if 0 < self._now - since <= IN_MEMORY * DAY and not self._is_behind:
                days = list(_overlaps(since, self._now))
            seconds = exact_sum([length for _, length in days])
            shares: dict[_OpenEntry, list[float]] = {}
            for number, length in days:
                shares.setdefault(self._entry(number), []).append(length / seconds)
            self._spreads[since] = shares
        return self._spreads[since]

    def _entry(self, number: int) -> _OpenEntry:
        return self._day(number).entry(self._period)


def _has_let_go(ledger: Ledger, number: int) -> bool:
    """Tell whether a day is before those in memory, which are as many as there can be."""
    if number >= ledger.windows.answered:
        return False
    rows = rows_of(ledger)
    return number < next(iter(rows)) and len(rows) > IN_MEMORY


def _overlaps(since: float, until: float) -> Iterator[tuple[int, float]]:
    """Yield each day between two moments in Unix seconds, and how many seconds of it are."""
    number = day_of(since)
    while since < until:
        end = min((number + 1) * DAY, until)
        yield number, end - since
        since, number = end, number + 1


def _older(older: int, rows: Mapping[int, bytes], first: int, until: int, kept: int) -> int:
    """Return which of the days before `until` are known, with those from `first` on of `rows`."""
    if until - first > kept:  # nothing older is of interest
        older, first = 1, until - max(kept, 0)
    for number in range(first, until):
        older = older << 1 | _glance(rows, number).is_observed
    kept = max(kept, 0)
    return older if older.bit_length() - 1 <= kept else older & ((1 << kept) - 1) | 1 << kept
