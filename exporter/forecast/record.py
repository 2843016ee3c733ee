"""How wrong each method has been with one organization, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from exporter.forecast.history import History, known
from exporter.forecast.methods import ROBUST

HORIZONS: Final = (1, 3, 7, 14, 28)  # days for which what was expected is compared
FADING: Final = 0.98  # a comparison: newer ones count more
# Before a bill has shown anything, as shares of what was spent: it is as if each method had been
# compared once, and been wrong by so much.
ROBUST_ERROR: Final = 0.15
OTHER_ERROR: Final = 0.3
SHARPNESS: Final = 5  # by which power of its error a method counts less
NEVER_BETTER: Final = 0.005  # of what was spent: no method is trusted beyond that
MISSES: Final = 40  # the newest of the forecast itself, for each horizon
ENOUGH: Final = 8  # of them, for bounds
LOW, HIGH = 0.05, 0.95  # of the misses: what is beyond is rare
MARGIN: Final = 1.3  # of the bounds, since the next miss may be larger than all before
OF_FEW: Final = 8.0  # the fewer misses there are, the more
LEAST: Final = 0.02  # of what is usual in the time ahead
LEAST_DAYS: Final = 0.25  # of what is usual: the last answer of a period comes before its end
A_CENT: Final = 0.01  # US dollars a day: who spends less shows nothing of how wrong a method is
NOTHING_OR_TWICE: Final = 0.0, 2.0  # of what is ahead: bounds while nothing is known


class Expectation(NamedTuple):
    """What was expected on one day of those after it."""

    day: int  # the first of them, in days since 1970
    usual: float  # US dollars a day
    totals: Mapping[str, Sequence[float]]  # by method: US dollars up to each horizon
    blended: Sequence[float]  # the same of the forecast


class Error(NamedTuple):
    """How wrong a method was, on average."""

    total: float  # shares of what is usual, of all comparisons
    compared: float  # how many times

    def plus(self, share: float) -> Error:
        """Return it with a comparison more."""
        return Error(self.total * FADING + share, self.compared * FADING + 1)


NONE: Final = Error(0.0, 0.0)


class Record:
    """What was expected, until it can be compared, and how wrong that was."""

    def __init__(self) -> None:
        self._open: list[Expectation] = []
        self._errors: dict[tuple[str, int], Error] = {}
        self._misses: dict[int, list[float]] = {horizon: [] for horizon in HORIZONS}
        self._until = 0  # days before this one were compared

    def compare(self, history: History, spends: Sequence[float | None]) -> None:
        """Take in the days that are over. `spends` are those of the history, without fees."""
        for expectation in self._open:
            begin = expectation.day - history.first
            for at, horizon in enumerate(HORIZONS):
                if self._until < expectation.day + horizon <= history.until and begin >= 0:
                    self._compare(expectation, at, spends[begin : begin + horizon])
        self._until = max(self._until, history.until)
        self._open = [each for each in self._open if each.day + HORIZONS[-1] > self._until]

    def expect(self, expectation: Expectation) -> None:
        """Note what is expected, unless something was on that day, or hardly anything is usual."""
        if expectation.usual >= A_CENT and not (
            self._open and self._open[-1].day >= expectation.day
        ):
            self._open.append(expectation)

    def _compare(self, expectation: Expectation, at: int, spends: Sequence[float | None]) -> None:
        horizon = HORIZONS[at]
        spent = known(spends)
        if len(spent) < horizon:
            return
        total = math.fsum(spent)
        scale = expectation.usual * horizon
        for name, totals in expectation.totals.items():
            error = self._errors.get((name, horizon), NONE)
            self._errors[name, horizon] = error.plus(abs(totals[at] - total) / scale)
        misses = self._misses[horizon]
        misses.append((total - expectation.blended[at]) / scale)
        del misses[:-MISSES]

    def past_error(self, name: str, days: float) -> float | None:
        """Return by which share of what is usual a method was wrong, for so many days ahead.

        All horizons count, the closer to that the more, but the shortest one fully: it is the first
        to show that something has changed. None if it was never compared.
        """
        total, count = self._error(name, days)
        return total / count if count else None

    def _error(self, name: str, days: float) -> Error:
        total = count = 0.0
        for horizon in HORIZONS:
            error = self._errors.get((name, horizon), NONE)
            near = max(min(horizon / days, days / horizon), 1 / horizon)
            total += near * error.total
            count += near * error.compared
        return Error(total, count)

    def _trust(self, name: str, days: float) -> float:
        """Return the error by which a method is weighed."""
        total, count = self._error(name, days)
        first = ROBUST_ERROR if name in ROBUST else OTHER_ERROR
        return (first + total) / (1 + count) + NEVER_BETTER

    def weights(self, names: Sequence[str], days: float) -> Mapping[str, float]:
        """Return how much each method counts, of 1, for so many days ahead."""
        errors = {name: self._trust(name, days) for name in names}
        best = min(errors.values(), default=1.0)
        shares = {name: (best / error) ** SHARPNESS for name, error in errors.items()}
        total = math.fsum(shares.values())
        return {name: share / total for name, share in shares.items()}

    def bounds(self, days: float) -> tuple[float, float] | None:
        """Return how far what comes in so many days may be below and above what is expected.

        As shares of what is usual; None while too little is known.
        """
        misses = self._nearest(days)
        if misses is None:
            return None
        scale = MARGIN + OF_FEW / len(misses)
        least = max(LEAST, LEAST_DAYS / days)
        return (
            min(_quantile(misses, LOW) * scale, -least),
            max(_quantile(misses, HIGH) * scale, least),
        )

    def _nearest(self, days: float) -> Sequence[float] | None:
        """Return the misses of the horizon that is closest, or of a shorter one if they are few."""
        closest = max(HORIZONS, key=lambda horizon: min(horizon / days, days / horizon))
        for horizon in reversed(HORIZONS):
            if horizon <= closest and len(self._misses[horizon]) >= ENOUGH:
                return self._misses[horizon]
        return None


def _quantile(amounts: Sequence[float], share: float) -> float:
    ordered = sorted(amounts)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
