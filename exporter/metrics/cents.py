"""Amounts as people see them: one number for one thing, and parts that add up to their total.

What an organization's bill came to, what is deducted from it and what it is forecast to come to are
rounded, each by itself, wherever they stand. The total of organizations adds up what is shown of
each. See docs/adr/0029-cents.md. Programs get exact amounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import cycle, islice
from typing import Final

from exporter.metrics.extract.values import exact_sum

SMALLEST: Final = 1e-6  # US dollars; less than that is what adding up floats leaves


def rounded(usd: float) -> float:
    """Return an amount in whole cents, as it is shown everywhere."""
    return round(usd, 2)


def total(usds: Iterable[float]) -> float:
    """Return the sum of amounts as they are shown, in whole cents."""
    return rounded(exact_sum(map(rounded, usds)))


def add_up(gross: float, discount: float, usd: float) -> bool:
    """Tell whether an amount is what was before discounts less these, as exact amounts."""
    return abs(exact_sum([gross, -discount, -usd])) < SMALLEST


def before_discounts(gross: float, discount: float, usd: float) -> float:
    """Return what was before discounts, in whole cents, so that what is shown adds up if it did."""
    return total([usd, discount]) if add_up(gross, discount, usd) else rounded(gross)


def adding_up(amounts: Sequence[float], to: float) -> Sequence[float]:
    """Return amounts in whole cents that add up to a total as it is shown.

    If they add up to it before, each is less than a cent from what it is.
    """
    if not amounts or not all(map(math.isfinite, [*amounts, to])):
        return amounts
    exact = [Fraction(usd) * 100 for usd in amounts]
    cents = [math.floor(each) for each in exact]
    missing = round(Fraction(rounded(to)) * 100) - sum(cents)
    # What rounding down took most of gets a cent first; the largest can best do without one.
    order = sorted(
        range(len(cents)), key=lambda n: cents[n] - exact[n] if missing > 0 else -exact[n]
    )
    for n in islice(cycle(order), abs(missing)):
        cents[n] += 1 if missing > 0 else -1
    return [each / 100 for each in cents]
