"""The table of `usage` on terminals of any width, and what a month is made of: as people see it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from exporter.tool import output, parts, usage_parts, usage_table, widths
from exporter.tool.api_answers import Cost, OrganizationLine, WholeOrganization
from exporter.tool.usage_lines import UsageLine
from support import tables

LARGEST = 999_999_999_999.99  # an amount from 1e12 on is no bill's
AMOUNTS = st.floats(-LARGEST, LARGEST)
MAYBE = st.none() | AMOUNTS
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def shown(lines: Sequence[UsageLine], columns: int) -> str:
    """Return what `usage` shows of organizations on a terminal of that many columns."""
    out = Terminal()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("TERM", "xterm")
        patch.setenv("NO_COLOR", "1")
        usage_table.show(lines, (), told=True)
    return re.sub("\x1b\\[[0-9;]*m", "", out.getvalue())


@st.composite
def organizations(draw: st.DrawFn) -> Sequence[UsageLine]:
    """Draw organizations of any names and amounts."""
    periods = st.sampled_from([None, "2025-06-01T00:00:00Z", "2025-06-15T00:00:00Z"])
    made = st.builds(
        WholeOrganization,
        org_id=st.just("o"),
        org_name=NAMES,
        period_start=periods,
        period_end=periods,
        month_to_date_usd=MAYBE,
        gross_usd=MAYBE,
        discount_usd=MAYBE,
        forecast_usd=MAYBE,
        forecast_lower_usd=MAYBE,
        forecast_upper_usd=MAYBE,
        budget_usd=st.none() | st.floats(1, LARGEST),
    )
    return [UsageLine(each) for each in draw(st.lists(made, min_size=1, max_size=4))]


@given(organizations(), st.integers(30, 200))
def test_no_line_is_wider_than_the_terminal_and_no_amount_is_cut(
    lines: Sequence[UsageLine], columns: int
) -> None:
    """Whatever names and amounts are, every month to date and its sum are there whole."""
    text = shown(lines, columns)
    assert max(map(cell_len, text.splitlines())) <= columns
    words = text.split()
    for each in lines:
        usd = each.line.month_to_date_usd
        assert (output.money(usd) if usd is not None else "unknown") in words


@given(organizations(), st.integers(80, 250))
def test_from_80_columns_on_each_organization_is_one_line(
    lines: Sequence[UsageLine], columns: int
) -> None:
    """Unless amounts alone are wider. Names lose their ends only where that makes room."""
    rows = shown(lines, columns).splitlines()
    at = [number for number, row in enumerate(rows) if re.fullmatch(" ─+ *", row)]
    assert len(at) == 2
    assert at[1] - at[0] - 1 == len(lines)
    for row, each in zip(rows[at[0] + 1 : at[1]], lines, strict=True):
        name = output.printable(each.line.org_name)
        start, ellipsis, _ = row.removeprefix(" ").partition("…")
        if not row.startswith(f" {name}"):
            assert ellipsis
            assert name.startswith(start.rstrip())


def cells(name: str, *numbers: str) -> widths.Cells:
    """Return a table of one row, with a title of one letter for each column."""
    return widths.Cells(["N", *"ABCDEFG"[: len(numbers)]], [[name, *numbers]])


def test_columns_give_way_in_their_order() -> None:
    """Names first, to 20 characters and no less; then ranks, the lowest first; 0 stays."""
    table = cells("n" * 30, "1" * 10, "2" * 10, "3" * 10)
    ranks = (0, 2, 1, 0)
    for width, columns, found in (
        (71, [0, 1, 2, 3], [30, 10, 10, 10]),
        (61, [0, 1, 2, 3], [20, 10, 10, 10]),
        (60, [0, 1, 3], [30, 10, 10]),
        (48, [0, 1, 3], [20, 10, 10]),
        (47, [0, 3], [30, 10]),
        (35, [0, 3], [20, 10]),
    ):
        layout = widths.giving_way(table, ranks, width)
        assert layout is not None, width
        assert (list(layout.columns), list(layout.widths)) == (columns, found), width
    assert widths.giving_way(table, ranks, 34) is None


def test_titles_break_before_names_do() -> None:
    """Between words, as they are no amounts."""
    table = widths.Cells(["N", "Month to date"], [["n" * 25, "1.00"]])
    layout = widths.giving_way(table, (0, 1), 25 + 3 + 5 + 2)
    assert layout == ([0, 1], [25, 5])


@given(st.text(), st.integers(3, 30))
def test_what_is_shortened_is_as_wide_as_it_may_be(text: str, width: int) -> None:
    """With wide letters, too: the start of it is there, then the ellipsis."""
    short = widths.shortened(text, width, "…")
    assert cell_len(short) <= width
    assert short == text or (short.endswith("…") and text.startswith(short[:-1].rstrip()))


# --- What a month is made of ---


@st.composite
def bill(draw: st.DrawFn) -> UsageLine:
    """Draw a bill whose parts need not add up to it."""
    names = st.sampled_from(["a_b", "c", "d"])
    cost = st.builds(
        Cost, source_type=names, tier=names, resource_type=names, cost_usd=st.floats(-1e4, 1e9)
    )
    costs = draw(st.lists(cost, max_size=12))
    discount = draw(st.floats(0, 1e6))
    month_to_date = math.fsum(each.cost_usd or 0.0 for each in costs) - discount
    month_to_date += draw(st.just(0.0) | st.floats(-1e3, 1e3))
    return UsageLine(
        WholeOrganization(
            org_id="o",
            org_name="O",
            month_to_date_usd=month_to_date,
            discount_usd=discount,
            costs=costs,
        )
    )


@given(st.lists(bill(), min_size=1, max_size=3), st.sampled_from(sorted(parts.BY)))
def test_parts_add_up_to_the_month(lines: Sequence[UsageLine], by: str) -> None:
    """To the cent as they are shown, and unrounded to what floats leave."""
    found = usage_parts.breakdown(lines, by)
    assert found is not None
    assert math.fsum(each.usd for each in found.parts) == pytest.approx(
        found.month_to_date, abs=1e-4
    )
    costs = [each.usd for each in found.costs]
    assert costs == sorted(costs, reverse=True)
    out = io.StringIO()
    with redirect_stdout(out):
        usage_parts.show(lines, (), by)
    _, upper, lower = re.split("^ ─+\n", out.getvalue(), flags=re.MULTILINE)

    def cents(text: str) -> list[int]:
        amounts = re.findall(r" (-?[\d,]+\.\d\d)(?= |$)", text, re.MULTILINE)
        return [int(re.sub("[.,]", "", each)) for each in amounts]

    *parts, month_to_date = cents(lower)
    each = (line.line.month_to_date_usd or 0.0 for line in lines)
    assert month_to_date == sum(map(tables.cents, each))
    assert sum(parts or cents(upper)) == month_to_date
    assert sum(cents(upper)) == (parts or [month_to_date])[0]


def test_what_is_withheld_has_no_share() -> None:
    """Neither has any other part, as nobody knows the whole; what is known is shown."""
    costs = [
        Cost(source_type="org", tier="", resource_type=name, cost_usd=usd)
        for name, usd in (("a", None), ("b", 5.0))
    ]
    line = WholeOrganization(
        org_id="o", org_name="O", month_to_date_usd=4.0, discount_usd=1.0, costs=costs
    )
    assert usage_parts.plain([UsageLine(line)], "resource") == [
        {"by": "resource", "kind": "cost", "part": "b", "amount_usd": 5.0, "share": None},
        {"by": "resource", "kind": "cost", "part": "a", "amount_usd": None, "share": None},
        {"by": "resource", "kind": "discount", "part": None, "amount_usd": -1.0, "share": None},
        {"by": "resource", "kind": "adjustment", "part": None, "amount_usd": None, "share": None},
    ]
    assert (
        usage_parts.plain([UsageLine(OrganizationLine(org_id="o", org_name="O"))], "tier") is None
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, ""),
        (0.1234, "12.3%"),
        (12.5, "1,250.0%"),
        (-0.5, "-50.0%"),
        (math.nan, output.WITHHELD),
        (math.inf, output.WITHHELD),
    ],
)
def test_shares_are_percents(share: float | None, text: str) -> None:
    """Of what is not known, and of what is no number, there is none."""
    assert output.percent(share) == text
