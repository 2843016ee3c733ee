"""What dashboards say of time: since when something is wrong, and when a number will be there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from grafana.source.attention import DOWN_RANK, LOST, LOST_RANK
from grafana.source.days import DAYS_SEEN, ESTIMATES
from grafana.source.known import COMING, ESTIMATED, OUT_OF_DATE, STATE
from rules.harness import ACME, DAY, FIRST, HOUR, Pages, between, same, series
from rules.healthy import healthy
from rules.test_states_shown import FLEET, INVOICES, LATE, ONE, number, out_of_reach
from rules.trouble import AN_HOUR, STEP, trouble
from support.dashboards import ANY, beside, expand, query, targets

ID: Final = series("", {"org_id": ACME["org_id"]})
SINCE: Final = {"Overdue": 100, "Over budget": 300}
DATES: Final = {
    "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds": SINCE["Overdue"],
    "viam_billing_budget_exhausted_timestamp_seconds": SINCE["Over budget"],
}


def of_problem(letter: str, problem: str) -> str:
    """Return a column of the table of what needs attention, of one problem."""
    named = f'label_replace(vector(1), "problem", "{problem}", "", "")'
    return f"({query(FLEET, 'Needs attention', letter)}) and on (problem) {named}"


def test_since_when_stays_while_the_bill_is_withdrawn(tmp_path: Path) -> None:
    """What was overdue before an outage has been so for as long as it said then."""
    pages = out_of_reach()
    for name, since in DATES.items():
        pages.set(
            name,
            between(same(since), AN_HOUR, 5 * AN_HOUR, lambda steps: f"_x{steps}"),
            FIRST,
            ACME,
        )
    pages.set(
        "viam_billing_collector_last_success_timestamp_seconds",
        same(HOUR),
        FIRST,
        ACME,
        collector="usage",
    )
    for problem, since in SINCE.items():
        row = (series("", ACME, problem=problem), 1000.0 * since)
        pages.expect_sample(of_problem("C", problem), LATE, row)
    pages.check(tmp_path)


def test_no_cell_of_since_is_empty(tmp_path: Path) -> None:
    """A bill that gives no date has a cell that says so."""
    pages = trouble(6, FIRST)
    for problem in ("Overdue", "Payment failed", "Over budget"):
        row = (series("", ACME, problem=problem), float("inf"))
        pages.expect_sample(of_problem("C", problem), LATE, row)
    pages.check(tmp_path)


def test_organizations_are_named_long_after_the_exporter_went_down(tmp_path: Path) -> None:
    """With when their bills were read last; and the exporter, with when it was scraped last."""
    pages = trouble(15, FIRST)
    success = "viam_billing_collector_last_success_timestamp_seconds"
    pages.set(success, same(HOUR / 2), FIRST, ACME, collector="usage")
    pages.during(FIRST, AN_HOUR, 14 * AN_HOUR)
    pages.input[series("up", FIRST)] = between(same(1), AN_HOUR, 14 * AN_HOUR, same(0))
    lost, at = series("", ACME, problem=LOST), 14 * HOUR
    ranks, since = (query(FLEET, "Needs attention", letter) for letter in "AC")
    pages.expect_sample(f"sort_desc({ranks})", at, ("{}", DOWN_RANK), (lost, LOST_RANK))
    scraped = 1000 * (HOUR - STEP)
    pages.expect_sample(f"sort_desc({since})", at, ("{}", scraped), (lost, 1000 * HOUR / 2))
    pages.check(tmp_path)


def test_nothing_is_wrong_where_nothing_is(tmp_path: Path) -> None:
    """No alert fires: the tile says 0, and the tables have a row that says so."""
    pages = healthy(6 * AN_HOUR, STEP)
    pages.expect_sample(query(FLEET, "Warnings and worse"), LATE, ("{}", 0))
    pages.expect_sample(query("viam-billing-exporter", "Alerts firing"), LATE, ("{}", -1))
    pages.expect_sample(query(FLEET, "Needs attention"), LATE, ("{}", 0))
    pages.check(tmp_path)


@pytest.mark.parametrize("uid", [FLEET, ONE])
def test_a_window_says_on_which_day_it_will_be_known(uid: str, tmp_path: Path) -> None:
    """As many midnights from now as days are missing; the tile says nothing else then."""
    pages = healthy(6 * AN_HOUR, STEP)
    pages.drop("viam_billing_spend_7d_usd")
    pages.set("viam_billing_ledger_known_seconds", same(3 * DAY), FIRST, ACME)
    pages.set("viam_billing_ledger_estimated_seconds", same(2 * DAY), FIRST, ACME)
    # Estimated days fill a window, but tell nothing of how two of them differ.
    for title, days in (("Last 7 days", 7 - 3 - 2), ("Week against week", 14 - 3)):
        coming = ("{}", 1000.0 * days * DAY)
        pages.expect_sample(beside(uid, title, COMING), LATE, coming)
        pages.expect_sample(beside(uid, title, STATE), LATE)
    pages.check(tmp_path)


def test_days_before_the_first_poll_are_no_trend(tmp_path: Path) -> None:
    """What was spent on them is spread evenly: the week says so, and has no week beside it."""
    pages = healthy(6 * AN_HOUR, STEP)
    pages.set("viam_billing_ledger_known_seconds", same(0), FIRST, ACME)
    pages.set("viam_billing_ledger_estimated_seconds", same(20 * DAY), FIRST, ACME)
    pages.set("viam_billing_spend_previous_7d_usd", same(168), FIRST, ACME)
    for uid, few, value in ((ONE, DAYS_SEEN, (ID, 0.0)), (FLEET, ESTIMATES, ("{}", 1.0))):
        pages.expect_sample(beside(uid, "Last 7 days", few), LATE, value)
        pages.expect_sample(query(uid, "Last 7 days"), LATE)  # it is not called spent
        pages.expect_near(f"sum({beside(uid, 'Last 7 days', ESTIMATED)})", LATE, 168)
        pages.expect_sample(number(uid, "Week against week"), LATE)
        pages.expect_sample(
            beside(uid, "Week against week", COMING), LATE, ("{}", 1000.0 * 14 * DAY)
        )
    pages.check(tmp_path)


def test_whole_weeks_that_are_known_say_nothing_of_it(tmp_path: Path) -> None:
    """Or each tile would have a second number for good."""
    pages: Pages = healthy(6 * AN_HOUR, STEP)
    for uid, few in ((ONE, DAYS_SEEN), (FLEET, ESTIMATES)):
        pages.expect_near(f"sum({query(uid, 'Last 7 days')})", LATE, 168)
        for name in (few, ESTIMATED, COMING, STATE):
            pages.expect_sample(beside(uid, "Last 7 days", name), LATE)
    pages.check(tmp_path)


def test_a_chart_is_not_drawn_until_its_lines_can_be_seen(tmp_path: Path) -> None:
    """In a month, those of six hours are a hair at the edge; in a day, they are shown."""
    pages = healthy(6 * AN_HOUR, STEP)
    month_so_far = next(
        target.expr for target in targets() if target.panel["title"] == "Budget burn and forecast"
    )
    for days, drawn in ((30, 0), (1, 1)):
        lines = expand(month_so_far, {**ANY, "__range_s": str(days * DAY)})
        pages.expect_sample(f"count({lines}) or on () vector(0)", LATE, ("{}", drawn))
    pages.check(tmp_path)


@pytest.mark.parametrize(
    ("uid", "title"), [(FLEET, "What is owed"), (INVOICES, "Owed and overdue")]
)
def test_lines_of_remembered_amounts_end_with_the_last_answer(
    uid: str, title: str, tmp_path: Path
) -> None:
    """A flat line would say that the amounts were read all the time."""
    pages = out_of_reach()
    fresh = AN_HOUR * STEP - STEP
    pages.expect_sample(query(uid, title), fresh, ("{}", 500))
    pages.expect_sample(query(uid, title), LATE)
    pages.expect_sample(beside(uid, title, OUT_OF_DATE), fresh)
    pages.expect_sample(beside(uid, title, OUT_OF_DATE), LATE, ("{}", 1))
    failed = f"count({query(INVOICES, 'Failed payments by reason')})"
    pages.expect_sample(failed, fresh, ("{}", 1))
    pages.expect_sample(failed, LATE)
    pages.check(tmp_path)
