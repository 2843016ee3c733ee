"""What dashboards show where a number is old, cannot be read, does not exist, or is not known yet.

An outage must not read as all-clear. So every tile is asked in every one of these states, by its
own queries: either it has a number, or its state says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from grafana.source.attention import PROBLEMS
from grafana.source.known import AS_OF, CREDIT, LESS, MISSING, OUT_OF_DATE, STATE, State
from rules.harness import (
    ACME,
    COLLECTORS,
    DAY,
    FIRST,
    HOUR,
    Pages,
    between,
    gone,
    same,
    series,
    then,
)
from rules.healthy import add_organization, healthy
from rules.trouble import AN_HOUR, KEPT, STEP, fail, trouble
from support.dashboards import ANY, Target, beside, dashboards, expand, of_variable, query, targets

FLEET, ONE = "viam-billing-fleet", "viam-billing-organization"
INVOICES, EXPORTER = "viam-billing-invoices", "viam-billing-exporter"
HOURS: Final = 6
LATE: Final = HOURS * HOUR - STEP
OWED: Final = "viam_billing_invoices_unpaid_amount_usd"
BETA: Final = {"org_id": "beta-2", "org_name": "Beta"}


def _is(target: Target, uid: str, title: str) -> bool:
    return (target.uid, target.panel["title"]) == (uid, title)


TILES: Final = [
    (target.uid, target.panel["title"])
    for target in targets()
    if target.query["legendFormat"] == STATE
]


def number(uid: str, title: str) -> str:
    """Return an expression with the number of a tile, also of one that is below $0."""
    credit = [
        t.expr
        for t in targets()
        if _is(t, uid, title) and t.query["legendFormat"] in {CREDIT, LESS}
    ]
    return " or ".join(f"({expand(e, ANY)})" for e in (query(uid, title), *credit))


def unread(pages: Pages, org: Mapping[str, str]) -> None:
    """Take off the page what was ever polled of an organization."""
    for key in list(pages.input):
        name = key.partition("{")[0]
        known = not name.endswith(KEPT) or "collector" in name or "_total" in name
        if known and f'org_id="{org["org_id"]}"' in key:
            del pages.input[key]


def never_read() -> Pages:
    """Return pages of an organization that no poll of was ever answered."""
    pages = trouble(HOURS, FIRST)
    unread(pages, ACME)
    for collector in COLLECTORS:
        of = {**FIRST, **ACME, "collector": collector}
        pages.set("viam_billing_collector_success", same(0), of)
        pages.set("viam_billing_collector_failure", same(1), of, cause="outage")
        pages.set("viam_billing_collector_last_attempt_timestamp_seconds", same(60), of)
    pages.set("viam_billing_up", same(0), FIRST, ACME)
    return pages


def not_polled() -> Pages:
    """Return pages of an organization that was not polled yet."""
    pages = trouble(HOURS, FIRST)
    unread(pages, ACME)
    return pages


def nothing_there() -> Pages:
    """Return pages of an organization that was just polled well, and has nothing."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    unread(pages, ACME)
    pages.drop("viam_billing_budget_usd")
    for collector in COLLECTORS:
        of = {**FIRST, **ACME, "collector": collector}
        pages.set("viam_billing_collector_success", same(1), of)
        for moment in ("attempt", "success", "change"):
            pages.set(f"viam_billing_collector_last_{moment}_timestamp_seconds", same(LATE), of)
    pages.set("viam_billing_up", same(1), FIRST, ACME)
    return pages


def out_of_reach() -> Pages:
    """Return pages of an organization that owes and overspends, and whose polls fail for hours."""
    pages = trouble(HOURS, FIRST)
    pages.set("viam_billing_up", same(1), FIRST, ACME)
    fail(pages, FIRST, AN_HOUR, (HOURS - 1) * AN_HOUR)
    for collector in COLLECTORS:
        key = series("viam_billing_collector_success", FIRST, ACME, collector=collector)
        pages.input[key] = between(same(1), AN_HOUR, (HOURS - 1) * AN_HOUR, same(0))
    key = series("viam_billing_up", FIRST, ACME)
    pages.input[key] = between(same(1), AN_HOUR, (HOURS - 1) * AN_HOUR, same(0))
    return pages


def exporter_down() -> Pages:
    """Return pages of an exporter that is down for hours."""
    pages = trouble(HOURS, FIRST)
    pages.set("viam_billing_up", same(1), FIRST, ACME)
    pages.during(FIRST, AN_HOUR, (HOURS - 1) * AN_HOUR)
    pages.input[series("up", FIRST)] = between(same(1), AN_HOUR, (HOURS - 1) * AN_HOUR, same(0))
    return pages


@dataclass(frozen=True)
class World:
    """Pages, which tiles have a number there, and the state of all others."""

    pages: Callable[[], Pages]
    state: State
    numbers: Collection[str]
    others: Mapping[str, State]


OF_EXPORTERS: Final = {
    "Exporters that answer",
    "Configuration loaded",
    "Data stored",
    "Requests left today",
}
OF_POLLS: Final = {"Unreadable bills", "Organizations out of date", "Bill readable"}
OLD: Final = {
    "Month so far",
    "Overdue",
    "Owed",
    "Failed payments",
    "Days to next due date",
    "Outstanding balance",
    "Latest invoice",
    "Latest against usual",
    "Bank account",
    "Bank accounts unverified",
    "Budget",
    "Budget used",
    "Budgets exceeded",
    "Data age",
    "Oldest data",
}
# What exporters that run rightly lack.
LACKED: Final = dict.fromkeys(
    ("Shards missing", "Calls that failed in the last 24 hours"), State.NONE
)
WORLDS: Final = {
    "never read": World(never_read, State.UNREADABLE, OF_EXPORTERS | OF_POLLS | {"Budget"}, LACKED),
    "not polled yet": World(not_polled, State.PENDING, OF_EXPORTERS | {"Budget"}, LACKED),
    "nothing there": World(
        nothing_there, State.NONE, OF_EXPORTERS | OF_POLLS | {"Data age", "Oldest data"}, {}
    ),
    "out of reach": World(out_of_reach, State.UNREADABLE, OF_EXPORTERS | OF_POLLS | OLD, LACKED),
    "exporter down": World(
        exporter_down, State.UNREADABLE, {"Exporters that answer"} | OF_POLLS | OLD, {}
    ),
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_every_tile_says_what_is_known(world: World, tmp_path: Path) -> None:
    """It has a number, or says why there is none, and never both."""
    pages = world.pages()
    for uid, title in TILES:
        has = f"count({number(uid, title)}) ^ 0 or on () vector(0)"
        pages.expect_sample(has, LATE, ("{}", float(title in world.numbers)))
        state = beside(uid, title, STATE)
        expected = (
            () if title in world.numbers else (("{}", float(world.others.get(title, world.state))),)
        )
        pages.expect_sample(state, LATE, *expected)
    pages.check(tmp_path)


def test_every_tile_is_asked() -> None:
    """But for the two that say it in a way of their own."""
    stats = {(t.uid, t.panel["title"]) for t in targets() if t.panel["type"] == "stat"}
    assert stats - {*TILES} == {(FLEET, "Warnings and worse"), (ONE, "Pays with")}


def test_no_alert_is_said_of_rules_that_are_evaluated(tmp_path: Path) -> None:
    """Where nothing fires, the tile has a 0 and the table a row; where alerts do, neither."""
    calm = healthy(HOURS * AN_HOUR, STEP)
    calm.expect_sample(query(FLEET, "Warnings and worse"), LATE, ("{}", 0))
    calm.expect_sample(query(EXPORTER, "Alerts firing"), LATE, ("{}", -1))
    calm.check(tmp_path)
    pages = exporter_down()
    pages.expect_sample(f"({query(FLEET, 'Warnings and worse')}) > bool 0", LATE, ("{}", 1))
    pages.expect_sample(f"({query(EXPORTER, 'Alerts firing')}) < 0", LATE)
    pages.check(tmp_path)


def test_an_old_number_says_of_when_it_is(tmp_path: Path) -> None:
    """What is owed stays when it cannot be read, with the moment that it was read last."""
    pages = out_of_reach()
    fresh = AN_HOUR * STEP - STEP
    for uid in (FLEET, INVOICES, ONE):
        pages.expect_sample(f"sum({query(uid, 'Owed')})", LATE, ("{}", 500))
    for uid in (FLEET, INVOICES):
        old = beside(uid, "Owed", OUT_OF_DATE)
        pages.expect_sample(old, fresh)
        pages.expect_sample(old, LATE, ("{}", 1))
    since = beside(ONE, "Owed", AS_OF)
    pages.expect_sample(since, fresh)
    pages.expect_sample(since, LATE, (series("", {"org_id": ACME["org_id"]}), 1000 * HOUR))
    pages.check(tmp_path)


def test_a_total_says_how_many_it_lacks(tmp_path: Path) -> None:
    """And how many are in a sum of which some cannot be read."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    add_organization(pages, FIRST, BETA)
    unread(pages, BETA)
    for title in ("Month so far", "Forecast for the month", "Last 7 days", "Owed", "Overdue"):
        pages.expect_sample(beside(FLEET, title, MISSING), LATE, ("{}", 1))
        pages.expect_sample(f"count({number(FLEET, title)})", LATE, ("{}", 1))
        pages.expect_sample(beside(FLEET, title, STATE), LATE)
    pages.check(tmp_path)


def test_an_amount_below_zero_is_a_credit(tmp_path: Path) -> None:
    """It is a query of its own, so that its sign stands before the currency."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    pages.set("viam_billing_usage_month_to_date_usd", same(-4859.95), FIRST, ACME)
    for uid in (FLEET, ONE):
        pages.expect_sample(query(uid, "Month so far"), LATE)
        pages.expect_near(f"sum({beside(uid, 'Month so far', CREDIT)})", LATE, 4859.95)
        pages.expect_sample(beside(uid, "Month so far", STATE), LATE)
    pages.check(tmp_path)


def test_what_is_withheld_is_not_zero_dollars(tmp_path: Path) -> None:
    """Month to date is withheld if a part of it is: the tile cannot be read then."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    pages.drop("viam_billing_usage_month_to_date_usd")
    pages.set(
        "viam_billing_withheld_samples", same(1), FIRST, ACME, collector="usage", reason="nan"
    )
    for uid in (FLEET, ONE):
        pages.expect_sample(f"count({number(uid, 'Month so far')})", LATE)
        state = beside(uid, "Month so far", STATE)
        pages.expect_sample(state, LATE, ("{}", float(State.UNREADABLE)))
    pages.check(tmp_path)


def ranks(*problems: str) -> list[int]:
    """Return the ranks of problems, by their texts."""
    texts = [problem.text for problem in PROBLEMS]
    return sorted((texts.index(problem) + 1 for problem in problems), reverse=True)


def expect_attention(pages: Pages, at: int, *problems: str, org: Mapping[str, str] = ACME) -> None:
    """Expect the table of what needs attention to have these problems, the worst first."""
    texts = [problem.text for problem in PROBLEMS]
    rows = [(series("", org, problem=problem), texts.index(problem) + 1.0) for problem in problems]
    table = query(FLEET, "Needs attention")
    pages.expect_sample(f"sort_desc({table})", at, *(rows or [("{}", 0)]))


def test_what_needs_attention_is_listed_worst_first(tmp_path: Path) -> None:
    """With its amount; and where nothing does, a row says that."""
    pages = trouble(HOURS, FIRST)
    pages.set("viam_billing_forecast_usd", same(740), FIRST, ACME)
    expect_attention(pages, LATE, "Overdue", "Payment failed", "Over budget", "Spike")
    amounts = query(FLEET, "Needs attention", "B")
    for problem, usd in (("Overdue", 300), ("Payment failed", 300), ("Spike", 500)):
        named = f'({amounts}) * on (problem) group_left () label_replace(vector(1), "problem", '
        named += f'"{problem}", "", "")'
        pages.expect_sample(named, LATE, (series("", ACME, problem=problem), usd))
    pages.check(tmp_path)
    calm = healthy(HOURS * AN_HOUR, STEP)
    expect_attention(calm, LATE)
    calm.check(tmp_path)


def test_an_outage_takes_nothing_off_the_list(tmp_path: Path) -> None:
    """What was overdue when the bill was last read still is; and it is out of date."""
    pages = out_of_reach()
    listed = ("Overdue", "Payment failed", "Over budget", "Spike", "Cannot be read")
    expect_attention(pages, LATE, *listed)
    pages.check(tmp_path)


@pytest.mark.parametrize(
    ("cause", "problem"), [("permission", "Access denied"), ("outage", "Never read")]
)
def test_an_organization_that_was_never_read_comes_first(
    cause: str, problem: str, tmp_path: Path
) -> None:
    """In the list, and in the table of the fleet, where its amounts cannot be read."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    add_organization(pages, FIRST, BETA)
    unread(pages, BETA)
    of = {**FIRST, **BETA, "collector": "usage"}
    pages.set("viam_billing_collector_success", same(0), of)
    pages.set("viam_billing_collector_failure", same(1), of, cause=cause)
    expect_attention(pages, LATE, problem, org=BETA)
    pages.expect_sample(
        f"sort_desc({query(FLEET, 'Organizations', 'B')})",
        LATE,
        (series("", {"org_id": BETA["org_id"]}), float(ranks(problem)[0])),
        (series("", {"org_id": ACME["org_id"]}), 0.0),
    )
    month = query(FLEET, "Organizations", "C")
    pages.expect_sample(
        f"count by (org_id) (({month}) != ({month}))",
        LATE,
        (series("", {"org_id": BETA["org_id"]}), 1.0),
    )
    owed = query(FLEET, "Organizations", "I")
    pages.expect_sample(
        f"count by (org_id) (({owed}) == -Inf)",
        LATE,
        (series("", {"org_id": BETA["org_id"]}), 1.0),
    )
    pages.check(tmp_path)


def test_budgets_are_compared_with_those_that_have_one(tmp_path: Path) -> None:
    """What the others spend is in neither sum, and those above their own are counted."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    pages.set("viam_billing_budget_usd", same(600), FIRST, ACME)
    add_organization(pages, FIRST, BETA)
    pages.drop("viam_billing_budget_usd", BETA)
    pages.set("viam_billing_forecast_usd", same(100_000), FIRST, BETA)
    pages.expect_near(query(FLEET, "Forecast against budget"), LATE, 720 / 600)
    pages.expect_sample(query(FLEET, "Forecast over budget"), LATE, ("{}", 1))
    pages.expect_sample(query(FLEET, "Budgets exceeded"), LATE, ("{}", 0))
    pages.check(tmp_path)


def test_aging_adds_up_to_what_is_owed(tmp_path: Path) -> None:
    """Invoices without a series of their own are a bar, and none is called not due or late."""
    pages = trouble(HOURS, FIRST)
    invoice = {"invoice_id": "in-1"}
    amount = "viam_billing_invoice_amount_usd"
    pages.set(amount, same(200), FIRST, ACME, invoice, status="outstanding")
    pages.set("viam_billing_invoice_due_timestamp_seconds", same(DAY), FIRST, ACME, invoice)
    pages.during(FIRST, AN_HOUR, HOURS * AN_HOUR, amount)
    bars = [
        f"({expand(t.expr, ANY)})"
        for t in targets()
        if _is(t, INVOICES, "Aging of unpaid invoices") and t.query["legendFormat"] != MISSING
    ]
    for at, rest in ((HOUR - 2 * STEP, 300), (LATE, 500)):
        pages.expect_sample(f"({') + ('.join(bars)})", at, ("{}", 500))
        pages.expect_sample(bars[-1], at, ("{}", rest))
    pages.check(tmp_path)
    outage = out_of_reach()
    for classes in bars[:-1]:
        outage.expect_sample(classes, LATE)  # $0.00 would say that nothing is late
    outage.expect_sample(bars[-1], LATE, ("{}", 500))
    outage.check(tmp_path)


def test_rows_say_that_invoices_cannot_be_read(tmp_path: Path) -> None:
    """Rather than that there are none; and if there are none, a row says that."""
    table = query(INVOICES, "Calendar of due dates", "C")
    pages = out_of_reach()
    row = {**ACME, "invoice_id": "cannot be read: acme-1"}
    pages.expect_sample(
        f"(({table}) != ({table})) ^ 0 or ({table}) ^ 0", LATE, (series("", row), 1)
    )
    pages.check(tmp_path)
    calm = healthy(HOURS * AN_HOUR, STEP)
    # What the answer had twice is there.
    of = {"collector": "invoices", "reason": "duplicate"}
    calm.set("viam_billing_withheld_samples", same(1), FIRST, ACME, of)
    calm.expect_sample(table, LATE, (series("", {"invoice_id": "none listed"}), 0))
    calm.check(tmp_path)


def test_an_invoice_is_called_what_it_is_now(tmp_path: Path) -> None:
    """Overdue if it is unpaid past its due date, a credit below $0; the API has neither status."""
    pages = healthy(HOURS * AN_HOUR, STEP)
    shown = {"late": "overdue", "in-time": "outstanding", "credit": "credit"}
    bills = {"late": (200, HOUR), "in-time": (100, 30 * DAY), "credit": (-60, HOUR)}
    for invoice_id, (usd, due) in bills.items():
        of = {"invoice_id": invoice_id}
        status = "paid" if usd < 0 else "outstanding"
        pages.set("viam_billing_invoice_amount_usd", same(usd), FIRST, ACME, of, status=status)
        pages.set("viam_billing_invoice_due_timestamp_seconds", same(due), FIRST, ACME, of)
        issued = then((gone, AN_HOUR), same(HOUR))
        pages.set("viam_billing_invoice_issued_timestamp_seconds", issued, FIRST, ACME, of)
    for uid, title, letter in (
        (INVOICES, "Calendar of due dates", "C"),
        (ONE, "Every invoice", "A"),
    ):
        rows = [
            (series("", ACME, invoice_id=each, status=status), 1.0)
            for each, status in shown.items()
            if bills[each][0] > 0 or uid == ONE
        ]
        pages.expect_sample(f"({query(uid, title, letter)}) ^ 0", LATE, *rows)
    # It is there from the first hour on.
    timeline = query(INVOICES, "What became of each invoice")
    states = ((series("", invoice_id="late"), 3.0), (series("", invoice_id="in-time"), 2.0))
    pages.expect_sample(timeline, LATE, *states)
    pages.check(tmp_path)


def test_what_a_month_is_made_of_says_why_it_has_no_rows(tmp_path: Path) -> None:
    """By resource type, of all organizations together and of one."""
    tables = (
        (FLEET, "Cost by resource type, before discounts", "A", "resource_type"),
        (ONE, "Resource types, before discounts", "A", "resource_type"),
        (ONE, "Sources and tiers", "C", "source_type"),
        (ONE, "Pays with", "A", "payment_method"),
    )
    for pages, said in ((never_read(), "cannot be read"), (not_polled(), "not polled yet")):
        for uid, title, letter, label in tables:
            why = f"count by ({label}) ({query(uid, title, letter)})"
            pages.expect_sample(why, LATE, (series("", {label: said}), 1))
        pages.check(tmp_path)


def test_organizations_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Where they are chosen, by the id after the name; a name that one has stays as it is."""
    pages = healthy(AN_HOUR, STEP)
    twin = {**ACME, "org_id": "acme-2"}
    for org in (twin, BETA):
        add_organization(pages, FIRST, org)
    names = next(
        expand(of_variable(variable), ANY)
        for dashboard in dashboards()
        for variable in dashboard["templating"]["list"]
        if variable["name"] == "organization"
    )
    found = [{**org, "org_name": f"{org['org_name']}, {org['org_id']}"} for org in (ACME, twin)]
    pages.expect_sample(
        f"({names}) ^ 0", HOUR - STEP, *((series("", o), 1) for o in (*found, BETA))
    )
    pages.check(tmp_path)


def test_a_trend_is_in_dollars_and_percent(tmp_path: Path) -> None:
    """Of organizations with both weeks, so that one that is new is no growth."""
    pages = healthy(AN_HOUR, STEP)
    pages.set("viam_billing_spend_previous_7d_usd", same(200), FIRST, ACME)
    add_organization(pages, FIRST, BETA)
    acme = {"org_id": ACME["org_id"]}
    pages.expect_near(beside(ONE, "Week against week", LESS), HOUR - STEP, 200 - 168, acme)
    pages.expect_near(beside(ONE, "Week against week", "in %"), HOUR - STEP, 168 / 200 - 1, acme)
    pages.expect_near(beside(FLEET, "Week against week", LESS), HOUR - STEP, 200 - 168)
    pages.expect_near(beside(FLEET, "Week against week", "in %"), HOUR - STEP, 168 / 200 - 1)
    pages.expect_sample(beside(FLEET, "Week against week", MISSING), HOUR - STEP, ("{}", 1))
    pages.check(tmp_path)
