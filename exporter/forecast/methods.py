"""Simple ways to say what days ahead will cost, each of which a person could do by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from exporter.forecast.history import FOUR_WEEKS, WEEK, Place, known, mean
from exporter.forecast.patterns import ODD

AHEAD: Final = 35  # days: a month and some
DAMPED: Final = 0.95, 0.97  # a day: how much of a trend, and of a rate of growth, goes on
FEW: Final = 4  # days that a past period may lack


class Known(NamedTuple):
    """What a method may look at."""

    until: int  # the first day ahead, in days since 1970
    spends: Sequence[float | None]  # on the days before it, without fees
    level: Sequence[float | None]  # the end of them: days of the level that there is now
    places: Sequence[Place | None]  # where in their periods the days of `spends` are
    ahead: Sequence[Place]  # and those ahead


Expected = Sequence[float] | None  # US dollars on each day ahead; None if it cannot say
Method = Callable[[Known], Expected]


def _last(past: Known, days: int) -> list[float]:
    """Return what is known of so many days of this level, or as many that came before them."""
    return known(past.level[-days:]) or known(past.level)[-days:]


def _flat(usd: float) -> Expected:
    return [usd] * AHEAD


def _mean(days: int) -> Method:
    return lambda past: _flat(mean(_last(past, days)))


def _median(days: int) -> Method:
    return lambda past: _flat(_middle(_last(past, days)))


def _usual(days: int) -> Method:
    def method(past: Known) -> Expected:
        amounts = _last(past, days)
        middle = _middle(amounts)
        return _flat(mean([usd for usd in amounts if usd <= ODD * middle]))

    return method


def _middle(amounts: Sequence[float]) -> float:
    """Return the median, the lower one of two: of few days, one may well be odd."""
    return sorted(amounts)[(len(amounts) - 1) // 2]


def _trimmed(days: int) -> Method:
    def method(past: Known) -> Expected:
        amounts = sorted(_last(past, days))
        cut = math.ceil((len(amounts) - 2) / WEEK)  # of three days on, one may well be odd
        return _flat(mean(amounts[cut : len(amounts) - cut]))

    return method


def _weekday(past: Known) -> Expected:
    level = past.level[-FOUR_WEEKS:]
    by_day = [known(level[(len(level) + day) % WEEK :: WEEK]) for day in range(WEEK)]
    if not all(by_day):
        return None
    means = [mean(amounts) for amounts in by_day]
    return [means[day % WEEK] for day in range(AHEAD)]


def _four_weeks_ago(past: Known) -> Expected:
    if len(past.spends) < FOUR_WEEKS:
        return None
    instead = mean(_last(past, FOUR_WEEKS))
    weeks = [instead if usd is None else usd for usd in past.spends[-FOUR_WEEKS:]]
    return [weeks[day % FOUR_WEEKS] for day in range(AHEAD)]


def _last_period(*, from_end: bool) -> Method:
    def method(past: Known) -> Expected:
        if len(past.spends) < FOUR_WEEKS - FEW:
            return None

        def day(place: Place) -> int:
            return place.left if from_end else place.passed

        last = {
            day(place): usd
            for place, usd in zip(past.places, past.spends, strict=True)
            if place is not None and usd is not None
        }
        if sum(day(place) not in last for place in past.ahead) > FEW:
            return None
        instead = mean(_last(past, FOUR_WEEKS))
        return [last.get(day(place), instead) for place in past.ahead]

    return method


def _trend(past: Known) -> Expected:
    level = past.level[-FOUR_WEEKS:]
    points = [(index, usd) for index, usd in enumerate(level) if usd is not None]
    if len(points) < FOUR_WEEKS // 2:
        return None
    middle, usual = mean([x for x, _ in points]), mean([usd for _, usd in points])
    spread = sum([(x - middle) ** 2 for x, _ in points])
    slope = sum([(x - middle) * (usd - usual) for x, usd in points]) / spread
    now = usual + slope * (len(level) - 1 - middle)
    return [max(0.0, now + slope * days) for days in _damped(DAMPED[0])]


def _growth(past: Known) -> Expected:
    half = FOUR_WEEKS // 2
    before, after = known(past.level[-FOUR_WEEKS:-half]), known(past.level[-half:])
    if min(len(before), len(after)) < FEW or not (mean(before) and mean(after)):
        return None
    usual = mean(after)
    daily = min(max(usual / mean(before), 0.5), 2.0) ** (1 / half)
    return [usual * daily ** (half / 2 + days) for days in _damped(DAMPED[1])]


@cache  # there are two
def _damped(share: float) -> Sequence[float]:
    """Return how many days' worth of a trend goes on until each day ahead."""
    found, total, part = [], 0.0, 1.0
    for _ in range(AHEAD):
        part *= share
        total += part
        found.append(total)
    return found


class Named(NamedTuple):
    """A method, and what it goes by in words."""

    words: str
    method: Method


METHODS: Final[Mapping[str, Named]] = {
    "usual_day_of_7d": Named("usual days of the last week", _usual(7)),
    "usual_day_of_28d": Named("usual days of the last four weeks", _usual(28)),
    "median_7d": Named("median of the last week", _median(7)),
    "trimmed_mean_14d": Named("last two weeks without extremes", _trimmed(14)),
    "mean_28d": Named("average of the last four weeks", _mean(28)),
    "mean_56d": Named("average of the last eight weeks", _mean(56)),
    "weekday": Named("same weekdays of the last four weeks", _weekday),
    "four_weeks_ago": Named("same days four weeks ago", _four_weeks_ago),
    "last_period_by_date": Named("same days of the last period", _last_period(from_end=False)),
    "last_period_from_end": Named("last period, counted from its end", _last_period(from_end=True)),
    "trend": Named("trend of the last four weeks", _trend),
    "growth": Named("growth of the last two weeks", _growth),
}
SO_FAR: Final = "period_so_far"  # in place of all of them on an organization's first two days
# Which are trusted until a bill has shown which are right: odd days do not move them.
ROBUST: Final = {"usual_day_of_7d", "usual_day_of_28d", "median_7d", "trimmed_mean_14d"}
# Which take what changed lately for what goes on: an odd day does not make them better than others.
GOES_ON: Final = {"trend", "growth"}


def expected(past: Known) -> Mapping[str, Sequence[float]]:
    """Return what each method that can say so expects of each day ahead, in US dollars."""
    if not known(past.level):
        return {}
    found = {name: named.method(past) for name, named in METHODS.items()}
    return {name: days for name, days in found.items() if days is not None}


def words(name: str) -> str:
    """Return what a method goes by; its name if it is another release's."""
    if name == SO_FAR:
        return "average of the period so far"
    return METHODS[name].words if name in METHODS else name
