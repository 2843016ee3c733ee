"""Where a period will end: from answers, through the ledger, to the forecast and its bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.forecast.methods import SO_FAR
from exporter.forecast.outlook import Said
from exporter.metrics.extract.usage import Usage
from exporter.model import Forecast
from exporter.tool.backtest import Guess, backtest, scores
from exporter.tool.history_file import Reading
from exporter.tool.replay import replay
from support import spending
from support.usages import usage

DAY, HOUR = 86_400.0, 3600.0
START = spending.FIRST.timestamp()
MONTH = 31 * DAY  # the first one


def answers(bills: Iterable[spending.Reading]) -> list[Reading]:
    """Return readings as the exporter gets them."""
    return [Reading(t, usage(usd, start, end, **types)) for t, usd, start, end, types in bills]


def forecast(readings: Iterable[Reading], at: float | None = None) -> Forecast:
    """Return the forecast at a moment, which must be there."""
    past = replay(readings, at)
    assert past is not None
    assert past.forecast is not None
    return past.forecast


def said(readings: Iterable[Reading]) -> Sequence[Said]:
    """Return what each method says of them."""
    past = replay(readings)
    assert past is not None
    return past.said


def month(amounts: Sequence[float], step: float = HOUR) -> list[Reading]:
    """Return what month to date was every so many seconds from the period's start on."""
    return [
        Reading(START + number * step, usage(usd, START, START + MONTH))
        for number, usd in enumerate(amounts)
    ]


def test_a_fee_on_the_first_is_not_taken_for_the_pace() -> None:
    """$300 at once, and $28.63 a day: on day five the month is known to end near $1,159."""
    hourly = 859 / (31 * 24)
    found = forecast(month([300 * (hour > 0) + hourly * hour for hour in range(5 * 24 + 1)]))
    assert found.usd == pytest.approx(1159, rel=0.03)
    assert found.lower < 1159 < found.upper


def test_no_lower_bound_takes_a_fee_for_the_pace() -> None:
    """Also on the days before it can be told from one: then nothing is known for sure."""
    hourly = 859 / (31 * 24)
    readings = month([300 * (hour > 0) + hourly * hour for hour in range(31 * 24)])
    for guess in backtest(readings):
        assert guess.forecast is not None
        assert guess.forecast.lower < 1159.5 < guess.forecast.upper + 1


def test_there_is_a_forecast_from_the_first_answer_on() -> None:
    """As the period went so far; before anything was spent, it is month to date."""
    assert forecast(month([0.0]))[:3] == (0.0, 0.0, 0.0)
    found = forecast(month([0.0, 1.0, 2.0]))
    assert found.usd == pytest.approx(31 * 24)
    assert [each.name for each in said(month([0.0, 1.0, 2.0]))] == [SO_FAR]
    assert found.lower == 2.0
    assert found.upper == pytest.approx(2 * (found.usd - 2) + 2)


def test_until_two_days_are_known_it_is_the_period_so_far() -> None:
    """One day may be odd, as with a fee on the first; the pace of two is nearer to the usual."""
    spent = [240 * (hour > 0) + 1.0 * hour for hour in range(73)]
    for hours in (24, 47):
        found = forecast(month(spent[: hours + 1]))
        assert found.usd == pytest.approx(spent[hours] / hours * 31 * 24)
    assert [each.name for each in said(month(spent[:48]))] == [SO_FAR]
    assert forecast(month(spent[:49])).usd < 240 + 31 * 24 * 3


def test_growth_that_begins_after_an_odd_day_is_not_trusted_for_it() -> None:
    """It could say nothing before; that others did not foresee the day does not make it right."""
    hourly = [usd / 24 for usd in [*[10.0] * 9, 120.0, *[10.0] * 8] for _ in range(24)]
    weights = {each.name: each.weight for each in said(month([0.0, *itertools.accumulate(hourly)]))}
    assert weights["growth"] < weights["usual_day_of_28d"]


def test_an_answer_without_dates_has_no_forecast() -> None:
    """Nobody knows when the period will end."""
    for start, end in ((None, START + MONTH), (START, None), (START, START)):
        past = replay([Reading(START + HOUR, usage(5.0, start, end))])
        assert past is not None
        assert past.forecast is None


@pytest.mark.parametrize(
    "last",
    [
        usage(1e12, START, START + MONTH),
        usage(-1e12, START, START + MONTH),
        usage(40.0, START - 30 * DAY, START),
    ],
)
def test_an_answer_that_does_not_count_has_no_forecast(last: Usage) -> None:
    """It is of an earlier period, or an amount is an accident. The next one has one again."""
    readings = month([float(hour) for hour in range(50)])
    readings.append(Reading(START + 50 * HOUR, last))
    past = replay(readings)
    assert past is not None
    assert past.forecast is None
    readings.append(Reading(START + 51 * HOUR, usage(51.0, START, START + MONTH)))
    assert forecast(readings).usd == pytest.approx(31 * 24, rel=0.01)


def test_at_the_end_of_a_period_the_forecast_is_month_to_date() -> None:
    """To the cent, and after it too, while the next period has not begun."""
    hours = 31 * 24
    flat = [float(hour) for hour in range(hours + 5)]
    for late in 0, 4:
        found = forecast(month(flat[: hours + 1 + late]))
        assert found.usd == hours + late


def test_a_period_may_be_of_any_length() -> None:
    """A year has more days than a method looks ahead; what comes after those is as they are."""
    start, end = START, START + 365 * DAY
    hourly = [Reading(START + hour * HOUR, usage(hour, start, end)) for hour in range(20 * 24 + 1)]
    assert forecast(hourly).usd == pytest.approx(365 * 24)
    assert forecast(hourly[:6]).usd == pytest.approx(365 * 24)


def test_the_rest_runs_from_the_last_answer_and_not_from_now() -> None:
    """An outage does not make the month cheaper."""
    readings = month([float(hour) for hour in range(10 * 24)])
    assert forecast(readings) == forecast(readings, START + 13 * DAY)
    assert forecast(readings).usd == pytest.approx(31 * 24, rel=0.01)


def test_a_fee_that_is_expected_is_in_it_until_it_was_seen() -> None:
    """Then it is in month to date, and not counted twice on its day."""
    days = spending.dates(3)
    spends = [10.0 + 300 * (date.of_month == 17) for date in days]
    end = 310.0 + 300
    third = sum(date.month < 2 for date in days)
    start = START + third * DAY
    readings = answers(_hourly(spends))
    for hours in (5 * 24, 16 * 24 - 1, 16 * 24 + 3, 16 * 24 + 23, 20 * 24):
        found = forecast(r for r in readings if r.time <= start + hours * HOUR)
        assert found.usd == pytest.approx(end, rel=0.03), hours
        if hours < 17 * 24:  # nor is a fee to the cent what it was
            assert found.upper - found.usd > 0.019 * 300
            assert found.usd - found.lower > 0.019 * 300 or found.lower == found.usd


def test_a_fee_is_as_uncertain_as_it_was_before() -> None:
    """One that was 40 dollars more the last time may be as much more or less this time."""
    days = spending.dates(3)
    spends = [10.0 + (260 + 40 * date.month) * (date.of_month == 17) for date in days]
    start = START + sum(date.month < 2 for date in days) * DAY
    found = forecast(r for r in answers(_hourly(spends)) if r.time <= start + 12 * DAY)
    assert found.upper - found.usd > 40
    assert found.usd - found.lower > 40


def test_who_has_just_begun_is_not_told_from_days_without_work() -> None:
    """Neither the forecast nor its bounds are far beyond what a bill grew to."""
    days = spending.dates(3)
    spends = [
        0.0 if date.number < 40 else 10 * min(1, 0.1 + (date.number - 40) / 20) for date in days
    ]
    readings = answers(_hourly(spends))
    start = START + 61 * DAY
    for number in (1, 5, 10, 20):
        found = forecast(r for r in readings if r.time <= start + number * DAY)
        assert 0.8 * 310 < found.usd < 1.5 * 310, number
        assert found.upper < 4 * 310, number


def _hourly(spends: Sequence[float]) -> Iterable[spending.Reading]:
    """Yield the bill of each hour; what is above ten dollars comes in the first hour of a day."""
    begun, spent = 0, 0.0
    days = spending.dates(3)
    for number, (date, usd) in enumerate(zip(days, spends, strict=True)):
        if date.of_month == 1:
            begun, spent = number, 0.0
        start = START + begun * DAY
        end = start + (date.of_month + date.left) * DAY
        for hour in range(24):
            part = min(usd, 10.0) * hour / 24 + max(0.0, usd - 10.0) * (hour > 0)
            yield spending.Reading(START + number * DAY + hour * HOUR, spent + part, start, end)
        spent += usd


def test_a_credit_that_comes_back_is_in_the_forecast_and_not_in_the_upper_bound() -> None:
    """It may not come; so the lower bound may be below month to date, and the forecast is not."""
    days = spending.dates(3)
    spends = [-60.0 if date.left == 0 else 10.0 for date in days]
    readings = answers(_hourly(spends))
    before = spending.FIRST.timestamp() + sum(date.month < 2 for date in days) * DAY
    found = forecast(r for r in readings if r.time <= before + 10 * DAY)
    assert found.usd == pytest.approx(300 - 55, rel=0.03)
    assert found.upper > 300
    last = forecast(r for r in readings if r.time <= before + 29 * DAY)
    assert last.usd == pytest.approx(290.0)
    assert last.lower < 250


def test_a_credit_is_as_uncertain_as_it_was_before() -> None:
    """It may be larger by as much as the last one was."""
    days = spending.dates(3)
    spends = [-60.0 - 30 * date.month if date.left == 0 else 10.0 for date in days]
    before = spending.FIRST.timestamp() + sum(date.month < 2 for date in days) * DAY
    found = forecast(r for r in answers(_hourly(spends)) if r.time <= before + 10 * DAY)
    assert found.usd - found.lower > 30


def test_what_was_right_before_counts_most() -> None:
    """With quiet weekends it is the weekday, and how wrong each was is said."""
    found = said(answers(spending.bill("weekend", 1, months=3)))
    best = found[0]
    assert best.name == "weekday"
    assert best.error is not None
    errors = {each.name: each.error for each in found}
    assert best.error == min(error for error in errors.values() if error is not None)
    assert math.fsum(each.weight for each in found) == pytest.approx(1)
    assert found == sorted(found, key=lambda each: -each.weight)


@pytest.mark.parametrize(
    ("pattern", "most"),
    [("weekend", 0.03), ("fee on an anniversary", 0.03), ("free tier", 0.05), ("ramp", 0.05)],
)
def test_months_that_repeat_are_forecast_well(pattern: str, most: float) -> None:
    """From the third month on, on average over all midnights; the bounds hold four in five."""
    guesses = [*backtest(answers(spending.bill(pattern, 3, months=6)))]
    begun = spending.FIRST.timestamp() + 61 * DAY
    _, every = scores(guess for guess in guesses if guess.at >= begun)
    assert every.guesses > 90
    assert every.error < most
    assert every.within > 0.7
    assert every.below < 0.2


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.floats(-50, 500), st.booleans()), min_size=1, max_size=60
    )
)
def test_bounds_are_in_order_and_nothing_looks_ahead(
    steps: list[tuple[int, float, bool]],
) -> None:
    """Whatever was spent, taken back and missed: what comes later changes no earlier forecast."""
    readings, spent, start, now = [], 0.0, START, START
    for hours, usd, rolls in steps:
        now += hours * HOUR
        if rolls and now - start > 20 * DAY:
            start, spent = now - HOUR, 0.0
        spent += usd
        readings.append(Reading(now, usage(spent, start, start + 30 * DAY)))
    whole = [*backtest(readings)]
    for guess in whole:
        found = guess.forecast
        assert found is not None
        assert found.lower <= found.usd <= found.upper < math.inf
        assert found.usd >= guess.month_to_date
    middle = readings[len(readings) // 2].time
    early = [*backtest(r for r in readings if r.time <= middle)]
    days = {guess.at: guess.compared for guess in whole}
    assert all(days[each.at] == each.compared for each in early if each.compared is not None)
    assert [_told(guess) for guess in early] == [
        _told(guess) for guess in whole if guess.at <= middle
    ]
    assert all(b.at - a.at == DAY for a, b in pairwise(whole))


def _told(guess: Guess) -> Guess:
    return guess._replace(actual=None, compared=None)


def test_a_guess_is_compared_with_the_last_amount_of_its_period() -> None:
    """And with none if the file ends before the period does."""
    months = answers(_hourly([10.0] * len(spending.dates(3))))
    guesses = [*backtest(months)]
    assert [guess.at for guess in guesses] == [START + day * DAY for day in range(1, 92)]
    actual = [None if each.actual is None else round(each.actual, 2) for each in guesses]
    assert actual == [309.58] * 30 + [299.58] * 30 + [None] * 31
    by_day, every = scores(guesses)
    assert list(by_day) == list(range(1, 32))
    assert every.guesses == 60
    assert every.error < 0.01
