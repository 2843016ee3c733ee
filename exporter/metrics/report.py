"""Pure: what is known of an organization at one moment, and what of it is withdrawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exporter.model import (
    Answer,
    CollectorState,
    Forecast,
    Moment,
    Organization,
    OrganizationState,
    Spend,
    Windows,
)

DAY = 86_400.0  # seconds
MONTH_TO_DATE: Final = "viam_billing_usage_month_to_date_usd"

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
    windows: Windows | None  # of the ledger; None if month to date is withdrawn, too
    forecast: Forecast | None  # None without windows
    today: int  # the UTC day, in days since 1970
    next_withdrawal: float | None  # on the monotonic clock, if nothing is polled before

    @property
    def up(self) -> bool | None:
        """Whether the last poll of every collector succeeded; None before each was polled."""
        states = self.collectors.values()
        if not all(state.polled for state in states):
            return None
        return all(state.failure is None for state in states)

    @property
    def billing_tier(self) -> str:
        """The tier that an answer names; empty until one does."""
        return next((tier for a in self.current.values() if (tier := a.reading.billing_tier)), "")


def report_on(state: OrganizationState, now: Moment) -> OrganizationReport:
    """Return what may be shown of an organization at a moment."""
    current = {}
    withdrawals = []
    today = math.floor(now.time / DAY)
    for name, collector in state.collectors.items():
        if collector.answer is None:
            continue
        withdrawn = _withdrawn_at(collector.answer, collector, state.organization.max_age)
        if now.monotonic < withdrawn:
            current[name] = collector.answer
            withdrawals.append(withdrawn)
    is_told = "usage" in current and _tells_month_to_date(current["usage"], state.spend)
    is_behind = state.spend is not None and state.spend.is_behind
    ledger = state.spend.ledger if state.spend and is_told else None
    windows = None if ledger is None else ledger.windows
    if windows is not None and windows.answered > today:  # the clock was ahead, or is behind
        windows = None
    if windows is not None:  # at midnight, what was spent today is not known any more
        withdrawals.append(now.monotonic + (today + 1) * DAY - now.time)
    return OrganizationReport(
        state.organization,
        state.collectors,
        current,
        state.spend if "usage" in state.collectors and not is_behind else None,
        windows,
        None if windows is None else state.forecast,
        today,
        min(withdrawals, default=None),
    )


def _tells_month_to_date(answer: Answer, spend: Spend | None) -> bool:
    """Tell whether a usage answer has a month to date that could be counted.

    Else it is not known what was spent since the last one that had.
    """
    if spend is None or MONTH_TO_DATE not in answer.reading.figures:
        return False
    tally = spend.month_to_date
    return tally.since is None or tally.fallen is not None


def _withdrawn_at(answer: Answer, collector: CollectorState, max_age: float) -> float:
    """Return when an answer is withdrawn, on the monotonic clock.

    Wall time enters only as the distance between two of the answer's own times, so that a
    local clock that jumps withdraws nothing.
    """
    withdrawn = answer.received_monotonic + max_age
    confirmed = collector.polled and collector.failure is None
    if not confirmed and answer.reading.period_end is not None:
        ended = answer.reading.period_end + PERIOD_GRACE - answer.received
        withdrawn = min(withdrawn, answer.received_monotonic + ended)
    return withdrawn


# --- What decides whether samples must be rebuilt -----------------------------------------


def outcomes(report: OrganizationReport) -> object:
    """Return what stays equal as long as polls end as they did."""
    return [
        (name, state.polled, state.failure, state.held_until)
        for name, state in report.collectors.items()
    ]


def content(report: OrganizationReport) -> object:
    """Return what stays equal as long as the answers, and which of them are current, do."""
    return [
        (name, state.answer.changed, state.answer.reading.withheld, name in report.current)
        for name, state in report.collectors.items()
        if state.answer is not None
    ]


def period_end(report: OrganizationReport) -> object:
    """Return what stays equal as long as the period is expected to end where it was."""
    found = report.forecast
    return found and (found.usd, found.lower, found.upper, found.exhausted)


def whole_days(report: OrganizationReport) -> object:
    """Return what stays equal as long as the days before today do, and it is the same day."""
    found = report.windows
    return found and found._replace(on_it=None), report.today


def expected(report: OrganizationReport) -> object:
    """Return what stays equal as long as what was expected of days, and the days, do."""
    found = report.forecast
    expected = found and (found.past_error, found.day_before, found.on_it)
    return expected, whole_days(report)
