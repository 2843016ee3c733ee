"""What the ledger says was spent in the windows that people ask for."""

from __future__ import annotations

from collections.abc import Callable

from exporter.metrics.extract.values import Samples
from exporter.metrics.report import DAY, OrganizationReport
from exporter.model import ClosedPeriod, Windows


def one(value: Callable[[Windows], float | None]) -> Callable[[OrganizationReport], float | None]:
    """Return what gives a number of the windows; None while it is not known."""
    return lambda report: None if report.windows is None else value(report.windows)


def today(report: OrganizationReport) -> float | None:
    """What was spent since midnight, if a good answer came since."""
    found = report.windows
    return None if found is None or found.answered != report.today else found.on_it


def yesterday_start(found: Windows) -> float | None:
    """When the last whole day began, if it is known what was spent on it."""
    return None if found.day_before is None else (found.answered - 1) * DAY


def resources(report: OrganizationReport) -> Samples:
    """What was spent on the last whole day for each resource type."""
    if report.windows is not None:
        for name, usd in report.windows.by_resource.items():
            yield (name,), usd


def closed(
    value: Callable[[ClosedPeriod], float],
) -> Callable[[OrganizationReport], float | None]:
    """Return what gives a number of the period that ended last; None before one has."""

    def extract(report: OrganizationReport) -> float | None:
        period = None if report.spend is None else report.spend.closed.last
        return None if period is None else value(period)

    return extract
