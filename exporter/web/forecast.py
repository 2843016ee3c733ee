"""Where the month will end, if it goes on as it went.

The `period` pace of the recording rules, which is what can be known without a history: see
docs/adr/0012-rules.md. Prometheus, which has the history, forecasts better.
"""

from __future__ import annotations

from typing import Final, NamedTuple

METHOD: Final = "period_pace"
EARLY_SHARE: Final = 0.1  # of the period, until which its own pace says nothing; as in the rules
DAY: Final = 86_400.0


class Forecast(NamedTuple):
    """A month's end, and what it is made of."""

    usd: float
    pace: float  # US dollars a day
    days_left: float
    elapsed: float  # share of the period, 0 to 1


def elapsed(start: float | None, end: float | None, now: float) -> float | None:
    """Return the share of a period that is over, 0 to 1; None without a period. Unix seconds."""
    if start is None or end is None or end <= start:
        return None
    return min(max((now - start) / (end - start), 0.0), 1.0)


def forecast(
    month_to_date: float, start: float | None, end: float | None, now: float
) -> Forecast | None:
    """Return the forecast, or None if it is too early in the period, or there is none.

    No pace is below 0: nobody expects a credit again.
    """
    gone = elapsed(start, end, now)
    if start is None or end is None or gone is None or gone <= EARLY_SHARE:
        return None
    pace = max(month_to_date, 0.0) / ((now - start) / DAY)
    days_left = max(end - now, 0.0) / DAY
    return Forecast(month_to_date + days_left * pace, pace, days_left, gone)
