"""How old the numbers are: expressions and a table that several dashboards have."""

from __future__ import annotations

from typing import Final

from exporter.model import Cause
from exporter.rules.series import SEEN, SUCCEEDED
from exporter.rules.staleness import OUT_OF_DATE_AFTER
from grafana.source.board import ORGANIZATION, THIS_ORGANIZATION, to
from grafana.source.known import ANY_PART, GONE, NOT_POLLED, of_all, tile
from grafana.source.panels import (
    COUNT,
    INTERVALS_OLD,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    SECONDS,
    Panel,
)
from grafana.source.promql import by_id, metric, most, named, recorded
from grafana.source.tables import Column, table

PART: Final = "org_id, org_name, collector"

# Of an exporter that is down, what was last known.
_REMEMBERED: Final = most("org_id, collector", f"{recorded(SUCCEEDED)} and on (org_id) {GONE}")
_NAMED: Final = f"{_REMEMBERED} * on (org_id) group_left (org_name) ({named(SEEN)} > bool 0)"
_SUCCESS: Final = (
    f"({most(PART, metric('viam_billing_collector_last_success_timestamp_seconds'))}"
    f" or on (org_id, collector) {_NAMED})"
)
_ATTEMPT = most(PART, metric("viam_billing_collector_last_attempt_timestamp_seconds"))
_CHANGE = most(PART, metric("viam_billing_collector_last_change_timestamp_seconds"))
_INTERVAL = by_id("viam_billing_poll_interval_seconds")

# Since the last good poll, of each part of an organization's data: in seconds, and in intervals.
PART_AGE: Final = f"time() - {_SUCCESS}"
PART_AGE_IN_INTERVALS: Final = f"({PART_AGE}) / on (org_id) group_left () {_INTERVAL}"
# The same of the part that is oldest.
DATA_AGE: Final = f"max by (org_id) ({PART_AGE})"
DATA_AGE_IN_INTERVALS: Final = f"max by (org_id) ({PART_AGE_IN_INTERVALS})"
# 1 for each organization with a part that is stale, or that was never polled successfully.
_OUT_OF_DATE: Final = (
    f"(max by (org_id) ({PART_AGE_IN_INTERVALS} > bool {OUT_OF_DATE_AFTER} or 0 * {_ATTEMPT} + 1)"
    f" or on (org_id) 0 * {GONE} + 1)"
)

_ID: Final = Column("ID", label="org_id", width=95)
# The worst is last.
CAUSES: Final = dict(enumerate(reversed([*Cause]), 1))
DOWN: Final = len(CAUSES) + 1


def organizations_out_of_date(url: str | None = None) -> Panel:
    """Return how many organizations have a part that is out of date."""
    return tile(
        "Organizations out of date",
        "Organizations with a part that has had no good poll for two poll intervals, or ever. "
        "Should be 0: their numbers are old or missing. The exporter dashboard shows whose, and "
        "why.",
        _OUT_OF_DATE,
        ANY_PART,
        total=f"sum({_OUT_OF_DATE})",
        also=[of_all(f"sum({_OUT_OF_DATE})")],
        name="out of date",
        none="Not polled yet",
        unit=COUNT,
        colours=NONE_IS_GOOD,
        url=url,
    )


def _state() -> str:
    """Return 0 for a part whose last poll succeeded, else the number of the cause."""
    failing = (
        f"""{number} * {most(PART, metric("viam_billing_collector_failure", f'cause="{cause}"'))}"""
        for number, cause in CAUSES.items()
    )
    success = f"0 * {most(PART, metric('viam_billing_collector_success'))}"
    return " or ".join([*failing, success, f"0 * {_NAMED} + {DOWN}"])


def parts_table(*, one_organization: bool) -> Panel:
    """Return a row for each part of the bill of each organization."""
    texts = {str(number): (cause.replace("_", " "), "red") for number, cause in CAUSES.items()}
    texts |= {"0": ("ok", "green"), str(DOWN): ("exporter down", "red")}
    organization = Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION))
    withheld = (
        f"sum by ({PART}) ({most(f'{PART}, reason', metric('viam_billing_withheld_samples'))})"
    )
    waits = most(PART, metric("viam_billing_collector_retry_timestamp_seconds"))
    return table(
        "Parts of the bill",
        "Each part of a bill is polled on its own; failing ones come first. State is ok, or "
        "why the last poll failed: credentials and permission need a person; an outage passes. Age "
        "is the time since the last good poll, and should be below two poll intervals. Unchanged "
        "for is how long the answer has been the same. Withheld counts samples that cannot be "
        "trusted. Waits is how much longer the server has asked not to be polled.",
        *(() if one_organization else (organization, _ID)),
        Column("Part", label="collector", width=None if one_organization else 140),
        Column("State", _state(), texts=texts, width=115),
        Column(
            "Age",
            f"{PART_AGE} or 0 * {_ATTEMPT} + {NOT_POLLED}",
            unit=SECONDS,
            texts={"-Infinity": ("never read", "red")},
            width=95,
        ),
        Column(
            "Intervals",
            PART_AGE_IN_INTERVALS,
            colours=INTERVALS_OLD,
            decimals=1,
            width=90,
        ),
        Column("Unchanged for", f"time() - {_CHANGE}", unit=SECONDS, width=125),
        Column("Withheld", withheld, colours=NONE_IS_BETTER, width=85),
        Column("Waits", f"{waits} - time()", unit=SECONDS, width=80),
        key=None,
        hidden=("org_id",) if one_organization else (),
        sort="State",
        width=12 if one_organization else 16,
        height=6 if one_organization else 11,
    )
