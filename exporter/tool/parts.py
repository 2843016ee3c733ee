"""What a bill is made of: parts that add up to it, unrounded and as people see them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.base import plain as programs
from exporter.metrics import cents
from exporter.metrics.extract.values import exact_sum

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

    @property
    def others(self) -> Sequence[Part]:
        """What leads from the costs to the month to date."""
        return [each for each in self.parts if each.kind != COST]

    @property
    def before_discounts(self) -> float:
        """The sum of the costs."""
        return exact_sum(each.usd for each in self.costs)

    def in_cents(self) -> Breakdown:
        """Return it in whole cents: costs add up to their sum, and with the others to the total.

        Discounts and the total are what they are everywhere. The adjustment makes up for what is
        rounded, or, if there is none, the sum of the costs.
        """
        costs, others = self.costs, self.others
        discount = exact_sum(-each.usd for each in others if each.kind == DISCOUNT)
        whole = cents.before_discounts(self.before_discounts, discount, self.month_to_date)
        rest = {
            DISCOUNT: cents.rounded(-discount),
            ADJUSTMENT: cents.total([self.month_to_date, discount, -whole]),
        }
        usds = cents.adding_up([each.usd for each in costs], whole)
        parts = [
            *(each._replace(usd=usd) for each, usd in zip(costs, usds, strict=True)),
            *(each._replace(usd=rest[each.kind]) for each in others),
        ]
        return Breakdown(parts, cents.rounded(self.month_to_date))

    def plain(self, by: str) -> Sequence[Mapping[str, Any]]:
        """Return the parts as programs get them, unrounded."""
        return [
            {
                "by": by,
                "kind": kind,
                "part": name if kind == COST else None,
                "amount_usd": programs.number(usd),
                "share": share,
            }
            for kind, name, usd, share in self.parts
        ]


def broken_down(
    costs: Iterable[tuple[str, float | None]], discount: float, total: float
) -> Breakdown:
    """Return what a bill is made of, by the names of its costs. What is withheld is no number.

    Discounts are a part of their own, as they are not given for each cost. What the total is more,
    or less, than costs and discounts is the adjustment.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    for name, usd in costs:
        found[name].append(math.nan if usd is None else usd)
    sums = {name: exact_sum(each) for name, each in found.items()}
    whole = exact_sum(sums.values())
    parts = [
        Part(COST, name, usd, programs.number(programs.share(usd, whole)))
        for name, usd in sorted(sums.items(), key=lambda each: (_largest_first(each[1]), each[0]))
    ]
    if discount:
        parts.append(Part(DISCOUNT, "", -discount, None))
    if not cents.add_up(whole, discount, total):  # what is no number shows, too
        adjustment = exact_sum([total, discount, -whole])
        parts.append(Part(ADJUSTMENT, "", adjustment, None))
    return Breakdown(parts, total)


def together_in_cents(exact: Breakdown, bills: Iterable[Breakdown]) -> Breakdown:
    """Return what several bills are made of, together, each part as it is shown of each of them.

    `exact` is what they are made of together, of which shares are.
    """
    shown = [each.in_cents() for each in bills]
    shares = {each.name: each.share for each in exact.costs}
    made = broken_down(
        ((part.name, part.usd) for each in shown for part in each.costs),
        cents.total(-part.usd for each in shown for part in each.others if part.kind == DISCOUNT),
        cents.total(each.month_to_date for each in shown),
    )
    parts = [
        each._replace(share=shares.get(each.name)) if each.kind == COST else each
        for each in made.parts
    ]
    return made._replace(parts=parts)


def words(name: str, by: str) -> str:
    """Return what people call a part."""
    if by == "tier":
        return name or "no tier"
    return "organization" if (by, name) == ("source", "org") else name.replace("_", " ")


def _largest_first(usd: float) -> float:
    return -usd if math.isfinite(usd) else math.inf
