"""Credits and corrections: what the bill fell by, told apart from what was spent meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.base.plain import HALF_A_CENT
from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import Day


def credits_of(days: Sequence[tuple[int, Day]]) -> Mapping[int, float]:
    """Return about how large the credits and corrections of days were, in US dollars.

    The bill shows how far it fell, which is less than a credit if money was spent in the same
    hours. Costs before discounts say how much that was. The first and the last day may be of two
    periods, or not be over, so of those the fall is all that is known.
    """
    fallen = {number: day for number, day in days if _fell(day)}
    others = [day for _, day in days if not (_fell(day) or day.is_unknown)]
    gross = exact_sum(map(before_discounts, others))
    kept = exact_sum(day.spend for day in others) / gross if gross > 0 else 0.0
    inside = {number for number, _ in days[1:-1]}
    return {
        number: max(
            day.corrections,
            before_discounts(day) * kept - day.spend + day.corrections if number in inside else 0.0,
        )
        for number, day in fallen.items()
    }


def before_discounts(day: Day) -> float:
    """Return what was spent on a day before discounts, in US dollars."""
    return exact_sum(moved.spend for moved in day.resources().values())


def _fell(day: Day) -> bool:
    return not day.is_unknown and day.corrections >= HALF_A_CENT
