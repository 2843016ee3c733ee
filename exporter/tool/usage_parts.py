"""What the month of organizations is made of, for `usage --by`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from exporter.base import plain as programs
from exporter.metrics.extract.values import exact_sum
from exporter.tool import outcomes, output, usage_table
from exporter.tool.outcomes import ReadFailure
from exporter.tool.output import Column, Row, money, percent
from exporter.tool.parts import BY, TITLES, Breakdown, broken_down, together_in_cents, words
from exporter.tool.usage_lines import UsageLine

OF_THE_ORGANIZATION: Final = ("org_id", "org_name", "period_start", "period_end")
COLUMNS: Final = (*OF_THE_ORGANIZATION, "by", "kind", "part", "amount_usd", "share")


def breakdown(lines: Sequence[UsageLine], by: str) -> Breakdown | None:
    """Return what the bills of organizations are made of, taken together; None without a bill."""
    read = [(each, each.costs()) for each in lines]
    bills = [(each, costs) for each, costs in read if costs is not None and not each.is_unknown]
    if not bills:
        return None
    return broken_down(
        ((cost[BY[by]], cost["cost_usd"]) for _, costs in bills for cost in costs),
        exact_sum(_known(each.discount) for each, _ in bills),
        exact_sum(_known(each.line.month_to_date_usd) for each, _ in bills),
    )


def plain(lines: Sequence[UsageLine], by: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the parts as programs get them, unrounded; None if they are not known."""
    found = breakdown(lines, by)
    return None if found is None else found.plain(by)


def rows(lines: Sequence[UsageLine], by: str) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of each organization, with the COLUMNS of CSV."""
    for each in lines:
        head = {name: getattr(each.line, name) for name in OF_THE_ORGANIZATION}
        for part in plain([each], by) or ():
            yield {**head, **part}


def show(lines: Sequence[UsageLine], failures: Collection[ReadFailure], by: str) -> None:
    """Print the parts of all organizations together, and below them what they add up to."""
    found = breakdown(lines, by)
    if found is None:
        print(usage_table.nothing(failures))
        return
    known = [each for each in lines if each.costs() is not None and not each.is_unknown]
    total_of = outcomes.total_of(known, failures, len(lines) - len(known))
    bills = (breakdown([each], by) for each in known)
    shown = together_in_cents(found, (each for each in bills if each is not None))
    cells = [
        Row((words(each.name, by), money(each.usd), percent(each.share))) for each in shown.costs
    ]
    whole = shown.before_discounts
    all_of_it = percent(programs.number(programs.share(whole, whole)))
    title = total_of.replace("Total", "Month to date", 1)
    totals = [(title, money(shown.month_to_date), "" if shown.others else all_of_it)]
    if shown.others:
        totals = [
            ("Before discounts", money(whole), all_of_it),
            *((f"{each.kind.capitalize()}s", money(each.usd), "") for each in shown.others),
            *totals,
        ]
    columns = (
        Column(TITLES[by]),
        Column("Cost", number=True),
        Column("Share", number=True, gives_way=1),
    )
    heading = usage_table.heading(known) or "Billing periods: not the same for all organizations"
    output.show(columns, cells, *totals, heading=heading)


def _known(usd: float | None) -> float:
    return math.nan if usd is None else usd
