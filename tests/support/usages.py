"""What answers about usage mean, made without one."""

from __future__ import annotations

from exporter.metrics.extract.usage import Totals, Usage


def usage(net: float, start: float | None, end: float | None = None, **costs: float) -> Usage:
    """Return a month to date, with costs by resource type; times are Unix seconds."""
    return Usage(
        costs={("org", "", name): [usd] for name, usd in costs.items()},
        totals={("org", ""): Totals([net], [0.0], [net])},
        month_to_date=net,
        subtotal=net,
        period_start=start,
        period_end=end,
    )
