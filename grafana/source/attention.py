"""What needs attention: the problems of each organization, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from exporter.rules.series import (
    ANSWERED,
    BUDGET_USED,
    SEEN,
    SINCE,
    SPIKE,
    STALE,
    SUCCEEDED,
    last,
)
from grafana.source.board import ORGANIZATION, THIS_ORGANIZATION, to
from grafana.source.known import (
    BUDGETED,
    DOWN,
    EVALUATED,
    EXPORTERS,
    LATER,
    ORGANIZATIONS,
    amount,
    month_to_date,
)
from grafana.source.money_panels import (
    EXHAUSTED,
    FAILED,
    FORECAST,
    OLDEST_DUE,
    OVERDUE,
)
from grafana.source.panels import MOMENT, USD, Panel
from grafana.source.promql import (
    MEMORY,
    by_id,
    metric,
    most,
    named,
    picked,
    recorded,
    told_apart,
)
from grafana.source.tables import Column, table

PART: Final = "org_id, collector"
# The midnight before the bill was read last: of that day and the one before a spike is remembered.
_MIDNIGHT: Final = f"""floor({by_id(SUCCEEDED, 'collector="usage"')} / 86400) * 86400"""
_YESTERDAY: Final = 'day="yesterday"'
_DENIED_PARTS: Final = most(
    PART, metric("viam_billing_collector_failure", 'cause=~"credentials|permission"')
)
_NEVER_PARTS: Final = (
    f"({most(PART, metric('viam_billing_collector_success'))} == 0"
    f" unless on ({PART}) {recorded(SUCCEEDED)})"
)
_DENIED: Final = f"max by (org_id) ({_DENIED_PARTS})"
_NEVER: Final = f"(max by (org_id) ({_NEVER_PARTS}) unless on (org_id) {_DENIED})"
_STALE: Final = f"({by_id(STALE)} unless on (org_id) ({_DENIED} or {_NEVER}))"
_ENDED: Final = f"({amount('viam_billing_usage_period_end_timestamp_seconds')} > 0 <= time())"
# By how much a budget is exceeded, below 0 if it is not. Of a period that is over it says nothing.
OVER_BUDGET: Final = f"({month_to_date()} - on (org_id) {BUDGETED} unless on (org_id) {_ENDED})"
# As it is recorded, or else of what was last known.
USED: Final = (
    f"({by_id(BUDGET_USED)} or on (org_id) "
    f"({month_to_date()} / on (org_id) ({BUDGETED} > 0) unless on (org_id) {_ENDED}))"
)
FORECAST_OVER_BUDGET: Final = (
    f"({picked(FORECAST)} - on (org_id) {BUDGETED} unless on (org_id) {_ENDED})"
)
ALL_FAILED: Final = f"sum by (org_id) ({most('org_id, reason', recorded(last(FAILED)))})"


@dataclass(frozen=True)
class Problem:
    """What may be wrong: organizations that have it, by id, and since when, in Unix seconds.

    The value of one about money is the amount.
    """

    text: str
    found: str
    since: str = ""
    money: bool = False
    colour: str = "red"


PROBLEMS: Final = (  # the worst is last
    Problem("Cannot be read", _STALE, f"time() - {_STALE}"),
    Problem(
        "Spike",
        f"{by_id(SPIKE)} > 0",
        f"{_MIDNIGHT} - 86400 * ({by_id(SPIKE, _YESTERDAY)} > bool 0) or {_MIDNIGHT}",
        money=True,
        colour="orange",
    ),
    Problem(
        "Forecast over budget",
        f"{FORECAST_OVER_BUDGET} > 0 unless on (org_id) {OVER_BUDGET} > 0",
        f"({EXHAUSTED} <= time())",  # it lies ahead, so nothing says since when
        money=True,
        colour="orange",
    ),
    Problem("Over budget", f"{OVER_BUDGET} > 0", EXHAUSTED, money=True),
    Problem(
        "Payment failed",
        f"{ALL_FAILED} > 0",  # since when is not known, only when the last attempt was
        money=True,
    ),
    Problem(
        "Overdue",
        f"{amount(OVERDUE)} > 0",
        OLDEST_DUE,
        money=True,
    ),
    Problem(
        "Access denied",
        _DENIED,
        f"min by (org_id) ({recorded(SUCCEEDED)} and on ({PART}) {_DENIED_PARTS})"
        f" or {by_id(SINCE)}",
    ),
    Problem("Never read", _NEVER, by_id(SINCE)),
)
LOST: Final = "No longer known"
LOST_RANK, DOWN_RANK = (len(PROBLEMS) + each for each in (1, 2))
TEXTS: Final = {
    **{str(rank): (problem.text, problem.colour) for rank, problem in enumerate(PROBLEMS, 1)},
    str(LOST_RANK): (LOST, "red"),
    str(DOWN_RANK): ("Exporter down", "red"),
}
# When the exporter was last scraped that has been missing longest; if all are forgotten, the last.
_DOWN_SINCE: Final = f"(min({EXPORTERS}) or max(last_over_time({EXPORTERS}[{MEMORY}])))"
# When the bill was read last of those that left with an exporter that is down: half a day later
# nothing else is known of them.
_LOST: Final = (
    f"(topk by (org_id) (1, last_over_time({recorded(ANSWERED)}[{MEMORY}]))"
    f" unless on (org_id) {ORGANIZATIONS} and on () {DOWN})"
)


def _labelled(values: Iterable[tuple[Problem, str]]) -> str:
    """Return values of organizations that have problems, by the problem and their name."""
    labelled = (f'label_replace({v}, "problem", "{p.text}", "", "")' for p, v in values)
    name = f"({told_apart(named(SEEN))} > bool 0)"
    return f"({' or '.join(labelled)}) * on (org_id) group_left (org_name) {name}"


def _since(problem: Problem) -> str:
    return f"{problem.since} or on (org_id) " if problem.since else ""


def worst() -> str:
    """Return the rank of the worst problem of each organization, 0 if it has none."""
    ranks = [f"({rank} + 0 * ({p.found}))" for rank, p in enumerate(PROBLEMS, 1)]
    return " or ".join([*reversed(ranks), f"0 * {ORGANIZATIONS}"])


def needs_attention() -> Panel:
    """Return the table of what is wrong. A row says so where nothing is."""
    down, lost = f"max({DOWN})", f'label_replace({_LOST}, "problem", "{LOST}", "", "")'
    more = f"{LOST_RANK} + 0 * {lost} or {DOWN_RANK} + 0 * {down}"
    ranks = _labelled((p, f"{rank} + 0 * ({p.found})") for rank, p in enumerate(PROBLEMS, 1))
    amounts = _labelled((p, p.found) for p in PROBLEMS if p.money)
    since = _labelled(
        (p, f"({_since(p)}{ORGANIZATIONS} * 0 + {LATER}) and on (org_id) ({p.found})")
        for p in PROBLEMS
    )
    return table(
        "Needs attention",
        "What is wrong, worst first; one row for each problem of an organization. The amount is "
        "what is overdue, unpaid after a failed payment, over the budget or forecast to be, or "
        "spent on the day of the spike. Since is when it began, as far as the bill says; for what "
        "cannot be read or is no longer known, when it was last read. Click a name for the "
        "organization.",
        Column(
            "Problem",
            f"{ranks} or {more} or on () {EVALUATED}",
            texts={"0": ("Nothing", "green"), **TEXTS},
            width=170,
        ),
        Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION)),
        Column("Amount", amounts, unit=USD),
        Column(
            "Since",
            f"1000 * ({since} or {lost} or 0 * {down} + {_DOWN_SINCE})",
            unit=MOMENT,
            texts={"Infinity": ("not given", "text")},
            width=160,
        ),
        key=None,
        hidden=("org_id", "problem"),
        sort="Problem",
        then="Amount",
        height=9,
    )
