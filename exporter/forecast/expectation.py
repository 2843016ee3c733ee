"""What a day should cost, said before it begins, and above which amount it is a spike."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.forecast.history import WEEK
from exporter.forecast.record import quantile
from exporter.state.day_rows import DAY, Day

KEPT: Final = 42  # days: the past errors that say what is usual
NINTH_DECILE: Final = 0.9
TWICE: Final = 2.0  # that error: what is more is no usual error
ERRATIC: Final = 3.0  # the same, at most: the larger the errors are, the more
REGULAR: Final = 0.5  # of what is expected: up to here the errors of days are those of a pattern
QUARTER: Final = 0.25  # of what is expected: less is no spike, however regular the days are
LEAST: Final = 1.0  # US dollars: less is no spike, however little the days cost
HALF: Final = 0.5  # of a usual day: a day of which less is expected is measured by it

_DAY: Final = struct.Struct("<Idd")  # its number, what was expected, and the limit; NaN for none


class Limit(NamedTuple):
    """What the organization is expected to spend on a day, in US dollars."""

    usd: float
    upper: float  # more than that is a spike; NaN while seven days are not known


class Expectations:
    """What the last days were expected to cost, each said before it began."""

    def __init__(self) -> None:
        self._limits: dict[int, Limit] = {}

    def on(self, day: int) -> Limit | None:
        """Return what a day was expected to cost; None if nothing was, or too little known."""
        limit = self._limits.get(day)
        return None if limit is None or math.isnan(limit.upper) else limit

    def expect(
        self, days: Mapping[int, Day], day: int, usd: float, usual: float, fee_before: float = 0.0
    ) -> Limit | None:
        """Note what a day is expected to cost, and return it with its limit.

        `days` are those before it, `usual` is what a usual one of them costs, and `fee_before` what
        the last of them had of fees. What was said of a day first stays. None until seven days are
        known.
        """
        if day in self._limits:
            return self.on(day)
        observed = {
            number: _spend(each)
            for number, each in days.items()
            if day - KEPT <= number < day and each.is_observed
        }
        if not observed:  # nor is it an error if nothing was known
            return None
        upper = math.nan
        if len(observed) >= WEEK:
            upper = self._upper(observed, day, usd, usual, fee_before)
        self._limits[day] = Limit(usd, upper)
        for old in sorted(self._limits)[:-KEPT]:
            del self._limits[old]
        return self.on(day)

    def _upper(
        self, spends: Mapping[int, float], day: int, usd: float, usual: float, fee_before: float
    ) -> float:
        # Errors grow with the day: on that of a weekly burst they are those of the burst.
        least = HALF * usual
        errors = [
            abs(spends[number] - limit.usd) / scale
            for number, limit in self._limits.items()
            if number in spends and (scale := max(limit.usd, least)) > 0
        ]
        error = quantile(errors, NINTH_DECILE) if errors else 0.0
        times = min(TWICE + max(error - REGULAR, 0.0), ERRATIC)

        def margin(expected: float) -> float:
            return max(times * error * max(expected, least), QUARTER * expected, LEAST)

        # The day after a spike that costs as much is no second one: it may be a new level. A fee is
        # none.
        before, spent = self._limits.get(day - 1), spends.get(day - 1, 0.0) - fee_before
        if before is not None and spent > before.usd + margin(before.usd):
            return max(usd + margin(usd), spent * (1 + QUARTER))
        return usd + margin(usd)

    def packed(self) -> bytes:
        """Return it as it is stored: 20 bytes a day."""
        return b"".join(_DAY.pack(day, *limit) for day, limit in self._limits.items())

    @classmethod
    def unpacked(cls, row: bytes) -> Expectations:
        """Return what was packed; nothing if that is damaged."""
        found = cls()
        if len(row) % _DAY.size == 0:
            for day, usd, upper in _DAY.iter_unpack(row):
                found._limits[day] = Limit(usd, upper)
        return found


def _spend(day: Day) -> float:
    """Return what was spent on a day, as if hours that are unknown were like the others."""
    return day.spend * DAY / (DAY - day.unknown)
