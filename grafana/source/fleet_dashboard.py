"""All organizations: is anything wrong, what is spent and owed, who moves, and a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    WITHOUT_FORECAST,
)
from grafana.source import board, days, headlines
from grafana.source.attention import (
    FORECAST_OVER_BUDGET,
    OVER_BUDGET,
    needs_attention,
)
from grafana.source.board import EXPORTER, INVOICES, Board, to
from grafana.source.charts import BY_RANK, GREY, bars, lines
from grafana.source.fleet_tables import made_of, movers, organizations
from grafana.source.freshness import DATA_AGE, organizations_out_of_date
from grafana.source.known import (
    ANY_PART,
    BUDGETED,
    EVALUATED,
    GONE,
    MISSING,
    USAGE,
    USAGE_OF_BUDGET,
    of_all,
    of_exporters,
    tile,
)
from grafana.source.money_panels import (
    COUNTED_ON_THE_RIGHT,
    DASHED,
    FILLED,
    FORECAST,
    firing,
    fixed,
)
from grafana.source.panels import (
    COUNT,
    NO_DAY,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    OF_LIMIT_LEFT,
    ONE_IS_GOOD,
    SECONDS,
    SHARE,
    SHARE_OF_FAILURES,
    USD_AXIS,
    Panel,
    Query,
    stat,
)
from grafana.source.payments import owed_over_time
from grafana.source.promql import (
    RANKS,
    by_id,
    metric,
    picked,
    ranked,
    spent,
    spent_on_day,
    with_name,
)
from grafana.source.spend_panels import month_trend

OTHERS: Final = "all others"
CREDITED: Final = "all others (credit)"


def _wrong() -> Sequence[Panel]:
    failing = f"(1 - {by_id('viam_billing_up')} or on (org_id) 0 * {GONE} + 1)"
    return (
        stat(
            "Warnings and worse",
            "Critical alerts and warnings of this project that are firing, for all organizations. "
            "Should be 0. Click for the list; each alert has a runbook.",
            f"sum({firing('critical|warning')}) or on () {EVALUATED}",
            unit=COUNT,
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        tile(
            "Unreadable bills",
            "Organizations for which the last poll of a part failed, or whose exporter is down. "
            "Should be 0. Their last good numbers stay for a while and are then withdrawn. Click "
            "for the causes.",
            failing,
            ANY_PART,
            total=f"sum({failing})",
            also=[of_all(f"sum({failing})")],
            name="unreadable",
            none="Not polled yet",
            unit=COUNT,
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        organizations_out_of_date(to(EXPORTER)),
        headlines.overdue(to(INVOICES)),
        headlines.failed_payments(to(INVOICES)),
        tile(
            "Budgets exceeded",
            "Organizations that have spent more than their budget in this period. Should be 0. "
            "The table above shows which.",
            OVER_BUDGET,
            USAGE_OF_BUDGET,
            total=f"sum({OVER_BUDGET} > bool 0)",
            having=BUDGETED,
            none="No budget set",
            unit=COUNT,
            colours=NONE_IS_GOOD,
        ),
    )


def _money() -> Sequence[Panel]:
    with_both = f"{picked(FORECAST)} and on (org_id) {BUDGETED}"
    budgets = f"{BUDGETED} and on (org_id) {picked(FORECAST)}"
    return (
        headlines.month_so_far(),
        month_trend(),
        headlines.forecast(),
        tile(
            "Forecast against budget",
            "Forecast of the organizations that have a budget, as a share of all these budgets. "
            "Those without a budget are left out. It can be below 100% while one organization is "
            "far over its own budget: see the count beside it.",
            with_both,
            USAGE_OF_BUDGET,
            total=f"sum({with_both}) / (sum({budgets}) > 0)",
            having=BUDGETED,
            none="No budget set",
            unit=SHARE,
        ),
        tile(
            "Forecast over budget",
            "Organizations that are forecast to exceed their budget by the end of the period, or "
            "already have. Should be 0. The table above shows which.",
            FORECAST_OVER_BUDGET,
            USAGE_OF_BUDGET,
            total=f"sum({FORECAST_OVER_BUDGET} > bool 0)",
            having=BUDGETED,
            none="No budget set",
            unit=COUNT,
            colours=NONE_IS_BETTER,
        ),
        headlines.owed(to(INVOICES)),
        days.last_day(),
        days.last_week(),
        days.week_trend(),
    )


def _breakdown() -> Sequence[Panel]:
    spend = spent_on_day()
    size = f"({spent(7, '@ end()')})"
    top = f"topk({RANKS}, {size})"
    named = ranked(f"{with_name(spend)} and on (org_id) {top}", "org_id", size)
    return (
        bars(
            "Spend per day by organization",
            "Net spend of each complete UTC day, by the eight organizations that spent most in the "
            "last week, the others together. Should be even, lower on weekends. A tall bar is "
            "worth a look at that organization; one below 0 is a credit. After a gap in the "
            "answers, which is marked, a bar includes all spend since.",
            Query(f"{named} > 0", "{{rank}}. {{org_name}}", "1d"),
            Query(f"sum({spend} > 0 unless on (org_id) {top})", OTHERS, "1d"),
            # By themselves: in one stack with the others they would be drawn over them.
            Query(f"{named} < 0", "{{rank}}. {{org_name}} (credit)", "1d"),
            Query(f"sum({spend} < 0 unless on (org_id) {top})", CREDITED, "1d"),
            unit=USD_AXIS,
            width=24,
            styles=[*BY_RANK, *((others, [fixed(GREY)]) for others in (OTHERS, CREDITED))],
            empty=NO_DAY,
        ),
        lines(
            "Whole fleet: month so far and forecast",
            "All organizations, whatever is chosen above. Month so far climbs from $0 in each "
            "period and ends at its forecast. Organizations without a forecast are left out: "
            "they are counted on the right.",
            Query(ALL_MONTH_TO_DATE, "month so far"),
            Query(ALL_FORECAST, "forecast"),
            Query(f"{WITHOUT_FORECAST} > 0", MISSING),
            unit=USD_AXIS,
            styles=[
                ("month so far", [FILLED, fixed("blue")]),
                ("forecast", [DASHED, fixed("purple")]),
                (MISSING, COUNTED_ON_THE_RIGHT),
            ],
        ),
        owed_over_time("What is owed", width=12),
        movers(),
        made_of(),
        days.pace_of_all(),
    )


def _exporter() -> Sequence[Panel]:
    failures = metric("viam_billing_exporter_api_request_failures_total")
    requests = metric("viam_billing_exporter_api_requests_total")
    remaining = metric("viam_billing_exporter_api_requests_remaining")
    limit = metric("viam_billing_exporter_api_requests_limit")
    return (
        of_exporters(
            "Exporters that answer",
            "Share of exporters whose last scrape succeeded. Should be 100%. If it is lower, the "
            "data of the others is missing or old: look at their logs.",
            f"avg({metric('up')})",
            none="Cannot be read",
            unit=SHARE,
            colours=ONE_IS_GOOD,
            url=to(EXPORTER),
            width=6,
        ),
        tile(
            "Oldest data",
            "Time since the last good poll of the oldest part of any organization's bill. Should "
            "be below two poll intervals. Click to see whose it is.",
            DATA_AGE,
            USAGE,
            total=f"max({DATA_AGE})",
            name="age",
            none="Not polled yet",
            unit=SECONDS,
            url=to(EXPORTER),
            width=6,
        ),
        of_exporters(
            "Calls that failed in the last 24 hours",
            "Share of the calls to the billing API that failed in the last 24 hours, retries "
            "included. Should be below 5%. Click for the codes.",
            # Without failures of a kind there is no series of it.
            f"(sum(increase({failures}[1d])) or 0 * sum(increase({requests}[1d])))"
            f" / (sum(increase({requests}[1d])) > 0)",
            none="No calls yet",
            unit=SHARE,
            colours=SHARE_OF_FAILURES,
            url=to(EXPORTER),
            width=6,
        ),
        of_exporters(
            "Requests left today",
            "Share of the daily ceiling on calls to the billing API that is left, for the exporter "
            "with the least. It is full again at midnight UTC; at 0%, polls fail until then.",
            f"min({remaining} / {limit})",
            none="No ceiling set",
            unit=SHARE,
            colours=OF_LIMIT_LEFT,
            url=to(EXPORTER),
            width=6,
        ),
    )


def fleet() -> Board:
    """Return the dashboard of all organizations."""
    return Board(
        board.FLEET,
        "Viam billing / Fleet",
        "What all organizations spend at and owe to Viam, and what is wrong.",
        (board.organization(several=True),),
        (
            ("What needs attention", (needs_attention(), *_wrong())),
            ("Money", _money()),
            ("Where it goes", _breakdown()),
            ("Organizations", (organizations(),)),
            ("Exporter", _exporter()),
        ),
        marks=False,
        bars=True,
    )
