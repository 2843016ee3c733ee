"""What a bill is made of: parts that add up to it, unrounded and as people see them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

from exporter.base import plain as programs
from exporter.metrics.extract.values import exact_sum
from exporter.tool.focus import SMALLEST

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

        Each is less than a cent from what it is.
        """
        costs, others = self.costs, self.others
        whole, *rest = adding_up(
            [self.before_discounts, *(each.usd for each in others)], self.month_to_date
        )
        usds = [*adding_up([each.usd for each in costs], whole), *rest]
        parts = [each._replace(usd=usd) for each, usd in zip((*costs, *others), usds, strict=True)]
        return self._replace(parts=parts)

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
    adjustment = exact_sum([total, discount, -whole])
    if not abs(adjustment) < SMALLEST:  # so that what is no number shows, too
        parts.append(Part(ADJUSTMENT, "", adjustment, None))
    return Breakdown(parts, total)


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


def _largest_first(usd: float) -> float:
    return -usd if math.isfinite(usd) else math.inf
