"""What the month of organizations is made of, for `usage --by`: parts that add up to it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

from exporter.base import plain as programs
from exporter.metrics.extract.values import exact_sum
from exporter.tool import outcomes, output, usage_table
from exporter.tool.focus import SMALLEST
from exporter.tool.outcomes import ReadFailure
from exporter.tool.output import Column, Row, money
from exporter.tool.usage_lines import UsageLine

# What a cost is known by, for each way to break a month down.
BY: Final[Mapping[str, str]] = {
    "resource": "resource_type",
    "source": "source_type",
    "tier": "tier",
}
TITLES: Final[Mapping[str, str]] = {
    "resource": "Resource type",
    "source": "Source",
    "tier": "Tier",
}
COST, DISCOUNT, ADJUSTMENT = "cost", "discount", "adjustment"
OF_THE_ORGANIZATION: Final = ("org_id", "org_name", "period_start", "period_end")
COLUMNS: Final = (*OF_THE_ORGANIZATION, "by", "kind", "part", "amount_usd", "share")


class Part(NamedTuple):
    """A part of the month."""

    kind: str  # COST, DISCOUNT or ADJUSTMENT
    name: str  # of a cost
    usd: float  # no number if it is withheld
    share: float | None  # of all costs; None of what is no cost


class Breakdown(NamedTuple):
    """The parts of a month in US dollars, which add up to it; costs first, the largest first."""

    parts: Sequence[Part]
    month_to_date: float

    @property
    def costs(self) -> Sequence[Part]:
        """What was paid for, before discounts."""
        return [each for each in self.parts if each.kind == COST]


def breakdown(lines: Sequence[UsageLine], by: str) -> Breakdown | None:
    """Return what the bills of organizations are made of, taken together; None without a bill.

    Discounts are a part of their own, as they are not given for each cost. What an organization's
    bill is more, or less, than its costs and discounts is the adjustment.
    """
    read = [(each, each.costs()) for each in lines]
    bills = [(each, costs) for each, costs in read if costs is not None and not each.is_unknown]
    if not bills:
        return None
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _, costs in bills:
        for cost in costs:
            usd = cost["cost_usd"]
            found[cost[BY[by]]].append(math.nan if usd is None else usd)
    sums = {name: exact_sum(each) for name, each in found.items()}
    discount = exact_sum(_known(each.discount) for each, _ in bills)
    month_to_date = exact_sum(_known(each.line.month_to_date_usd) for each, _ in bills)
    whole = exact_sum(sums.values())
    parts = [
        Part(COST, name, usd, programs.number(programs.share(usd, whole)))
        for name, usd in sorted(sums.items(), key=lambda each: (_largest_first(each[1]), each[0]))
    ]
    if discount:
        parts.append(Part(DISCOUNT, "", -discount, None))
    adjustment = exact_sum([month_to_date, discount, -whole])
    if not abs(adjustment) < SMALLEST:  # so that what is no number shows, too
        parts.append(Part(ADJUSTMENT, "", adjustment, None))
    return Breakdown(parts, month_to_date)


def plain(lines: Sequence[UsageLine], by: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the parts as programs get them, unrounded; None if they are not known."""
    found = breakdown(lines, by)
    if found is None:
        return None
    return [
        {
            "by": by,
            "kind": kind,
            "part": name if kind == COST else None,
            "amount_usd": programs.number(usd),
            "share": share,
        }
        for kind, name, usd, share in found.parts
    ]


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
    costs, others = found.costs, found.parts[len(found.costs) :]
    whole = exact_sum(each.usd for each in costs)
    whole_cents, *other_cents = adding_up(
        [whole, *(each.usd for each in others)], found.month_to_date
    )
    shown = adding_up([each.usd for each in costs], whole_cents)
    cells = [
        Row((words(each.name, by), money(usd), _percent(each.share)))
        for each, usd in zip(costs, shown, strict=True)
    ]
    all_of_it = _percent(programs.number(programs.share(whole, whole)))
    title = total_of.replace("Total", "Month to date", 1)
    totals = [(title, money(found.month_to_date), "" if others else all_of_it)]
    if others:
        totals = [
            ("Before discounts", money(whole_cents), all_of_it),
            *(
                (f"{each.kind.capitalize()}s", money(usd), "")
                for each, usd in zip(others, other_cents, strict=True)
            ),
            *totals,
        ]
    columns = (
        Column(TITLES[by]),
        Column("Cost", number=True),
        Column("Share", number=True, gives_way=1),
    )
    heading = usage_table.heading(known) or "Billing periods: not the same for all organizations"
    output.show(columns, cells, *totals, heading=heading)


def adding_up(amounts: Sequence[float], total: float) -> Sequence[float]:
    """Return amounts in whole cents that add up to a total, as it is shown.

    Each is less than a cent from what it is: people add up what they see.
    """
    if not all(map(math.isfinite, [*amounts, total])):
        return amounts
    exact = [Fraction(usd) * 100 for usd in amounts]
    cents = [math.floor(each) for each in exact]
    missing = round(Fraction(f"{total:.2f}") * 100) - sum(cents)
    by_rest = sorted(range(len(cents)), key=lambda n: cents[n] - exact[n])
    for n in by_rest[: max(0, missing)]:
        cents[n] += 1
    return [each / 100 for each in cents]


def words(name: str, by: str) -> str:
    """Return what people call a part."""
    if by == "tier":
        return name or "no tier"
    return "organization" if (by, name) == ("source", "org") else name.replace("_", " ")


def _known(usd: float | None) -> float:
    return math.nan if usd is None else usd


def _largest_first(usd: float) -> float:
    return -usd if math.isfinite(usd) else math.inf


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
