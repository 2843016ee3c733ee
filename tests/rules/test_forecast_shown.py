"""The forecast of a real exporter is one number: of its page, in the rules and on the dashboards.

The exporters live in virtual time, and what they showed is what Prometheus has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.rules.series import ALL_FORECAST, last
from rules.harness import ACME, DAY, FIRST, HOUR, MINUTE, Pages, series
from rules.lived import MONTH, Bill, Life, even, live, with_events
from support.dashboards import query

pytestmark = pytest.mark.timeout(300)  # promtool goes through many days
PER_DAY: Final = 30.0
SECOND: Final = "exporter-1:8426"
FLEET, ONE = "viam-billing-fleet", "viam-billing-organization"
NAME: Final = "viam_billing_forecast_usd"
LOWER: Final = last("viam_billing_forecast_lower_usd")


@pytest.fixture(scope="module", autouse=True)
def _each_stack() -> None:
    """Have each test check with each stack: what it checks takes as long to make."""


def expect_one_forecast(pages: Pages, at: int, instance: str) -> None:
    """Expect what an exporter's page has, wherever a forecast is shown."""
    of_page = f'{{__name__="{NAME}",instance="{instance}"}}'
    for shown in (
        query(FLEET, "Forecast for the month"),
        query(FLEET, "Organizations", "D"),
        query(ONE, "Forecast for the month"),
        query(ONE, "Budget burn and forecast", "C"),
        ALL_FORECAST,
    ):
        pages.expect_near(f"sum({shown}) - sum({of_page})", at, 0, within=1e-9)
    for shown, bound in (
        (query(ONE, "Lower bound"), "lower"),
        (query(ONE, "Upper bound"), "upper"),
        (query(ONE, "Budget burn and forecast", "D"), "upper"),
        (query(ONE, "Budget burn and forecast", "E"), "lower"),
        (LOWER, "lower"),
    ):
        of_page = f'viam_billing_forecast_{bound}_usd{{instance="{instance}"}}'
        pages.expect_near(f"sum({shown}) - sum({of_page})", at, 0, within=1e-9)


def test_a_fee_on_the_first_is_not_the_pace(tmp_path: Path) -> None:
    """On the fifth day of $30 a day after $300 at once, the month ends near $1200."""
    begins = 3 * DAY
    spent = with_events(even(PER_DAY), (begins + HOUR, 300.0))
    pages = live(tmp_path, 9, Bill(spent, starts=(begins - MONTH, float(begins)))).pages
    at = begins + 5 * DAY + 2 * MINUTE
    expect_one_forecast(pages, at, FIRST["instance"])
    pages.expect_near(ALL_FORECAST, at, 300 + 30 * PER_DAY, within=100)
    pages.check_with_each_stack(tmp_path)


def test_a_forecast_and_its_bounds_are_of_the_exporter_that_knows_more(tmp_path: Path) -> None:
    """Until it is gone: then they are of the other one, all at once."""
    spent = with_events(even(PER_DAY), (2.5 * DAY, 200.0))
    gone = 6 * DAY
    lives = Life(ends=gone), Life(4.2 * DAY, instance=SECOND)
    pages = live(tmp_path, 8, Bill(spent), *lives).pages
    expect_one_forecast(pages, gone - HOUR + 2 * MINUTE, FIRST["instance"])
    expect_one_forecast(pages, gone + HOUR + 2 * MINUTE, SECOND)
    pages.check_with_each_stack(tmp_path)


def test_a_catch_up_after_an_outage_is_no_spike_and_no_news(tmp_path: Path) -> None:
    """The API was away for three days: what it says when it is back was spent on all of them."""
    away, back = 9 * DAY + 6 * HOUR, 12 * DAY + 6 * HOUR
    pages = live(tmp_path, 14, Bill(even(PER_DAY), away=[(away, back)])).pages
    pages.every = 15 * MINUTE
    for alert in ("ViamBillingSpendSpike", "ViamBillingNewCostType", "ViamBillingBudgetUsed"):
        pages.expect_sample(f'count_over_time(ALERTS{{alertname="{alert}"}}[13d])', 14 * DAY)
    # There are alerts at all: what could not be read was told of.
    stale = 'ALERTS{alertname="ViamBillingUpstreamOutage",alertstate="firing"}'
    told = f"count by (org_id) (count_over_time({stale}[3d]))"
    pages.expect_sample(told, 13 * DAY, (series("", {"org_id": ACME["org_id"]}), 1))
    pages.check_with_each_stack(tmp_path)


def test_a_runaway_is_told_today_and_by_its_type_the_day_after(tmp_path: Path) -> None:
    """Two hundred dollars at noon, of something else than what it usually spends on."""
    noon, of = 9 * DAY + 12 * HOUR, 200.0

    def on_something_else(answer: pb.GetCurrentMonthUsageResponse) -> None:
        costs = answer.resource_usage_costs_by_source[0].resource_usage_costs
        costs.usage_costs[0].cost -= of
        costs.usage_costs.add(resource_type=pb.USAGE_COST_TYPE_REMOTE_CONTROL, cost=of)

    runaway = with_events(even(PER_DAY), (noon, of))
    bill = Bill(runaway, odd=[(noon, 20 * DAY)], wrong=on_something_else)
    pages = live(tmp_path, 12, bill).pages
    pages.every = 15 * MINUTE
    spike = "ViamBillingSpendSpike"
    fires = f'count(ALERTS{{alertname="{spike}",alertstate="firing"}})'
    pages.expect_sample(fires, noon - HOUR)
    pages.expect_sample(fires, noon + 2 * HOUR, ("{}", 1))
    pages.expect_sample(fires, 10 * DAY + 6 * HOUR, ("{}", 1))
    pages.expect_sample(fires, 11 * DAY + 6 * HOUR)
    type_of = f"sort_desc(topk(1, {query(ONE, 'Resource types, before discounts', 'C')} - "
    type_of += f"{query(ONE, 'Resource types, before discounts', 'D')}))"
    other = series("", {"resource_type": "remote_control"})
    pages.expect_sample(f"({type_of}) > bool 199", 10 * DAY + 6 * HOUR, (other, 1))
    news = 'count by (resource_type) (ALERTS{alertname="ViamBillingNewCostType"})'
    pages.expect_sample(news, 10 * DAY + 6 * HOUR, (other, 1))
    pages.expect_sample(news, 11 * DAY + 6 * HOUR)
    pages.check_with_each_stack(tmp_path)
