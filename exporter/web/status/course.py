"""A picture of the billing period: the month so far, day by day, and where it will end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from exporter.base.plain import HALF_A_CENT
from exporter.model import Forecast, Spend
from exporter.state.day_rows import DAY
from exporter.state.ledger import between, day_of
from exporter.state.spend import period_end
from exporter.web.status import formatting
from exporter.web.summary import USAGE, Summary

WIDTH: Final = 600  # units of the picture
HEIGHT: Final = 180
MARGIN: Final = 4  # above and below what is drawn
# A budget that is more times as high as all else would press that into a line.
TOO_FAR: Final = 3


class Course(NamedTuple):
    """Lines and areas as the data of SVG paths; one that is empty has none. `base` is $0."""

    width: int
    height: int
    base: float
    observed: str
    estimated: str  # of the month so far: days that are estimated
    bounds: str  # an area
    forecast: str
    budget: float | None  # its height, if it is in the picture
    budget_is_above: bool
    start: float  # Unix seconds
    answered: float  # when the last good answer came
    end: float
    words: str


class _Point(NamedTuple):
    """Where the month was at a moment, and whether the way to there is estimated."""

    at: float  # Unix seconds
    usd: float
    is_estimated: bool = False


class _Frame(NamedTuple):
    """What the picture shows: time from left to right, US dollars from below."""

    start: float
    end: float
    low: float
    high: float

    def x(self, at: float) -> float:
        return round((at - self.start) / (self.end - self.start) * WIDTH, 1)

    def y(self, usd: float) -> float:
        share = (usd - self.low) / ((self.high - self.low) or 1.0)
        return round(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN), 1)

    def place(self, at: float, usd: float) -> str:
        return f"{self.x(at)} {self.y(usd)}"


def course(summary: Summary) -> Course | None:
    """Return the picture of the current period; None without a forecast."""
    spend, forecast, spent = summary.state.spend, summary.forecast, summary.month_to_date
    usage = summary.current.get(USAGE)
    if spend is None or forecast is None or spent is None or usage is None:
        return None
    start, end = spend.period_start, period_end(spend)
    if start is None or end is None or not start < end:
        return None
    answered = max(usage.received, start)  # in some time zones it is before
    points = [*_points(spend, start, answered, spent)]
    budget = summary.budget
    usds = [0.0, forecast.lower, forecast.upper, *(point.usd for point in points)]
    budget_is_above = budget is not None and budget > TOO_FAR * max(usds) > 0
    if budget is not None and not budget_is_above:
        usds.append(budget)
    frame = _Frame(start, max(end, answered), min(usds), max(usds))
    here = frame.place(answered, spent)
    above, middle, below = (
        frame.place(frame.end, usd) for usd in (forecast.upper, forecast.usd, forecast.lower)
    )
    return Course(
        WIDTH,
        HEIGHT,
        frame.y(0.0),
        observed=_line(frame, points, is_estimated=False),
        estimated=_line(frame, points, is_estimated=True),
        bounds=f"M{here}L{above}L{below}Z",
        forecast=f"M{here}L{middle}",
        budget=None if budget is None or budget_is_above else frame.y(budget),
        budget_is_above=budget_is_above,
        start=start,
        answered=answered,
        end=end,
        words=_words(summary, forecast, spent, answered, end),
    )


def _points(spend: Spend, start: float, answered: float, spent: float) -> Iterator[_Point]:
    """Yield month to date at the period's start, at the end of each day, and at the last answer."""
    ledger = spend.ledger
    days = {} if ledger is None else between(ledger, day_of(start), day_of(answered))
    of_period = {
        number: (day, entry.spend - entry.corrections)
        for number, day in days.items()
        for entry in day.entries
        if entry.period == start
    }
    counted = spend.month_to_date.baseline
    usd = (spent if counted is None else counted) - sum(moved for _, moved in of_period.values())
    # What was spent before the first day that the ledger has of the period.
    at = start if abs(usd) < HALF_A_CENT else max(start, min(of_period, default=0) * DAY)
    usd = 0.0 if at == start else usd
    yield _Point(at, usd)
    for number, (day, moved) in of_period.items():
        usd += moved
        ends = (number + 1) * DAY
        if at < ends < answered:
            at = ends
            yield _Point(at, usd, not day.is_observed)
    last = days.get(day_of(answered))
    yield _Point(answered, spent, last is not None and not last.is_observed)


def _line(frame: _Frame, points: Sequence[_Point], *, is_estimated: bool) -> str:
    """Return the parts of the line that are estimated, or those that are not."""
    parts, at = [], ""
    for before, point in pairwise(points):
        if point.is_estimated is is_estimated:
            begun = frame.place(before.at, before.usd)
            parts.append("" if at == begun else f"M{begun}")
            at = frame.place(point.at, point.usd)
            parts.append(f"L{at}")
    return "".join(parts)


def _words(summary: Summary, forecast: Forecast, spent: float, answered: float, end: float) -> str:
    usd = formatting.usd
    words = (
        f"Month so far {usd(spent)} at {formatting.moment(answered)}; forecast "
        f"{usd(forecast.usd)} for {formatting.day(end)}, {summary.between} "
        f"{usd(forecast.lower)} and {usd(forecast.upper)}"
    )
    return words if summary.budget is None else f"{words}; budget {usd(summary.budget)}"
