"""How wrong the forecast would have been, at each midnight of a file of past answers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from exporter.forecast.outlook import Said
from exporter.forecast.spikes import Compared
from exporter.model import Forecast
from exporter.state.day_rows import DAY
from exporter.state.ledger import day_of
from exporter.tool.history_file import Reading
from exporter.tool.replay import Book


class Guess(NamedTuple):
    """What the forecast was at a UTC midnight."""

    at: float  # Unix seconds
    answered: float  # Unix seconds, when the last answer until then came
    month_to_date: float  # US dollars, by that answer
    period_start: float | None  # Unix seconds, by it
    forecast: Forecast | None
    said: Sequence[Said]  # by each method
    actual: float | None = None  # the last month to date of the period; None if it has not ended
    # The day that begins, and what was expected of it then; None if nothing was, or while it is not
    # known.
    compared: Compared | None = None


class Score(NamedTuple):
    """How good some guesses were."""

    guesses: int  # those whose period has ended, and above 0
    error: float  # the mean of what they were wrong by, as a share of what the period came to
    within: float  # the share of those between whose bounds the period ended
    below: float  # the share of those whose lower bound was too high


def backtest(readings: Iterable[Reading], book: Book | None = None) -> Iterator[Guess]:
    """Yield what the forecast was at each UTC midnight after the first answer, in order.

    Until that of the last answer. Each uses nothing that came after its midnight. The answers are
    taken into the book, if one is given: it has the days at the end.
    """
    book = Book() if book is None else book
    waiting, ready = list[Guess](), list[Guess]()
    days: dict[int, Compared] = {}
    first = -math.inf
    for reading in readings:
        waiting += _guesses(book, first, reading.time)
        first = reading.time if book.last is None else first
        before, last = book.period_start, book.last
        book.take(reading)
        if last is not None and book.period_start != before:
            ready += (each._replace(actual=last.usage.month_to_date) for each in waiting)
            waiting = []
        today = day_of(reading.time)
        if last is not None and day_of(last.time) != today:
            yesterday = book.yesterday()
            if yesterday is not None and yesterday.compared is not None:
                days[yesterday.day] = yesterday.compared
        while ready and day_of(ready[0].at) < today:
            yield _compared(ready.pop(0), days)
    if book.last is not None:
        waiting += _guesses(book, first, math.nextafter(book.last.time, math.inf))
    yield from (_compared(each, days) for each in (*ready, *waiting))


def _compared(guess: Guess, days: dict[int, Compared]) -> Guess:
    return guess._replace(compared=days.pop(day_of(guess.at), None))


def _guesses(book: Book, first: float, until: float) -> Iterator[Guess]:
    """Yield a guess for each midnight from the last answer on, before a moment."""
    last = book.last
    if last is None:
        return
    midnight = math.ceil(last.time / DAY) * DAY
    if midnight <= first:
        midnight += DAY
    forecast, said = book.forecast, book.said
    while midnight < until:
        spent = last.usage.month_to_date
        yield Guess(float(midnight), last.time, spent, book.period_start, forecast, said)
        midnight += DAY


def scores(guesses: Iterable[Guess]) -> tuple[dict[int, Score], Score]:
    """Return how good guesses were on each day of the period, the first being 1, and in all."""
    by_day: defaultdict[int, list[Guess]] = defaultdict(list)
    for guess in guesses:
        if guess.forecast is not None and guess.actual and guess.period_start is not None:
            by_day[math.floor((guess.at - guess.period_start) / DAY) + 1].append(guess)
    every = [guess for day in by_day.values() for guess in day]
    return {day: _score(by_day[day]) for day in sorted(by_day)}, _score(every)


def _score(guesses: Sequence[Guess]) -> Score:
    errors, within, below = [], 0, 0
    for guess in guesses:
        forecast, actual = guess.forecast, guess.actual
        assert forecast is not None and actual is not None  # noqa: S101, PT018 - for mypy
        errors.append(abs(forecast.usd - actual) / abs(actual))
        # A period that ended where it was expected to is within, whatever adding up rounds.
        slack = abs(actual) * 1e-9
        within += forecast.lower - slack <= actual <= forecast.upper + slack
        below += actual < forecast.lower - slack
    count = len(errors)
    if not count:
        return Score(0, math.nan, math.nan, math.nan)
    return Score(count, math.fsum(errors) / count, within / count, below / count)
