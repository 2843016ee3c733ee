"""What a day should cost, said before it begins, and above which amount it is a spike."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.forecast.expectation import KEPT, Expectations, Limit
from exporter.forecast.forecast import Learned, begin
from exporter.forecast.history import Period
from exporter.state.day_rows import DAY, UNKNOWN, Day, Entry
from support import shocks

BEGAN = 20_000  # in days since 1970
MONTH = 30


def day_of(usd: float | None, number: int = 0, estimated: float = 0.0) -> Day:
    """Return a day of periods of thirty days; unknown if it has no amount."""
    if usd is None:
        return UNKNOWN
    period = float((BEGAN + number - number % MONTH) * DAY)
    return Day(0.0, (Entry(period, usd, 0.0, estimated, {}),))


def said(spends: Sequence[float | None]) -> list[Limit | None]:
    """Return what is expected of each day before it begins, and of the one after the last."""
    learned = Learned.nothing()
    days = {BEGAN + number: day_of(usd, number) for number, usd in enumerate(spends)}
    found = []
    for number in range(len(spends) + 1):
        start = BEGAN + number - number % MONTH
        period = Period(float(start * DAY), float((start + MONTH) * DAY))
        before = {day: each for day, each in days.items() if day < BEGAN + number}
        expected = begin(learned, before, BEGAN + number, period).outlook.on_it
        found.append(None if expected is None else Limit(expected.usd, expected.upper))
    return found


def limit_after(expected: float, spent: float, days: int = 20) -> Limit:
    """Return the limit after days of which as much was expected, and as much spent."""
    expectations = Expectations()
    past: dict[int, Day] = {}
    for number in range(days):
        expectations.expect(past, BEGAN + number, expected, expected)
        past[BEGAN + number] = day_of(spent, number)
    limit = expectations.expect(past, BEGAN + days, expected, expected)
    assert limit is not None
    return limit


def test_the_day_after_a_fee_has_the_usual_limit() -> None:
    """The day after any other spike, as much again is no second one."""
    days = [10.0] * 29
    edge = said([*days, 200.0])[-1]
    other = said([*days[:14], 200.0])[-1]
    assert edge is not None
    assert other is not None
    assert edge.upper < 20
    assert other.upper == 250.0


def test_nothing_is_expected_until_seven_days_are_known() -> None:
    """One that is unknown does not count."""
    found = said([10.0, 10.0, None, *[10.0] * 6])
    assert [each is None for each in found] == [True] * 8 + [False] * 2


def test_days_that_are_all_the_same_leave_a_quarter() -> None:
    """And a dollar at least, for days that cost hardly anything or nothing."""
    assert said([10.0] * 20)[-1] == pytest.approx((10.0, 12.5))
    assert said([0.1] * 20)[-1] == pytest.approx((0.1, 1.1))
    assert said([0.0] * 20)[-1] == pytest.approx((0.0, 1.0))


def test_twice_the_usual_error_is_no_spike() -> None:
    """The errors are shares of what was expected; if they are large, it is more than twice."""
    assert limit_after(10.0, 14.0) == pytest.approx((10.0, 18.0))
    assert limit_after(10.0, 6.0) == pytest.approx((10.0, 18.0))
    assert limit_after(10.0, 20.0).upper == pytest.approx(10 + 2.5 * 10)
    assert limit_after(10.0, 50.0, days=8).upper >= 10 + 3 * 40


def test_errors_are_those_of_days_on_which_as_much_is_expected() -> None:
    """A burst may be as much more as bursts were; a day of next to nothing, half a usual day's."""
    expectations = Expectations()
    past: dict[int, Day] = {}
    for number in range(42):
        usd = 100.0 if number % 7 == 0 else 10.0
        expectations.expect(past, BEGAN + number, usd, 20.0)
        past[BEGAN + number] = day_of(usd * 1.2, number)
    burst = expectations.expect(past, BEGAN + 42, 100.0, 20.0)
    past[BEGAN + 42] = day_of(100.0, 42)
    other = expectations.expect(past, BEGAN + 43, 10.0, 20.0)
    assert burst == pytest.approx((100.0, 140.0))
    assert other == pytest.approx((10.0, 14.0))
    past[BEGAN + 43] = day_of(10.0, 43)
    quiet = expectations.expect(past, BEGAN + 44, 1.0, 20.0)
    assert quiet == pytest.approx((1.0, 5.0), rel=0.01)


def test_a_fee_is_expected_the_third_time() -> None:
    """On its day alone; the first time it is a spike."""
    spends = [10.0 + 200.0 * (number % MONTH == 16) for number in range(80)]
    found = said(spends)
    assert found[16] == pytest.approx((10.0, 12.5))
    third, after = found[76], found[77]
    assert third == pytest.approx((210.0, 262.5), rel=0.02)
    assert after == pytest.approx((10.0, 12.5), rel=0.02)


def test_the_day_after_a_spike_is_none_if_it_costs_as_much() -> None:
    """The first day of a new level is told, once. After it the limit is the usual one."""
    spends = [10.0] * 20 + [30.0] * 10
    spikes = [
        number
        for number, (usd, limit) in enumerate(zip(spends, said(spends), strict=False))
        if limit is not None and usd > limit.upper
    ]
    assert spikes == [20]
    after = said([*[10.0] * 20, 100.0, 10.0])
    assert after[21] is not None
    assert after[21].upper == pytest.approx(125.0)
    assert after[22] is not None
    assert after[22].upper < 15


def test_days_that_are_estimated_are_no_errors() -> None:
    """Nor spikes, after which more is usual: a catch-up says nothing."""
    expectations = Expectations()
    past: dict[int, Day] = {}
    for number in range(20):
        expectations.expect(past, BEGAN + number, 10.0, 10.0)
        late = number >= 15
        past[BEGAN + number] = day_of(60.0 if late else 10.0, number, estimated=31.0 * late)
    assert expectations.expect(past, BEGAN + 20, 10.0, 10.0) == pytest.approx((10.0, 12.5))


def test_what_was_said_of_a_day_first_stays() -> None:
    """Another period, or another answer on that day, changes nothing of it."""
    expectations = Expectations()
    past = {BEGAN + number: day_of(10.0) for number in range(10)}
    first = expectations.expect(past, BEGAN + 10, 10.0, 10.0)
    assert expectations.expect(past, BEGAN + 10, 99.0, 10.0) == first
    assert expectations.on(BEGAN + 10) == first
    assert expectations.on(BEGAN + 11) is None


def test_what_is_kept_is_as_it_was() -> None:
    """For six weeks, in some hundred bytes; of what is damaged, nothing."""
    expectations = Expectations()
    past: dict[int, Day] = {}
    for number in range(60):
        if number % 9:  # a day without an answer
            expectations.expect(past, BEGAN + number, 10.0 + number, 10.0)
        past[BEGAN + number] = day_of(10.0 + number, number)
    row = expectations.packed()
    assert len(row) <= 840
    again = Expectations.unpacked(row)
    assert again.packed() == row
    days = range(BEGAN + 60 - KEPT, BEGAN + 60)
    assert [again.on(day) for day in days] == [expectations.on(day) for day in days]
    for damaged in (b"", row[:-1], b"\0"):
        assert Expectations.unpacked(damaged).packed() == b""


@settings(max_examples=20)  # each is some fifty days
@given(
    st.lists(st.none() | st.floats(0, 1e6), min_size=9, max_size=30),
    st.lists(st.floats(0, 1e6), min_size=1, max_size=3),
)
def test_nothing_that_came_later_is_used(spends: list[float | None], later: list[float]) -> None:
    """The limit is above what is expected, and both are the same whatever is spent then."""
    found = said(spends)
    assert said([*spends, *later])[: len(found)] == found
    assert all(0 <= each.usd < each.upper for each in found if each is not None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("pattern", "found", "false"),
    [
        ("flat", 0.9, 0.01),
        ("weekend", 0.8, 0.02),
        ("fee on an anniversary", 0.8, 0.02),
        ("weekly burst", 0.7, 0.03),
        ("ramp", 0.9, 0.01),
        ("heavy tailed", 0.0, 0.06),
        ("mostly idle", 0.0, 0.06),
        ("batch at the months end", 0.0, 0.06),
    ],
)
def test_shocks_are_found_and_other_days_left_in_peace(
    pattern: str, found: float, false: float
) -> None:
    """Of a bill with gaps: what a pattern allows, and the type that it was comes first."""
    counts = shocks.counts(shocks.bill(pattern, 1, months=5))
    assert counts.shocks > 4
    assert counts.others > 80
    assert counts.found >= found * counts.shocks
    assert counts.right >= 0.9 * counts.found
    assert counts.false <= false * counts.others
