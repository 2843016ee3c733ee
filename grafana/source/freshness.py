"""How old the numbers are: expressions and a table that several dashboards have."""

from __future__ import annotations

from typing import Final

from exporter.model import Cause
from grafana.source.board import ORGANIZATION, THIS_ORGANIZATION, to
from grafana.source.panels import INTERVALS_OLD, NONE_IS_BETTER, SECONDS, Panel
from grafana.source.promql import by_id, metric, most
from grafana.source.tables import TEXT, Column, table

STALE_AFTER: Final = 2  # poll intervals
PART: Final = "org_id, org_name, collector"

_SUCCESS = most(PART, metric("viam_billing_collector_last_success_timestamp_seconds"))
_ATTEMPT = most(PART, metric("viam_billing_collector_last_attempt_timestamp_seconds"))
_CHANGE = most(PART, metric("viam_billing_collector_last_change_timestamp_seconds"))
_INTERVAL = by_id("viam_billing_poll_interval_seconds")

# Since the last good poll, of each part of an organization's data: in seconds, and in intervals.
PART_AGE: Final = f"time() - {_SUCCESS}"
PART_AGE_IN_INTERVALS: Final = f"({PART_AGE}) / on (org_id) group_left () {_INTERVAL}"
# The same of the part that is oldest.
DATA_AGE: Final = f"max by (org_id) ({PART_AGE})"
DATA_AGE_IN_INTERVALS: Final = f"max by (org_id) ({PART_AGE_IN_INTERVALS})"
# How many organizations have a part that is stale, or that was never polled successfully.
ORGANIZATIONS_STALE: Final = (
    f"sum(max by (org_id) ({PART_AGE_IN_INTERVALS} > bool {STALE_AFTER} or 0 * {_ATTEMPT} + 1))"
)

CAUSES: Final = dict(enumerate(Cause, 1))


def _state() -> str:
    """Return 0 for a part whose last poll succeeded, else the number of the cause."""
    failing = (
        f"""{number} * {most(PART, metric("viam_billing_collector_failure", f'cause="{cause}"'))}"""
        for number, cause in CAUSES.items()
    )
    return " or ".join([*failing, f"0 * {most(PART, metric('viam_billing_collector_success'))}"])


def parts_table(*, one_organization: bool) -> Panel:
    """Return a row for each part of the bill of each organization."""
    texts = {str(number): (cause.replace("_", " "), "red") for number, cause in CAUSES.items()}
    organization = Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION))
    withheld = (
        f"sum by ({PART}) ({most(f'{PART}, reason', metric('viam_billing_withheld_samples'))})"
    )
    waits = most(PART, metric("viam_billing_collector_retry_timestamp_seconds"))
    return table(
        "Parts of the bill",
        "Each part of a bill is polled on its own. State is ok, or why the last poll failed: "
        "credentials and permission need a person, an outage passes. Age is since the last good "
        "poll, should be below two poll intervals. Still is for how long the answer has been the "
        "same. Withheld samples could not be trusted. Waits is for how long the server "
        "still asks for no poll.",
        *(() if one_organization else (organization,)),
        Column("Part", label="collector", width=None if one_organization else 140),
        Column("State", _state(), texts={"0": ("ok", "green"), **texts}, cell=TEXT, width=105),
        Column("Age", PART_AGE, unit=SECONDS, width=95),
        Column(
            "Intervals",
            PART_AGE_IN_INTERVALS,
            colours=INTERVALS_OLD,
            cell=TEXT,
            decimals=1,
            width=90,
        ),
        Column("Still", f"time() - {_CHANGE}", unit=SECONDS, width=95),
        Column("Withheld", withheld, colours=NONE_IS_BETTER, cell=TEXT, width=85),
        Column("Waits", f"{waits} - time()", unit=SECONDS, width=80),
        key=None,
        hidden=("org_id",),
        empty="Nothing polled yet",
        sort="Intervals",
        width=12 if one_organization else 14,
        height=6 if one_organization else 11,
    )
