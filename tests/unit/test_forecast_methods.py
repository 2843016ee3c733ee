"""Each method is what its name says, so that a person can follow it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from exporter.forecast.history import Place
from exporter.forecast.methods import AHEAD, METHODS, ROBUST, Known, expected

WEEK = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]  # the first day ahead is as its first one
MONTH = 30  # days


def known(spends: Sequence[float | None], level: int = 0) -> Known:
    """Return what is known after these days, in months of thirty days that begin with the first."""
    places = [Place(day % MONTH, MONTH - 1 - day % MONTH) for day in range(len(spends) + AHEAD)]
    count = len(spends)
    return Known(count, spends, spends[level:], places[:count], places[count:])


def ahead(name: str, past: Known) -> Sequence[float]:
    """Return what a method expects of each day ahead."""
    found = METHODS[name].method(past)
    assert found is not None
    assert len(found) == AHEAD
    return found


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("usual_day_of_7d", 350 / 6),  # without the day of 500
        ("usual_day_of_28d", (280 * 3 + 350) / 27),
        ("median_7d", 60.0),
        ("trimmed_mean_14d", (280 + 850 - 500 - 90 - 10 - 20) / 10),  # two cut on each side
        ("mean_28d", (280 * 3 + 850) / 28),
        ("mean_56d", (280 * 7 + 850) / 56),
    ],
)
def test_means_and_medians_are_the_same_every_day(name: str, usd: float) -> None:
    """Over as many days as they are called."""
    last = [30.0, 40.0, 50.0, 60.0, 80.0, 90.0, 500.0]
    found = ahead(name, known([*WEEK * 7, *last]))
    assert len(set(found)) == 1
    assert found[0] == pytest.approx(usd)


@pytest.mark.parametrize("name", sorted(ROBUST))
def test_a_first_day_that_is_odd_moves_none_that_are_trusted(name: str) -> None:
    """A fee on the first is in it: two or three other days are enough to tell."""
    assert set(ahead(name, known([130.0, 10.0, 10.0]))) == {10.0}
    if name != "trimmed_mean_14d":
        assert set(ahead(name, known([130.0, 10.0]))) == {10.0}


def test_weekdays_are_those_of_the_last_four_weeks() -> None:
    """Whatever the weekday of the first day ahead is."""
    for shift in range(7):
        spends = [*WEEK * 6, *WEEK[:shift]]
        assert ahead("weekday", known(spends))[: 2 * 7] == [*WEEK[shift:], *WEEK, *WEEK][: 2 * 7]


def test_a_weekday_that_was_never_seen_says_nothing() -> None:
    """So the method does not, until there is a week."""
    assert "weekday" not in expected(known(WEEK[:6]))
    assert "weekday" in expected(known(WEEK))
    unknown = [None, *WEEK[1:]]
    assert "weekday" not in expected(known(unknown * 4))


def test_four_weeks_ago_comes_again() -> None:
    """And after four weeks once more; an unknown day is as the mean."""
    spends: list[float | None] = [float(day) for day in range(40)]
    assert ahead("four_weeks_ago", known(spends)) == [*range(12, 40), *range(12, 19)]
    spends[12] = None
    assert ahead("four_weeks_ago", known(spends))[0] == pytest.approx(sum(range(13, 40)) / 27)


def test_the_last_period_comes_again_by_date_and_from_its_end() -> None:
    """Days of this period that are over count in place of those of the last one."""
    spends = [float(day) for day in range(MONTH + 10)]
    assert ahead("last_period_by_date", known(spends))[:20] == list(range(10, 30))
    short = known(spends)._replace(  # a month of twenty days
        ahead=[Place(10 + day, 9 - day) for day in range(10)] + [Place(0, 19)] * 25
    )
    assert ahead("last_period_from_end", short)[:10] == list(range(20, 30))


def test_a_trend_goes_on_ever_less() -> None:
    """And never below zero."""
    rising = ahead("trend", known([float(day) for day in range(28)]))
    assert rising[0] == pytest.approx(27.95)
    steps = [after - before for before, after in itertools.pairwise(rising)]
    assert steps == sorted(steps, reverse=True)
    assert rising[-1] < 27 + 20
    assert min(ahead("trend", known([28.0 - day for day in range(28)]))) == 0.0
    assert "trend" not in expected(known([1.0] * 13))


def test_growth_goes_on_ever_less() -> None:
    """At most twice from one fortnight to the next."""
    growing = ahead("growth", known([1.1**day for day in range(28)]))
    assert 1.1**28 * 0.5 < growing[0] < 1.1**28
    assert growing == sorted(growing)
    assert growing[-1] < growing[0] * 2**2.5


def test_days_of_an_older_level_are_left_out() -> None:
    """By all that look at the level, and not by those that compare periods."""
    past = known([10.0] * 40 + [50.0] * 10, level=40)
    found = expected(past)
    assert {name for name, days in found.items() if set(days) == {50.0}} == {
        "usual_day_of_7d",
        "usual_day_of_28d",
        "median_7d",
        "trimmed_mean_14d",
        "mean_28d",
        "mean_56d",
        "weekday",
    }
    assert set(found["four_weeks_ago"]) == {10.0, 50.0}


def test_without_a_known_day_there_is_no_method() -> None:
    """Zero is an amount, unknown is none."""
    assert expected(known([])) == {}
    assert expected(known([None, None])) == {}
    assert set(expected(known([0.0]))["mean_28d"]) == {0.0}
