"""Of several exporters that have an organization, one is picked, and all its numbers are of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    BUDGET_USED,
    MONTH_TO_DATE,
    PICKED,
    last,
)
from grafana.source.known import MISSING
from rules.harness import ACME, DAY, FIRST, HOUR, MINUTE, Labels, Pages, gone, same, series, then
from rules.healthy import END, START, add_exporter, add_organization
from support.dashboards import beside, query

SECOND: Final = {"job": "viam-billing", "instance": "exporter-1:8426"}
BOTH: Final = pytest.mark.parametrize(
    ("better", "other"), [(FIRST, SECOND), (SECOND, FIRST)], ids=["first", "second"]
)
# Whose series Prometheus has known for longer.
ORDERS: Final = pytest.mark.parametrize("scraped_first", [FIRST, SECOND], ids=["0", "1"])
WHOLE_FLEET: Final = "Whole fleet: month so far and forecast"
LOOKED_AT: Final = HOUR + 2 * MINUTE
# What each exporter says, so far apart that a mixture would show.
BETTER: Final = {
    "usage_month_to_date_usd": 300.0,
    "forecast_usd": 720.0,
    "forecast_lower_usd": 700.0,
    "forecast_upper_usd": 740.0,
    "budget_usd": 1000.0,
}
OTHER: Final = {
    "usage_month_to_date_usd": 900.0,
    "forecast_usd": 1900.0,
    "forecast_lower_usd": 100.0,
    "forecast_upper_usd": 2900.0,
    "budget_usd": 3000.0,
}


def replicas(scraped_first: Labels) -> Pages:
    """Return the pages of two exporters that have the same organization, in an order."""
    made = Pages(2 * HOUR // (4 * MINUTE), 4 * MINUTE)
    for target in (FIRST, SECOND) if scraped_first == FIRST else (SECOND, FIRST):
        add_exporter(made, target)
        add_organization(made, target, ACME)
    return made


def say(made: Pages, target: Labels, says: Mapping[str, float]) -> None:
    """Let an exporter say this of the organization."""
    for name, value in says.items():
        made.set(f"viam_billing_{name}", same(value), target, ACME)


def expect_better(made: Pages, better: Labels, at: int = LOOKED_AT) -> None:
    """Expect everything to be of one exporter."""
    org_id = {"org_id": ACME["org_id"]}
    made.expect_sample(
        f"count by (job, instance, org_id, org_name) ({PICKED})",
        at,
        (series("", better, ACME), 1),
    )
    made.expect_near(MONTH_TO_DATE, at, 300, ACME)
    made.expect_near(BUDGET_USED, at, 0.3, ACME)
    made.expect_near(ALL_MONTH_TO_DATE, at, 300)
    made.expect_near(ALL_FORECAST, at, 720)
    made.expect_near(last("viam_billing_forecast_lower_usd"), at, 700, org_id)
    made.expect_near(last("viam_billing_budget_usd"), at, 1000, org_id)


@ORDERS
@BOTH
def test_the_exporter_that_knows_more_days_is_picked(
    better: Labels, other: Labels, scraped_first: Labels, tmp_path: Path
) -> None:
    """Whatever it is called, and whoever came first; those that are not known count against it."""
    made = replicas(scraped_first)
    say(made, better, {**BETTER, "ledger_known_seconds": 12 * DAY})
    days = {"ledger_known_seconds": 15 * DAY, "ledger_estimated_seconds": 4 * DAY}
    say(made, other, {**OTHER, **days})
    expect_better(made, better)
    made.check(tmp_path)


@ORDERS
@BOTH
def test_of_equal_exporters_the_one_with_the_newest_configuration_is_picked(
    better: Labels, other: Labels, scraped_first: Labels, tmp_path: Path
) -> None:
    """By a second, in Unix time, of ledgers that are full: the same on each Prometheus."""
    made = replicas(scraped_first)
    loaded = "viam_billing_exporter_config_last_reload_success_timestamp_seconds"
    made.set(loaded, same(1_795_000_001), better)
    made.set(loaded, same(1_795_000_000), other)
    say(made, better, {**BETTER, "ledger_known_seconds": 400 * DAY})
    say(made, other, {**OTHER, "ledger_known_seconds": 400 * DAY})
    expect_better(made, better)
    made.check(tmp_path)


@BOTH
def test_a_day_more_counts_for_more_than_any_configuration(
    better: Labels, other: Labels, tmp_path: Path
) -> None:
    """A reload picks no exporter that knows less."""
    made = replicas(FIRST)
    loaded = "viam_billing_exporter_config_last_reload_success_timestamp_seconds"
    made.set(loaded, same(0), better)
    made.set(loaded, same(4_000_000_000), other)
    say(made, better, {**BETTER, "ledger_known_seconds": 8 * DAY})
    say(made, other, {**OTHER, "ledger_known_seconds": 7 * DAY})
    expect_better(made, better)
    made.check(tmp_path)


@BOTH
def test_an_exporter_without_a_ledger_is_picked_if_nobody_has_one(
    better: Labels, other: Labels, tmp_path: Path
) -> None:
    """A ledger of nothing but unknown days is still one; of none, what is configured is known."""
    made = replicas(FIRST)
    unknown = {"ledger_known_seconds": 0, "ledger_estimated_seconds": 400 * DAY}
    say(made, better, {**BETTER, **unknown})
    for name in list(made.input):
        if other["instance"] in name and name.startswith(("viam_billing_ledger", "viam_billing_f")):
            del made.input[name]
    say(made, other, {k: v for k, v in OTHER.items() if not k.startswith("forecast")})
    expect_better(made, better)
    later = LOOKED_AT + 40 * MINUTE
    made.during(better, (HOUR + 20 * MINUTE) // made.step, made.steps // 2)
    made.expect_near(last("viam_billing_budget_usd"), later, 3000, {"org_id": ACME["org_id"]})
    made.expect_near(MONTH_TO_DATE, later, 900, ACME)
    made.check(tmp_path)


@BOTH
def test_an_exporter_that_has_not_seen_the_new_period_is_not_picked(
    better: Labels, other: Labels, tmp_path: Path
) -> None:
    """Though it knows more: it has a whole month's amount, and the period that is over."""
    made = replicas(FIRST)
    say(made, better, {**BETTER, "ledger_known_seconds": 2 * DAY})
    say(made, other, OTHER)
    for moment, time in (("start", END), ("end", 2 * END - START)):
        name = f"viam_billing_usage_period_{moment}_timestamp_seconds"
        made.set(name, same(time), better, ACME)
    expect_better(made, better)
    made.check(tmp_path)


@BOTH
def test_what_the_picked_exporter_cannot_read_of_invoices_is_of_another(
    better: Labels, other: Labels, tmp_path: Path
) -> None:
    """An invoice is overdue though the one that knows the days fails to read it."""
    made = replicas(FIRST)
    say(made, better, {**BETTER, "ledger_known_seconds": 30 * DAY})
    say(made, other, {**OTHER, "invoices_overdue_amount_usd": 312.5})
    made.set("viam_billing_invoices_overdue_amount_usd", then((same(0), 5), gone), better, ACME)
    expect_better(made, better)
    overdue = last("viam_billing_invoices_overdue_amount_usd")
    made.expect_near(overdue, 10 * MINUTE, 0, {"org_id": ACME["org_id"]})
    made.expect_near(overdue, LOOKED_AT, 312.5, {"org_id": ACME["org_id"]})
    made.check(tmp_path)


@ORDERS
@BOTH
def test_dashboards_show_the_picked_exporter(
    better: Labels, other: Labels, scraped_first: Labels, tmp_path: Path
) -> None:
    """The forecast is the metric's, to the digit, with its bounds; so are days and budget."""
    fleet, one = "viam-billing-fleet", "viam-billing-organization"
    made = replicas(scraped_first)
    days = {"ledger_known_seconds": 12 * DAY, "spend_7d_usd": 168, "spend_today_usd": 12}
    say(made, better, {**BETTER, **days, "budget_exhausted_timestamp_seconds": 3 * DAY})
    days = {"ledger_known_seconds": 5 * DAY, "spend_7d_usd": 999, "spend_today_usd": 99}
    say(made, other, {**OTHER, **days, "budget_exhausted_timestamp_seconds": 9 * DAY})
    for expr, usd in (
        (query(fleet, "Month so far"), 300),
        (query(fleet, "Forecast for the month"), 720),
        (query(fleet, "Forecast against budget"), 0.72),
        (query(fleet, "Last 7 days"), 168),
        (query(fleet, WHOLE_FLEET), 300),
        (query(fleet, WHOLE_FLEET, "B"), 720),
    ):
        made.expect_near(expr, LOOKED_AT, usd)
    made.expect_sample(beside(fleet, "Forecast for the month", MISSING), LOOKED_AT)
    made.expect_sample(query(fleet, WHOLE_FLEET, "C"), LOOKED_AT)
    org_id = {"org_id": ACME["org_id"]}
    for expr, value in (
        (query(fleet, "Organizations", "D"), 720),
        (query(fleet, "Organizations", "E"), 1000),
        (query(fleet, "Organizations", "G"), 0.72),
        (query(one, "Forecast for the month"), 720),
        (query(one, "Budget"), 1000),
        (query(one, "Lower bound"), 700),
        (query(one, "Upper bound"), 740),
        (query(one, "Budget used up"), 1000 * 3 * DAY),
        (query(one, "Today so far"), 12),
        *zip(
            (query(one, "Budget burn and forecast", letter) for letter in "ABCDE"),
            (300, 1000, 720, 740, 700),
            strict=True,
        ),
    ):
        made.expect_sample(expr, LOOKED_AT, (series("", org_id), value))
    made.check(tmp_path)


def test_a_fleet_s_forecast_says_how_many_have_none(tmp_path: Path) -> None:
    """Beside the sum, and as a line."""
    made = replicas(FIRST)
    for number in range(3):
        add_organization(made, FIRST, {"org_id": f"o{number}", "org_name": f"O{number}"})
        if number:
            made.drop("viam_billing_forecast_usd", {"org_id": f"o{number}"})
    made.expect_near(query("viam-billing-fleet", "Forecast for the month"), LOOKED_AT, 1440)
    made.expect_near(beside("viam-billing-fleet", "Forecast for the month", MISSING), LOOKED_AT, 2)
    made.expect_near(query("viam-billing-fleet", WHOLE_FLEET, "C"), LOOKED_AT, 2)
    made.check(tmp_path)
