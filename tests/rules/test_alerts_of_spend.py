"""Alerts about budgets and spend: silent, not rash, firing in full, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from rules.case import BEGINS, Case, check, on_page
from rules.harness import (
    ACME,
    DAY,
    FIRST,
    HOUR,
    MINUTE,
    Pages,
    Values,
    gone,
    rising,
    same,
    series,
    stopped,
    then,
)
from rules.healthy import SPENDS_ON, healthy

MONTH_TO_DATE: Final = on_page("viam_billing_usage_month_to_date_usd")
EXHAUSTED: Final = on_page("viam_billing_budget_exhausted_timestamp_seconds")
YESTERDAY: Final = on_page("viam_billing_spend_yesterday_usd")
TODAY: Final = on_page("viam_billing_spend_today_usd")
LATE: Final = 15 * MINUTE  # a step of the tests of what takes hours


def of_type(what: str, resource_type: str) -> str:
    """Return a series of the last whole day by resource type."""
    return on_page(f"viam_billing_resource_spend_{what}_usd", resource_type=resource_type)


def budget(  # noqa: PLR0913 - what differs between levels
    share: str, severity: str, title: str, description: str, spent: float, exhausted: Values
) -> Case:
    """Return the case of a level of the budget that is reached."""
    return Case(
        "ViamBillingBudgetUsed",
        severity,
        "spend",
        f"Acme Robotics {title}",
        f"More than {share} of the budget for this billing period is used.",
        f"Acme Robotics has spent {description}",
        {MONTH_TO_DATE: same(spent), EXHAUSTED: exhausted},
        {"budget": share},
    )


SPIKE: Final = Case(
    "ViamBillingSpendSpike",
    "warning",
    "spend",
    "Acme Robotics has spent far more than expected: $224.56 in one day",
    "A day cost far more than expected.",
    "Acme Robotics has spent far more than expected. The last whole day on record, 1969-12-31, "
    "cost $224.56, $200.56 more than the $24.00 expected. Largest overruns, before discounts: "
    "per machine $164.56, simulation compute $36.00.",
    {
        YESTERDAY: same(224.56),
        of_type("yesterday", SPENDS_ON): same(188.56),
        of_type("yesterday", "simulation_compute"): same(36),
        of_type("expected_day", "simulation_compute"): same(0),
        of_type("yesterday", "data_upload"): same(1),
        of_type("expected_day", "data_upload"): same(2),
    },
)
RUNAWAY: Final = replace(
    SPIKE,
    title="Acme Robotics has spent far more than expected: $99.50 in one day",
    description="Acme Robotics has spent far more than expected. Today has cost $99.50 so far; up "
    "to $40.00 is normal.",
    trouble={TODAY: same(99.5)},
)
CASES: Final[Mapping[str, Case]] = {
    "half of the budget": budget(
        "50%",
        "info",
        "has used more than 50% of its budget: $1,000.01 of $2,000.00",
        "$1,000.01 in this billing period. The budget is $2,000.00. At this pace, it will be used "
        "up around 1970-01-13.",
        1000.01,
        same(12 * DAY),
    ),
    "most of it": budget(
        "80%",
        "info",
        "has used more than 80% of its budget: $2,000.00 of $2,000.00",
        "$2,000.00 in this billing period. The budget is $2,000.00.",
        2000,
        gone,
    ),
    "all of it": budget(
        "100%",
        "warning",
        "is over budget: $2,345.67 of $2,000.00",
        "$2,345.67 in this billing period. The budget is $2,000.00. It was used up around "
        "1969-12-31.",
        2345.67,
        same(-HOUR),
    ),
    "the forecast": Case(
        "ViamBillingBudgetForecastExceeded",
        "warning",
        "spend",
        "Acme Robotics is forecast to go over budget: at least $2,000.50 of $2,000.00",
        "Even the lower bound of the forecast is above the budget.",
        "Acme Robotics is forecast to have spent at least $2,000.50 by the end of the billing "
        "period. The budget is $2,000.00. At this pace, it will be used up around 1970-01-20.",
        {
            on_page("viam_billing_forecast_lower_usd"): same(2000.5),
            EXHAUSTED: same(19 * DAY + HOUR),
        },
    ),
    "a bill that cannot be read": Case(
        "ViamBillingBudgetUnwatched",
        "warning",
        "spend",
        "The budget of Acme Robotics, $2,000.00, has not been checked for 4h",
        "An organization has a budget, but its usage is not being read.",
        "Acme Robotics has a budget of $2,000.00, but its usage has not been read for 4h. "
        "Until it is, no alert fires when the budget is used up.",
        {
            on_page(
                "viam_billing_collector_last_success_timestamp_seconds", collector="usage"
            ): same(BEGINS * LATE)
        },
        delay=3 * HOUR,
    ),
    "a day": SPIKE,
    "today": RUNAWAY,
    "both": replace(
        SPIKE,
        description=f"{SPIKE.description} Today has cost $99.50 so far; up to $40.00 is normal.",
        trouble={**SPIKE.trouble, **RUNAWAY.trouble},
    ),
    "something new": Case(
        "ViamBillingNewCostType",
        "info",
        "spend",
        "Acme Robotics has a new cost: $12.00 for simulation compute",
        "An organization is paying for something that cost it nothing before.",
        "Acme Robotics spent $12.00 on simulation compute on the last whole day (before discounts) "
        "and, as far as is known, nothing in the four weeks before.",
        {
            of_type("yesterday", "simulation_compute"): same(12),
            of_type("expected_day", "simulation_compute"): same(0),
        },
        {"resource_type": "simulation_compute"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_alert_of_spend_fires_in_full_and_in_time(case: Case, tmp_path: Path) -> None:
    """With every label and annotation, not before its time, and not for long after."""
    check(case, tmp_path)


SILENT: Final[Mapping[str, Mapping[str, Values]]] = {
    "below every level": {MONTH_TO_DATE: same(1000)},
    "a forecast whose lower bound is the budget": {
        on_page("viam_billing_forecast_usd"): same(2500),
        on_page("viam_billing_forecast_lower_usd"): same(2000),
    },
    "a day that is dear as such days are": {
        YESTERDAY: same(500),
        on_page("viam_billing_spend_expected_day_usd"): same(480),
        on_page("viam_billing_spend_expected_day_upper_usd"): same(600),
    },
    "a spike of a few dollars": {YESTERDAY: same(48.9), TODAY: same(64.9)},
    "a catch-up: what is estimated was not expected": {
        YESTERDAY: same(900),
        on_page("viam_billing_spend_expected_day_usd"): gone,
        on_page("viam_billing_spend_expected_day_upper_usd"): gone,
        of_type("yesterday", "simulation_compute"): same(36),
        of_type("expected_day", SPENDS_ON): gone,
    },
    "a new organization, of which no week is known": {
        YESTERDAY: same(900),
        TODAY: same(900),
        on_page("viam_billing_spend_expected_day_usd"): gone,
        on_page("viam_billing_spend_expected_day_upper_usd"): gone,
        on_page("viam_billing_spend_expected_today_upper_usd"): gone,
        of_type("expected_day", SPENDS_ON): gone,
    },
    "something new for less than a dollar": {
        of_type("yesterday", "simulation_compute"): same(0.9),
        of_type("expected_day", "simulation_compute"): same(0),
    },
    "no budget at all": {
        on_page("viam_billing_budget_usd"): gone,
        MONTH_TO_DATE: same(5000),
        on_page("viam_billing_forecast_lower_usd"): same(6000),
        on_page("viam_billing_collector_last_success_timestamp_seconds", collector="usage"): gone,
    },
}
OF_SPEND: Final = sorted({case.alert for case in CASES.values()})


@pytest.mark.parametrize("changes", SILENT.values(), ids=SILENT)
def test_nothing_is_told_of_what_is_no_trouble(
    changes: Mapping[str, Values], tmp_path: Path
) -> None:
    """After half a day, when every alert would have had the time."""
    pages = healthy(12 * HOUR // LATE, LATE)
    pages.input.update(changes)
    for alert in OF_SPEND:
        pages.expect(alert, 11 * HOUR)
    pages.check(tmp_path)


def firing(alert: str) -> str:
    """Return a selector of the alerts of a name that fire."""
    return f'ALERTS{{alertname="{alert}",alertstate="firing"}}'


def test_one_level_is_told_at_a_time(tmp_path: Path) -> None:
    """The next one takes the place of the one before."""
    pages = healthy(12 * HOUR // LATE, LATE)
    spent = then((same(900), 4), (same(1100), 8), (same(1700), 8), same(2100))
    pages.input[MONTH_TO_DATE] = spent
    for at, told in ((2.5, "50%"), (4.5, "80%"), (6.5, "100%")):
        budgets = f"count by (budget) ({firing('ViamBillingBudgetUsed')})"
        pages.expect_sample(budgets, int(at * HOUR), (series("", {"budget": told}), 1))
    pages.check(tmp_path)


def test_a_budget_is_unwatched_though_its_bill_was_never_read(tmp_path: Path) -> None:
    """Then it is as old as the organization is known; more than two of its own poll intervals."""
    pages = healthy(14 * HOUR // LATE, LATE)
    pages.drop("viam_billing_collector_last_success_timestamp_seconds")
    seldom = {"org_id": "beta-2", "org_name": "Beta"}
    for key, values in list(pages.input.items()):
        if "acme-1" in key:
            other = key.replace("acme-1", "beta-2").replace(ACME["org_name"], "Beta")
            pages.input[other] = values
    pages.set("viam_billing_poll_interval_seconds", same(5 * HOUR), FIRST, seldom)
    told = f"count by (org_id) ({firing('ViamBillingBudgetUnwatched')})"
    acme, beta = ('{org_id="acme-1"}', 1), ('{org_id="beta-2"}', 1)
    pages.expect_sample(told, 2 * HOUR)
    pages.expect_sample(told, 5 * HOUR, acme)
    pages.expect_sample(told, 11 * HOUR, acme, beta)
    pages.check(tmp_path)


def a_runaway_at_midnight(poll: int) -> Pages:
    """Return two days, on the first of which two hundred dollars go at noon.

    The first good answer of the second day comes some steps after midnight.
    """
    step = 4 * MINUTE
    day, noon = DAY // step, DAY // 2 // step
    pages = healthy(2 * day, step)
    per_step = 24 / day
    first = ((rising(0, per_step), noon), (rising(212, per_step), day - noon))
    pages.input[TODAY] = then(*first, (gone, poll), rising(poll * per_step, per_step))
    pages.input[YESTERDAY] = then((same(24), day + poll), same(224))
    began = on_page("viam_billing_spend_yesterday_start_timestamp_seconds")
    pages.input[began] = then((same(-DAY), day + poll), same(0))
    limit = on_page("viam_billing_spend_expected_today_upper_usd")
    pages.input[limit] = then((same(40), day), (gone, poll), same(44))
    return pages


def test_a_runaway_is_told_before_midnight_and_once(tmp_path: Path) -> None:
    """Of today, and from the first answer of the next day on of the day before, without a break."""
    poll = 10
    pages = a_runaway_at_midnight(poll)
    before, after = 23 * HOUR, DAY + (poll + 5) * pages.step
    of_today = "Today has cost $223.00 so far; up to $40.00 is normal."
    of_the_day = (
        "The last whole day on record, 1970-01-01, cost $224.00, $200.00 more than the $24.00 "
        "expected."
    )
    midnight = "The last day that was read has cost $223.93 so far."
    for at, usd, text in (
        (before, "$223.00", of_today),
        (DAY + 5 * pages.step, "$223.93", midnight),
        (after, "$224.00", of_the_day),
    ):
        title = f"Acme Robotics has spent far more than expected: {usd} in one day"
        told = f"Acme Robotics has spent far more than expected. {text}"
        pages.expect(SPIKE.alert, at, replace(SPIKE, title=title, description=told).fired())
    pages.expect(SPIKE.alert, 12 * HOUR + 20 * MINUTE)
    lasts = after - before
    throughout = f"sum(count_over_time({firing(SPIKE.alert)}[{lasts}s]))"
    pages.expect_sample(throughout, after - 2 * MINUTE, ("{}", lasts / pages.step))
    pages.check(tmp_path)


def test_a_new_cost_type_is_no_news_on_the_day_after(tmp_path: Path) -> None:
    """Nor is one that comes back within four weeks: it had a number a day before."""
    step = 15 * MINUTE
    day = DAY // step
    pages = healthy(4 * day, step)
    new, rare = "simulation_compute", "trigger_notification"
    for name, usual in ((new, gone), (rare, same(0))):
        pages.input[of_type("yesterday", name)] = then((usual, day), same(12))
        pages.input[of_type("expected_day", name)] = then((usual, day), same(0))
    told = f"count by (resource_type) ({firing('ViamBillingNewCostType')})"
    pages.expect_sample(told, DAY - HOUR)
    pages.expect_sample(told, DAY + HOUR, (series("", {"resource_type": new}), 1))
    pages.expect_sample(told, 2 * DAY + HOUR)
    pages.check(tmp_path)


FROZEN: Final = Case(
    "ViamBillingUpstreamFrozen",
    "warning",
    "polling",
    "The usage of Acme Robotics has not changed for 3d 4h 34m",
    "Polls succeed, but usage does not change.",
    "Polls of Acme Robotics succeed, but its usage has not changed for 3d 4h 34m, "
    "although it spends money on most days, or its billing period is over.",
)
ODD: Final = HOUR // 2


def seldom_evaluated(days: int) -> Pages:
    """Return that many days of a healthy page, with scrapes four minutes apart."""
    made = healthy(days * DAY // 240, 240)
    made.every = ODD
    return made


def test_a_bill_that_stands_still_is_told_of_whoever_usually_spends(tmp_path: Path) -> None:
    """Three days: a weekend is shorter."""
    made = seldom_evaluated(12)
    begins = 8 * DAY // made.step
    changed = "viam_billing_collector_last_change_timestamp_seconds"
    for key, usual in list(made.input.items()):
        if key.startswith(("viam_billing_usage_", changed)):
            made.input[key] = stopped(usual, begins)
    made.input[YESTERDAY] = then((same(24), 9 * DAY // made.step), same(0))
    made.expect(FROZEN.alert, 11 * DAY - ODD)
    made.expect(FROZEN.alert, 11 * DAY + 9 * ODD, FROZEN.fired())
    made.check(tmp_path)


def test_a_bill_of_somebody_who_spends_once_a_week_may_stand_still(tmp_path: Path) -> None:
    """Nothing was to be expected."""
    made = seldom_evaluated(12)
    for key, usual in list(made.input.items()):
        if key.startswith("viam_billing_collector_last_change_timestamp_seconds"):
            made.input[key] = stopped(usual, 8 * DAY // made.step)
    of_a_week = ((same(0), 6 * DAY // made.step), (same(168), DAY // made.step))
    made.input[YESTERDAY] = then(*of_a_week, same(0))
    made.expect(FROZEN.alert, 11 * DAY + 9 * ODD)
    made.check(tmp_path)


def test_a_bill_that_cannot_be_read_does_not_stand_still(tmp_path: Path) -> None:
    """Polls that fail have alerts of their own."""
    made = seldom_evaluated(1)
    made.set("viam_billing_usage_period_end_timestamp_seconds", same(-2 * DAY), FIRST, ACME)
    usage = {"collector": "usage"}
    changed = "viam_billing_collector_last_change_timestamp_seconds"
    made.set(changed, same(-4 * DAY), FIRST, ACME, usage)
    made.set("viam_billing_collector_success", same(0), FIRST, ACME, usage)
    made.expect(FROZEN.alert, 7 * ODD)
    made.check(tmp_path)
