"""What a month is made of: lines that add up to the cent, whatever the amounts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tool.api_answers import Cost
from exporter.tool.report import made_of
from exporter.tool.report.periods import Period, State
from support.tables import cents


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


def shown(which: str, *periods: Period) -> list[tuple[str, str, float]]:
    """Return the lines as they are shown."""
    made = made_of.shown(made_of.of(periods)[which])
    return [(each.kind, each.name, each.usd) for each in made.parts]


def test_parts_come_first_and_then_what_leads_to_the_total() -> None:
    """The largest part first; what is nothing has no line."""
    assert shown("resource", period(40.0, ("b", 10.0), ("a", 35.0), ("c", 0.0), gross=48.0)) == [
        ("cost", "a", 35.0),
        ("cost", "b", 10.0),
        ("discount", "", -8.0),
        ("adjustment", "", 3.0),
    ]
    assert shown("tier", period(40.0, ("x1", 10.0), ("x2", 30.0), gross=40.0)) == [
        ("cost", "x", 40.0)
    ]


def test_a_discount_that_is_not_given_is_what_the_totals_say() -> None:
    """If both of them are known; else nobody knows it from an adjustment."""
    one = period(40.0, ("a", 50.0), gross=50.0)._replace(discount=None)
    assert shown("resource", one)[1:] == [("discount", "", -10.0)]
    assert shown("resource", one._replace(gross=None))[1:] == [("adjustment", "", -10.0)]


def test_periods_are_added_up_and_one_that_is_not_known_makes_all_unknown() -> None:
    """Each with its own discount."""
    one = period(40.0, ("a", 50.0), gross=50.0)
    other = period(5.0, ("b", 7.0), ("a", 1.0))
    assert shown("resource", one, other) == [
        ("cost", "a", 51.0),
        ("cost", "b", 7.0),
        ("discount", "", -10.0),
        ("adjustment", "", -3.0),
    ]
    assert made_of.of([one, period(1.0)._replace(costs=None)]) == {}
    assert made_of.of([]) == {}


def test_the_smallest_of_many_are_one_line() -> None:
    """With how many they are, and their share; one alone would take as much room."""
    many = [(f"type {number}", 100.0 - number) for number in range(made_of.MAX_PARTS + 2)]
    lines = shown("resource", period(sum(usd for _, usd in many), *many))
    assert len(lines) == made_of.MAX_PARTS + 1
    assert lines[-1] == ("cost", "2 others", 84.0 + 85.0)
    found = made_of.shown(made_of.of([period(sum(usd for _, usd in many), *many)])["resource"])
    assert sum(each.share or 0.0 for each in found.parts) == pytest.approx(1.0)
    lines = shown("resource", period(sum(usd for _, usd in many[:-1]), *many[:-1]))
    assert len(lines) == made_of.MAX_PARTS + 1
    assert lines[-1] == ("cost", "type 15", 85.0)


@pytest.mark.parametrize(
    "unknown",
    [
        period(None, ("a", 1.0)),
        period(1.0, ("a", None)),
        period(1.0)._replace(costs=None),
    ],
)
def test_what_is_not_known_has_no_lines(unknown: Period) -> None:
    """Nor what has a part that is no number."""
    assert made_of.of([unknown]) == {}


AMOUNTS = st.floats(-1e6, 1e6)


@given(AMOUNTS, st.lists(AMOUNTS, max_size=40), AMOUNTS)
def test_lines_add_up_to_the_cent(usd: float, costs: list[float], gross: float) -> None:
    """As they are shown, rounded, the smallest as one."""
    one = period(usd, *((f"t{n}", each) for n, each in enumerate(costs)), gross=gross)
    lines = [cents(each) for _, _, each in shown("resource", one)]
    assert sum(lines) == cents(usd)
    assert all(lines)
