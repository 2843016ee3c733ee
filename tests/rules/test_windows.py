"""Single numbers of days are the ledger's: right after an outage, or absent where nobody knows.

What is asked are the dashboards' own queries, of what real exporters showed in virtual time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from grafana.source.known import MISSING
from rules.harness import ACME, DAY, FIRST, HOUR, Pages, same, series
from rules.healthy import add_exporter
from rules.lived import Bill, Life, even, live
from support.dashboards import beside, query

pytestmark = pytest.mark.timeout(300)  # promtool goes through many days
PER_DAY: Final = 43.0
WEEK: Final = 7 * PER_DAY  # $301
AWAY, BACK = 2 * DAY, 5 * DAY
# The week before it begins in the outage, and counters do not say when they grew.
LOOKED_AT: Final = 9 * DAY + 14 * HOUR
CENT: Final = 0.005
SECOND: Final = "exporter-1:8426"
BILL: Final = Bill(even(PER_DAY))
FLEET, ONE = "viam-billing-fleet", "viam-billing-organization"
OF_ACME: Final = {"org_id": ACME["org_id"]}


@pytest.fixture(scope="module", autouse=True)
def _each_stack() -> None:
    """Have each test check with each stack: what it checks takes as long to make."""


def expect_whole_days(pages: Pages) -> None:
    """Expect $43 for each day and $301 for each week, wherever a dashboard shows them."""
    for expr, usd in (
        (query(FLEET, "Last whole day"), PER_DAY),
        (query(FLEET, "Last 7 days"), WEEK),
        (query(FLEET, "Pace", "A"), PER_DAY),
        (query(FLEET, "Pace", "B"), PER_DAY),
    ):
        pages.expect_near(expr, LOOKED_AT, usd, within=CENT)
    for expr, usd in (
        (query(FLEET, "Organizations", "H"), WEEK),
        (query(ONE, "Last whole day"), PER_DAY),
        (query(ONE, "Last 7 days"), WEEK),
        (query(ONE, "Pace", "A"), PER_DAY),
        (query(ONE, "Pace", "B"), PER_DAY),
    ):
        pages.expect_near(expr, LOOKED_AT, usd, OF_ACME, within=CENT)
    # Fewer than 14 days were seen: weeks that are divided evenly would show no change.
    pages.expect_sample(query(FLEET, "Movers of the week", "C"), LOOKED_AT)
    last = f"{beside(ONE, 'Last whole day', 'on')} / 1000"
    pages.expect_near(last, LOOKED_AT, 8 * DAY, OF_ACME)
    of_type = query(ONE, "Resource types, before discounts", "C")
    machine = {"resource_type": "data_upload"}
    pages.expect_near(of_type, LOOKED_AT, PER_DAY, machine, within=CENT)


def test_the_exporter_was_away_for_three_days(tmp_path: Path) -> None:
    """The last 7 days are $301: the counters' growth, of the time since it is back, is $197."""
    lives = Life(ends=AWAY, storage="kept"), Life(BACK, storage="kept")
    pages = live(tmp_path, 10, BILL, *lives).pages
    expect_whole_days(pages)
    counter = series("viam_billing_usage_spend_usd_total", ACME)
    pages.expect_near(f"sum(increase({counter}[7d]))", LOOKED_AT, 197, within=2)
    # Estimated are the three days, and ten of the period before the first answer.
    pages.expect_near(query(ONE, "Days not known"), LOOKED_AT, 13, OF_ACME)
    pages.check_with_each_stack(tmp_path)


def test_the_api_was_away_for_three_days(tmp_path: Path) -> None:
    """What it says when it is back is no day's spend: a day is $43."""
    pages = live(tmp_path, 10, Bill(even(PER_DAY), away=[(AWAY, BACK)])).pages
    expect_whole_days(pages)
    back = BACK + DAY // 2
    pages.expect_near(query(FLEET, "Last whole day"), back, PER_DAY, within=CENT)
    pages.expect_near(query(ONE, "Today so far"), back, PER_DAY / 2, OF_ACME, within=PER_DAY / 48)
    pages.check_with_each_stack(tmp_path)


def test_two_replicas_are_one_organization(tmp_path: Path) -> None:
    """Their days differ by what each could see: those of the one that knows more are shown."""
    lives = Life(ends=AWAY, storage="kept"), Life(BACK, storage="kept"), Life(700, instance=SECOND)
    pages = live(tmp_path, 10, BILL, *lives).pages
    expect_whole_days(pages)
    for title in ("Last whole day", "Last 7 days"):
        pages.expect_sample(beside(FLEET, title, MISSING), LOOKED_AT)
    pages.check_with_each_stack(tmp_path)


def test_a_week_that_nobody_knows_is_no_number(tmp_path: Path) -> None:
    """Neither 0 nor a part of it: a period ended in the outage."""
    bill = Bill(even(PER_DAY), starts=(-10 * DAY, 3.0 * DAY + 12 * HOUR), away=[(AWAY, BACK)])
    pages = live(tmp_path, 10, bill).pages
    for uid in (FLEET, ONE):
        pages.expect_sample(query(uid, "Last 7 days"), LOOKED_AT)
    pages.expect_sample(query(FLEET, "Movers of the week", "B"), LOOKED_AT)
    # Yesterday is known.
    pages.expect_near(query(FLEET, "Last whole day"), LOOKED_AT, PER_DAY, within=CENT)
    pages.expect_sample(beside(FLEET, "Last whole day", MISSING), LOOKED_AT)
    # Pace compares days with weeks of the same organizations: of none.
    pages.expect_sample(query(FLEET, "Pace"), LOOKED_AT)
    pages.expect_near(query(FLEET, "Pace", "C"), LOOKED_AT, 1)
    pages.check_with_each_stack(tmp_path)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_sum_says_how_many_organizations_it_leaves_out(known: int, tmp_path: Path) -> None:
    """Of three, two of which have an exporter each that sees a little more than the other."""
    pages = Pages(2, HOUR)
    for number in range(3):
        org = {"org_id": f"o{number}", "org_name": f"O{number}"}
        for extra, instance in enumerate((FIRST["instance"], SECOND)):
            target = {**FIRST, "instance": instance}
            add_exporter(pages, target)
            pages.set("viam_billing_org_info", same(1), target, org)
            pages.set("viam_billing_ledger_known_seconds", same(extra * DAY), target, org)
            pages.set("viam_billing_ledger_estimated_seconds", same(0), target, org)
            if number < known:
                pages.set("viam_billing_spend_yesterday_usd", same(10 + extra), target, org)
                pages.set("viam_billing_spend_7d_usd", same(70 + extra), target, org)
    for title, usd in (("Last whole day", 11), ("Last 7 days", 71)):
        if known:
            pages.expect_near(query(FLEET, title), HOUR, known * usd)
            pages.expect_near(beside(FLEET, title, MISSING), HOUR, 3 - known)
        else:
            pages.expect_sample(query(FLEET, title), HOUR)
            pages.expect_sample(beside(FLEET, title, MISSING), HOUR)
    pages.expect_near(query(FLEET, "Pace", "C"), HOUR, 3 - known)
    pages.check_with_each_stack(tmp_path)
