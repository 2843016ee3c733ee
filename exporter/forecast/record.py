"""How wrong each method has been with one organization, and all of them together.

Numbers are kept in single precision, so that what is stored is what is in memory.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from exporter.forecast.history import History, known
from exporter.forecast.methods import GOES_ON, METHODS, ROBUST

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
MARGIN: Final = 1.5  # of the bounds, since the next miss may be larger than all before
OF_FEW: Final = 8.0  # the fewer misses there are, the more
LEAST: Final = 0.02  # of what is usual in the time ahead
LEAST_DAYS: Final = 0.25  # of what is usual: the last answer of a period comes before its end
BEGUN: Final = 3.0  # times what was usual: errors are shares of what is usual by now
A_CENT: Final = 0.01  # US dollars a day: who spends less shows nothing of how wrong a method is
NOTHING_OR_TWICE: Final = 0.0, 2.0  # of what is ahead: bounds while nothing is known

NAMES: Final = tuple(METHODS)
# A record is the first day that was not compared yet and how many misses there are at each horizon;
# the errors of each method at each; the misses; then each expectation that is still to be compared:
# its day, what is usual, and for each horizon ahead what the forecast and each method expects.
_HEAD: Final = struct.Struct(f"<I{len(HORIZONS)}B")
_ERRORS: Final = struct.Struct(f"<{2 * len(NAMES) * len(HORIZONS)}f")
_OPEN: Final = struct.Struct("<If")
_TOTALS: Final = struct.Struct(f"<{1 + len(NAMES)}f")
_SINGLE: Final = struct.Struct("<f")


class Expectation(NamedTuple):
    """What was expected on one day of those after it, in single precision."""

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
        return Error(_single(self.total * FADING + share), _single(self.compared * FADING + 1))


NONE: Final = Error(0.0, 0.0)
NOT_COMPARED: Final = (NONE,) * len(HORIZONS)


def _weights(found: Mapping[str, Error]) -> Mapping[str, float]:
    """Return how much each method counts, of 1, by how wrong it was."""
    most = max([error.compared for error in found.values()], default=0.0)
    whole = [error.total / most for error in found.values() if error.compared == most > 0]
    # A method that could say nothing before would have been no better than the best.
    instead = min(whole, default=0.0)
    errors = {}
    for name, error in found.items():
        first = ROBUST_ERROR if name in ROBUST else OTHER_ERROR
        missed = most - error.compared if name in GOES_ON else 0.0
        total = first + error.total + missed * instead
        errors[name] = total / (1 + missed + error.compared) + NEVER_BETTER
    best = min(errors.values(), default=1.0)
    shares = {name: (best / error) ** SHARPNESS for name, error in errors.items()}
    total = math.fsum(shares.values())
    return {name: share / total for name, share in shares.items()}


@lru_cache(8)  # all organizations that are new have the same
def _untried(names: tuple[str, ...]) -> Mapping[str, float]:
    """Return how much each method counts of which nothing is known."""
    return _weights(dict.fromkeys(names, NONE))


class Record:
    """What was expected, until it can be compared, and how wrong that was."""

    def __init__(self) -> None:
        self._open: list[Expectation] = []
        self._errors: dict[str, list[Error]] = {}  # of a method at each horizon
        self._misses: dict[int, list[float]] = {horizon: [] for horizon in HORIZONS}
        self._until = 0  # days before this one were compared

    @property
    def until(self) -> int:
        """The first day that it has not seen, in days since 1970; 0 if it has seen none."""
        return self._until

    def compare(self, history: History, spends: Sequence[float | None], usual: float) -> None:
        """Take in the days that are over. `spends` are those of the history, without fees.

        `usual` is what is usual by now, in US dollars a day.
        """
        for expectation in self._open:
            begin = expectation.day - history.first
            for at, horizon in enumerate(HORIZONS):
                if self._until < expectation.day + horizon <= history.until and begin >= 0:
                    self._compare(expectation, at, spends[begin : begin + horizon], usual)
        self._until = max(self._until, history.until)
        self._open = [each for each in self._open if each.day + HORIZONS[-1] > self._until]

    def expect(
        self,
        day: int,
        usual: float,
        totals: Mapping[str, Sequence[float]],
        blended: Sequence[float],
    ) -> None:
        """Note what is expected from a day on, as in an Expectation.

        Unless something was on that day, or hardly anything is usual.
        """
        if usual >= A_CENT and not (self._open and self._open[-1].day >= day):
            single = {name: array("f", each) for name, each in totals.items()}
            self._open.append(Expectation(day, _single(usual), single, array("f", blended)))

    def _compare(
        self, expectation: Expectation, at: int, spends: Sequence[float | None], usual: float
    ) -> None:
        horizon = HORIZONS[at]
        spent = known(spends)
        if len(spent) < horizon:
            return
        total = math.fsum(spent)
        # Who has just begun spends many times what was usual, and that says little of a method.
        scale = horizon * (usual if usual > BEGUN * expectation.usual else expectation.usual)
        for name, totals in expectation.totals.items():
            errors = self._errors.setdefault(name, [*NOT_COMPARED])
            errors[at] = errors[at].plus(abs(totals[at] - total) / scale)
        misses = self._misses[horizon]
        misses.append(_single((total - expectation.blended[at]) / scale))
        del misses[:-MISSES]

    def past_error(self, name: str, days: float) -> float | None:
        """Return by which share of what is usual a method was wrong, for so many days ahead.

        All horizons count, the closer to that the more, but the shortest one fully: it is the first
        to show that something has changed. None if it was never compared.
        """
        total, count = self._error(name, days)
        return total / count if count else None

    def _error(self, name: str, days: float) -> Error:
        errors = self._errors.get(name)
        if errors is None:
            return NONE
        total = count = 0.0
        for near, (missed, compared) in zip(_near(days), errors, strict=True):
            total += near * missed
            count += near * compared
        return Error(total, count)

    def weights(self, names: Sequence[str], days: float) -> Mapping[str, float]:
        """Return how much each method counts, of 1, for so many days ahead."""
        if not self._errors:
            return _untried(tuple(names))
        return _weights({name: self._error(name, days) for name in names})

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
            min(quantile(misses, LOW) * scale, -least),
            max(quantile(misses, HIGH) * scale, least),
        )

    def _nearest(self, days: float) -> Sequence[float] | None:
        """Return the misses of the horizon that is closest, or of a shorter one if they are few."""
        closest = max(HORIZONS, key=lambda horizon: min(horizon / days, days / horizon))
        for horizon in reversed(HORIZONS):
            if horizon <= closest and len(self._misses[horizon]) >= ENOUGH:
                return self._misses[horizon]
        return None

    # --- As bytes ---

    def packed(self) -> bytes:
        """Return it as it is kept."""
        counts = [len(self._misses[horizon]) for horizon in HORIZONS]
        errors = [
            number
            for name in NAMES
            for number in chain.from_iterable(self._errors.get(name, NOT_COMPARED))
        ]
        parts = [_HEAD.pack(self._until, *counts), _ERRORS.pack(*errors)]
        parts += [array("f", self._misses[horizon]).tobytes() for horizon in HORIZONS]
        for day, usual, totals, blended in self._open:
            parts.append(_OPEN.pack(day, usual))
            for at in _ahead(day, self._until):
                by_method = [totals[name][at] if name in totals else math.nan for name in NAMES]
                parts.append(_TOTALS.pack(blended[at], *by_method))
        return b"".join(parts)

    @classmethod
    def unpacked(cls, kept: bytes) -> Record:
        """Return what was kept. Raises ValueError if it is no record."""
        try:
            return cls._unpacked(kept)
        except struct.error:
            raise ValueError("not a record of the forecast") from None

    @classmethod
    def _unpacked(cls, kept: bytes) -> Record:
        made = cls()
        made._until, *counts = _HEAD.unpack_from(kept)
        at = _HEAD.size
        numbers = iter(_ERRORS.unpack_from(kept, at))
        at += _ERRORS.size
        for name in NAMES:
            errors = [Error(next(numbers), next(numbers)) for _ in HORIZONS]
            if any(error.compared for error in errors):
                made._errors[name] = errors
        for horizon, count in zip(HORIZONS, counts, strict=True):
            made._misses[horizon] = [*struct.unpack_from(f"<{count}f", kept, at)]
            at += count * _SINGLE.size
        while at < len(kept):
            day, usual = _OPEN.unpack_from(kept, at)
            at += _OPEN.size
            columns = [[0.0] * (1 + len(NAMES)) for _ in HORIZONS]
            for horizon in _ahead(day, made._until):
                columns[horizon] = [*_TOTALS.unpack_from(kept, at)]
                at += _TOTALS.size
            blended, *by_method = zip(*columns, strict=True)
            totals = {
                name: totals
                for name, totals in zip(NAMES, by_method, strict=True)
                if not math.isnan(totals[-1])
            }
            made._open.append(Expectation(day, usual, totals, blended))
        return made


@lru_cache(64)  # one for each horizon, and for how many days periods have left
def _near(days: float) -> Sequence[float]:
    """Return how much each horizon says of so many days ahead, of 1."""
    return [max(min(horizon / days, days / horizon), 1 / horizon) for horizon in HORIZONS]


def _ahead(day: int, until: int) -> range:
    """Return which horizons are still to be compared of what was expected from a day on."""
    passed = sum(day + horizon <= until for horizon in HORIZONS)
    return range(passed, len(HORIZONS))


def _single(number: float) -> float:
    """Return a number in single precision."""
    (found,) = _SINGLE.unpack(_SINGLE.pack(number))
    return float(found)


def quantile(amounts: Sequence[float], share: float) -> float:
    """Return the amount below which so large a share of some is."""
    ordered = sorted(amounts)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
