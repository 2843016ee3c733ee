"""Recorded amounts over the end of a month, credits, new cost types, and moves.

Looks fall between scrapes and off the edges of windows, which Prometheus 3 leaves open on the
left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rules.harness import (
    ACME,
    DAY,
    FIRST,
    HOUR,
    MINUTE,
    Pages,
    between,
    gone,
    rising,
    same,
    then,
)
from rules.healthy import END, SPENDS_ON, SPENT, START, add_exporter, add_organization, healthy

STEP: Final = 4 * MINUTE
AN_HOUR: Final = HOUR // STEP
A_DAY: Final = DAY // STEP
OFF: Final = 30 * MINUTE  # between two scrapes at every odd half hour
SECOND: Final = {"job": "viam-billing", "instance": "exporter-1:8426"}
ON: Final = {"resource_type": SPENDS_ON}

ELAPSED: Final = "org:viam_billing_usage_period_elapsed:ratio"
MONTH_TO_DATE: Final = "org:viam_billing_usage_month_to_date_usd:max"
SPEND: Final = "org:viam_billing_usage_spend_usd:increase1d"
NET: Final = "org:viam_billing_usage_net_spend_usd"
NET_OF_TYPE: Final = "org_resource_type:viam_billing_usage_net_spend_usd:increase1d"
FORECAST: Final = "org:viam_billing_month_end_usd:forecast"
USED: Final = "org:viam_billing_budget_used:ratio"


def pages(days: float) -> Pages:
    """Return days of scrapes four minutes apart, with rules evaluated each half hour."""
    made = healthy(int(days * A_DAY), STEP)
    made.every = 30 * MINUTE
    return made


def set_period(made: Pages, ends: int, polled: int) -> None:
    """Let a period end after so many steps, and another begin that is polled a little later."""
    for moment, length in (("start", END - START), ("end", END - START)):
        begins = ends * STEP - (END - START if moment == "start" else 0)
        name = f"viam_billing_usage_period_{moment}_timestamp_seconds"
        made.set(name, then((same(begins), polled), same(begins + length)), FIRST, ACME)


def test_shares_and_amounts_of_a_healthy_organization(tmp_path: Path) -> None:
    """A dollar an hour, ten of thirty days over, a budget of 2000."""
    made = pages(1.5)
    at = DAY + OFF
    made.expect_near(ELAPSED, at, (10 * DAY + at) / (30 * DAY), ACME)
    made.expect_near(SPEND, at, 24, ACME)
    made.expect_near(f"{NET}:increase1d", at, 24, ACME)
    made.expect_near(NET_OF_TYPE, at, 24, ACME | ON)
    made.expect_near("org_resource_type:viam_billing_usage_cost_usd:max", at, 264.5, ACME | ON, 0.1)
    made.expect_near(USED, at, 264.5 / 2000, ACME)
    made.expect_near(FORECAST, at, 720, ACME, 0.2)
    made.expect_near("org:viam_billing_budget_forecast:ratio", at, 0.36, ACME)
    for total, value in (("budget_usd:sum", 2000), ("month_end_usd:sum_forecast", 720)):
        made.expect_near(f"fleet:viam_billing_{total}", at, value, within=0.2)
    made.expect_silence(OFF, at)
    made.check(tmp_path)


def test_the_end_of_a_month_is_no_fall_and_no_spike(tmp_path: Path) -> None:
    """Month to date begins anew; what was spent is counted on, and the budget is whole again."""
    made = pages(10)
    ends, polled = 8 * A_DAY, 8 * A_DAY + 5
    set_period(made, ends, polled)
    month = rising(SPENT, 1 / AN_HOUR)
    anew = then((month, polled), rising(5 / AN_HOUR, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", anew, FIRST, ACME)
    spend = then(
        (month, ends),
        (same(SPENT + 8 * 24), polled - ends),
        rising(SPENT + 8 * 24 + 5 / AN_HOUR, 1 / AN_HOUR),
    )
    made.set("viam_billing_usage_spend_usd_total", spend, FIRST, ACME)
    for hours in (-6.5, -0.5, 0.5, 6.5, 24.5):
        at = 8 * DAY + int(hours * HOUR)
        made.expect_near(f"{NET}:increase1d", at, 24, ACME, within=0.1)
        made.expect_near(f"{NET}:increase7d", at, 168, ACME, within=0.5)
        ending = SPENT + 8 * 24 if hours < 0 else 720
        made.expect_near(FORECAST, at, ending, ACME, within=2)
    made.expect_near(ELAPSED, 8 * DAY - OFF, 1, ACME)
    made.expect_near(ELAPSED, 8 * DAY + OFF, 0, ACME)
    made.expect_near(USED, 8 * DAY + OFF, 0, ACME)
    made.expect_silence(8 * DAY - OFF, 8 * DAY + OFF, 8 * DAY + 6 * HOUR + OFF, 9 * DAY + OFF)
    made.check(tmp_path)


def test_a_period_that_is_over_has_no_budget_and_its_amount_as_forecast(tmp_path: Path) -> None:
    """Until a poll brings the next one."""
    made = pages(2)
    set_period(made, A_DAY, 2 * A_DAY)
    at = DAY + 2 * HOUR + OFF
    made.expect_sample(USED, at)
    made.expect_sample("org:viam_billing_budget_forecast:ratio", at)
    made.expect_sample("org:viam_billing_budget_forecast_lower:ratio", at)
    for bound in ("forecast", "forecast_lower", "forecast_upper"):
        made.expect_near(
            f"org:viam_billing_month_end_usd:{bound}", at, SPENT + at / HOUR, ACME, 0.1
        )
    made.check(tmp_path)


def test_a_credit_lowers_the_month_and_no_spend(tmp_path: Path) -> None:
    """A hundred dollars back: deducted from net spend, and not taken for a new month."""
    made = pages(10)
    credit = 8 * A_DAY
    paid = then((rising(SPENT, 1 / AN_HOUR), credit), rising(SPENT + 192 - 100, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", paid, FIRST, ACME)
    corrections = then((same(0), credit), same(100))
    made.set("viam_billing_usage_corrections_usd_total", corrections, FIRST, ACME)
    at = 8 * DAY + 12 * HOUR + OFF
    made.expect_near(SPEND, at, 24, ACME, within=0.1)
    made.expect_near(f"{NET}:increase1d", at, -76, ACME, within=0.5)
    made.expect_near(f"{NET}:increase7d", at, 68, ACME, within=0.5)
    # Nobody expects the credit again: what is left of the month costs what it always does.
    made.expect_near(FORECAST, at, 620, ACME, within=2)
    lower = "org:viam_billing_month_end_usd:forecast_lower"
    made.expect_near(f"{lower} < bool {MONTH_TO_DATE}", at, 0, ACME)
    made.expect_silence(8 * DAY + OFF, at)
    made.check(tmp_path)


def test_a_fee_on_the_first_day_stays_between_the_bounds(tmp_path: Path) -> None:
    """300 at once and then a dollar an hour: 1020 in all, not thirty times the first days."""
    made = pages(12)
    ends = 8 * A_DAY
    set_period(made, ends, ends)
    month = then((rising(SPENT, 1 / AN_HOUR), ends), rising(300, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", month, FIRST, ACME)
    fee = then((rising(SPENT, 1 / AN_HOUR), ends), rising(SPENT + 192 + 300, 1 / AN_HOUR))
    made.set("viam_billing_usage_spend_usd_total", fee, FIRST, ACME)
    for days in (0, 1, 3):
        at = (8 + days) * DAY + 5 * OFF
        for bound, beyond in (("forecast_lower", ">"), ("forecast_upper", "<")):
            name = f"org:viam_billing_month_end_usd:{bound}"
            off = 1 if beyond == ">" else -1
            made.expect_near(f"{name} {beyond} bool {1020 + off}", at, 0, ACME)
    made.check(tmp_path)


def test_without_a_period_there_is_no_forecast_but_the_amount_and_its_budget(
    tmp_path: Path,
) -> None:
    """The API may leave the dates unset."""
    made = pages(1)
    for moment in ("start", "end"):
        made.drop(f"viam_billing_usage_period_{moment}_timestamp_seconds")
    for name in (ELAPSED, FORECAST, "org:viam_billing_budget_forecast:ratio"):
        made.expect_sample(name, 5 * OFF)
    made.expect_near(MONTH_TO_DATE, 5 * OFF, SPENT + 2.5, ACME, within=0.1)
    made.expect_near(USED, 5 * OFF, (SPENT + 2.5) / 2000, ACME)
    made.check(tmp_path)


def test_a_new_organization_has_a_wide_forecast_and_an_early_month_none(tmp_path: Path) -> None:
    """Nothing is known but the period's own pace, once a tenth of it is over."""
    made = pages(4)
    set_period(made, 28 * A_DAY, 0 + 28 * A_DAY)
    month = rising(48, 1 / AN_HOUR)  # two days of the period are over
    made.set("viam_billing_usage_month_to_date_usd", month, FIRST, ACME)
    made.expect_sample(FORECAST, 20 * HOUR + OFF)
    at = 3 * DAY + OFF
    spent, left = 48 + at / HOUR, 25 * 24 - 0.5
    for bound, factor in (("forecast", 1), ("forecast_lower", 0.5), ("forecast_upper", 1.5)):
        name = f"org:viam_billing_month_end_usd:{bound}"
        made.expect_near(name, at, spent + factor * left, ACME, within=1)
    made.check(tmp_path)


def test_a_new_cost_type_counts_whole(tmp_path: Path) -> None:
    """Its counter begins with its first cost, which increase() does not see."""
    made = pages(3)
    new = {"resource_type": "simulation_compute"}
    for metric, value in (("spend", 12), ("corrections", 0)):
        name = f"viam_billing_usage_resource_{metric}_usd_total"
        appears = between(same(value), 0, int(1.5 * A_DAY), gone)
        made.set(name, appears, FIRST, ACME, new)
    of_new = f'{NET_OF_TYPE}{{resource_type="simulation_compute"}}'
    made.expect_near(of_new, int(1.5 * DAY) + 5 * OFF, 12, ACME | new)
    made.expect_near(of_new, int(2.5 * DAY) + 5 * OFF, 0, ACME | new)
    made.check(tmp_path)


@pytest.mark.parametrize("what", ["name", "instance"])
def test_a_counter_under_new_labels_does_not_count_anew(what: str, tmp_path: Path) -> None:
    """A rename, or a pod with another address, begins series with the whole of what was spent."""
    made = pages(3)
    new = {**ACME, "org_name": "Acme Robotics & Sons"} if what == "name" else ACME
    target = SECOND if what == "instance" else FIRST
    moved = Pages(made.steps, STEP)
    add_exporter(moved, target)
    add_organization(moved, target, new)
    change = int(1.5 * A_DAY)
    for key, values in list(moved.input.items()):
        if key in made.input:
            continue
        made.input[key] = between(values, 0, change, gone)
    for key, values in list(made.input.items()):
        if key not in moved.input:
            made.input[key] = between(values, change, made.steps - change, gone)
    at = int(1.5 * DAY) + 11 * OFF
    # Two series in a row of one exporter are added; of two exporters the larger one counts.
    expected = 24 if what == "name" else 18.5
    made.expect_near(f"{NET}:increase1d", at, expected, new, within=0.3)
    made.expect_near(NET_OF_TYPE, at, expected, new | ON, within=0.3)
    made.expect_silence(at)
    made.check(tmp_path)


def test_replicas_on_both_sides_of_a_month_s_end_are_not_mixed(tmp_path: Path) -> None:
    """The one that has not polled yet has a whole month's amount, and the period that is over."""
    made = pages(2)
    add_exporter(made, SECOND, loaded=0.2)
    add_organization(made, SECOND, ACME)
    set_period(made, A_DAY, A_DAY)
    month = then((rising(SPENT, 1 / AN_HOUR), A_DAY), rising(0, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", month, FIRST, ACME)
    for moment, time in (("start", DAY - (END - START)), ("end", DAY)):
        made.set(f"viam_billing_usage_period_{moment}_timestamp_seconds", same(time), SECOND, ACME)
    made.expect_near(MONTH_TO_DATE, DAY - OFF, SPENT + 23.5, ACME, within=0.1)
    made.expect_near(MONTH_TO_DATE, DAY + 3 * OFF, 1.5, ACME, within=0.1)
    made.expect_near(USED, DAY + 3 * OFF, 0, ACME)
    made.expect_silence(DAY - OFF, DAY + 3 * OFF)
    made.check(tmp_path)
