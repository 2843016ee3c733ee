"""Statistics, and numbers as people read them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least a share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the power of the size that values grow with: the slope of logarithms."""
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(max(value, 1e-9)) for value in values]
    ).slope


def ms(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return short(1000 * seconds)


def mb(size: float) -> str:
    """Return bytes as megabytes."""
    return short(size / 1e6)


def short(value: float) -> str:
    """Return a number with three digits, or all that it has before the point."""
    if isinstance(value, int) or value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(digits, 3)}f}"
