"""How wrong the forecast is on made-up bills, beside simpler ones from the same answers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Final, NamedTuple

from bench import spikes
from bench.figures import short
from bench.findings import Findings, Setting, Table
from exporter.forecast.history import known, mean, median
from exporter.state.day_rows import DAY, Day
from exporter.tool.backtest import Guess, backtest, scores
from exporter.tool.history_file import Reading
from exporter.tool.replay import Book
from support import spending
from support.usages import usage

SEEDS: Final = 8
MONTHS: Final = 6
LEARNT: Final = 2  # months, after which a fee can have come twice
DATES: Final = spending.dates(MONTHS)
# Where what is to come has nothing to do with what was: bounds from the past cannot hold there.
WITH_A_BREAK: Final = {
    "step up",
    "step down",
    "price change",
    "pause",
    "two weeks on and off",
    "new organization",
    "a credit",
}


def _trimmed(days: Sequence[float | None]) -> float:
    amounts = sorted(known(days[-14:]))
    cut = len(amounts) // 7
    return mean(amounts[cut : len(amounts) - cut])


def _week(days: Sequence[float | None]) -> float:
    return mean(known(days[-7:]))


# What each day that is left is expected to cost, by past days and by the period's pace so far.
BASELINES: Final[Mapping[str, Callable[[Sequence[float | None], float], float]]] = {
    "linear projection": lambda _, pace: pace,
    "mean of a week": lambda days, _: _week(days),
    "trimmed mean of a fortnight": lambda days, _: _trimmed(days),
    "mean of four weeks": lambda days, _: mean(known(days[-28:])),
    "median of week, week before and trimmed fortnight": lambda days, _: median(
        [_week(days), _week(days[:-7]), _trimmed(days)]
    ),
}


class Result(NamedTuple):
    """What came of a pattern's bills."""

    ours: float  # mean error, as a share of what the period came to
    baselines: Mapping[str, float]
    within: float  # the share of the forecasts whose bounds held
    below: float

    @property
    def best(self) -> float:
        """The mean error of the best baseline."""
        return min(self.baselines.values())

    @property
    def ratio(self) -> float:
        """Ours beside that."""
        return self.ours / self.best


class Judged(NamedTuple):
    """A guess, and what the baselines said at its moment."""

    guess: Guess
    said: Mapping[str, float]  # US dollars at the period's end


def run(setting: Setting) -> Findings:
    """Replay bills of each pattern, and forecast at each midnight; on all processors."""
    with ProcessPoolExecutor() as pool:
        bills = product(spending.NAMES, range(setting.some(SEEDS, 2)))
        judged: dict[str, list[Judged]] = {name: [] for name in spending.NAMES}
        for name, found in pool.map(_judged, bills):
            judged[name] += found
        tables = []
        for months in (0, LEARNT):
            results = {pattern: _result(each, months) for pattern, each in judged.items()}
            name, title = (
                ("third", "from the third month on")
                if months
                else ("first", "from the first answer on")
            )
            tables.append(_patterns(f"forecast-{name}", title, results))
            tables.append(_total(f"forecast-{name}-total", title, results))
        tables.append(spikes.run(setting, pool))
    return Findings(tables=tables)


def _judged(of: tuple[str, int]) -> tuple[str, Sequence[Judged]]:
    """Return a pattern's name, and each forecast of a bill of it."""
    name, seed = of
    bill = spending.bill(name, seed, MONTHS)
    ends = {reading.period_start: reading.period_end for reading in bill}
    book = Book()
    guesses = [
        *backtest((Reading(t, usage(usd, start, end)) for t, usd, start, end, _ in bill), book)
    ]
    past = book.past()
    assert past is not None
    found = []
    for guess in guesses:
        assert guess.period_start is not None
        # Without what each method said: it is not judged, and much to hand over.
        short = guess._replace(said=())
        found.append(Judged(short, _baselines(guess, ends[guess.period_start], past.days)))
    return name, found


def _baselines(guess: Guess, end: float, days: Mapping[int, Day]) -> Mapping[str, float]:
    """Return what each baseline says, from days that were over when the last answer came."""
    spends = [
        None if day.is_unknown else day.spend
        for number, day in days.items()
        if number < guess.answered // DAY
    ]
    start = guess.period_start
    assert start is not None
    passed, rest = (guess.answered - start) / DAY, (end - guess.answered) / DAY
    pace = guess.month_to_date / passed if passed else 0.0
    return {
        name: guess.month_to_date + rest * daily(spends, pace) for name, daily in BASELINES.items()
    }


def _result(of_bills: Sequence[Judged], months: int) -> Result:
    begin = spending.FIRST.timestamp() + sum(date.month < months for date in DATES) * DAY
    judged = [each for each in of_bills if each.guess.at >= begin and each.guess.actual]
    _, every = scores(guess for guess, _ in judged)
    errors = {
        name: mean([abs(said[name] / guess.actual - 1) for guess, said in judged if guess.actual])
        for name in BASELINES
    }
    return Result(every.error, errors, every.within, every.below)


def _patterns(name: str, title: str, results: Mapping[str, Result]) -> Table:
    rows = [
        [
            f"{pattern} *" if pattern in WITH_A_BREAK else pattern,
            *map(_percent, (each.ours, each.best)),
            short(each.ratio),
            *map(_percent, (each.within, each.below)),
        ]
        for pattern, each in results.items()
    ]
    columns = (title, "forecast", "best of five", "ratio", "within bounds", "below")
    return Table(name, columns, rows)


def _total(name: str, title: str, results: Mapping[str, Result]) -> Table:
    ours = mean([each.ours for each in results.values()])
    errors = {name: mean([r.baselines[name] for r in results.values()]) for name in BASELINES}
    steady = [each for name, each in results.items() if name not in WITH_A_BREAK]
    rows = [
        ["mean error of the forecast", _percent(ours)],
        *([f"mean error of the {name}", _percent(error)] for name, error in errors.items()),
        ["beside the best of them", short(ours / min(errors.values()))],
        [
            "geometric mean of the ratios",
            short(statistics.geometric_mean(each.ratio for each in results.values())),
        ],
        ["within the bounds, without a break (*)", _percent(mean([r.within for r in steady]))],
    ]
    return Table(name, (f"all, {title}", ""), rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
