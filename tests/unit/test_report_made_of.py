"""What a bill is made of: lines that add up to the cent, whatever the amounts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tool.api_answers import Cost
from exporter.tool.report import made_of
from exporter.tool.report.made_of import MadeOf, by, by_days, cents
from exporter.tool.report.periods import Period, State


def period(
    usd: float | None, *costs: tuple[str, float | None], gross: float | None = None
) -> Period:
    """Return one with costs of types."""
    lines = [
        Cost(source_type="org", tier=name[:1], resource_type=name, cost_usd=cost)
        for name, cost in costs
    ]
    discount = None if gross is None or usd is None else gross - usd
    return Period(State.RUNNING, 0.0, 1.0, usd, 0.5, gross, discount, lines)


def shown(made: MadeOf | None) -> list[tuple[str, float]]:
    """Return the lines as they are shown."""
    assert made is not None
    return [(each.name, cents(each.usd) / 100) for each in (*made.parts, *made.steps)]


def test_parts_come_first_and_then_what_leads_to_the_total() -> None:
    """The largest part first; what is nothing has no line."""
    found = by(period(40.0, ("b", 10.0), ("a", 35.0), ("c", 0.0), gross=48.0), "resource")
    assert shown(found) == [("a", 35.0), ("b", 10.0), ("Not itemized", 3.0), ("Discounts", -8.0)]
    found = by(period(40.0, ("x1", 10.0), ("x2", 30.0), gross=40.0), "tier")
    assert shown(found) == [("x", 40.0)]


def test_totals_that_contradict_each_other_have_a_line() -> None:
    """The API defines none of them."""
    odd = period(40.0, ("a", 50.0), gross=50.0)._replace(discount=2.0)
    assert shown(by(odd, "resource")) == [
        ("a", 50.0),
        ("Discounts", -2.0),
        ("Difference to the total", -8.0),
    ]


def test_the_smallest_of_many_are_one_line() -> None:
    """With how many they are; one alone would take as much room."""
    many = [(f"type {number}", 100.0 - number) for number in range(made_of.MAX_PARTS + 2)]
    lines = shown(by(period(sum(usd for _, usd in many), *many), "resource"))
    assert len(lines) == made_of.MAX_PARTS + 1
    assert lines[-1] == ("2 others", 84.0 + 85.0)
    lines = shown(by(period(sum(usd for _, usd in many[:-1]), *many[:-1]), "resource"))
    assert len(lines) == made_of.MAX_PARTS + 1
    assert lines[-1] == ("type 15", 85.0)


@pytest.mark.parametrize(
    "found",
    [
        by(period(None, ("a", 1.0)), "resource"),
        by(period(1.0, ("a", None)), "resource"),
        by(period(1.0)._replace(costs=None), "resource"),
    ],
)
def test_what_is_not_known_has_no_lines(found: MadeOf | None) -> None:
    """Nor what has a part that is no number."""
    assert found is None


def test_days_tell_types_without_discounts() -> None:
    """The rest is named."""
    types = {"log": 1.0, "per_machine": 9.0}
    parts = [("per_machine", 9.0), ("log", 1.0)]
    rest = "Discounts and other differences"
    assert shown(by_days(types, 8.5, all_known=True)) == [*parts, (rest, -1.5)]
    rest = "Discounts, and days that are not known"
    assert shown(by_days(types, 8.5, all_known=False)) == [*parts, (rest, -1.5)]


AMOUNTS = st.floats(-1e6, 1e6)


@given(AMOUNTS, st.lists(AMOUNTS, max_size=40), AMOUNTS)
def test_lines_add_up_to_the_cent(usd: float, costs: list[float], gross: float) -> None:
    """As they are shown, rounded; a line says if rounding takes one."""
    found = by(
        period(usd, *((f"t{n}", each) for n, each in enumerate(costs)), gross=gross), "resource"
    )
    assert found is not None
    assert sum(cents(each.usd) for each in (*found.parts, *found.steps)) == cents(usd)
    assert all(cents(each.usd) for each in (*found.parts, *found.steps))
    rounding = [each.usd for each in found.steps if each.name == "Rounding"]
    assert all(abs(each) <= 0.005 * (len(costs) + 6) for each in rounding)
