"""What is expected of the days ahead, and was of those before."""

from __future__ import annotations

from collections.abc import Callable

from exporter.metrics.extract.values import Samples
from exporter.metrics.report import OrganizationReport
from exporter.model import ExpectedDay, Forecast


def one(value: Callable[[Forecast], float | None]) -> Callable[[OrganizationReport], float | None]:
    """Return what gives a number of the forecast; None while it is not known."""
    return lambda report: None if report.forecast is None else value(report.forecast)


def of_day_before(
    value: Callable[[ExpectedDay], float],
) -> Callable[[OrganizationReport], float | None]:
    """Return what gives a number of what the last whole day was expected to cost."""
    return one(lambda found: None if found.day_before is None else value(found.day_before))


def today_upper(report: OrganizationReport) -> float | None:
    """Above how much today is a spike, if a good answer came since midnight."""
    if report.windows is None or report.windows.answered != report.today:
        return None
    found = report.forecast
    return None if found is None or found.on_it is None else found.on_it.upper


def resources(report: OrganizationReport) -> Samples:
    """What each resource type was expected to cost on the last whole day."""
    if report.windows is None or report.forecast is None or report.forecast.day_before is None:
        return
    expected = report.forecast.day_before.by_resource
    for name in report.windows.by_resource:
        yield (name,), expected.get(name, 0.0)
