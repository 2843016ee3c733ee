"""Fees, credits and changes of level are told apart from usual days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporter.forecast import patterns
from exporter.forecast.history import History, Period, history, known, median
from exporter.forecast.patterns import Credit, credit, fees, level_start, without
from exporter.state.day_rows import DAY, UNKNOWN, Day, Entry

MARCH, APRIL, MAY = 0, 31, 61  # days since the first of them, which is day 0
BEGAN = 20_000  # in days since 1970


def days_of(
    spends: Sequence[float | None], corrections: Mapping[int, float] | None = None
) -> dict[int, Day]:
    """Return days from the first of March on."""
    found = {}
    for number, usd in enumerate(spends):
        start = max(each for each in (MARCH, APRIL, MAY) if each <= number)
        fallen = (corrections or {}).get(number, 0.0)
        entry = Entry(float((BEGAN + start) * DAY), usd or 0.0, fallen, 0.0, {})
        found[BEGAN + number] = UNKNOWN if usd is None else Day(0.0, (entry,))
    return found


def past(spends: Sequence[float | None], corrections: Mapping[int, float] | None = None) -> History:
    """Return what is known on the day after these, which are from the first of March on."""
    until = len(spends)
    starts = [each for each in (MARCH, APRIL, MAY, MAY + 31) if each <= until]
    ends = {MARCH: APRIL, APRIL: MAY, MAY: MAY + 31}
    period = Period(float((BEGAN + starts[-1]) * DAY), float((BEGAN + ends[starts[-1]]) * DAY))
    return history(days_of(spends, corrections), BEGAN + until, period)


def bill(count: int, fees: Mapping[int, float], usual: float = 10.0) -> list[float | None]:
    """Return so many days of the same, and more on some."""
    return [usual + fees.get(number, 0.0) for number in range(count)]


def test_a_fee_that_came_on_the_same_date_of_two_months_comes_back() -> None:
    """With the amount of its last time; the days that it was on are usual ones without it."""
    spends = past(bill(MAY, {16: 200.0, APRIL + 16: 240.0}))
    (fee,) = fees(spends)
    assert (fee.from_end, fee.day, fee.usd, fee.seen) == (False, 16, 240.0, [16, APRIL + 16])
    assert fee.margin == 40.0
    assert [day for day, place in enumerate(spends.ahead(31)) if fee.is_on(place)] == [16]
    assert without([fee], Credit(), spends.spends) == [10.0] * MAY


def test_a_fee_on_the_last_day_is_counted_from_the_end() -> None:
    """Months are not of one length."""
    (fee,) = fees(past(bill(MAY + 2, {APRIL - 1: 200.0, MAY - 1: 200.0})))
    assert (fee.from_end, fee.day, fee.usd) == (True, 0, 200.0)
    assert [day for day, place in enumerate(past(bill(MAY, {})).ahead(31)) if fee.is_on(place)] == [
        30
    ]


def test_a_batch_of_the_last_days_is_counted_from_the_end_as_a_whole() -> None:
    """By date, two of three days of a month of 30 are on the days of one of 31, too."""
    last_days = (0, 1, 2)
    batch = {begin - 1 - left: 200.0 for begin in (APRIL, MAY) for left in last_days}
    found = fees(past(bill(MAY + 2, batch)))
    assert sorted((fee.from_end, fee.day) for fee in found) == [(True, left) for left in last_days]


def test_once_is_no_fee_and_neither_are_amounts_that_are_not_alike() -> None:
    """Nor a day that is not far above those around it."""
    assert not fees(past(bill(MAY, {16: 200.0})))
    assert not fees(past(bill(MAY, {16: 200.0, APRIL + 16: 600.0})))
    assert not fees(past(bill(MAY, {16: 15.0, APRIL + 16: 15.0})))
    assert not fees(past(bill(MAY, {16: 200.0, APRIL + 18: 200.0})))


def test_a_fee_that_was_missed_does_not_come_back() -> None:
    """Its day went by without it."""
    assert fees(past(bill(MAY + 16, {16: 200.0, APRIL + 16: 200.0})))
    assert not fees(past(bill(MAY + 18, {16: 200.0, APRIL + 16: 200.0})))


def test_a_fee_on_an_unknown_day_was_not_missed() -> None:
    """Nobody knows whether it came."""
    spends = bill(MAY + 17, {16: 200.0, APRIL + 16: 200.0})
    spends[MAY + 16] = None
    assert fees(past(spends))


def test_a_first_fee_at_the_edge_of_a_period_is_expected_again() -> None:
    """Unless something else was odd, too: then it may have been chance."""
    (first,) = fees(past(bill(APRIL + 5, {APRIL: 200.0})))
    assert (first.from_end, first.day, first.usd) == (False, 0, 200.0)
    (last,) = fees(past(bill(APRIL + 5, {APRIL - 1: 200.0})))
    assert (last.from_end, last.day, last.usd) == (True, 0, 200.0)
    assert not fees(past(bill(APRIL + 5, {APRIL - 1: 200.0, 16: 200.0})))


def test_a_credit_at_two_ends_comes_back_at_the_third() -> None:
    """After one end, or if the amounts are not alike, it does not."""
    found = credit(past(bill(MAY + 5, {}), {APRIL - 1: 50.0, MAY - 1: 60.0}))
    assert (found.usd, found.margin) == (60.0, 10.0)
    assert credit(past(bill(MAY + 5, {}), {APRIL - 1: 50.0, MAY - 2: 60.0})).usd == 60.0
    assert credit(past(bill(MAY + 5, {}), {MAY - 1: 60.0})).usd == 0.0
    assert credit(past(bill(MAY + 5, {}), {APRIL - 1: 20.0, MAY - 1: 60.0})).usd == 0.0
    assert credit(past(bill(MAY + 5, {}), {12: 50.0, APRIL + 12: 50.0})).usd == 0.0


def test_a_credit_that_came_is_not_expected_once_more() -> None:
    """What is left of it is."""
    ends = {APRIL - 1: 60.0, MAY - 1: 60.0}
    assert credit(past(bill(MAY + 30, {}), ends | {MAY + 29: 45.0})).usd == 15.0


def test_spend_that_a_credit_hides_is_taken_back_with_it() -> None:
    """A day on which nothing was seen but the credit. It is as usual for all that look at days."""
    spends = bill(MAY + 5, {})
    spends[APRIL - 1] = spends[MAY - 1] = 0.0
    history = past(spends, {APRIL - 1: 50.0, MAY - 1: 50.0})
    found = credit(history)
    assert found.usd == 60.0
    assert without([], found, history.spends) == [10.0] * len(history.spends)


def test_a_new_level_begins_where_it_is_clear() -> None:
    """Up or down, after four days; after three if it is a fall beyond doubt."""
    flat = [10.0, 11.0, 9.0, 10.5] * 5
    assert level_start([*flat, 30.0, 31.0, 29.0, 30.0]) == 20
    assert level_start([*flat, 30.0, 31.0, 29.0]) == 0
    assert level_start([*flat, 1.0, 1.1, 0.9]) == 20
    assert level_start([*flat, 1.0, 1.1]) == 0


def test_weekends_spikes_and_noise_are_no_new_level() -> None:
    """Nor is a ramp."""
    week = [10.0, 10.4, 9.8, 10.1, 9.9, 2.0, 2.1]
    assert level_start(week * 6) == 0
    assert level_start([10.0, 10.2, 9.8, 90.0, 10.1, 9.9] * 6) == 0
    assert level_start([10.0 + day for day in range(40)]) == 0


def test_days_before_anything_was_spent_are_of_no_level() -> None:
    """A new organization is not one that spends half."""
    assert level_start([0.0] * 10 + [5.0, 5.5]) == 10
    assert level_start([0.0] * 10) == 0
    assert level_start([]) == 0


AMOUNTS = st.one_of(st.none(), st.just(0.0), st.just(10.0), st.floats(9.0, 12.0), st.floats(0, 1e6))


@given(st.lists(AMOUNTS, max_size=40))
def test_days_that_are_passed_over_at_once_have_no_pattern(spends: list[float | None]) -> None:
    """A short look at all days leaves out only what a long one at each finds nothing in."""
    days = known(spends)
    around = [patterns._around(spends, index) for index in range(len(spends))]
    assert [index for index, _ in patterns._spikes(spends)] == [
        index
        for index, usd in enumerate(spends)
        if usd
        and len(around[index]) >= patterns.ENOUGH
        and usd > patterns.ODD * median(around[index])
    ]
    if days and not patterns._is_apart(min(days), max(days)):
        assert all(patterns._change(spends, index) == 0 for index in range(len(spends)))
