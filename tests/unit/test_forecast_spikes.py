"""Which resource types made a spike, by what was expected of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.forecast import by_resource
from exporter.forecast.expectation import Expectations
from exporter.forecast.history import Period, history
from exporter.forecast.spikes import compared, expectations
from exporter.model import ExpectedDay
from exporter.state.day_rows import DAY, UNKNOWN, Day, Entry, Moved

BEGAN = 20_000  # in days since 1970
MONTH = 30


def day_of(amounts: Mapping[str, float], number: int = 0, estimated: float = 0.0) -> Day:
    """Return a day of a period of thirty days, of some types."""
    period = float((BEGAN + number - number % MONTH) * DAY)
    moved = {name: Moved(usd, 0.0) for name, usd in amounts.items()}
    return Day(0.0, (Entry(period, sum(amounts.values()), 0.0, estimated, moved),))


def days_of(amounts: Mapping[str, Sequence[float]]) -> dict[int, Day]:
    """Return the days on which so much was spent of each type."""
    return {
        BEGAN + number: day_of(dict(zip(amounts, each, strict=True)), number)
        for number, each in enumerate(zip(*amounts.values(), strict=True))
    }


def period_of(number: int) -> Period:
    """Return the period that a day is in."""
    start = BEGAN + number - number % MONTH
    return Period(float(start * DAY), float((start + MONTH) * DAY))


def expected(days: Mapping[int, Day], number: int) -> Mapping[str, float]:
    """Return what each type is expected to cost on a day, of which it is the morning."""
    past = history(days, BEGAN + number, period_of(number))
    return by_resource.expected(by_resource.series(past, days), BEGAN + number, past.ahead(1)[0])


def test_a_type_is_expected_to_cost_what_is_usual() -> None:
    """By days of the last week that are not odd; on its weekdays, if those are alike."""
    flat = [10.0] * 20 + [200.0] + [10.0] * 3
    weekly = [50.0 if number % 7 == 3 else 1.0 for number in range(31)]
    assert expected(days_of({"flat": flat}), 24) == {"flat": 10.0}
    assert expected(days_of({"weekly": weekly}), 31) == {"weekly": 50.0}
    assert expected(days_of({"weekly": [*weekly, 50.0]}), 32) == {"weekly": 1.0}


def test_a_new_type_is_not_among_them_and_an_idle_one_is() -> None:
    """What comes now and then is expected to cost its mean, which is not 0 as of a new one."""
    days = days_of({"flat": [10.0] * 20, "idle": [8.0, *[0.0] * 15, 8.0, *[0.0] * 3]})
    assert expected(days, 20) == {"flat": 10.0, "idle": pytest.approx(0.8)}


def test_a_fee_of_a_type_is_expected_on_its_day() -> None:
    """By date or from the period's end, with the amount of the last time."""
    fee = [5.0 + 100.0 * (n == 16) + 120.0 * (n == 46) for n in range(76)]
    days = days_of({"licence": fee})
    assert expected(days, 76) == {"licence": 125.0}
    assert expected(days, 75) == {"licence": 5.0}


def test_days_that_are_estimated_or_unknown_are_left_out() -> None:
    """A catch-up is nothing that is usual."""
    days = days_of({"flat": [10.0] * 20})
    for number in range(13, 18):
        days[BEGAN + number] = day_of({"flat": 90.0}, number, estimated=90.0)
    days[BEGAN + 19] = UNKNOWN
    assert expected(days, 20) == {"flat": 10.0}


def test_what_made_a_spike_is_said_with_the_most_first() -> None:
    """A new type counts whole; one that cost less than expected is left out."""
    types = {"fee": 40.0, "premium_module": 50.0, "logs": 10.0}
    said = ExpectedDay(100.0, 130.0, ExpectedDay.packed(types))
    day = day_of({"fee": 58.0, "premium_module": 214.0, "logs": 4.0, "new": 6.0})
    found = compared(day, said)
    assert found is not None
    assert found.is_spike
    assert found.above == pytest.approx(182.0)
    assert found.more == [("premium_module", 164.0), ("fee", 18.0), ("new", 6.0)]
    usual = compared(day_of({"fee": 130.0}), said)
    assert usual is not None
    assert not usual.is_spike


def test_a_day_that_is_mostly_estimated_compares_with_nothing() -> None:
    """Nor does an unknown one: a catch-up is no spike."""
    said = ExpectedDay(10.0, 12.5)
    assert compared(day_of({"fee": 90.0}, estimated=46.0), said) is None
    assert compared(day_of({"fee": 90.0}, estimated=45.0), said) is not None
    assert compared(UNKNOWN, said) is None


AMOUNTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=40, max_size=59)


@given(AMOUNTS, st.integers(30, 39))
def test_past_days_have_what_was_said_in_the_morning(
    amounts: list[tuple[float, float]], number: int
) -> None:
    """Made again later, from the days before each alone: a page shows what the metrics did."""
    first, second = zip(*amounts, strict=True)
    days = days_of({"one": first, "two": second})
    said = Expectations()
    for day in sorted(days):
        said.expect({n: each for n, each in days.items() if n < day}, day, 10.0, 10.0)
    last = len(amounts)
    found = expectations(days, BEGAN + 30, BEGAN + last, period_of(last), said)
    assert [*found] == [*range(BEGAN + 30, BEGAN + last)]
    limit = said.on(BEGAN + number)
    assert limit is not None
    before = {day: each for day, each in days.items() if day < BEGAN + number}
    assert (found[BEGAN + number].usd, found[BEGAN + number].upper) == limit
    assert found[BEGAN + number].by_resource == expected(before, number)
