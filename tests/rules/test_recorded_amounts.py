"""Recorded amounts over the end of a month, credits, and moves.

Looks fall between scrapes and off the edges of windows, which Prometheus 3 leaves open on the
left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    BUDGET_USED,
    MONTH_TO_DATE,
    TYPE_COST,
    WITHOUT_FORECAST,
    last,
)
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
BETA: Final = {"org_id": "beta-2", "org_name": "Beta"}
ON: Final = {"resource_type": SPENDS_ON}
LOWER: Final = last("viam_billing_forecast_lower_usd")


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
    made.expect_near(MONTH_TO_DATE, at, 264.5, ACME, 0.1)
    made.expect_near(TYPE_COST, at, 264.5, ACME | ON, 0.1)
    made.expect_near(BUDGET_USED, at, 264.5 / 2000, ACME)
    made.expect_near(ALL_MONTH_TO_DATE, at, 264.5, within=0.1)
    made.expect_near(ALL_FORECAST, at, 720)
    made.expect_sample(WITHOUT_FORECAST, at, ("fleet:viam_billing_forecast_usd:missing", 0))
    made.expect_silence(OFF, at)
    made.check(tmp_path)


def test_the_end_of_a_month_is_no_trouble(tmp_path: Path) -> None:
    """Month to date begins anew, and the budget is whole again; the forecast is of the new one."""
    made = pages(3)
    ends, polled = 2 * A_DAY, 2 * A_DAY + 5
    set_period(made, ends, polled)
    anew = then((rising(SPENT, 1 / AN_HOUR), polled), rising(5 / AN_HOUR, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", anew, FIRST, ACME)
    made.set("viam_billing_budget_usd", same(320), FIRST, ACME)
    lower = then((same(288), polled), same(300))
    made.set("viam_billing_forecast_lower_usd", lower, FIRST, ACME)
    made.expect_near(MONTH_TO_DATE, 2 * DAY - OFF, 287.5, ACME, 0.1)
    made.expect_near(MONTH_TO_DATE, 2 * DAY + OFF, 0.5, ACME, 0.1)
    made.expect_near(BUDGET_USED, 2 * DAY - OFF, 287.5 / 320, ACME)
    made.expect_near(BUDGET_USED, 2 * DAY + OFF, 0.5 / 320, ACME)
    made.expect_near(LOWER, 2 * DAY + OFF, 300, {"org_id": ACME["org_id"]})
    made.expect("ViamBillingBudgetUsed", 2 * DAY + OFF)
    made.expect_silence(2 * DAY + OFF, 2 * DAY + 6 * HOUR + OFF)
    made.check(tmp_path)


def test_a_period_that_is_over_has_no_budget(tmp_path: Path) -> None:
    """Until a poll brings the next one."""
    made = pages(2)
    set_period(made, A_DAY, 2 * A_DAY)
    at = DAY + 2 * HOUR + OFF
    made.expect_sample(BUDGET_USED, at)
    made.expect_near(MONTH_TO_DATE, at, SPENT + at / HOUR, ACME, 0.1)
    made.check(tmp_path)


def test_a_credit_lowers_the_month_and_its_budget(tmp_path: Path) -> None:
    """A hundred dollars back, which may be below $0: it is not taken for a new month."""
    made = pages(2)
    paid = then((rising(SPENT, 1 / AN_HOUR), A_DAY), rising(SPENT + 24 - 300, 1 / AN_HOUR))
    made.set("viam_billing_usage_month_to_date_usd", paid, FIRST, ACME)
    at = DAY + 12 * HOUR + OFF
    made.expect_near(MONTH_TO_DATE, at, -23.5, ACME, within=0.1)
    made.expect_near(BUDGET_USED, at, -23.5 / 2000, ACME)
    made.expect_silence(DAY + OFF, at)
    made.check(tmp_path)


def test_without_a_period_there_is_the_amount_and_its_budget(tmp_path: Path) -> None:
    """The API may leave the dates unset."""
    made = pages(1)
    for moment in ("start", "end"):
        made.drop(f"viam_billing_usage_period_{moment}_timestamp_seconds")
    made.expect_near(MONTH_TO_DATE, 5 * OFF, SPENT + 2.5, ACME, within=0.1)
    made.expect_near(BUDGET_USED, 5 * OFF, (SPENT + 2.5) / 2000, ACME)
    made.check(tmp_path)


def test_sums_say_how_many_have_no_forecast_and_include_who_is_new(tmp_path: Path) -> None:
    """From its first good answer on; an organization that was never read counts as one without."""
    made = pages(0.5)
    add_organization(made, FIRST, BETA)
    polled = 2 * AN_HOUR
    for key, usual in list(made.input.items()):
        if "beta-2" in key and ("_usage_" in key or "_forecast_" in key or "_ledger_" in key):
            made.input[key] = between(usual, 0, polled, gone)
    made.expect_near(ALL_FORECAST, HOUR + OFF, 720)
    made.expect_near(WITHOUT_FORECAST, HOUR + OFF, 1)
    made.expect_near(ALL_FORECAST, 2 * HOUR + OFF, 2 * 720)
    made.expect_near(ALL_MONTH_TO_DATE, 2 * HOUR + OFF, 2 * (SPENT + 2.5), within=0.1)
    made.expect_near(WITHOUT_FORECAST, 2 * HOUR + OFF, 0)
    made.check(tmp_path)


@pytest.mark.parametrize("what", ["name", "instance"])
def test_an_organization_under_new_labels_is_the_same(what: str, tmp_path: Path) -> None:
    """A rename, or a pod with another address: one series at a time."""
    made = pages(1)
    new = {**ACME, "org_name": "Acme Robotics & Sons"} if what == "name" else ACME
    target = SECOND if what == "instance" else FIRST
    moved = Pages(made.steps, STEP)
    add_exporter(moved, target)
    add_organization(moved, target, new)
    change = A_DAY // 2
    for key, values in list(moved.input.items()):
        if key not in made.input:
            made.input[key] = between(values, 0, change, gone)
    for key, values in list(made.input.items()):
        if key not in moved.input:
            made.input[key] = between(values, change, made.steps - change, gone)
    made.expect_near(MONTH_TO_DATE, DAY // 2 - OFF, SPENT + 11.5, ACME, 0.1)
    at = DAY // 2 + OFF
    made.expect_near(MONTH_TO_DATE, at, SPENT + 12.5, new, 0.1)
    made.expect_near(TYPE_COST, at, SPENT + 12.5, new | ON, 0.1)
    made.expect_near(ALL_FORECAST, at, 720)
    made.expect_silence(at)
    made.check(tmp_path)
