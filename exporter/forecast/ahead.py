"""From an organization's counters and days to its forecast, with each good answer.

What is made once a day is in `Spend.outlook`, and survives a restart. The forecast itself is made
with each answer, in some microseconds. Amounts are US dollars, moments Unix seconds.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from exporter.forecast import kept, spikes
from exporter.forecast.expectation import Expectations
from exporter.forecast.forecast import Begun, Learned, begin
from exporter.forecast.history import Period
from exporter.forecast.kept import Brief, Kept, Middle
from exporter.forecast.outlook import Answered, Outlook, Said
from exporter.forecast.record import Record
from exporter.forecast.spikes import Compared
from exporter.model import ExpectedDay, Forecast, Ledger, Spend
from exporter.state.day_rows import DAY, NOTHING, UNKNOWN, Day, sound
from exporter.state.ledger import between, day_of
from exporter.state.spend import TOO_LARGE, period_end

LEARNED: Final = 8  # days at once, of those that are there without what was learned from them


def look_ahead(spend: Spend, at: float, before: Forecast | None, wait: float = 0.0) -> Spend:
    """Return counters and days with what is expected after an answer that they have taken in.

    That is made once in each period and on each day, but not in the first `wait` seconds of a day.
    The answer came at `at`, and `before` is the forecast of the one before.
    """
    ledger, period = spend.ledger, _period(spend)
    if ledger is None or period is None or spend.paused is not None:
        return spend
    known, day = kept.brief(spend.outlook), ledger.windows.answered
    middle, error = _noted(known, spend, period, at, before)
    if known is not None and known.outlook.period == period:
        waits = known.outlook.day == day - 1 and at - day * DAY < wait
        if waits or (known.outlook.day == day and not known.is_learning):
            if middle == known.middle:
                return spend
            if (whole := kept.unpacked(spend.outlook)) is not None:
                return replace(spend, outlook=whole._replace(middle=middle).packed())
    learned, is_learning = _learned(spend)
    begun, is_learning = _begun(learned, ledger, period, is_learning=is_learning)
    record, said = (each.packed() for each in learned)
    made = Kept(*begun, record, said, middle, error, is_learning)
    return replace(spend, outlook=made.packed())


def forecast(
    spend: Spend | None,
    at: float,
    month_to_date: float | None,
    budget: float | None = None,
    before: Forecast | None = None,
) -> Forecast | None:
    """Return what is to be expected after the last good answer, which counters have taken in.

    None if nothing is known of the period that it is of, or it has no month to date. `before` is
    the forecast of the answer before, if the budget was the same then.
    """
    found = _known(spend, at, month_to_date)
    if spend is None or found is None:
        return None
    known, answered = found
    outlook, exhausted, is_over, is_estimated = known.outlook, None, False, False
    usd, lower, upper = outlook.end(answered)
    if budget is not None:
        is_over = answered.month_to_date >= budget and answered.month_to_date > 0
        if not is_over:
            exhausted = outlook.reached(answered, budget) if upper >= budget else None
        elif before is not None and before.is_over and _is_of(outlook.period, before.exhausted):
            exhausted, is_estimated = before.exhausted, before.is_exhausted_estimated
        else:
            exhausted, is_estimated = _used_up(spend, answered, budget)
    days = _expected_days(outlook, spend)
    return Forecast(
        usd,
        lower,
        upper,
        outlook.method,
        exhausted,
        is_over,
        known.past_error,
        *days,
        is_exhausted_estimated=is_estimated,
    )


def said(spend: Spend | None, at: float, month_to_date: float | None) -> Sequence[Said]:
    """Return what each method says, those that count most first; nothing without a forecast."""
    found = _known(spend, at, month_to_date)
    if found is None:
        return ()
    known, answered = found
    whole = None if spend is None else kept.unpacked(spend.outlook)
    return () if whole is None else known.outlook.said(whole.basis, answered)


def compared(
    spend: Spend | None, days: Mapping[int, Day], first: int, until: int
) -> Mapping[int, Compared]:
    """Return how days from one to before another compare with what was expected of them.

    `days` are those of the ledger. A day of which nothing was expected, or which is estimated or
    unknown, is not among them.
    """
    whole = None if spend is None else kept.unpacked(spend.outlook)
    if whole is None:
        return {}
    said = Expectations.unpacked(whole.said)
    found = spikes.expectations(days, first, until, whole.outlook.period, said)
    every = {number: spikes.compared(days[number], day) for number, day in found.items()}
    return {number: day for number, day in every.items() if day is not None}


def _known(
    spend: Spend | None, at: float, month_to_date: float | None
) -> tuple[Brief, Answered] | None:
    """Return what is expected, and an answer, if that is of the period that it is expected of."""
    if spend is None or spend.ledger is None or spend.paused is not None:
        return None
    if month_to_date is None or not abs(month_to_date) < TOO_LARGE:
        return None
    known = kept.brief(spend.outlook)
    if known is None or known.outlook.period != _period(spend):
        return None
    today = NOTHING
    if known.outlook.fees or known.outlook.credit:
        today = sound(spend.ledger.row)
    # A clock that was set back may show a day before the one that the answer is noted on.
    at = max(at, known.outlook.day * DAY)
    return known, Answered(at, month_to_date, today.spend, today.corrections)


def _is_of(period: Period, moment: float | None) -> bool:
    return moment is not None and moment >= period.start


def _period(spend: Spend) -> Period | None:
    start, end = spend.period_start, period_end(spend)
    return None if start is None or end is None or end <= start else Period(start, end)


def _expected_days(outlook: Outlook, spend: Spend) -> tuple[ExpectedDay | None, ExpectedDay | None]:
    """Return what the day before the last good answer was expected to cost, and what its day is."""
    ledger = spend.ledger
    if ledger is None or ledger.windows.answered == outlook.day:
        return outlook.day_before, outlook.on_it
    before = ledger.windows.answered - 1
    if before != outlook.day or not between(ledger, before, before)[before].is_observed:
        return None, None
    return outlook.on_it, None


def _used_up(spend: Spend, answered: Answered, budget: float) -> tuple[float, bool]:
    """Return when month to date came to the budget, by the days of its period.

    What was spent before the first of them was spent by then. And whether that is an estimate, as
    nobody saw what the day cost.
    """
    start, ledger = spend.period_start, spend.ledger
    days = {} if ledger is None else between(ledger, 0, day_of(answered.at))
    moved = {
        number: entry
        for number, day in days.items()
        for entry in day.entries
        if entry.period == start
    }
    spent = answered.month_to_date - sum(each.spend - each.corrections for each in moved.values())
    first = min(moved, default=day_of(answered.at))
    found, is_estimated = max(first * DAY, start or 0.0), True
    for number, entry in moved.items():
        usd = entry.spend - entry.corrections
        after = spent + usd
        if spent < budget <= after:
            since = max(number * DAY, start or 0.0)
            until = min((number + 1) * DAY, answered.at)
            found = since + (until - since) * (budget - spent) / usd
            is_estimated = entry.estimated > 0
        spent = after
    return min(found, answered.at), is_estimated


# --- Once a day ---------------------------------------------------------------------------


def _noted(
    known: Brief | None, spend: Spend, period: Period, now: float, before: Forecast | None
) -> tuple[Middle, float | None]:
    """Return what was expected at the period's middle, and how wrong that of the last one was."""
    if known is None:
        return Middle(is_past=now >= period.middle), None
    middle, of = known.middle, known.outlook.period
    if not middle.is_past and now >= of.middle:
        middle = Middle(is_past=True, usd=None if before is None else before.usd)
    if of.start == period.start:
        return middle, known.past_error
    error, closed = None, spend.closed.last
    if middle.usd is not None and closed is not None and closed.start == of.start:
        error = middle.usd / closed.usage - 1 if closed.usage > 0 else None
    return Middle(is_past=now >= period.middle), error


def _learned(spend: Spend) -> tuple[Learned, bool]:
    """Return what was learned, and whether there is more to learn; nothing if it is damaged."""
    if (whole := kept.unpacked(spend.outlook)) is not None:
        with suppress(ValueError):
            said = Expectations.unpacked(whole.said)
            return Learned(Record.unpacked(whole.record), said), whole.is_learning
    return Learned.nothing(), True


def _begun(
    learned: Learned, ledger: Ledger, period: Period, *, is_learning: bool
) -> tuple[Begun, bool]:
    """Return what is expected from the day of the last good answer on.

    And whether there are days that there is still something to learn from. Of the day itself, it is
    learned when there are none.
    """
    day = ledger.windows.answered
    days = between(ledger, 0, day)
    if is_learning:
        lessons = _lessons(learned.record, days, day, period)
        for number, its_period in lessons[:LEARNED]:
            begin(learned, days, number, its_period)
        is_learning = len(lessons) > LEARNED
    if is_learning:  # a copy, which is thrown away
        record, said = (each.packed() for each in learned)
        learned = Learned(Record.unpacked(record), Expectations.unpacked(said))
    return begin(learned, days, day, period), is_learning


def _lessons(
    record: Record, days: Mapping[int, Day], day: int, period: Period
) -> Sequence[tuple[int, Period]]:
    """Return the days before one on which the forecast would have been made, with their periods."""
    starts = {entry.period for each in days.values() for entry in each.entries if entry.period}
    begun = sorted({period.start} | starts)
    found = []
    for number in range(max(record.until, min(days, default=day) + 1), day):
        at = bisect.bisect_right([day_of(start) for start in begun], number) - 1
        if at >= 0 and days.get(number, UNKNOWN).is_observed:
            end = begun[at + 1] if at + 1 < len(begun) else period.end
            found.append((number, Period(begun[at], end)))
    return found
