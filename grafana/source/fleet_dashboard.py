"""All organizations: is anything wrong, what is spent and owed, who moves, and a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    EXPORTERS_DOWN,
    SEEN,
    TYPE_COST,
    WITHOUT_FORECAST,
)
from grafana.source import board, days, headlines
from grafana.source.attention import (
    FORECAST_OVER_BUDGET,
    OVER_BUDGET,
    TEXTS,
    USED,
    needs_attention,
    worst,
)
from grafana.source.board import EXPORTER, INVOICES, ORGANIZATION, THIS_ORGANIZATION, Board, to
from grafana.source.freshness import DATA_AGE, organizations_out_of_date
from grafana.source.known import (
    ANY_PART,
    BUDGETED,
    GONE,
    MISSING,
    USAGE,
    USAGE_OF_BUDGET,
    amount,
    cell,
    month_to_date,
    of_exporters,
    parts,
    tile,
)
from grafana.source.known import INVOICES as OF_INVOICES
from grafana.source.money_panels import (
    COUNTED_ON_THE_RIGHT,
    DASHED,
    FILLED,
    FORECAST,
    OUTSTANDING,
    OVERDUE,
    UNPAID,
    firing,
    fixed,
)
from grafana.source.panels import (
    COUNT,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    OF_BUDGET,
    OF_LIMIT_LEFT,
    ONE_IS_GOOD,
    PLAIN_NUMBER,
    SECONDS,
    SHARE,
    SHARE_OF_FAILURES,
    USD,
    USD_AXIS,
    Panel,
    Query,
    bars,
    lines,
    stat,
)
from grafana.source.promql import (
    by_id,
    metric,
    most,
    named,
    picked,
    recorded,
    spent,
    spent_on_day,
    with_name,
)
from grafana.source.spend_panels import month_trend
from grafana.source.tables import GAUGE, Column, table

SHOWN_BY_NAME: Final = 10  # organizations that have a colour of their own
MOVERS: Final = 12
OTHERS: Final = "all others"

_ORGANIZATION = Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION))


def _wrong() -> Sequence[Panel]:
    failing = f"(1 - {by_id('viam_billing_up')} or on (org_id) 0 * {GONE} + 1)"
    return (
        stat(
            "Alerts firing",
            "Critical alerts and warnings of this project that fire now, for all organizations. "
            "Should be 0. Click for the list; each alert has a runbook.",
            # Recorded as long as rules are evaluated, whatever they find.
            f"sum({firing('critical|warning')}) or on () 0 * max({EXPORTERS_DOWN})",
            unit=COUNT,
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        tile(
            "Organizations not readable",
            "Organizations of which the last poll of a part failed, or whose exporter is down. "
            "Should be 0. Their last good numbers stay for a while and are then withdrawn. Click "
            "for the causes.",
            failing,
            ANY_PART,
            total=f"sum({failing})",
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
            "Which ones: the table above.",
            OVER_BUDGET,
            USAGE_OF_BUDGET,
            total=f"sum({OVER_BUDGET} > bool 0)",
            always=False,
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
        headlines.forecast(),
        tile(
            "Forecast over budget",
            "Organizations that the forecast sees above their budget by the end of the period, or "
            "that already are. Should be 0. Which ones: the table above.",
            FORECAST_OVER_BUDGET,
            USAGE_OF_BUDGET,
            total=f"sum({FORECAST_OVER_BUDGET} > bool 0)",
            always=False,
            none="No budget set",
            unit=COUNT,
            colours=NONE_IS_BETTER,
        ),
        tile(
            "Forecast against budget",
            "Forecast of the organizations that have a budget, as a share of all these budgets. "
            "Those without a budget are in neither. It can be below 100 % while one of them is "
            "far over its own: see the count beside it.",
            with_both,
            USAGE_OF_BUDGET,
            total=f"sum({with_both}) / (sum({budgets}) > 0)",
            always=False,
            none="No budget set",
            unit=SHARE,
        ),
        headlines.owed(to(INVOICES)),
        month_trend(),
        days.last_day(),
        days.last_week(),
        days.week_trend(),
    )


def _breakdown() -> Sequence[Panel]:
    spend = spent_on_day()
    top = f"topk({SHOWN_BY_NAME}, {spent(7, '@ end()')})"
    return (
        bars(
            "Spend per day by organization",
            "Net spend of each complete UTC day, by the organizations that spent most in the last "
            "week, the others together. Should be even, lower on weekends. A tall bar is worth a "
            "look at that organization; one below 0 is a credit. After a gap in the answers, which "
            "is marked, a bar holds what was spent since.",
            Query(f"{with_name(spend)} > 0 and on (org_id) {top}", "{{org_name}}", "1d"),
            Query(f"sum({spend} > 0 unless on (org_id) {top})", OTHERS, "1d"),
            # By themselves: in one stack with the others they would be drawn over them.
            Query(f"{with_name(spend)} < 0", "{{org_name}}, credited", "1d"),
            unit=USD_AXIS,
            width=24,
            styles=[(OTHERS, [fixed("text")])],
        ),
        lines(
            "Whole fleet: month so far and forecast",
            "All organizations, whatever is chosen above. Month so far climbs from $0 in each "
            "period and ends at its forecast. Organizations without a forecast are not in it: they "
            "are counted on the right.",
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
        lines(
            "What is owed",
            "Jumps when invoices come, on the first of the month above all, and falls as they "
            "are paid. Overdue should stay at $0. The balance leaves out invoices of the current "
            "cycle.",
            Query(f"sum({amount(UNPAID)})", "unpaid invoices", "6h"),
            Query(f"sum({amount(OUTSTANDING)})", "outstanding balance", "6h"),
            Query(f"sum({amount(OVERDUE)})", "overdue", "6h"),
            unit=USD_AXIS,
            styles=[
                ("unpaid invoices", [fixed("blue")]),
                ("outstanding balance", [fixed("purple"), DASHED]),
                ("overdue", [fixed("red"), FILLED]),
            ],
        ),
        _movers(),
        _made_of(),
        days.pace_of_all(),
    )


def _made_of() -> Panel:
    """Return the table of what the month is made of."""
    cost = most("org_id, resource_type", recorded(TYPE_COST))
    total = f"sum by (resource_type) ({cost})"
    return table(
        "What the month is made of",
        "What the current period has cost so far by what it was for, of all organizations that are "
        "chosen, before discounts. The dashboard of an organization has the same of one, with what "
        "was expected.",
        Column("Resource type", label="resource_type"),
        Column("This period", parts(total, USAGE, "resource_type"), unit=USD),
        Column("Share", f"{total} / on () group_left () sum({cost})", unit=SHARE, cell=GAUGE),
        Column("Organizations", f"count by (resource_type) ({cost} > 0)", width=110),
        key="resource_type",
        sort="This period",
        width=12,
        height=8,
    )


def _movers() -> Panel:
    week, before = picked(days.WEEK), picked(days.WEEK_BEFORE)
    return table(
        "Movers of the week",
        "Spend of the last seven whole UTC days beside that of the seven before, before "
        "corrections, where it changed most. Growth is not bad by itself: ask whether it was "
        "meant. Organizations of which a day of these is not known are left out. Click a name for "
        "the organization.",
        _ORGANIZATION,
        Column("Organization ID", label="org_id", width=140),
        Column(
            "Last 7 days",
            f"{picked(days.WEEK, labels='org_id, org_name')}"
            f" and on (org_id) topk({MOVERS}, abs({week} - {before}))",
            unit=USD,
        ),
        Column("7 days before", before, unit=USD, width=115),
        Column("Change in $", f"{week} - {before}", unit=PLAIN_NUMBER, decimals=2, width=105),
        Column("Change in %", f"({week} - {before}) / ({before} > 0)", unit=SHARE, width=105),
        key="org_id",
        sort="Change in $",
        inner=True,
        width=12,
        height=8,
    )


def _organizations() -> Sequence[Panel]:
    share = f"{picked(FORECAST)} / on (org_id) ({BUDGETED} > 0)"
    return (
        table(
            "Organizations",
            "Every organization that is configured, those with problems first. Amounts that cannot "
            "be read now are the last known ones, as old as the data age says. The last 7 days are "
            "whole UTC days, before corrections. A dash means that there is none, as of a budget. "
            "Click a name for the organization.",
            _ORGANIZATION,
            Column("Organization ID", label="org_id", width=140),
            Column("_known", named(SEEN), shown=False),
            Column("Problem", worst(), texts={"0": ("none", "green"), **TEXTS}, width=150),
            Column("Month so far", cell(month_to_date(), USAGE), unit=USD),
            Column("Forecast", cell(picked(FORECAST), USAGE, takes_time=True), unit=USD),
            Column("Budget", BUDGETED, unit=USD),
            Column("Budget used", USED, unit=SHARE, colours=OF_BUDGET, cell=GAUGE, width=150),
            Column("Forecast against budget", share, unit=SHARE, colours=OF_BUDGET, width=180),
            Column("Last 7 days", cell(picked(days.WEEK), USAGE, takes_time=True), unit=USD),
            Column("Owed", cell(amount(UNPAID), OF_INVOICES), unit=USD),
            Column("Overdue", cell(amount(OVERDUE), OF_INVOICES), unit=USD, colours=NONE_IS_GOOD),
            Column("Data age", DATA_AGE, unit=SECONDS, width=95),
            key="org_id",
            sort="Problem",
            height=11,
        ),
    )


def _exporter() -> Sequence[Panel]:
    failures = metric("viam_billing_exporter_api_request_failures_total")
    requests = metric("viam_billing_exporter_api_requests_total")
    remaining = metric("viam_billing_exporter_api_requests_remaining")
    limit = metric("viam_billing_exporter_api_requests_limit")
    return (
        of_exporters(
            "Exporters that answer",
            "Share of the exporters that Prometheus could scrape last. Should be 100 %. Below it, "
            "what the others would show is missing or old: look at their logs.",
            f"avg({metric('up')})",
            none="Cannot be read",
            unit=SHARE,
            colours=ONE_IS_GOOD,
            url=to(EXPORTER),
            width=6,
        ),
        tile(
            "Oldest data",
            "Time since the last good poll of the part of an organization that is oldest. Should "
            "be below two poll intervals. Click for whose it is.",
            DATA_AGE,
            USAGE,
            total=f"max({DATA_AGE})",
            none="Not polled yet",
            unit=SECONDS,
            url=to(EXPORTER),
            width=6,
        ),
        of_exporters(
            "Calls that failed in the last 24 hours",
            "Share of the calls to the billing API that failed in the last 24 hours, retries "
            "included. Should be below 5 %. Click for the codes.",
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
            "Share of the daily ceiling on calls to the billing API that is left, of the exporter "
            "that has least. It is full at midnight UTC; at 0 % polls fail until then.",
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
        "What all organizations spend and owe at Viam, and what is wrong with it.",
        (board.organization(several=True),),
        (
            ("What needs attention", (needs_attention(), *_wrong())),
            ("Money", _money()),
            ("Where it goes", _breakdown()),
            ("Organizations", _organizations()),
            ("Exporter", _exporter()),
        ),
        marks=False,
        bars=True,
    )
