"""Alerts that compare spend with the days and weeks before.

Scrapes are four minutes apart and rules are evaluated each half hour. Looks at odd half hours
fall between scrapes, so that no window begins or ends on one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rules.case import Case
from rules.harness import (
    ACME,
    DAY,
    FIRST,
    HOUR,
    Pages,
    between,
    gone,
    rising,
    same,
    series,
    stopped,
    then,
)
from rules.healthy import healthy

STEP: Final = 240
ODD: Final = HOUR // 2
A_DAY: Final = DAY // STEP


def pages(days: int) -> Pages:
    """Return that many days of a healthy page."""
    made = healthy(days * A_DAY, STEP)
    made.every = HOUR // 2
    return made


SPIKE: Final = Case(
    "ViamBillingSpendSpike",
    "warning",
    "spend",
    "The last day cost far more than any day of the two weeks before.",
    "Acme Robotics has spent $224.56 in the last day. The most expensive day of the two weeks "
    "before came to $24.00.",
)
NEW_TYPE: Final = Case(
    "ViamBillingNewCostType",
    "info",
    "spend",
    "An organization pays for something that it did not pay for in the last 14 days.",
    "Acme Robotics has spent $12.00 on simulation_compute in the last day, and nothing in the two "
    "weeks before.",
    labels={"resource_type": "simulation_compute"},
)
FORECAST: Final = Case(
    "ViamBillingBudgetForecastExceeded",
    "warning",
    "spend",
    "Even the lower bound of the forecast is above the budget.",
    "Acme Robotics will spend at least $719.94 by the end of the billing period, if it goes on "
    "like this. The budget is $600.00.",
)
FROZEN: Final = Case(
    "ViamBillingUpstreamFrozen",
    "warning",
    "polling",
    "Polls succeed, but the bill stands still.",
    "Acme Robotics has had the same usage for 3d 4h 34m 0s, though it spends on most days or its "
    "billing period is over.",
)


def spend_at_once(made: Pages, day: int) -> None:
    """Let two hundred dollars be spent at once."""
    for name in ("viam_billing_usage_month_to_date_usd", "viam_billing_usage_spend_usd_total"):
        usual = made.input[series(name, FIRST, ACME)]
        more = rising(240 + day * 24 + 200, 24 / A_DAY)
        made.set(name, then((usual, day * A_DAY), more), FIRST, ACME)


def begin_to_use(made: Pages, resource_type: str, day: int, until: int = 0) -> None:
    """Let something cost twelve dollars from a day on, and in the first days until one."""
    costs = {"resource_type": resource_type, "source_type": "org", "tier": ""}
    counted = {"resource_type": resource_type}
    for metric, value, labels in (
        ("cost_usd", 12, costs),
        ("resource_spend_usd_total", 12, counted),
        ("resource_corrections_usd_total", 0, counted),
    ):
        values = between(same(value), until * A_DAY, (day - until) * A_DAY, gone)
        made.set(f"viam_billing_usage_{metric}", values, FIRST, ACME, labels)


def test_a_spend_spike_is_one_against_the_own_last_weeks(tmp_path: Path) -> None:
    """Two hundred dollars at once, of an organization that spends a dollar an hour."""
    made = pages(11)
    spend_at_once(made, 9)
    trouble = 9 * DAY
    made.expect(SPIKE.alert, trouble - ODD)
    made.expect(SPIKE.alert, trouble + ODD // 2)
    made.expect(SPIKE.alert, trouble + 7 * ODD, SPIKE.fired())
    made.expect(SPIKE.alert, trouble + DAY + 5 * ODD)
    made.check(tmp_path)


def test_a_new_cost_type_is_told_once_and_one_that_returns_is_not(tmp_path: Path) -> None:
    """A type that was on the bill ten days ago is no news."""
    made = pages(17)
    begin_to_use(made, "simulation_compute", 15)
    begin_to_use(made, "trigger_notification", 15, until=6)
    trouble = 15 * DAY
    made.expect(NEW_TYPE.alert, trouble - ODD)
    made.expect(NEW_TYPE.alert, trouble + 5 * ODD, NEW_TYPE.fired())
    made.expect(NEW_TYPE.alert, trouble + DAY + 5 * ODD)
    made.check(tmp_path)


def test_an_organization_that_is_hardly_known_has_no_spikes_and_no_news(tmp_path: Path) -> None:
    """There is nothing to compare with yet."""
    made = pages(5)
    spend_at_once(made, 3)
    begin_to_use(made, "simulation_compute", 3)
    made.expect_silence(3 * DAY + 5 * ODD)
    made.check(tmp_path)


def test_a_forecast_is_not_believed_before_a_week_is_known(tmp_path: Path) -> None:
    """Until then the lower bound is far down; afterwards a steady pace needs no margin."""
    made = pages(8)
    made.set("viam_billing_budget_usd", same(600), FIRST, ACME)
    made.expect(FORECAST.alert, 5 * DAY + ODD)
    made.expect(FORECAST.alert, 6 * DAY + ODD)
    made.expect(FORECAST.alert, 7 * DAY + ODD, FORECAST.fired())
    made.check(tmp_path)


def test_a_bill_that_stands_still_is_told_of_whoever_usually_spends(tmp_path: Path) -> None:
    """Three days: a weekend is shorter."""
    made = pages(12)
    begins = 8 * A_DAY
    changed = "viam_billing_collector_last_change_timestamp_seconds"
    for key, usual in list(made.input.items()):
        if key.startswith(("viam_billing_usage_", changed)):
            made.input[key] = stopped(usual, begins)
    made.expect(FROZEN.alert, 11 * DAY - ODD)
    made.expect(FROZEN.alert, 11 * DAY + 9 * ODD, FROZEN.fired())
    made.check(tmp_path)


def test_a_bill_that_cannot_be_read_does_not_stand_still(tmp_path: Path) -> None:
    """Polls that fail have alerts of their own."""
    made = pages(1)
    made.set("viam_billing_usage_period_end_timestamp_seconds", same(-2 * DAY), FIRST, ACME)
    usage = {"collector": "usage"}
    changed = "viam_billing_collector_last_change_timestamp_seconds"
    made.set(changed, same(-4 * DAY), FIRST, ACME, usage)
    made.set("viam_billing_collector_success", same(0), FIRST, ACME, usage)
    made.expect(FROZEN.alert, 7 * ODD)
    made.check(tmp_path)
