"""What needs attention: the problems of each organization, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.rules.series import (
    BUDGET_USED,
    EXPORTERS_DOWN,
    SEEN,
    SINCE,
    SPIKE,
    STALE,
    SUCCEEDED,
    last,
)
from grafana.source.board import ORGANIZATION, THIS_ORGANIZATION, to
from grafana.source.known import BUDGETED, ORGANIZATIONS, amount, month_to_date
from grafana.source.money_panels import FAILED, FORECAST, OVERDUE
from grafana.source.panels import MOMENT, USD, Panel
from grafana.source.promql import by_id, metric, most, named, picked, recorded, told_apart
from grafana.source.tables import Column, table

PART: Final = "org_id, collector"
EXHAUSTED: Final = "viam_billing_budget_exhausted_timestamp_seconds"
_DAY_BEGAN: Final = "viam_billing_spend_yesterday_start_timestamp_seconds"
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
    since: str
    money: bool = False
    colour: str = "red"


PROBLEMS: Final = (  # the worst is last
    Problem("Out of date", _STALE, f"time() - {_STALE}", colour="orange"),
    Problem(
        "Spike",
        f"{by_id(SPIKE)} > 0",
        f"{picked(_DAY_BEGAN)} and on (org_id) {by_id(SPIKE, _YESTERDAY)} > 0"
        f" or 0 * {by_id(SPIKE)} + time() - time() % 86400",
        money=True,
        colour="orange",
    ),
    Problem(
        "Forecast over budget",
        f"{FORECAST_OVER_BUDGET} > 0 unless on (org_id) {OVER_BUDGET} > 0",
        picked(EXHAUSTED),
        money=True,
        colour="orange",
    ),
    Problem("Over budget", f"{OVER_BUDGET} > 0", picked(EXHAUSTED), money=True),
    Problem(
        "Payment failed",
        f"{ALL_FAILED} > 0",
        by_id("viam_billing_payment_last_failure_timestamp_seconds"),
        money=True,
    ),
    Problem(
        "Overdue",
        f"{amount(OVERDUE)} > 0",
        by_id("viam_billing_invoice_oldest_unpaid_due_timestamp_seconds"),
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
TEXTS: Final = {
    str(rank): (problem.text, problem.colour) for rank, problem in enumerate(PROBLEMS, 1)
} | {str(len(PROBLEMS) + 1): ("Exporter down", "red")}


def _named(problem: Problem, value: str) -> str:
    """Return a value of organizations that have a problem, with their name and the problem's."""
    name = f"({told_apart(named(SEEN))} > bool 0)"
    value = f"(({value}) and on (org_id) ({problem.found}))"
    labelled = f"{value} * on (org_id) group_left (org_name) {name}"
    return f'label_replace({labelled}, "problem", "{problem.text}", "", "")'


def _ranks() -> str:
    ranks = (f"{rank} + 0 * {_named(p, p.found)}" for rank, p in enumerate(PROBLEMS, 1))
    return " or ".join(ranks)


def worst() -> str:
    """Return the rank of the worst problem of each organization, 0 if it has none."""
    ranks = [f"({rank} + 0 * ({p.found}))" for rank, p in enumerate(PROBLEMS, 1)]
    return " or ".join([*reversed(ranks), f"0 * {ORGANIZATIONS}"])


def needs_attention() -> Panel:
    """Return the table of what is wrong. A row says so where nothing is."""
    down = f"{len(PROBLEMS) + 1} + 0 * max({EXPORTERS_DOWN} > 0)"
    amounts = " or ".join(_named(p, p.found) for p in PROBLEMS if p.money)
    since = " or ".join(_named(p, p.since) for p in PROBLEMS)
    return table(
        "Needs attention",
        "What is wrong, worst first; one row for each problem of an organization. The amount is "
        "what is overdue, unpaid after a failed payment, over the budget, or spent on the day of "
        "the spike. Since is when it began; for a forecast over budget, when the budget will be "
        "used up. Click a name for the organization.",
        Column(
            "Problem",
            f"{_ranks()} or {down} or on () 0 * count({ORGANIZATIONS})",
            texts={"0": ("Nothing", "green"), **TEXTS},
            width=170,
        ),
        Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION)),
        Column("Amount", amounts, unit=USD),
        Column("Since", f"1000 * ({since})", unit=MOMENT, width=160),
        key=None,
        hidden=("org_id", "problem"),
        sort="Problem",
        height=9,
    )
