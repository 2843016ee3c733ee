"""Outages, restarts, replicas, renames: what they must not do to alerts about money.

Acme is in every kind of trouble throughout. Each alert must be there once, and must not go
before the organization itself does. Conditions must hold for four minutes here, so that one that
breaks off is seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from exporter.rules.series import ALL_MONTH_TO_DATE, MONTH_TO_DATE
from rules.harness import (
    ACME,
    ALERTS,
    COLLECTORS,
    FIRST,
    HOUR,
    MINUTE,
    between,
    gone,
    made,
    rising,
    same,
    series,
    then,
)
from rules.healthy import SPENT, add_exporter
from rules.trouble import (
    AN_HOUR,
    DOWN,
    OF_BUDGETS,
    OF_MONEY,
    OF_OUTAGE,
    add_trouble,
    down,
    expect_throughout,
    fail,
    trouble,
    withdraw,
)

SECOND: Final = {"job": "viam-billing", "instance": "exporter-1:8426"}
RENAMED: Final = {**ACME, "org_name": "Acme Robotics & Sons"}


@pytest.fixture(scope="module", name="rules")
def quick_rules(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the rules, made with short holding times."""
    folder = tmp_path_factory.mktemp("rules")
    return made(folder, {"alerts": {name: {"for": "4m"} for name in ALERTS}})


def test_data_that_is_withdrawn_resolves_no_alert_of_money(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Longer than Prometheus remembers by itself, and past a due date."""
    pages = trouble(5, FIRST)
    fail(pages, FIRST, AN_HOUR, 3 * AN_HOUR)
    expect_throughout(pages, 4 * HOUR, 3 * AN_HOUR - 5, *OF_MONEY, apart_from=OF_OUTAGE)
    for alert in OF_OUTAGE:
        fires = f'count by (org_id) (ALERTS{{alertname="{alert}", alertstate="firing"}})'
        told = ('{org_id="acme-1"}', 3.0 if alert == "ViamBillingDataStale" else 1.0)
        pages.expect_sample(fires, HOUR + 44 * MINUTE)
        pages.expect_sample(fires, HOUR + 56 * MINUTE, told)
        pages.expect_sample(fires, 4 * HOUR - 2 * MINUTE, told)
    pages.expect_sample(MONTH_TO_DATE, 3 * HOUR)
    pages.check(tmp_path, rules)


def test_an_exporter_that_is_down_resolves_no_alert_of_money(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Nobody knows meanwhile what was paid; alerts about polls would only repeat it."""
    pages = trouble(5, FIRST)
    pages.during(FIRST, AN_HOUR, 3 * AN_HOUR)
    key = series("up", FIRST)
    pages.input[key] = between(pages.input[key], AN_HOUR, 3 * AN_HOUR, same(0))
    steps = 3 * AN_HOUR - 5
    expect_throughout(pages, 4 * HOUR - 4 * MINUTE, steps, *OF_MONEY)
    down = 'sum(count_over_time(ALERTS{alertname="ViamBillingExporterDown"}[1h]))'
    pages.expect_sample(f"{down} > bool 25", 3 * HOUR, ("{}", 1))
    pages.check(tmp_path, rules)


def test_an_exporter_that_is_no_target_any_more_is_down_too(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Prometheus then has no `up` of it."""
    pages = trouble(4, FIRST)
    pages.during(FIRST, AN_HOUR, 3 * AN_HOUR)
    key = series("up", FIRST)
    pages.input[key] = between(pages.input[key], AN_HOUR, 3 * AN_HOUR, gone)
    expect_throughout(pages, 3 * HOUR, 2 * AN_HOUR - 5, *OF_MONEY)
    pages.expect(DOWN, 3 * HOUR, down(FIRST))
    pages.check(tmp_path, rules)


def test_alerts_of_money_outlive_an_exporter_for_twelve_hours(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Then nobody minds it any more, or it is gone for good."""
    pages = trouble(15, FIRST)
    pages.every = 30 * MINUTE
    pages.during(FIRST, AN_HOUR, 14 * AN_HOUR)
    key = series("up", FIRST)
    pages.input[key] = between(pages.input[key], AN_HOUR, 14 * AN_HOUR, same(0))
    overdue = 'count(ALERTS{alertname="ViamBillingInvoiceOverdue", alertstate="firing"})'
    pages.expect_sample(overdue, 12 * HOUR, ("{}", 1))
    pages.expect_sample(overdue, 14 * HOUR)
    pages.check(tmp_path, rules)


def test_a_restart_breaks_no_alert_off(tmp_path: Path, rules: list[Path]) -> None:
    """Without storage: amounts come after the first poll, counters begin at 0."""
    pages = trouble(3, FIRST)
    spend = pages.input[series("viam_billing_usage_spend_usd_total", FIRST, ACME)]
    pages.during(FIRST, AN_HOUR, 1)
    key = series("up", FIRST)
    pages.input[key] = between(pages.input[key], AN_HOUR, 1, same(0))
    withdraw(pages, FIRST, AN_HOUR, 3)
    again = then((spend, AN_HOUR), (gone, 3), rising(0, 1 / AN_HOUR))
    pages.set("viam_billing_usage_spend_usd_total", again, FIRST, ACME)
    expect_throughout(pages, 3 * HOUR - 4 * MINUTE, 2 * AN_HOUR, *OF_MONEY)
    pages.check(tmp_path, rules)


def test_an_organization_that_leaves_takes_its_alerts_along(
    tmp_path: Path, rules: list[Path]
) -> None:
    """At once, while the exporter is there to say so; the others stay."""
    pages = trouble(3, FIRST)
    other = {"org_id": "beta-2", "org_name": "Beta"}
    add_trouble(pages, FIRST, other)
    pages.during({**FIRST, **ACME}, AN_HOUR, 2 * AN_HOUR)
    for alert in OF_MONEY:
        fires = f'count by (org_id) (ALERTS{{alertname="{alert}", alertstate="firing"}})'
        beta = '{org_id="beta-2"}'
        pages.expect_sample(fires, HOUR - 2 * MINUTE, ('{org_id="acme-1"}', 1), (beta, 1))
        pages.expect_sample(fires, HOUR + 4 * MINUTE, (beta, 1))
    of_acme = '{__name__=~"org.*:viam_billing.*", org_id="acme-1"}'
    pages.expect_sample(of_acme, HOUR + 4 * MINUTE)
    pages.check(tmp_path, rules)


def test_a_second_replica_adds_no_alert_and_no_dollar(tmp_path: Path, rules: list[Path]) -> None:
    """Its polls are ten minutes behind, and from a moment on they fail."""
    pages = trouble(4, FIRST)
    add_exporter(pages, SECOND, loaded=0.2)
    add_trouble(pages, SECOND, ACME)
    name = "viam_billing_usage_month_to_date_usd"
    pages.set(name, rising(SPENT - 10 / 60, 1 / AN_HOUR), SECOND, ACME)
    fail(pages, SECOND, 2 * AN_HOUR, AN_HOUR)
    expect_throughout(pages, 3 * HOUR - 4 * MINUTE, 2 * AN_HOUR, *OF_MONEY)
    for at in (HOUR, int(2.5 * HOUR)):
        pages.expect_near(ALL_MONTH_TO_DATE, at, SPENT + at / HOUR)
    pages.check(tmp_path, rules)


def test_two_names_of_one_organization_are_one_organization(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Replicas are reloaded one after the other; the one that was reloaded last names it."""
    pages = trouble(4, FIRST, SECOND)
    loaded = "viam_billing_exporter_config_last_reload_success_timestamp_seconds"
    for target, moment in ((SECOND, AN_HOUR), (FIRST, 2 * AN_HOUR)):
        before = {
            key: values
            for key, values in pages.input.items()
            if 'org_id="acme-1"' in key and target["instance"] in key
        }
        for key, values in before.items():
            renamed = key.replace(ACME["org_name"], RENAMED["org_name"])
            pages.input[renamed] = between(values, 0, moment, gone)
            pages.input[key] = between(values, moment, pages.steps - moment, gone)
        pages.set(loaded, then((same(0.5), moment), same(moment * pages.step)), target)
    expect_throughout(pages, HOUR - 4 * MINUTE, AN_HOUR - 5, *OF_MONEY)
    expect_throughout(pages, 4 * HOUR - 4 * MINUTE, 3 * AN_HOUR - 6, *OF_MONEY, org=RENAMED)
    pages.check(tmp_path, rules)


def test_the_end_of_a_period_ends_what_its_budget_told_even_in_an_outage(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Of the new period nothing is known yet. What is overdue stays overdue."""
    pages = trouble(5, FIRST)
    ends = "viam_billing_usage_period_end_timestamp_seconds"
    pages.set(ends, same(3 * HOUR), FIRST, ACME)
    fail(pages, FIRST, 2 * AN_HOUR, 3 * AN_HOUR)
    rest = [alert for alert in OF_MONEY if alert not in OF_BUDGETS]
    for hour, steps, alerts in ((3, AN_HOUR - 8, OF_MONEY), (5, 2 * AN_HOUR - 5, rest)):
        at = hour * HOUR - 4 * MINUTE
        expect_throughout(pages, at, steps, *alerts, apart_from=OF_OUTAGE)
    pages.check(tmp_path, rules)


def test_three_quarters_of_an_hour_without_any_success_are_stale(
    tmp_path: Path, rules: list[Path]
) -> None:
    """Though there is no last success to be old: an organization's age is counted instead."""
    pages = trouble(2, FIRST)
    pages.drop("viam_billing_collector_last_success_timestamp_seconds")
    for collector in COLLECTORS:
        labels = {**FIRST, **ACME, "collector": collector}
        pages.set("viam_billing_collector_success", same(0), labels)
    stale = 'count(ALERTS{alertname="ViamBillingDataStale", alertstate="firing"})'
    pages.expect_sample(stale, 46 * MINUTE)
    pages.expect_sample(stale, 56 * MINUTE, ("{}", 3))
    pages.check(tmp_path, rules)


def test_a_shard_without_its_number_is_mismatched(tmp_path: Path, rules: list[Path]) -> None:
    """An exporter beside shards that knows of none polls what all of them poll."""
    pages = trouble(1, FIRST, SECOND)
    for name, value in (("total_shards", 1), ("shard_ordinal", 0)):
        pages.set(f"viam_billing_exporter_{name}", same(value), FIRST)
    mismatched = 'count(ALERTS{alertname="ViamBillingShardsMismatched", alertstate="firing"})'
    pages.expect_sample(mismatched, 30 * MINUTE, ("{}", 1))
    pages.check(tmp_path, rules)


def test_an_invoice_that_was_paid_does_not_come_back_with_an_outage(
    tmp_path: Path, rules: list[Path]
) -> None:
    """A good answer without a due date is remembered as one without."""
    pages = trouble(3, FIRST)
    name = "viam_billing_invoice_next_due_timestamp_seconds"
    pages.set(name, then((same(2 * HOUR), AN_HOUR), gone), FIRST, ACME)
    fail(pages, FIRST, AN_HOUR + 10, AN_HOUR)
    rest = [alert for alert in OF_MONEY if alert != "ViamBillingInvoiceDueSoon"]
    at = 2 * HOUR + 10 * MINUTE
    expect_throughout(pages, at, AN_HOUR - 10, *rest, apart_from=OF_OUTAGE)
    pages.check(tmp_path, rules)


def test_a_budget_of_nothing_is_exceeded_by_anything(tmp_path: Path, rules: list[Path]) -> None:
    """It is a budget; none at all is not."""
    pages = trouble(1, FIRST)
    pages.set("viam_billing_budget_usd", same(0), FIRST, ACME)
    other = {"org_id": "beta-2", "org_name": "Beta"}
    add_trouble(pages, FIRST, other)
    pages.drop("viam_billing_budget_usd", other)
    exceeded = 'count by (org_id) (ALERTS{alertname="ViamBillingBudgetUsed"})'
    pages.expect_sample(exceeded, 30 * MINUTE, ('{org_id="acme-1"}', 1))
    pages.check(tmp_path, rules)
