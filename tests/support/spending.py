"""Made-up bills: how organizations spend, as one reading of month to date after another."""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final, NamedTuple

DAY: Final = 86_400
HOUR: Final = 3_600
FIRST: Final = datetime(2025, 3, 1, tzinfo=UTC)


class Date(NamedTuple):
    """A day of a bill."""

    number: int  # from the first one on
    weekday: int  # Monday is 0
    of_month: int  # 1 is the first
    left: int  # days of the month that come after it
    month: int  # from the first one on


class Reading(NamedTuple):
    """What a good answer said."""

    time: float  # Unix seconds
    month_to_date: float  # US dollars
    period_start: float
    period_end: float
    by_type: Mapping[str, float] = {}  # US dollars before discounts


Spending = Sequence[float]  # US dollars on each day; below 0 it is a credit
Pattern = Callable[[Sequence[Date], Random], Spending]


def dates(months: int) -> Sequence[Date]:
    """Return the days of so many months."""
    found: list[Date] = []
    for month in range(months):
        year, of_year = divmod(FIRST.month - 1 + month, 12)
        _, length = calendar.monthrange(FIRST.year + year, of_year + 1)
        for day in range(1, length + 1):
            number = len(found)
            found.append(Date(number, (FIRST.weekday() + number) % 7, day, length - day, month))
    return found


def readings(
    spending: Spending,
    days: Sequence[Date],
    rng: Random,
    *,
    once_a_day: bool = False,
    types: Mapping[str, Spending] | None = None,
) -> Iterator[Reading]:
    """Yield what the bill was every three hours, but for gaps of some hours and of some days.

    `types` is what was spent of each resource type.
    """
    types = types or {}
    first = FIRST.timestamp()
    missing = _gaps(len(days), rng)
    months: dict[int, list[int]] = {}
    for date in days:
        months.setdefault(date.month, []).append(date.number)
    for numbers in months.values():
        start, end = first + numbers[0] * DAY, first + (numbers[-1] + 1) * DAY
        spent, of_type = 0.0, dict.fromkeys(types, 0.0)
        for number in numbers:
            for hour in (*range(0, 24, 3), 23.75):
                part = 0.0 if once_a_day else hour / 24
                if spending[number] < 0:  # at noon, all at once
                    part = float(hour >= 12)
                time = first + number * DAY + hour * HOUR
                if (number, int(hour)) not in missing:
                    by_type = {
                        name: of_type[name] + part * amounts[number]
                        for name, amounts in types.items()
                    }
                    total = spent + part * spending[number]
                    yield Reading(time, total, start, end, by_type)
            spent += spending[number]
            for name, amounts in types.items():
                of_type[name] += amounts[number]


def _gaps(days: int, rng: Random) -> set[tuple[int, int]]:
    found = set()
    for number in range(days):
        if rng.random() < 0.08:
            hours = range(rng.randrange(3, 12), rng.randrange(12, 24))
            found |= {(number, hour) for hour in hours}
    for _ in range(days // 60):
        begin, length = rng.randrange(days), rng.randrange(1, 4)
        found |= {(n, hour) for n in range(begin, begin + length) for hour in range(25)}
    return found


# --- Patterns -----------------------------------------------------------------------------


def _noise(rng: Random, share: float = 0.08) -> float:
    return max(0.0, rng.gauss(1.0, share))


def _base(rng: Random) -> float:
    return float(10 ** rng.uniform(0.5, 2.5))


def flat(days: Sequence[Date], rng: Random) -> Spending:
    """The same every day."""
    base = _base(rng)
    return [base * _noise(rng) for _ in days]


def weekend(days: Sequence[Date], rng: Random) -> Spending:
    """A fifth at weekends."""
    base = _base(rng)
    return [base * _noise(rng) * (0.2 if date.weekday > 4 else 1.0) for date in days]


def fee_on_the_first(days: Sequence[Date], rng: Random) -> Spending:
    """A fee of many days' spend on each first."""
    base = _base(rng)
    fee = base * rng.uniform(5, 20)
    return [base * _noise(rng) + fee * (date.of_month == 1) for date in days]


def fee_on_an_anniversary(days: Sequence[Date], rng: Random) -> Spending:
    """A fee on one day of each month."""
    base = _base(rng)
    fee, day = base * rng.uniform(5, 20), rng.randrange(4, 28)
    return [base * _noise(rng) + fee * (date.of_month == day) for date in days]


def fee_on_the_last_day(days: Sequence[Date], rng: Random) -> Spending:
    """A fee on the last day of each month."""
    base = _base(rng)
    fee = base * rng.uniform(5, 20)
    return [base * _noise(rng) + fee * (date.left == 0) for date in days]


def two_fees(days: Sequence[Date], rng: Random) -> Spending:
    """One on the first, another at an anniversary."""
    base = _base(rng)
    fees = {1: base * rng.uniform(5, 15), rng.randrange(8, 26): base * rng.uniform(4, 15)}
    return [base * _noise(rng) + fees.get(date.of_month, 0.0) for date in days]


def machines_on_the_first(days: Sequence[Date], rng: Random) -> Spending:
    """A charge for each machine on the first, of which there are ever more."""
    base = _base(rng)
    fee, growth = base * rng.uniform(6, 12), rng.uniform(1.05, 1.2)
    return [
        base * growth ** (date.number / 30) * _noise(rng)
        + fee * growth**date.month * (date.of_month == 1)
        for date in days
    ]


def weekly_burst(days: Sequence[Date], rng: Random) -> Spending:
    """Much on one weekday, little on the others."""
    base, burst = _base(rng), rng.randrange(7)
    return [
        base * _noise(rng, 0.15) * (rng.uniform(6, 10) if date.weekday == burst else 1.0)
        for date in days
    ]


def batch_at_the_months_end(days: Sequence[Date], rng: Random) -> Spending:
    """Most on the last three days of each month."""
    base = _base(rng)
    batch = rng.uniform(6, 12)
    return [base * _noise(rng) * (batch if date.left < 3 else 1.0) for date in days]


def free_tier(days: Sequence[Date], rng: Random) -> Spending:
    """Nothing until the month's free part is used up."""
    base = _base(rng)
    free = base * rng.uniform(6, 14)
    used = 0.0
    found = []
    for date in days:
        if date.of_month == 1:
            used = 0.0
        today = base * _noise(rng)
        found.append(max(0.0, min(today, used + today - free)))
        used += today
    return found


def spikes(days: Sequence[Date], rng: Random) -> Spending:
    """A day of many times as much, now and then."""
    base = _base(rng)
    return [base * _noise(rng) * (rng.uniform(5, 12) if rng.random() < 0.04 else 1.0) for _ in days]


def step_up(days: Sequence[Date], rng: Random) -> Spending:
    """From one day on, a multiple."""
    return _step(days, rng, 1.8, 4)


def step_down(days: Sequence[Date], rng: Random) -> Spending:
    """From one day on, a fraction."""
    return _step(days, rng, 0.2, 0.6)


def _step(days: Sequence[Date], rng: Random, low: float, high: float) -> Spending:
    base, at = _base(rng), rng.randrange(60, 130)
    factor = rng.uniform(low, high)
    return [base * _noise(rng) * (factor if date.number >= at else 1.0) for date in days]


def price_change(days: Sequence[Date], rng: Random) -> Spending:
    """From a first of the month on, somewhat more; weekends are quiet."""
    base, month = _base(rng), rng.randrange(2, 5)
    more = rng.uniform(1.2, 1.6)
    return [
        base
        * _noise(rng)
        * (0.5 if date.weekday > 4 else 1.0)
        * (more if date.month >= month else 1.0)
        for date in days
    ]


def pause(days: Sequence[Date], rng: Random) -> Spending:
    """Nothing for a fortnight."""
    base, at = _base(rng), rng.randrange(50, 120)
    return [base * _noise(rng) * (0.02 if at <= date.number < at + 14 else 1.0) for date in days]


def two_weeks_on_and_off(days: Sequence[Date], rng: Random) -> Spending:
    """Two weeks of work, two weeks of hardly any."""
    base, shift = _base(rng), rng.randrange(28)
    return [base * _noise(rng) * (1.0 if (date.number + shift) // 14 % 2 else 0.1) for date in days]


def ramp(days: Sequence[Date], rng: Random) -> Spending:
    """As much more each day."""
    base, more = _base(rng), rng.uniform(0.008, 0.03)
    return [base * _noise(rng) * (1 + more * date.number) for date in days]


def exponential_growth(days: Sequence[Date], rng: Random) -> Spending:
    """A few in a hundred more each day."""
    base, more = _base(rng), rng.uniform(0.006, 0.02)
    return [base * _noise(rng) * math.exp(more * date.number) for date in days]


def mostly_idle(days: Sequence[Date], rng: Random) -> Spending:
    """Nothing on most days."""
    base = _base(rng)
    return [base * rng.uniform(0.5, 2) if rng.random() < 0.25 else 0.0 for _ in days]


def heavy_tailed(days: Sequence[Date], rng: Random) -> Spending:
    """Any amount, and much more at times."""
    base = _base(rng)
    return [base * math.exp(rng.gauss(0, 1)) for _ in days]


def a_credit(days: Sequence[Date], rng: Random) -> Spending:
    """Once, some days' spend is taken back."""
    base, at = _base(rng), rng.randrange(40, 150)
    credit = base * rng.uniform(4, 10)
    return [-credit if date.number == at else base * _noise(rng) for date in days]


def credit_at_each_months_end(days: Sequence[Date], rng: Random) -> Spending:
    """Some days' spend is taken back on each last day."""
    base = _base(rng)
    credit = base * rng.uniform(3, 8)
    return [-credit if date.left == 0 else base * _noise(rng) for date in days]


def new_organization(days: Sequence[Date], rng: Random) -> Spending:
    """Nothing for some weeks, then it begins and grows into its work."""
    base, at = _base(rng), rng.randrange(3, 80)
    return [
        0.0 if date.number < at else base * _noise(rng) * min(1.0, 0.1 + (date.number - at) / 20)
        for date in days
    ]


PATTERNS: Final[Mapping[str, Pattern]] = {
    each.__name__.replace("_", " "): each
    for each in (
        flat,
        weekend,
        fee_on_the_first,
        fee_on_an_anniversary,
        fee_on_the_last_day,
        two_fees,
        machines_on_the_first,
        weekly_burst,
        batch_at_the_months_end,
        free_tier,
        spikes,
        step_up,
        step_down,
        price_change,
        pause,
        two_weeks_on_and_off,
        ramp,
        exponential_growth,
        mostly_idle,
        heavy_tailed,
        a_credit,
        credit_at_each_months_end,
        new_organization,
    )
}
ONCE_A_DAY: Final = "usage published once a day"


def bill(name: str, seed: int, months: int = 6) -> list[Reading]:
    """Return the readings of a pattern, or of a flat one that is published once a day."""
    rng = Random(f"{name} {seed}")
    days = dates(months)
    spending = PATTERNS.get(name, flat)(days, rng)
    return list(readings(spending, days, rng, once_a_day=name == ONCE_A_DAY))


NAMES: Final = (*PATTERNS, ONCE_A_DAY)
