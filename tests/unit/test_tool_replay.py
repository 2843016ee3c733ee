"""The days that a file of past answers gives are those that the exporter's ledger has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.extract.values import exact_sum
from exporter.state.ledger import STORED, day_of
from exporter.tool.history_file import Reading
from exporter.tool.replay import Past, at_first_sight, replay
from support.usages import usage

DAY = 86_400.0
HOUR = 3600.0
FIRST = 20_000 * DAY  # a midnight
MONTH = 30 * DAY


def flat(*hours: float, period: float = MONTH) -> list[Reading]:
    """Return answers so many hours after FIRST, at thirty dollars a day."""
    found = []
    for hour in hours:
        now = FIRST + hour * HOUR
        start = now - (now - FIRST) % period
        net = 30.0 * (now - start) / DAY
        found.append(Reading(now, usage(net, start, start + period, fee=net)))
    return found


def past(readings: Sequence[Reading], at: float | None = None) -> Past:
    """Return what was known at a moment, which must be something."""
    found = replay(readings, at)
    assert found is not None
    return found


def spends(found: Past) -> list[float | None]:
    """Return the spend of each day kept, to the cent; None where it is unknown."""
    return [None if day.is_unknown else round(day.spend, 2) for day in found.days.values()]


def test_one_answer_carries_the_month_on_from_its_second_day() -> None:
    """On its first day nothing is known yet: usage is hours late, and 0 would be an all-clear."""
    (early, late) = flat(23.9, 24.0)
    assert at_first_sight(early, 900.0) is None
    found = at_first_sight(late, 600.0)
    assert found is not None
    assert found.usd == pytest.approx(900.0)
    assert found.exhausted == pytest.approx(FIRST + 20 * DAY)
    undated = replace(late.usage, period_start=None)
    assert at_first_sight(late._replace(usage=undated), 600.0) is None


def test_there_is_a_day_for_each_since_the_first_answer() -> None:
    """Today among them, though it is no known day."""
    found = past(flat(*range(1, 100)))
    assert list(found.days) == list(range(day_of(FIRST), day_of(FIRST) + 5))
    assert spends(found) == [30.0, 30.0, 30.0, 30.0, 3.75]
    assert (found.at, found.known) == (FIRST + 99 * HOUR, 4)


def test_more_days_are_kept_than_a_ledger_has_in_memory() -> None:
    """Up to 400, each as it was when the ledger let go of it."""
    found = past(flat(*range(1, 24 * 380, 5), period=1000 * DAY))
    assert spends(found)[:-1] == [30.0] * 379
    assert all(
        day.resources()["fee"].spend == pytest.approx(day.spend) for day in found.days.values()
    )
    found = past(flat(*range(1, 24 * 500, 5), period=1000 * DAY))
    assert len(found.days) == STORED
    assert list(found.days)[-1] == day_of(found.at)
    assert found.known == STORED - 1


def test_the_last_answer_of_a_day_counts_though_none_comes_for_months() -> None:
    """The day before a long gap is as its last answer left it, and unknown from there on."""
    found = past(flat(1, 20, 23.75, 24 * 120))
    assert spends(found)[0] == pytest.approx(29.69, abs=0.01)
    assert spends(found)[1:70] == [None] * 69


def test_days_after_the_last_answer_are_not_known() -> None:
    """When somebody asks for a later moment, and neither is the day of the last answer."""
    readings = flat(*range(1, 60))
    found = past(readings, FIRST + 5 * DAY + HOUR)
    assert spends(found) == [30.0, 30.0, pytest.approx(13.75), None, None, None]
    assert found.known == 2
    assert past(readings).known == 2


def test_what_came_later_is_left_out() -> None:
    """The moment itself is not later."""
    readings = flat(*range(1, 100))
    assert past(readings, FIRST + 50 * HOUR) == past(flat(*range(1, 51)))
    assert replay(readings, FIRST) is None
    assert replay([]) is None


def test_an_estimated_day_is_not_known() -> None:
    """Nor is one of which more than six hours are not."""
    found = past(flat(*range(1, 24), 24 * 4, *range(24 * 4 + 1, 24 * 6)))
    assert spends(found) == [30.0] * 5 + [pytest.approx(28.75)]
    assert found.known == 2  # the first, and the fifth


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 60.0, HOUR, 7 * HOUR, 3 * DAY, 20 * DAY, 70 * DAY]),
        st.integers(0, 500_000).map(lambda cents: cents / 100),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@given(STEPS, st.floats(0, DAY), st.integers(0, 40))
def test_each_period_adds_up_and_no_answer_sees_a_later_one(
    steps: list[tuple[float, float, bool]], hour: float, count: int
) -> None:
    """Over all that is kept, to the cent; and a moment is as if the file ended there."""
    start, now = FIRST + hour, FIRST + hour
    readings = []
    amounts = {}
    for seconds, amount, rolls in steps:
        now += seconds
        if rolls and now > start + 2 * DAY:
            start = now - HOUR
        amounts[start] = amount
        readings += [Reading(now, usage(amount, start))] * 2  # which confirms a fall
    found = past(readings)
    kept = next(iter(found.days)) * DAY
    for period, amount in amounts.items():
        if period >= kept:
            entries = [e for day in found.days.values() for e in day.entries if e.period == period]
            assert abs(exact_sum(e.spend - e.corrections for e in entries) - amount) < 0.005
    some = readings[: 2 * count]
    if some:
        assert replay(readings, some[-1].time) == past(
            [each for each in readings if each.time <= some[-1].time]
        )
