"""The picture of a billing period: the month so far, the forecast with its bounds, the budget."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from exporter.state.day_rows import Day
from exporter.web.status.course import HEIGHT, MARGIN, TOO_FAR, WIDTH, Course, course
from exporter.web.status.formatting import usd
from exporter.web.summary import Summary
from support.ledgers import OF_PERIOD, PERIOD_START, day, with_days
from support.reader import organization
from support.status import CONTEXT, DAY, page, state, usage

STEADY = {ago: day(10.0) for ago in range(1, OF_PERIOD + 1)}
FULL = HEIGHT - 2 * MARGIN


def drawn(days: Mapping[int, Day], budget: float | None = None) -> tuple[Summary, Course]:
    """Return an organization with these days, and its picture."""
    summary = Summary(with_days(days, budget=budget), CONTEXT)
    found = course(summary)
    assert found is not None
    return summary, found


def points(path: str) -> list[tuple[float, float]]:
    """Return the points of a path."""
    found = re.findall(r"[ML]([\d.]+) (-?[\d.]+)", path)
    return [(float(x), float(y)) for x, y in found]


def height(summary: Summary, amount: float) -> float:
    """Return where an amount is, if the upper bound is the highest and $0 the lowest."""
    assert summary.forecast is not None
    return round(HEIGHT - MARGIN - amount / summary.forecast.upper * FULL, 1)


def test_the_month_so_far_is_drawn_to_where_forecast_and_bounds_begin() -> None:
    """And those end at the period's end, at their amounts."""
    summary, found = drawn(STEADY)
    forecast = summary.forecast
    assert forecast is not None
    line = points(found.observed)
    assert line[0] == (0.0, height(summary, 0.0))
    assert line[-1] == (WIDTH / 2, height(summary, 150.0)), "half of the period is over"
    end = float(WIDTH)
    assert points(found.forecast) == [line[-1], (end, height(summary, forecast.usd))]
    upper, lower = height(summary, forecast.upper), height(summary, forecast.lower)
    assert points(found.bounds) == [line[-1], (end, upper), (end, lower)]
    assert found.estimated == ""
    assert found.base == height(summary, 0.0)


def test_each_day_of_the_ledger_is_a_step_of_the_line() -> None:
    """At its end the month is what its days add up to; those of the period before do not count."""
    before = {OF_PERIOD + 1: day(99.0, period=PERIOD_START - 30 * DAY)}
    summary, found = drawn({**STEADY, 3: day(40.0), **before})
    sums = [0.0, *(10.0 * n for n in range(1, 13)), 160.0, 170.0, 180.0, 180.0]
    expected = [height(summary, each) for each in sums]
    assert [y for _, y in points(found.observed)] == expected


def test_estimated_days_are_a_line_of_their_own() -> None:
    """Between those that were observed."""
    _, found = drawn({**STEADY, 4: day(10.0, estimated=9.0), 5: day(10.0, estimated=9.0)})
    estimated = points(found.estimated)
    assert len(estimated) == 3
    assert found.observed.count("M") == 2
    observed = points(found.observed)
    assert estimated[0] in observed
    assert estimated[-1] in observed


def test_a_credit_takes_the_line_down_below_nothing_too() -> None:
    """Then $0 is above the lowest of the picture."""
    _, found = drawn({**STEADY, 10: day(10.0, corrections=100.0)})
    heights = [y for _, y in points(found.observed)]
    assert max(heights) == HEIGHT - MARGIN
    assert found.base < HEIGHT - MARGIN


def test_a_budget_is_a_line_unless_it_is_far_above() -> None:
    """All else would be a line at the bottom."""
    summary, found = drawn(STEADY, budget=200.0)
    assert found.budget == height(summary, 200.0)
    assert summary.forecast is not None
    far = TOO_FAR * summary.forecast.upper * 1.01
    _, found = drawn(STEADY, budget=far)
    assert found.budget is None
    assert found.budget_is_above
    assert "above the range of this picture" in page(with_days(STEADY, budget=far)).text
    assert "Budget:" not in page(with_days(STEADY)).text


def test_the_words_have_the_numbers_of_the_forecast() -> None:
    """For those who do not see it, and on the page."""
    summary, found = drawn(STEADY, budget=200.0)
    forecast = summary.forecast
    assert forecast is not None
    assert found.words == (
        f"Month so far $150.00 at 2026-11-23 12:00:00 UTC; forecast {usd(forecast.usd)} for "
        "2026-12-08, four times out of five, it ends between "
        f"{usd(forecast.lower)} and {usd(forecast.upper)}; budget $200.00"
    )
    text = page(with_days(STEADY, budget=200.0)).text
    assert found.words in text
    assert f"between {usd(forecast.lower)} and {usd(forecast.upper)}\n" in text


def test_without_a_past_nobody_knows_how_often_the_bounds_hold() -> None:
    """As in the first hour: no method has been compared with anything."""
    new = state(None, usage(10.0))
    summary = Summary(new, CONTEXT)
    found, forecast = course(summary), summary.forecast
    assert found is not None
    assert forecast is not None
    between = f"{usd(forecast.lower)} and {usd(forecast.upper)}"
    assert f", with no history to judge by, it may end between {between}" in found.words
    assert f"With no history to judge by, it may end between {between}\n" in page(new).text


@pytest.mark.parametrize("spent", [0.0, 10.0])
def test_in_the_first_hour_the_line_is_estimated(spent: float) -> None:
    """From the period's start on; nothing spent is a line at the bottom."""
    found = course(Summary(state(None, usage(spent)), CONTEXT))
    assert found is not None
    line = points(found.estimated if spent else found.observed)
    assert line[0][0] == 0.0
    assert line[-1][0] == WIDTH / 2


def test_without_a_forecast_there_is_no_picture() -> None:
    """As while the month is withdrawn."""
    who = organization(max_age=3600.0)
    assert course(Summary(state(who), CONTEXT)) is None
    assert course(Summary(state(who, usage(1.0), received=-1e6), CONTEXT)) is None
