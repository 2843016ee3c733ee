"""How a month compares with the one before: like with like, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exporter.state.day_rows import Day, Entry, Moved
from exporter.state.ledger import day_of
from exporter.state.listing import number_of
from exporter.tool.report.compares import (
    CREDITS,
    DISCOUNTS,
    NOT_COMPARED,
    OTHER_TYPES,
    compared,
)
from exporter.tool.report.days import MonthDays
from exporter.tool.report.months import Month
from exporter.tool.report.periods import Period, State
from exporter.web.status.changes import Pair
from support.months import ACME, NOW, Costs, Lived, lived
from support.reports import CREDIT, month, new, usual
from support.status import DAY

STEP = datetime(2026, 11, 1, tzinfo=UTC)
BURST = datetime(2026, 11, 7, tzinfo=UTC)


def spending(date: datetime) -> Costs:
    """Spend a dollar a day more from November on, and on one day a lot more of another type."""
    return {
        ("org", "", "per_machine"): 11.0 if date >= STEP else 10.0,
        ("org", "", "logs_upload"): 52.0 if date == BURST else 2.0,
        ("org", "", "data_egress"): 3.0,
    }


def plain(*off: tuple[float, float]) -> Lived:
    """Return an organization without discounts, polled from the first of September on."""
    return lived(spending, datetime(2026, 9, 1, tzinfo=UTC), who=ACME, off=off, discount=0.0)


def test_a_month_that_runs_is_compared_with_as_many_days() -> None:
    """Today, which is not over, is in neither."""
    found = month(plain()).compared
    assert found is not None
    assert (found.days, found.left_out) == (22, 0)
    assert found.pair.before == pytest.approx(22 * 15.0)
    assert found.pair.change == pytest.approx(22.0 + 50.0)


def test_a_month_that_ended_is_compared_whole() -> None:
    """The total of 31 days with that of 30: nobody is billed for days."""
    found = month(plain(), "2026-10").compared
    assert found is not None
    assert found.days is None
    # The last answer of each came at 18:00 on its last day.
    assert found.pair.now == pytest.approx(30.75 * 15.0)
    assert found.pair.before == pytest.approx(29.75 * 15.0)
    # So a day is no dearer than one of the month before, though the month is.
    assert found.per_day is not None
    assert found.per_day[:2] == pytest.approx((15.0, 15.0))
    assert month(plain()).compared.per_day is None  # type: ignore[union-attr]


def test_the_total_less_the_days_is_nothing() -> None:
    """To the cent: a credit is deducted, and estimated days add up as others do."""
    for wanted in (None, "2026-10", "2026-09"):
        found = month(usual(), wanted)
        assert found.period.usd == pytest.approx(found.days.known, abs=0.005)
        assert found.beside_days is None
    assert month(usual()).days.estimated > 0
    fallen = [number for number, day in month(usual()).days.days if day.corrections]
    assert fallen == [day_of(CREDIT)]


def test_types_changed_on_days_or_all_the_time() -> None:
    """Half of a change, or more, on up to three days is a matter of those days."""
    found = month(plain()).compared
    assert found is not None
    burst, step = found.types
    assert (burst.resource_type, step.resource_type) == ("logs_upload", "per_machine")
    assert burst.pair.change == pytest.approx(50.0)
    assert [(number, round(usd, 6)) for number, usd in burst.days] == [
        (number_of("2026-11-07"), 50.0)
    ]
    assert step.pair.change == pytest.approx(22.0)
    assert step.days == ()


def test_a_day_explains_nothing_that_the_month_before_had_too() -> None:
    """Two months with a burst each differ by their other days."""
    again = {BURST, datetime(2026, 10, 9, tzinfo=UTC)}

    def twice(date: datetime) -> Costs:
        more = 1.0 if date >= STEP else 0.0
        return {("org", "", "logs_upload"): 2.0 + more + (50.0 if date in again else 0.0)}

    found = month(lived(twice, datetime(2026, 9, 1, tzinfo=UTC), who=ACME, discount=0.0)).compared
    assert found is not None
    (logs,) = found.types
    assert logs.pair.change == pytest.approx(22.0)
    assert logs.days == ()


@pytest.mark.parametrize("wanted", [None, "2026-10"])
def test_types_and_steps_lead_to_the_change(wanted: str | None) -> None:
    """Whatever has no line of its own: types that did not change, discounts, days left out."""
    start = datetime(2026, 10, 31, 18, tzinfo=UTC).timestamp()
    credited = lived(
        spending,
        datetime(2026, 9, 1, tzinfo=UTC),
        off=[(start - 10 * 3600.0, start + 7 * 3600.0)],
        credits_={CREDIT: 12.0},
    )
    found = month(credited, wanted).compared
    assert found is not None
    steps = {each.kind: each.pair for each in found.steps}
    pairs = [*(each.pair for each in found.types), *steps.values()]
    assert sum(each.now or 0.0 for each in pairs) == pytest.approx(found.pair.now)
    assert sum(each.before or 0.0 for each in pairs) == pytest.approx(found.pair.before)
    # Other types are the three dollars of each day that did not change.
    assert (OTHER_TYPES in steps) == (wanted is None)
    if wanted is None:
        discounts = 0.1 * (22 * 16.0 + 50.0)
        assert steps[DISCOUNTS].now == pytest.approx(-discounts)
        assert steps[DISCOUNTS].before == pytest.approx(-0.1 * 22 * 15.0)
        assert steps[CREDITS][:2] == pytest.approx((-12.0, 0.0))
        assert NOT_COMPARED not in steps
    else:
        assert NOT_COMPARED in steps


def test_days_that_are_not_known_are_in_neither_sum() -> None:
    """Of a month that began before the first answer was counted, some are not."""
    start = datetime(2026, 10, 31, 18, tzinfo=UTC).timestamp()
    known = plain((start - 10 * 3600.0, start + 7 * 3600.0))
    found = month(known).compared
    whole = month(plain()).compared
    assert found is not None
    assert whole is not None
    assert found.days == 22
    assert found.left_out == 0
    assert found.pair.now == pytest.approx(whole.pair.now)
    october = month(known, "2026-10")
    assert october.days.unknown == 1
    assert october.compared is not None
    assert october.compared.left_out == 1
    types = {each.resource_type: each.pair for each in october.compared.types}
    # Thirty days of October, and of September, of which the last six hours were not answered.
    assert types["per_machine"][:2] == pytest.approx((300.0, 297.5))


def of_month(start: datetime, length: int, over: int, usd: float) -> tuple[Period, MonthDays]:
    """Return a month with as many days that are over, each with the same cost."""
    began = start.timestamp()
    first, end = day_of(began), began + length * DAY
    day = Day(0.0, (Entry(began, usd, 0.0, 0.0, {"logs_upload": Moved(usd, 0.0)}),))
    days = [(first + place, day) for place in range(over)]
    state = State.ENDED if over == length else State.RUNNING
    seen = began + over * DAY
    return Period(state, began, end, usd * over, seen), MonthDays(
        days, first, first + over, {}, first + over
    )


def test_a_long_month_that_runs_is_compared_with_no_more_days_than_the_one_before_has() -> None:
    """On 31 March, 30 days are over: February had 28 in all, so 28 of each are compared."""
    february = of_month(datetime(2026, 2, 1, tzinfo=UTC), 28, 28, 2.0)
    march = of_month(datetime(2026, 3, 1, tzinfo=UTC), 31, 30, 3.0)
    found = compared(*march, *february)
    assert found is not None
    assert found.days == 28
    assert found.pair[:2] == pytest.approx((28 * 3.0, 28 * 2.0))
    first = of_month(datetime(2026, 3, 1, tzinfo=UTC), 31, 0, 3.0)
    assert compared(*first, *february) is None


def test_a_change_from_nothing_or_from_a_credit_is_no_share() -> None:
    """A rise from -$100 to $50 would be one of -150%."""
    assert Pair(50.0, -100.0).change == 150.0
    assert Pair(50.0, -100.0).share is None
    assert Pair(50.0, 0.0).share is None
    assert Pair(50.0, 100.0).share == -0.5


def test_without_the_month_before_there_is_nothing_to_say() -> None:
    """Not even of types."""
    found: Month = month(new())
    assert found.compared is None
    assert not found.has_before


def test_a_ledger_that_began_within_the_month_before_compares_what_it_has() -> None:
    """The days from then on."""
    began = datetime(2026, 10, 11, tzinfo=UTC)
    known = lived(spending, began, who=ACME, discount=0.0)
    # What was spent before the first answer is spread over the days before.
    found = month(known).compared
    assert found is not None
    assert found.pair.before == pytest.approx(22 * 15.0)
    assert month(known, "2026-10").days.estimated == pytest.approx(10 * 15.0)
    assert NOW - began.timestamp() > 40 * DAY
