"""What the ledger of days has to hold, worked out the long way: a ledger that the tests keep.

It is written from the rules of docs/adr/0009 and 0018 and takes nothing from `exporter.state`. It
keeps every answer, and makes everything of all of them each time it is asked, in exact fractions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

DAY: Final = 86_400
SIX_HOURS: Final = 6 * 3600
MOST_DAYS: Final = 62
TOO_LARGE: Final = 10**12
NET: Final = "net"  # the name of month to date among the amounts, which no resource type has


class Answer(NamedTuple):
    """A good answer. Times are Unix seconds, amounts US dollars; None is withheld."""

    at: Fraction
    start: Fraction | None
    end: Fraction | None
    amounts: Mapping[str, Fraction | None]
    is_later: bool = True  # than the one before that counted


@dataclass
class Period:
    """The answers of a period that count."""

    start: Fraction | None
    end: Fraction | None  # as it was last stated
    since: Fraction | None  # from when on amounts grew from 0; None: the first one is the baseline
    answers: list[Answer] = field(default_factory=list)
    starts: list[Fraction] = field(default_factory=list)  # at each answer, as it was known; or 0

    @property
    def tolerance(self) -> Fraction:
        """By how much a start may be off: a tenth of the period, a day at most."""
        if self.start is None or self.end is None:
            return Fraction(DAY)
        return min((self.end - self.start) / 10, Fraction(DAY))

    def learn(self, start: Fraction) -> None:
        """Have a start, of which nothing was said before."""
        self.start = start
        if self.end is not None and self.end <= start:
            self.end = None


class Moved(NamedTuple):
    """Growth of an amount over a time, 0 too, or its fall at the end of that."""

    name: str
    number: int  # of the period
    start: Fraction  # of the period, as it was known; or 0
    since: Fraction
    at: Fraction
    usd: Fraction  # below 0: a fall
    is_first: bool  # sight, which the counters leave out


@dataclass
class Amount:
    """What a day has of an amount in one period."""

    spend: Fraction = Fraction()
    corrections: Fraction = Fraction()
    estimated: Fraction = Fraction()


class Truth:
    """Hears every good answer, and knows what they come to."""

    def __init__(self) -> None:
        self.heard: list[Answer] = []

    def hear(
        self, now: float, net: float, start: float | None, end: float | None, **costs: float
    ) -> None:
        """Take in an answer."""
        amounts = {name: _countable(usd) for name, usd in (costs | {NET: net}).items()}
        self.heard.append(Answer(Fraction(now), _exact(start), _exact(end), amounts))

    def forget(self, answers: int) -> None:
        """Know no more than the first answers: what came later was lost with a process."""
        del self.heard[answers:]

    def book(self) -> Book:
        """Return what the answers so far come to."""
        return Book(self.heard)


class Book:
    """What some answers come to."""

    def __init__(self, heard: Iterable[Answer]) -> None:
        self.periods: list[Period] = []
        self.overrun = Fraction()
        self.pending: set[tuple[str, int]] = set()  # falls of an amount in a period, at the end
        for answer in heard:
            self._sort(answer)
        names = {
            name for each in self.periods for answer in each.answers for name in answer.amounts
        }
        self.moved = [
            moved
            for name in sorted(names)
            for number in range(len(self.periods))
            for moved in self._moves(name, number)
        ]
        self.entries: defaultdict[tuple[int, Fraction, str], Amount] = defaultdict(Amount)
        for moved in self.moved:
            self._enter(moved)
        self.unknown = list(self._unknown())

    # --- Of which period an answer is ---

    def _sort(self, answer: Answer) -> None:
        start = _sound(answer.start, answer.at)
        if not self.periods:
            is_seen = start is not None and start >= answer.at - MOST_DAYS * DAY
            self.periods.append(Period(start, None, start if is_seen else None))
            self._add(answer)
        elif self._counts(start, answer.at):
            self._add(answer)

    def _counts(self, start: Fraction | None, now: Fraction) -> bool:
        """Tell whether an answer counts, after beginning a period if it is of the next one."""
        period = self.periods[-1]
        if start is None:
            return period.end is None or now <= period.end + self.overrun
        period.start = _sound(period.start, now)
        if period.start is None:
            if start > min(period.answers[-1].at, now):
                self._begin(start)
            else:
                period.learn(start)
        elif start - period.start >= period.tolerance:
            self._begin(start)
        else:
            return period.start - start < period.tolerance
        return True

    def _begin(self, start: Fraction) -> None:
        before = self.periods[-1]
        if before.end is not None and 0 <= start - before.end <= before.tolerance:
            self.overrun = start - before.end
        self.periods.append(Period(start, None, start))

    def _add(self, answer: Answer) -> None:
        period = self.periods[-1]
        before = [each.at for period in self.periods for each in period.answers]
        is_later = not before or answer.at > before[-1]
        period.answers.append(answer._replace(is_later=is_later))
        period.starts.append(period.start or Fraction())
        if answer.end is not None and (period.start is None or answer.end > period.start):
            period.end = answer.end

    # --- How an amount moved ---

    def _moves(self, name: str, number: int) -> Iterator[Moved]:
        period = self.periods[number]
        is_first = number == 0
        # What it was when it was last counted, and when that was.
        usd, since = (None, Fraction()) if period.since is None else (Fraction(), period.since)
        fallen: Fraction | None = None  # and not confirmed
        if is_first and name not in period.answers[0].amounts:
            is_first, usd = False, Fraction()  # what is not there is 0
            since = period.answers[0].at
        for answer, start in zip(period.answers, period.starts, strict=True):
            now, then = answer.amounts.get(name, Fraction()), usd
            if now is None:
                continue
            if then is None or now >= then or is_first:
                fallen = None
            elif fallen is None:
                fallen = now
                continue
            else:
                fallen, now = (now, fallen) if now < fallen else (None, now)
            moved = Fraction() if then is None else now - then
            if not answer.is_later or moved < 0:
                since = answer.at
            yield Moved(name, number, start, since, answer.at, moved, is_first)
            is_first, usd, since = False, now, answer.at
        if fallen is not None:
            self.pending.add((name, number))

    def counter(self, name: str = NET) -> tuple[Fraction, Fraction]:
        """Return what the spend counters have of an amount: growth and falls."""
        moved = [each.usd for each in self.moved if each.name == name and not each.is_first]
        spend = sum((usd for usd in moved if usd > 0), Fraction())
        return spend, spend - sum(moved, Fraction())

    # --- On which days ---

    def _enter(self, moved: Moved) -> None:
        if moved.usd < 0:
            number = math.floor(moved.at / DAY)
            self.entries[number, moved.start, moved.name].corrections -= moved.usd
        elif moved.usd > 0:
            shares = spread(moved.since, moved.at)
            seconds = moved.at - moved.since
            is_estimated = (len(shares) > 1 and seconds > SIX_HOURS) or seconds > MOST_DAYS * DAY
            for number, share in shares.items():
                amount = self.entries[number, moved.start, moved.name]
                amount.spend += moved.usd * share
                amount.estimated += moved.usd * share * is_estimated

    def _unknown(self) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield each stretch of time of which nothing is known."""
        known = Fraction()
        for number, period in enumerate(self.periods):
            told = [each.at for each in self.moved if (each.name, each.number) == (NET, number)]
            if period.since is not None:
                yield known, period.since
                known = period.since
            elif number == 0:
                known = told[0] if told else period.answers[-1].at
                yield Fraction(), known
            for one, other in pairwise([known, *told]):
                if other - one > MOST_DAYS * DAY:  # too long to tell on which day it was spent
                    yield one, other
            known = told[-1] if told else known

    def day(self, number: int) -> Day:
        """Return what a day holds."""
        unknown, until = Fraction(), Fraction()
        for began, ended in sorted(self.unknown):  # which may overlap
            unknown += _overlap(number, max(began, until), ended)
            until = max(until, ended)
        amounts = {
            (start, name): amount
            for (day, start, name), amount in self.entries.items()
            if day == number
        }
        return Day(unknown, amounts)

    @property
    def is_counted(self) -> bool:
        """Whether month to date was counted in the current period."""
        number = len(self.periods) - 1
        return any((each.name, each.number) == (NET, number) for each in self.moved)

    @property
    def is_pending(self) -> bool:
        """Whether a fall of month to date is to be confirmed."""
        return (NET, len(self.periods) - 1) in self.pending

    @property
    def is_withheld(self) -> bool:
        """Whether the last answer that counts had no month to date."""
        return self.periods[-1].answers[-1].amounts[NET] is None

    @property
    def counted(self) -> int | None:
        """The last day on which month to date was counted; in a new period, the one before it."""
        told = [each for each in self.moved if each.name == NET]
        number, since = len(self.periods) - 1, self.periods[-1].since
        if told and told[-1].number == number:
            return math.floor(told[-1].at / DAY)
        return math.ceil(since / DAY) - 1 if number and since is not None else None

    @property
    def answered(self) -> int | None:
        """The last day of which something is said: it goes on while a fall is to be confirmed."""
        if self.is_pending:
            return math.floor(self.periods[-1].answers[-1].at / DAY)
        return self.counted

    @property
    def starts(self) -> set[Fraction]:
        """The starts of the periods that have entries."""
        return {start for _, start, _ in self.entries}

    def of_period(self, start: Fraction, name: str = NET) -> Fraction:
        """Return what the entries of a period come to."""
        amounts = [
            a for (_, begun, other), a in self.entries.items() if (begun, other) == (start, name)
        ]
        return sum((each.spend - each.corrections for each in amounts), Fraction())


class Day(NamedTuple):
    """What a day holds."""

    unknown: Fraction  # seconds
    amounts: Mapping[tuple[Fraction, str], Amount]  # by the period's start and name

    def sum(self, what: str, name: str = NET) -> Fraction:
        """Return an attribute of its amounts of a name, over all periods."""
        found = [getattr(each, what) for (_, other), each in self.amounts.items() if other == name]
        return sum(found, Fraction())

    @property
    def is_unknown(self) -> bool:
        """Whether too little of it is known for any number."""
        return self.unknown > SIX_HOURS

    @property
    def observed(self) -> bool | None:
        """Whether at most half of what was spent on it is estimated; None if it is just half."""
        if self.is_unknown:
            return False
        spend = self.sum("spend")
        excess = 2 * self.sum("estimated") - spend
        return None if spend and abs(excess) < Fraction(1, 10**6) else excess <= 0


def spread(since: Fraction, until: Fraction) -> Mapping[int, Fraction]:
    """Return the share of each day in the time between two moments.

    The last one has all if there is no such time, or if it is too long.
    """
    first, last = math.floor(since / DAY), math.floor(until / DAY)
    if not 0 < until - since <= MOST_DAYS * DAY:
        return {last: Fraction(1)}
    shares = {
        number: _overlap(number, since, until) / (until - since)
        for number in range(first, last + 1)
    }
    return {number: share for number, share in shares.items() if share}


def _overlap(number: int, since: Fraction, until: Fraction) -> Fraction:
    return max(
        Fraction(), min(until, Fraction((number + 1) * DAY)) - max(since, Fraction(number * DAY))
    )


def _sound(start: Fraction | None, now: Fraction) -> Fraction | None:
    """Return a start, unless it is too far ahead to be one."""
    return None if start is None or start > now + MOST_DAYS * DAY else start


def _exact(moment: float | None) -> Fraction | None:
    return None if moment is None else Fraction(moment)


def _countable(usd: float) -> Fraction | None:
    return Fraction(usd) if math.isfinite(usd) and abs(usd) < TOO_LARGE else None
