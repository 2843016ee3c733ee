"""What a month is made of, and the lines of the report that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from exporter.base.plain import HALF_A_CENT
from exporter.metrics.extract.values import exact_sum
from exporter.tool.parts import BY, COST, Breakdown, Part, broken_down
from exporter.tool.report.periods import Period

MAX_PARTS: Final = 15  # that are shown; the others are one line


def of(periods: Iterable[Period]) -> Mapping[str, Breakdown]:
    """Return what periods were made of, by each of BY; empty if it is not known of one of them."""
    every = list(periods)
    costs = [cost for each in every for cost in each.costs or ()]
    if not every or any(
        each.costs is None or each.usd is None or any(cost.cost_usd is None for cost in each.costs)
        for each in every
    ):
        return {}
    discount = exact_sum(map(_discount, every))
    total = exact_sum(each.usd or 0.0 for each in every)
    return {
        which: broken_down(
            ((getattr(cost, name), cost.cost_usd) for cost in costs), discount, total
        )
        for which, name in BY.items()
    }


def _discount(period: Period) -> float:
    if period.discount is not None:
        return period.discount
    return 0.0 if period.gross is None or period.usd is None else period.gross - period.usd


def shown(made_of: Breakdown) -> Breakdown:
    """Return it in cents, with the smallest of many costs as one; what is nothing is left out."""
    found = made_of.in_cents()
    others = [each for each in found.others if abs(each.usd) >= HALF_A_CENT]
    costs = [each for each in found.costs if abs(each.usd) >= HALF_A_CENT]
    folded = costs[MAX_PARTS:] if len(costs) > MAX_PARTS + 1 else []
    if folded:
        usd, share = (
            exact_sum(each.usd for each in folded),
            exact_sum(each.share or 0.0 for each in folded),
        )
        rest = Part(COST, f"{len(folded)} others", usd, share)
        costs = [*costs[:MAX_PARTS], *([rest] if abs(usd) >= HALF_A_CENT else [])]
    return found._replace(parts=[*costs, *others])
