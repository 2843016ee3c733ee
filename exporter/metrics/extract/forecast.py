"""What is expected of the days ahead, and was of those before."""

from __future__ import annotations

from collections.abc import Callable

from exporter.metrics.extract.values import Samples, optional
from exporter.metrics.report import OrganizationReport
from exporter.model import ExpectedDay, Forecast, Sample


def one(value: Callable[[Forecast], float | None]) -> Callable[[OrganizationReport], Samples]:
    """Return what extracts a number of the forecast; nothing while it is not known."""
    return lambda report: optional(None if report.forecast is None else value(report.forecast))


def of_day_before(value: Callable[[ExpectedDay], float]) -> Callable[[OrganizationReport], Samples]:
    """Return what extracts a number of what the last whole day was expected to cost."""

    def extract(report: OrganizationReport) -> Samples:
        day = None if report.forecast is None else report.forecast.day_before
        return optional(None if day is None else value(day))

    return extract


def today_upper(report: OrganizationReport) -> Samples:
    """Above how much today is a spike, if a good answer came since midnight."""
    if report.windows is None or report.windows.answered != report.today:
        return
    if report.forecast is not None and report.forecast.on_it is not None:
        yield Sample((), report.forecast.on_it.upper)


def resources(report: OrganizationReport) -> Samples:
    """What each resource type was expected to cost on the last whole day."""
    if report.windows is None or report.forecast is None or report.forecast.day_before is None:
        return
    expected = report.forecast.day_before.by_resource
    for name in report.windows.by_resource:
        yield Sample((name,), expected.get(name, 0.0))
