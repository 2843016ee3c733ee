"""All organizations: is anything wrong, what is spent and owed, who moves, and a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    BUDGET_USED,
    MONTH_TO_DATE,
    WITHOUT_FORECAST,
)
from grafana.source import board, days, headlines
from grafana.source.board import EXPORTER, INVOICES, ORGANIZATION, THIS_ORGANIZATION, Board, to
from grafana.source.freshness import DATA_AGE, DATA_AGE_IN_INTERVALS, ORGANIZATIONS_STALE
from grafana.source.money_panels import (
    BUDGET,
    COUNTED_ON_THE_RIGHT,
    DASHED,
    FILLED,
    FORECAST,
    NO_BUDGET,
    NO_RULES,
    NOTHING_POLLED,
    OUTSTANDING,
    OVERDUE,
    UNPAID,
    firing,
    fixed,
)
from grafana.source.panels import (
    COUNT,
    INTERVALS_OLD,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    OF_BUDGET,
    OF_LIMIT_LEFT,
    ONE_IS_GOOD,
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
    named,
    picked,
    recorded,
    spent,
    spent_on_day,
    with_name,
)
from grafana.source.tables import GAUGE, TEXT, Column, table

SHOWN_BY_NAME: Final = 10  # organizations that have a colour of their own
MOVERS: Final = 12

_ORGANIZATION = Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION))


def _wrong() -> Sequence[Panel]:
    return (
        stat(
            "Alerts firing",
            "Critical alerts and warnings of this project that fire now, for all organizations. "
            "Should be 0. Click for the list; each alert has a runbook.",
            f"sum({firing('critical|warning')})",
            unit=COUNT,
            empty="None",
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        stat(
            "Organizations not readable",
            "Organizations of which the last poll of a part failed. Should be 0. Their last good "
            "numbers stay for a while and are then withdrawn. Click for the causes.",
            f"sum(1 - {by_id('viam_billing_up')})",
            unit=COUNT,
            empty=NOTHING_POLLED,
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        stat(
            "Organizations with old data",
            "Organizations with a part that had no good poll for two poll intervals, or never. "
            "Should be 0: their numbers here are of before, or missing. Click for whose.",
            ORGANIZATIONS_STALE,
            unit=COUNT,
            empty=NOTHING_POLLED,
            colours=NONE_IS_GOOD,
            url=to(EXPORTER),
        ),
        headlines.overdue(to(INVOICES)),
        headlines.failed_payments(to(INVOICES)),
        stat(
            "Budgets exceeded",
            "Organizations that have spent more than their budget in this period. Should be 0. "
            "Which ones: the column of budget used in the table below.",
            f"sum({recorded(BUDGET_USED)} > bool 1)",
            unit=COUNT,
            empty=NO_BUDGET,
            colours=NONE_IS_BETTER,
        ),
    )


def _money() -> Sequence[Panel]:
    return (
        headlines.month_so_far(),
        headlines.forecast_of_all(),
        stat(
            "Forecast of budgets",
            "Forecast of the organizations that have a budget, as a share of all these budgets. "
            "Below 80 % is comfortable. Above 100 % at least one will exceed its own: the table "
            "below says which.",
            f"sum({picked(FORECAST)} and on (org_id) {picked(BUDGET)})"
            f" / sum({picked(BUDGET)} and on (org_id) {picked(FORECAST)})",
            unit=SHARE,
            empty=NO_BUDGET,
            colours=OF_BUDGET,
        ),
        days.last_day_of_all(),
        days.last_week_of_all(),
        headlines.owed(to(INVOICES)),
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
            Query(f"sum({spend} > 0 unless on (org_id) {top})", "all others", "1d"),
            # By themselves: in one stack with the others they would be drawn over them.
            Query(f"{with_name(spend)} < 0", "{{org_name}}, credited", "1d"),
            unit=USD_AXIS,
            empty=NO_RULES,
            width=24,
        ),
        lines(
            "Whole fleet: month so far and forecast",
            "All organizations, whatever is chosen above. Month so far climbs from $0 in each "
            "period and ends at its forecast. Organizations without a forecast are not in it: they "
            "are counted on the right.",
            Query(ALL_MONTH_TO_DATE, "month so far"),
            Query(ALL_FORECAST, "forecast"),
            Query(f"{WITHOUT_FORECAST} > 0", "organizations without"),
            unit=USD_AXIS,
            empty=NO_RULES,
            styles=[
                ("month so far", [FILLED, fixed("blue")]),
                ("forecast", [DASHED, fixed("purple")]),
                ("organizations without", COUNTED_ON_THE_RIGHT),
            ],
        ),
        lines(
            "What is owed",
            "Jumps when invoices come, on the first of the month above all, and falls as they "
            "are paid. Overdue should stay at $0. The balance leaves out invoices of the current "
            "cycle.",
            Query(f"sum({by_id(UNPAID)})", "unpaid invoices", "6h"),
            Query(f"sum({by_id(OUTSTANDING)})", "outstanding balance", "6h"),
            Query(f"sum({by_id(OVERDUE)})", "overdue", "6h"),
            unit=USD_AXIS,
            empty=NOTHING_POLLED,
            styles=[
                ("unpaid invoices", [fixed("blue")]),
                ("outstanding balance", [fixed("purple"), DASHED]),
                ("overdue", [fixed("red"), FILLED]),
            ],
        ),
        _movers(),
        days.pace_of_all(),
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
        Column(
            "Last 7 days",
            f"{picked(days.WEEK, labels='org_id, org_name')}"
            f" and on (org_id) topk({MOVERS}, abs({week} - {before}))",
            unit=USD,
        ),
        Column("7 days before", before, unit=USD, width=115),
        Column("Change", f"{week} - {before}", unit=USD, width=105),
        Column("Change in %", f"({week} - {before}) / ({before} > 0)", unit=SHARE, width=105),
        key="org_id",
        empty="Not two weeks known yet",
        sort="Change",
        inner=True,
        width=12,
        height=8,
    )


def _organizations() -> Sequence[Panel]:
    return (
        table(
            "Organizations",
            "Every organization that is configured, also one that cannot be read: then its "
            "numbers are missing. The last 7 days are whole UTC days, before corrections, and have "
            "no number while one is not known. Data age is in poll intervals, 2 and more being "
            "stale. Click a name for the organization.",
            _ORGANIZATION,
            Column("_known", named("viam_billing_org_info"), shown=False),
            Column("Month so far", by_id(MONTH_TO_DATE), unit=USD),
            Column("Forecast", picked(FORECAST), unit=USD),
            Column("Budget", picked(BUDGET), unit=USD),
            Column(
                "Used", by_id(BUDGET_USED), unit=SHARE, colours=OF_BUDGET, cell=GAUGE, width=170
            ),
            Column(
                "Forecast of budget",
                f"{picked(FORECAST)} / ({picked(BUDGET)} > 0)",
                unit=SHARE,
                colours=OF_BUDGET,
                cell=TEXT,
                width=150,
            ),
            Column("Last 7 days", picked(days.WEEK), unit=USD),
            Column("Owed", by_id(UNPAID), unit=USD),
            Column("Overdue", by_id(OVERDUE), unit=USD, colours=NONE_IS_GOOD, cell=TEXT),
            Column("Data age", DATA_AGE_IN_INTERVALS, colours=INTERVALS_OLD, cell=TEXT, decimals=1),
            key="org_id",
            empty=NOTHING_POLLED,
            sort="Month so far",
            height=11,
        ),
    )


def _exporter() -> Sequence[Panel]:
    failures = metric("viam_billing_exporter_api_request_failures_total")
    requests = metric("viam_billing_exporter_api_requests_total")
    remaining = metric("viam_billing_exporter_api_requests_remaining")
    limit = metric("viam_billing_exporter_api_requests_limit")
    return (
        stat(
            "Exporters that answer",
            "Share of the exporters that Prometheus could scrape last. Should be 100 %. Below it, "
            "what the others would show is missing here: look at their logs.",
            f"avg({metric('up')})",
            unit=SHARE,
            empty="No exporter is scraped",
            colours=ONE_IS_GOOD,
            url=to(EXPORTER),
            width=6,
        ),
        stat(
            "Oldest data",
            "Time since the last good poll of the part of an organization that is oldest. Should "
            "be below two poll intervals. Click for whose it is.",
            f"max({DATA_AGE})",
            unit=SECONDS,
            empty=NOTHING_POLLED,
            url=to(EXPORTER),
            width=6,
        ),
        stat(
            "Calls that failed today",
            "Share of the calls to the billing API that failed in the last 24 hours, retries "
            "included. Should be below 5 %. Click for the codes.",
            f"sum(increase({failures}[1d])) / sum(increase({requests}[1d]))",
            unit=SHARE,
            empty=NOTHING_POLLED,
            colours=SHARE_OF_FAILURES,
            url=to(EXPORTER),
            width=6,
        ),
        stat(
            "Requests left today",
            "Share of the daily ceiling on calls to the billing API that is left, of the exporter "
            "that has least. It is full at midnight UTC; at 0 % polls fail until then.",
            f"min({remaining} / {limit})",
            unit=SHARE,
            empty="No ceiling set",
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
            ("Is anything wrong?", _wrong()),
            ("Money", _money()),
            ("Where it goes", _breakdown()),
            ("Organizations", _organizations()),
            ("Exporter", _exporter()),
        ),
        marks=False,
        bars=True,
    )
