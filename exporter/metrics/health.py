"""What is known of an organization beside its bill: whether it is current, and why not.

Pure. `report` decides what may still be shown; the extractors below it are referred to by
the rows of the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.metrics.extract.values import Samples
from exporter.model import (
    Answer,
    CollectorState,
    Organization,
    OrganizationState,
    Sample,
    Spend,
)

# How long after its end a period's usage is shown while no newer answer can be had. The
# API says neither in which time zone a period ends nor whether its last day belongs to it.
PERIOD_GRACE = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class OrganizationReport:
    """What is known of one organization at one moment. `current` has what is not withdrawn."""

    organization: Organization
    collectors: Mapping[str, CollectorState]
    current: Mapping[str, Answer]
    spend: Spend | None
    next_withdrawal: float | None  # on the monotonic clock, if nothing is polled before

    @property
    def billing_tier(self) -> str:
        """The tier that an answer names; empty until one does."""
        return next((a.billing_tier for a in self.current.values() if a.billing_tier), "")


def report(state: OrganizationState, monotonic: float) -> OrganizationReport:
    """Return what may be shown of an organization at a moment of the monotonic clock."""
    current = {}
    withdrawals = []
    for name, collector in state.collectors.items():
        if collector.answer is None:
            continue
        withdrawn = _withdrawn_at(collector.answer, collector, state.organization.max_age)
        if monotonic < withdrawn:
            current[name] = collector.answer
            withdrawals.append(withdrawn)
    return OrganizationReport(
        state.organization,
        state.collectors,
        current,
        state.spend if "usage" in state.collectors else None,
        min(withdrawals, default=None),
    )


def _withdrawn_at(answer: Answer, collector: CollectorState, max_age: float) -> float:
    """Return when an answer is withdrawn, on the monotonic clock.

    Wall time enters only as the distance between two of the answer's own times, so that a
    local clock that jumps withdraws nothing.
    """
    withdrawn = answer.received_monotonic + max_age
    confirmed = collector.polled and collector.failure is None
    if not confirmed and answer.period_end is not None:
        ended = answer.period_end + PERIOD_GRACE - answer.received
        withdrawn = min(withdrawn, answer.received_monotonic + ended)
    return withdrawn


def org_info(report: OrganizationReport) -> Samples:
    """1, with the billing tier, the currency and the configured labels."""
    extra = tuple(sorted(report.organization.labels.items()))
    yield Sample((report.billing_tier, "USD"), 1, extra)


def outcomes(report: OrganizationReport) -> object:
    """Return what is equal as long as polls end as they did."""
    return [(name, state.polled, state.failure) for name, state in report.collectors.items()]


def content(report: OrganizationReport) -> object:
    """Return what is equal as long as answers, and what is current of them, stay the same."""
    return [
        (name, state.answer.changed, state.answer.withheld, name in report.current)
        for name, state in report.collectors.items()
        if state.answer is not None
    ]


def up(report: OrganizationReport) -> Samples:
    """Whether the last poll of every enabled collector succeeded."""
    states = report.collectors.values()
    if all(state.polled for state in states):
        yield Sample((), float(all(state.failure is None for state in states)))


def success(report: OrganizationReport) -> Samples:
    """Whether each collector's last poll succeeded."""
    for name, state in report.collectors.items():
        if state.polled:
            yield Sample((name,), float(state.failure is None))


def failure(report: OrganizationReport) -> Samples:
    """1 for the cause of each collector's failure."""
    for name, state in report.collectors.items():
        if state.failure is not None:
            yield Sample((name, state.failure.cause), 1)


def duration(report: OrganizationReport) -> Samples:
    """Seconds that each collector's last poll took."""
    for name, state in report.collectors.items():
        if state.duration is not None:
            yield Sample((name,), state.duration)


def last_attempt(report: OrganizationReport) -> Samples:
    """When each collector was last polled."""
    for name, state in report.collectors.items():
        if state.attempted is not None:
            yield Sample((name,), state.attempted)


def last_success(report: OrganizationReport) -> Samples:
    """When each collector was last polled with success."""
    for name, state in report.collectors.items():
        if state.answer is not None:
            yield Sample((name,), state.answer.received)


def last_change(report: OrganizationReport) -> Samples:
    """When each collector's answer last differed from the one before."""
    for name, state in report.collectors.items():
        if state.answer is not None:
            yield Sample((name,), state.answer.changed)


def withheld(report: OrganizationReport) -> Samples:
    """Samples that were withheld from the current data."""
    for name, answer in report.current.items():
        for reason, count in answer.withheld.items():
            yield Sample((name, reason), count)


def spend(report: OrganizationReport) -> Samples:
    """Growth of month to date."""
    if report.spend is not None:
        yield Sample((), report.spend.month_to_date.spend)


def corrections(report: OrganizationReport) -> Samples:
    """Fall of month to date."""
    if report.spend is not None:
        yield Sample((), report.spend.month_to_date.corrections)


def resource_spend(report: OrganizationReport) -> Samples:
    """Growth of the costs of each resource type."""
    if report.spend is not None:
        for name, tally in report.spend.by_resource.items():
            yield Sample((name,), tally.spend)


def resource_corrections(report: OrganizationReport) -> Samples:
    """Fall of the costs of each resource type."""
    if report.spend is not None:
        for name, tally in report.spend.by_resource.items():
            yield Sample((name,), tally.corrections)
