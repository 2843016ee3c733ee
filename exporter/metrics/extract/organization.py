"""What is known of an organization beside its bill: polls, spend counters, configuration."""

from __future__ import annotations

from exporter.metrics.extract.values import Samples
from exporter.metrics.report import OrganizationReport


def org_info(report: OrganizationReport) -> Samples:
    """1, with the billing tier and the currency."""
    yield (report.billing_tier, "USD"), 1


def success(report: OrganizationReport) -> Samples:
    """Whether each collector's last poll succeeded."""
    for name, state in report.collectors.items():
        if state.polled:
            yield (name,), float(state.failure is None)


def failure(report: OrganizationReport) -> Samples:
    """1 for the cause of each collector's failure."""
    for name, state in report.collectors.items():
        if state.failure is not None:
            yield (name, state.failure.cause), 1


def retry(report: OrganizationReport) -> Samples:
    """Until when the server's own delay keeps each collector's poll waiting."""
    for name, state in report.collectors.items():
        if state.held_until is not None:
            yield (name,), state.held_until


def duration(report: OrganizationReport) -> Samples:
    """Seconds that each collector's last poll took."""
    for name, state in report.collectors.items():
        if state.duration is not None:
            yield (name,), state.duration


def last_attempt(report: OrganizationReport) -> Samples:
    """When each collector was last polled."""
    for name, state in report.collectors.items():
        if state.attempted is not None:
            yield (name,), state.attempted


def last_success(report: OrganizationReport) -> Samples:
    """When each collector was last polled successfully."""
    for name, state in report.collectors.items():
        if state.answer is not None:
            yield (name,), state.answer.received


def last_change(report: OrganizationReport) -> Samples:
    """When each collector's answer last differed from the one before."""
    for name, state in report.collectors.items():
        if state.answer is not None:
            yield (name,), state.answer.changed


def withheld(report: OrganizationReport) -> Samples:
    """Samples that were withheld from the current data."""
    for name, answer in report.current.items():
        for reason, count in answer.reading.withheld.items():
            yield (name, reason), count


def spend(report: OrganizationReport) -> float | None:
    """Growth of month to date."""
    return None if report.spend is None else report.spend.month_to_date.spend


def corrections(report: OrganizationReport) -> float | None:
    """Fall of month to date."""
    return None if report.spend is None else report.spend.month_to_date.corrections


def resource_spend(report: OrganizationReport) -> Samples:
    """Growth of the costs of each resource type."""
    if report.spend is not None:
        for name, tally in report.spend.by_resource.items():
            yield (name,), tally.spend


def resource_corrections(report: OrganizationReport) -> Samples:
    """Fall of the costs of each resource type."""
    if report.spend is not None:
        for name, tally in report.spend.by_resource.items():
            yield (name,), tally.corrections
