"""The current month of organizations for people: a line for each, and what is left out first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from exporter.tool import outcomes, output
from exporter.tool.outcomes import ReadFailure
from exporter.tool.output import Column, Row, money, percent
from exporter.tool.usage_lines import UNKNOWN, UsageLine, shown_total

# Columns that a terminal has no room for, in the order in which they are left out.
GIVE_WAY: Final = (
    ("Before discounts", "Discount"),
    ("Period",),
    ("Lower", "Upper"),
    ("Between",),
    ("Budget",),
    ("Used by end",),
    ("Used",),
)
AT_FIRST_SIGHT: Final = "Forecast: each remaining day costs as much as the average day so far"
LEFT_OUT: Final = "; ".join(" and ".join(titles) for titles in GIVE_WAY)


class _Cells(NamedTuple):
    """A column, and what an organization has in it: text, and an amount if it is added up."""

    column: Column
    text: Callable[[UsageLine], str]
    usd: Callable[[UsageLine], float | None] | None = None


def _amounts(title: str, usd: Callable[[UsageLine], float | None], otherwise: str = "") -> _Cells:
    """Return a column of amounts, which says `otherwise` where there is none."""
    return _Cells(_column(title), lambda each: money(usd(each)) or otherwise, usd)


def _column(title: str, *, number: bool = True) -> Column:
    ranks = (rank for rank, titles in enumerate(GIVE_WAY, 1) if title in titles)
    return Column(title, number=number, gives_way=next(ranks, 0))


def show(lines: Sequence[UsageLine], failures: Collection[ReadFailure], *, told: bool) -> None:
    """Print a line for each organization, with the bounds of its forecast if a ledger has them."""
    if not lines:
        print(nothing(failures))
        return
    cells = [*_columns(lines, told=told)]
    rows = [
        Row([each.text(line) for each in cells], alarming=(line.line.budget_used or 0.0) > 1)
        for line in lines
    ]
    known = [line for line in lines if not line.is_unknown]
    title = outcomes.total_of(known, failures, len(lines) - len(known))
    title = outcomes.with_forecasts(title, [line.line.forecast_usd for line in known])
    sums = (money(shown_total(map(each.usd, known))) if each.usd else "" for each in cells[1:])
    above = [heading(lines)]
    if not told and any(each.line.forecast_usd is not None for each in lines):
        above.append(AT_FIRST_SIGHT)
    text = "\n".join(filter(None, above))
    output.show([each.column for each in cells], rows, (title, *sums), heading=text)


def nothing(failures: Collection[ReadFailure]) -> str:
    """Say why there is nothing to show."""
    return "No bill could be read." if failures else "No bill has been read yet."


def heading(lines: Sequence[UsageLine]) -> str:
    """Return the billing period that all of them share; empty if they do not."""
    periods = {each.period for each in lines}
    return f"Billing period: {periods.pop()}" if len(periods) == 1 else ""


def _columns(lines: Sequence[UsageLine], *, told: bool) -> Iterator[_Cells]:
    yield _Cells(_column("Organization", number=False), lambda each: each.line.org_name)
    if not heading(lines):
        yield _Cells(_column("Period", number=False), lambda each: each.period)
    if not told or any(each.gross is not None for each in lines):
        yield _amounts("Before discounts", lambda each: each.summand(each.gross_in_cents))
        yield _amounts("Discount", lambda each: each.summand(each.discount))
    yield _amounts("Month to date", _month_to_date, UNKNOWN)
    yield _amounts("Forecast", lambda each: each.line.forecast_usd, UNKNOWN)
    if told:
        yield _Cells(_column("Lower"), lambda each: money(each.line.forecast_lower_usd))
        yield _Cells(_column("Upper"), lambda each: money(each.line.forecast_upper_usd))
    yield _Cells(_column("Budget"), lambda each: money(each.line.budget_usd))
    yield _Cells(_column("Used"), _used)
    yield _Cells(_column("Used by end"), _used_by_end)
    if told:
        yield _Cells(_column("Between"), _between)


def _month_to_date(each: UsageLine) -> float | None:
    return each.summand(each.line.month_to_date_usd)


def _used(each: UsageLine) -> str:
    return percent(each.summand(each.line.budget_used) if each.line.budget_usd else None, 0)


def _used_by_end(each: UsageLine) -> str:
    return percent(each.shares["budget_forecast"], 0)


def _between(each: UsageLine) -> str:
    lower, upper = (each.shares[f"budget_forecast_{bound}"] for bound in ("lower", "upper"))
    return f"{percent(lower, 0)} and {percent(upper, 0)}" if None not in (lower, upper) else ""
