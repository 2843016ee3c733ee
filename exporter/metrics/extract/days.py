"""What the ledger says was spent in the windows that people ask for."""

from __future__ import annotations

from collections.abc import Callable

from exporter.metrics.extract.values import Samples
from exporter.metrics.report import DAY, OrganizationReport
from exporter.model import Sample, Windows


def one(value: Callable[[Windows], float | None]) -> Callable[[OrganizationReport], Samples]:
    """Return what extracts a number of the windows; nothing while it is not known."""

    def extract(report: OrganizationReport) -> Samples:
        number = None if report.windows is None else value(report.windows)
        if number is not None:
            yield Sample((), number)

    return extract


def today(report: OrganizationReport) -> Samples:
    """What was spent since midnight, if a good answer came since."""
    found = report.windows
    if found is not None and found.answered == report.today and found.on_it is not None:
        yield Sample((), found.on_it)


def yesterday_start(found: Windows) -> float | None:
    """When the last whole day began, if it is known what was spent on it."""
    return None if found.day_before is None else (found.answered - 1) * DAY


def resources(report: OrganizationReport) -> Samples:
    """What was spent on the last whole day for each resource type."""
    if report.windows is not None:
        for name, usd in report.windows.by_resource.items():
            yield Sample((name,), usd)


def closed_usage(report: OrganizationReport) -> Samples:
    """Month to date as last seen of the period that ended last."""
    if report.spend is not None and (period := report.spend.closed.last) is not None:
        yield Sample((), period.usage)


def closed_end(report: OrganizationReport) -> Samples:
    """When that period ended."""
    if report.spend is not None and (period := report.spend.closed.last) is not None:
        yield Sample((), period.end)
