"""What a bill is made of, in lines that add up to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.tool.report.periods import Period
from exporter.tool.usage_parts import BY

MAX_PARTS: Final = 15  # that are shown; the others are one line


class Part(NamedTuple):
    """A line: a part of the costs, or a step from them to the total. US dollars."""

    name: str
    usd: float


class MadeOf(NamedTuple):
    """Costs before discounts by one of BY, the largest first, and the rest of the lines.

    Rounded to cents, all parts and steps add up to the total.
    """

    parts: Sequence[Part]
    steps: Sequence[Part]
    itemized: float  # the sum of the costs
    total: float


def by(period: Period, which: str) -> MadeOf | None:
    """Return what a period was made of; None if that is not known, or has what is no number."""
    costs, total = period.costs, period.usd
    if costs is None or total is None:
        return None
    sums: dict[str, list[float]] = defaultdict(list)
    for cost in costs:
        if cost.cost_usd is None:
            return None
        sums[getattr(cost, BY[which])].append(cost.cost_usd)
    every = [Part(name, exact_sum(usds)) for name, usds in sums.items()]
    every.sort(key=lambda part: (-part.usd, part.name))
    itemized = exact_sum(part.usd for part in every)
    gross = itemized if period.gross is None else period.gross
    discount = gross - total if period.discount is None else period.discount
    steps = [
        Part(NOT_ITEMIZED, gross - itemized),
        Part(DISCOUNTS, -discount),
        Part(UNEXPLAINED, total - (gross - discount)),
    ]
    return _made_of(every, steps, total)


def by_days(resources: Mapping[str, float], total: float, *, all_known: bool) -> MadeOf:
    """Return what a period was made of by its days, of each resource type, before discounts.

    They lack days that are not known, unless all are.
    """
    every = [Part(name, usd) for name, usd in resources.items()]
    every.sort(key=lambda part: (-part.usd, part.name))
    rest = total - exact_sum(part.usd for part in every)
    return _made_of(every, [Part(REST if all_known else REST_AND_UNKNOWN, rest)], total)


NOT_ITEMIZED: Final = "Not itemized"
DISCOUNTS: Final = "Discounts"
UNEXPLAINED: Final = "Difference to the total"
REST: Final = "Discounts and other differences"
REST_AND_UNKNOWN: Final = "Discounts, and days that are not known"
ROUNDING: Final = "Rounding"


def _made_of(every: Sequence[Part], steps: Iterable[Part], total: float) -> MadeOf:
    parts = [part for part in every if cents(part.usd)]
    others = parts[MAX_PARTS:] if len(parts) > MAX_PARTS + 1 else []
    parts = parts[: len(parts) - len(others)]
    rest = exact_sum(part.usd for part in others)
    if cents(rest):
        parts.append(Part(f"{len(others)} others", rest))
    lines = [step for step in steps if cents(step.usd)]
    shown = sum(cents(part.usd) for part in (*parts, *lines))
    if off := cents(total) - shown:
        lines.append(Part(ROUNDING, off / 100))
    return MadeOf(parts, lines, exact_sum(part.usd for part in every), total)


def cents(usd: float) -> int:
    """Return an amount in cents, rounded as it is shown."""
    return int(Decimal(f"{usd:.2f}") * 100)
