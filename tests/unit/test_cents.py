"""How amounts are rounded: one number for one thing, and sums that add up as they are shown."""

from __future__ import annotations

import io
import math
import re
from contextlib import redirect_stdout

from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import cents
from exporter.tool import output, parts, usage_parts, usage_table
from exporter.tool.api_answers import Cost, WholeOrganization
from exporter.tool.report.compares import MAX_TYPES, OTHER_TYPES, Compared, Step, TypeChange
from exporter.tool.report.periods import Period, State
from exporter.tool.usage_lines import UsageLine
from exporter.web.status import formatting
from exporter.web.status.changes import Pair
from support import tables

AMOUNTS = st.floats(-1e6, 1e6)
COSTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_amounts_that_add_up_are_less_than_a_cent_off(amounts: list[float]) -> None:
    """Rounding one of them further away would say something else of it."""
    total = math.fsum(amounts)
    shown = cents.adding_up(amounts, total)
    assert sum(map(tables.cents, shown)) == tables.cents(total)
    for one, other in zip(shown, amounts, strict=True):
        assert abs(one - other) < 0.01 + 1e-6


@given(st.lists(AMOUNTS, min_size=1, max_size=20), AMOUNTS)
def test_amounts_add_up_to_any_total(amounts: list[float], total: float) -> None:
    """Also to one that rounding took further away than there are amounts."""
    nearby = math.fsum(amounts) + total / 1e6
    shown = cents.adding_up(amounts, nearby)
    assert sum(map(tables.cents, shown)) == tables.cents(nearby)


def test_what_is_nothing_stays_nothing() -> None:
    """The largest amount makes up for what rounding took from the total."""
    assert cents.adding_up([10.0, 0.0], 9.99) == [9.99, 0.0]
    assert cents.adding_up([10.0, 0.0], 10.01) == [10.01, 0.0]
    assert cents.adding_up([], 1.0) == []


@given(AMOUNTS)
def test_an_amount_is_rounded_as_it_is_printed(usd: float) -> None:
    """In tables of commands, on pages, in e-mails: all of them print two digits."""
    shown = cents.rounded(usd)
    assert output.money(shown) == output.money(usd)
    assert formatting.usd(shown) == formatting.usd(usd)
    assert float(f"{usd:.2f}") == shown


def bill(costs: list[float], discount: float, adjustment: float = 0.0) -> WholeOrganization:
    """Return an organization with a bill."""
    gross = math.fsum(costs)
    return WholeOrganization(
        org_id="o",
        org_name="O",
        month_to_date_usd=gross - discount + adjustment,
        gross_usd=gross,
        discount_usd=discount,
        costs=[
            Cost(source_type="org", tier="", resource_type=f"t{n}", cost_usd=usd)
            for n, usd in enumerate(costs)
        ],
    )


BILLS = st.builds(bill, COSTS, st.floats(0, 1e5), st.just(0.0) | st.floats(-1e3, 1e3))


def printed(bills: list[WholeOrganization], by: str | None = None) -> list[list[int]]:
    """Return the amounts, in cents, of each line that `usage` prints."""
    out, lines = io.StringIO(), [UsageLine(each) for each in bills]
    with redirect_stdout(out):
        if by is None:
            usage_table.show(lines, (), told=False)
        else:
            usage_parts.show(lines, (), by)
    rows = [re.findall(r"(?<= )-?[\d,]+\.\d\d(?= |$)", row) for row in out.getvalue().splitlines()]
    return [[int(re.sub("[.,]", "", each)) for each in row] for row in rows if row]


@given(st.lists(BILLS, min_size=1, max_size=5))
def test_a_table_of_organizations_adds_up_in_both_directions(
    bills: list[WholeOrganization],
) -> None:
    """Down to the total of each column, and across if the bill does."""
    *rows, total = printed(bills)
    assert total == [sum(column) for column in zip(*rows, strict=True)]
    for (gross, discount, net), one in zip(rows, bills, strict=True):
        assert net == tables.cents(one.month_to_date_usd or 0.0)
        assert discount == tables.cents(one.discount_usd or 0.0)
        amounts = one.gross_usd or 0.0, one.discount_usd or 0.0, one.month_to_date_usd or 0.0
        assert gross - discount == net or not cents.add_up(*amounts)


@given(st.lists(BILLS, min_size=1, max_size=5))
def test_what_bills_are_made_of_has_the_totals_of_the_table(bills: list[WholeOrganization]) -> None:
    """The discount and the month to date are one number each, wherever they are printed."""
    *_, (_, discount, net) = printed(bills)
    made = usage_parts.breakdown([UsageLine(each) for each in bills], "resource")
    assert made is not None
    each = [usage_parts.breakdown([UsageLine(one)], "resource") for one in bills]
    shown = parts.together_in_cents(made, [one for one in each if one is not None])
    assert tables.cents(shown.month_to_date) == net
    assert -sum(tables.cents(one.usd) for one in shown.others if one.kind == parts.DISCOUNT) == (
        discount
    )
    assert sum(tables.cents(one.usd) for one in shown.parts) == net


PAIRS = st.builds(Pair, AMOUNTS, AMOUNTS)


@given(st.lists(PAIRS, min_size=1, max_size=MAX_TYPES + 3), st.none() | PAIRS)
def test_what_changed_adds_up_in_both_directions(types: list[Pair], rest: Pair | None) -> None:
    """Down to both months, and across to the changes, of the types that are shown and the steps."""
    every = [TypeChange(f"t{n}", pair, ()) for n, pair in enumerate(types)]
    folded = [*types[MAX_TYPES:], *([rest] if rest else [])]
    steps = [Step(OTHER_TYPES, _sum(folded))] if folded else []
    found = Compared(
        _sum([*types, *([rest] if rest else [])]),
        Period(State.RUNNING, 0.0, 1.0, 1.0, 0.5),
        None,
        0,
        every,
        steps,
        Pair(0.0, 0.0),
        None,
    )
    shown = found.in_cents()
    lines = [*(each.pair for each in shown.types), *(each.pair for each in shown.steps)]
    for side in (0, 1):
        assert sum(tables.cents(line[side] or 0.0) for line in lines) == (
            tables.cents(found.pair[side] or 0.0)
        )
    for line in (*lines, shown.pair):
        assert tables.cents(line.change or 0.0) == (
            tables.cents(line.now or 0.0) - tables.cents(line.before or 0.0)
        )


def _sum(pairs: list[Pair]) -> Pair:
    now, before = (math.fsum(pair[side] or 0.0 for pair in pairs) for side in (0, 1))
    return Pair(now, before)
