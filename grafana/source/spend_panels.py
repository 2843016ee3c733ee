"""What one organization spends, on what, and against which budget: panels of its dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.rules.series import LAST_PERIOD, MONTH_TO_DATE, SINCE, TYPE_COST
from grafana.source import days, headlines, promql
from grafana.source.charts import BY_RANK, bars, lines
from grafana.source.known import CREDIT, USAGE, State, amount, month_to_date, parts, tile
from grafana.source.money_panels import (
    BUDGET,
    DASHED,
    EXHAUSTED,
    FILLED,
    FORECAST,
    fixed,
)
from grafana.source.panels import DATE, NO_DAY, SHARE, USD, USD_AXIS, Beside, Panel, Query
from grafana.source.promql import by_id, metric, most, picked, recorded, spent_on_day
from grafana.source.tables import GAUGE, Column, table

START: Final = "viam_billing_usage_period_start_timestamp_seconds"
END: Final = "viam_billing_usage_period_end_timestamp_seconds"
NET: Final = "viam_billing_usage_net_cost_usd"
LOWER: Final = "viam_billing_forecast_lower_usd"
UPPER: Final = "viam_billing_forecast_upper_usd"
PAST_ERROR: Final = "viam_billing_forecast_closed_period_error_ratio"
GROSS: Final = "viam_billing_usage_gross_cost_usd"
DISCOUNT: Final = "viam_billing_usage_discount_usd"
CORRECTIONS: Final = "viam_billing_usage_corrections_usd_total"
OF_TYPE: Final = 'resource_type=~"$resource_type"'
OF_SOURCE: Final = 'source_type=~"$source_type"'
BY_SOURCE: Final = "org_id, source_type, tier"
SOURCE_NAME: Final = "{{rank}}. {{source_type}} {{tier}}"


def share_on_day(labels: str, selector: str) -> str:
    """Return what the day that begins cost, by these labels of amounts of a period, with ranks."""
    known = (by_id(name) for name in (MONTH_TO_DATE, START, END))
    size = most(labels, f"last_over_time({selector}[$__range] @ end())")
    return promql.ranked(promql.share_on_day(most(labels, selector), *known), labels, size)


def month_trend(*, one: bool = False) -> Panel:
    """Return by how much this period differs from the last one at the same age."""
    now, then = month_to_date(), by_id(LAST_PERIOD)
    young = f"({picked(START)} + 86400 > time())"  # hours against hours say nothing of a month
    first = f"({by_id(SINCE)} + {picked(END)} - {picked(START)} > time())"
    both = f"({now} - on (org_id) {then} unless on (org_id) {young})"
    change, base = (both, then) if one else (f"sum({both})", f"sum({then} and on (org_id) {both})")
    return days.trend(
        "Month against month",
        "What this billing period has cost, against what the last one had cost at the same age: "
        "the difference as a share, and in dollars. Only organizations with both are compared, and "
        "a period only from its second day on, until it is as old as the last one was at its end.",
        both,
        change,
        base,
        none="After a whole period",
        coming=f"({first} or on (org_id) {young})",
        one=one,
    )


def budget() -> Sequence[Panel]:
    """Return the row of the budget."""
    return (
        tile(
            "Lower bound",
            "About one period in ten ends below it. If it is above the budget, an alert fires.",
            picked(LOWER),
            USAGE,
            none=headlines.NO_FORECAST,
            unit=USD,
            below_zero=CREDIT,
        ),
        tile(
            "Upper bound",
            "Four periods in five end between the bounds. They are wide while little is known of "
            "the organization.",
            picked(UPPER),
            USAGE,
            none=headlines.NO_FORECAST,
            unit=USD,
            below_zero=CREDIT,
        ),
        tile(
            "Budget used up",
            "When the budget will be used up at the forecast's pace, or was. If that is "
            "before the period's end, find what grew in the rows below.",
            f"1000 * {EXHAUSTED}",
            USAGE,
            none="Not expected",
            name="last estimate",
            unit=DATE,
            colours=((None, "text"), (0, "orange")),
        ),
        tile(
            "Mean day",
            "The mean of the last seven whole UTC days, before corrections, and how many days of "
            "the period are left. The rest of the budget should cover them.",
            f"{picked(days.WEEK)} / 7",
            USAGE,
            none="After 7 whole days",
            unit=USD,
            name="per day",
            also=[Beside("days left", f"clamp_min({picked(END)} - time(), 0) / 86400")],
        ),
        month_trend(one=True),
        tile(
            "Error of the last forecast",
            "The forecast at the middle of the last period that ended, divided by what that period "
            "cost, less 1. Below 0, the forecast was too low. Usually within that day's bounds.",
            picked(PAST_ERROR),
            USAGE,
            none="After a whole period",
            # The exporter must have seen the middle of the period.
            coming=f"({picked(END)} and on (org_id) "
            f"2 * {by_id(SINCE)} < {picked(START)} + {picked(END)})",
            unit=SHARE,
        ),
        lines(
            "Budget burn and forecast",
            "Month to date climbs towards the forecast, which should stay below the budget and "
            "settle as the period goes on. The band is from the lower to the upper bound: "
            "four periods in five end within it. When even the lower bound is above the "
            "budget, the budget will probably be exceeded.",
            Query(by_id(MONTH_TO_DATE), "month to date"),
            Query(amount(BUDGET) + " >= 0", "budget"),
            Query(picked(FORECAST), "forecast"),
            Query(picked(UPPER), "upper bound"),
            Query(picked(LOWER), "lower bound"),
            unit=USD_AXIS,
            height=9,
            styles=[
                ("month to date", [FILLED, fixed("blue")]),
                ("budget", [fixed("orange")]),
                ("forecast", [DASHED, fixed("purple")]),
                (
                    "upper bound",
                    [
                        ("custom.lineWidth", 0),
                        fixed("purple"),
                        ("custom.fillBelowTo", "lower bound"),
                    ],
                ),
                ("lower bound", [("custom.lineWidth", 0), fixed("purple")]),
            ],
        ),
        lines(
            "Month to date against the last period",
            "The two periods are aligned by day: what this period has cost, and what the last one "
            "had cost at the same age. A line above the last period's that keeps rising faster is "
            "a new pace.",
            Query(by_id(MONTH_TO_DATE), "this period"),
            Query(by_id(LAST_PERIOD), "last period"),
            unit=USD_AXIS,
            height=9,
            styles=[
                ("this period", [FILLED, fixed("blue")]),
                ("last period", [DASHED, fixed("text")]),
            ],
        ),
    )


def spend() -> Sequence[Panel]:
    """Return the row of spend per day."""
    by_source = share_on_day("source_type, tier", metric(NET, OF_SOURCE))
    return (
        *days.tiles(),
        bars(
            "Spend per day",
            "Cost of each complete UTC day after discounts and credits. Should be even, lower on "
            "weekends; below $0 after a credit. The bars add up to what was spent, even when data "
            "is missing: after a gap, which is marked, a bar includes all spend since.",
            Query(f"sum({spent_on_day()})", "spent", "1d"),
            unit=USD_AXIS,
            width=24,
            empty=NO_DAY,
            styles=[("spent", [fixed("blue")])],
        ),
        bars(
            "Spend per day by resource type, before discounts",
            "Cost of each complete UTC day, by resource type. Should be even, "
            "lower on weekends. A new colour is a kind of cost that was not there before. After a "
            "gap, which is marked, a bar includes all spend since the last answer.",
            Query(
                share_on_day("resource_type", recorded(TYPE_COST, OF_TYPE)),
                "{{rank}}. {{resource_type}}",
                "1d",
            ),
            unit=USD_AXIS,
            height=9,
            empty=NO_DAY,
            styles=BY_RANK,
        ),
        bars(
            "Spend per day by source and tier",
            "Cost of each complete UTC day after discounts, by who charges: the organization "
            "itself, or a fragment of a tier. A bar below $0 is a credit. After a gap, which is "
            "marked, a bar includes all spend since; spend that no poll showed is in no bar.",
            Query(f"{by_source} > 0", SOURCE_NAME, "1d"),
            # By themselves: in one stack with the others they would be drawn over them.
            Query(f"{by_source} < 0", f"{SOURCE_NAME} (credit)", "1d"),
            unit=USD_AXIS,
            height=9,
            empty=NO_DAY,
            styles=BY_RANK,
        ),
        lines(
            "Discounts and corrections",
            "Discounts of the current period, by source and tier, grow with cost. Corrections "
            "are how much month to date fell in the last 24 hours, as after a credit: usually "
            "$0; if not, ask why.",
            Query(
                f"sum by (source_type, tier) ({most(BY_SOURCE, metric(DISCOUNT, OF_SOURCE))})",
                "discount, {{source_type}} {{tier}}",
            ),
            Query(
                # The counter stands still while nothing can be read: that is not $0.
                f"sum({most('org_id', f'increase({metric(CORRECTIONS)}[1d])')} and on (org_id) "
                f"{USAGE.of(State.NONE)})",
                "corrections, last 24 hours",
            ),
            unit=USD_AXIS,
            styles=[("corrections, last 24 hours", [fixed("purple"), FILLED])],
        ),
        days.pace(),
    )


def period() -> Sequence[Panel]:
    """Return the row of what the current period is made of."""
    cost = most("resource_type", recorded(TYPE_COST, OF_TYPE))
    seen = f"({picked(days.KNOWN)} > 0)"
    day, expected = (
        picked(name, OF_TYPE, labels="resource_type")
        for name in (days.TYPE_DAY, days.TYPE_EXPECTED)
    )
    net = f"sum by (source_type, tier) ({most(BY_SOURCE, metric(NET, OF_SOURCE))})"
    return (
        table(
            "Resource types, before discounts",
            "What the current period has cost so far, what the last whole UTC day cost, and what "
            "that day was expected to cost, also before corrections. A day far above the "
            "expected cost is a change: the bars by resource type show since when.",
            Column("Resource type", label="resource_type"),
            Column("This period", parts(cost, USAGE, "resource_type"), unit=USD),
            Column("Share", f"{cost} / on () group_left () sum({cost})", unit=SHARE, cell=GAUGE),
            # As for the tile, but an estimate has no name here.
            Column("Last whole day", f"({day} and on () {seen})", unit=USD),
            Column("Expected", expected, unit=USD),
            key="resource_type",
            sort="This period",
            width=12,
        ),
        table(
            "Sources and tiers",
            "What the current period has cost so far by who charges. Net is cost less "
            "discount and credit. A fragment that is no longer used can be removed.",
            Column("Source", label="source_type", width=130),
            Column("Tier", label="tier"),
            Column(
                "Cost",
                f"sum by (source_type, tier) ({most(BY_SOURCE, metric(GROSS, OF_SOURCE))})",
                unit=USD,
            ),
            Column(
                "Discount",
                f"sum by (source_type, tier) ({most(BY_SOURCE, metric(DISCOUNT, OF_SOURCE))})",
                unit=USD,
            ),
            Column("Net", parts(net, USAGE, "source_type"), unit=USD),
            key=None,
            sort="Net",
            width=12,
        ),
    )
