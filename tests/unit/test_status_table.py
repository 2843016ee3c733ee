"""The status page: what it shows of each organization, and which of them in which order."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Cause, Failure, OrganizationState
from exporter.page.limit import Limit
from exporter.web.status import StatusPages
from exporter.web.status.table import COLUMNS, FILTERS, PAGE_ROWS, Query
from support.reader import organization
from support.status import CONTEXT, FACTS, invoices, page, state, status, usage
from support.virtual import START

OUTAGE = Failure(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached")
THROTTLED = Failure(Cause.THROTTLED, "RESOURCE_EXHAUSTED", "the server asks for fewer requests")
NOBODY = CONTEXT._replace(next_poll=lambda _unit: None)


def named(
    name: str, *messages: object, budget: float | None = None, **changes: object
) -> OrganizationState:
    """Return an organization that was polled."""
    who = organization(name, name=name, max_age=3600.0, budget_usd=budget)
    return state(who, *messages, **changes)  # type: ignore[arg-type]


def test_a_line_says_what_an_organization_spends_and_owes() -> None:
    """Half of the month is over, so the forecast is twice the month so far."""
    bills = invoices(
        {"id": "a", "invoice_amount": 30.0, "status": "outstanding", "due_date": -1},
        {"id": "b", "invoice_amount": 12.0, "status": "outstanding", "due_date": 9},
        {"id": "c", "invoice_amount": 99.0, "status": "paid", "due_date": -40},
    )
    html = status(named("Acme", usage(40.0, 10.0), bills, budget=80.0))
    assert html.row("Acme")[1:4] == ["$50.00", "$100.00", "62% of $80.00"]
    assert html.row("Acme")[5:9] == [
        "$42.00",
        "$30.00",
        "never",
        "in 1 min",
    ]


def test_a_total_adds_up_what_is_shown() -> None:
    """Not the fractions of a cent that nobody sees."""
    html = status(*(named(name, usage(1.004)) for name in ("Acme", "Beta")))
    assert [html.row(name)[1] for name in ("Acme", "Beta")] == ["$1.00", "$1.00"]
    assert html.row("All 2")[1] == "$2.00"


def test_a_period_that_has_ended_is_not_taken_for_the_next_one() -> None:
    """Hours after a rollover the API may still answer with the month before."""
    late = usage(40.0)
    late.end_date.FromSeconds(int(START) - 3 * 3600)
    known = named("Acme", late)
    assert status(known).row("Acme")[1] == "$40.00 period ended 2026-11-23"
    assert "Month so far$40.00 period ended 2026-11-23" in page(known).text
    assert "period ended" not in page(named("Acme", usage(40.0))).text


def test_what_is_missing_says_why() -> None:
    """No number is not 0: nothing came yet, too old, or withheld."""
    nothing = status(named("none")).row("none")
    assert nothing[1:6] == ["unknown", "unknown", "none", "unknown", "unknown"]
    old = status(named("old", usage(1.0), received=-4000.0)).row("old")
    assert (old[1], old[2], old[4]) == ("withdrawn", "withdrawn", "withdrawn")
    endless = usage(1.0)
    endless.ClearField("end_date")
    assert status(named("endless", endless)).row("endless")[2] == "none"
    assert "withdrawn as too old: usage" in old[-1]
    assert status(named("nan", usage(1.0, math.nan))).row("nan")[1] == "withheld"
    off = named("off", usage(1.0))
    off = off._replace(collectors={"usage": off.collectors["usage"]})
    assert status(off).row("off")[5] == "not polled"


def test_a_state_has_its_reason_in_words() -> None:
    """Readable, waiting, or what failed and how."""
    everything = (usage(1.0), invoices())
    waiting = status(named("a", *everything)).row("a")[-1]
    assert waiting == "waiting for the first poll since the start: billing_information"
    assert status(named("a", *everything, polled=True)).row("a")[-1] == "bill readable"
    failing = status(named("a", *everything, polled=True, failure=OUTAGE)).row("a")[-1]
    assert failing == "cannot be read: outage"
    partly = named("a", *everything, polled=True)
    usage_only = {"usage": partly.collectors["usage"]._replace(failure=THROTTLED)}
    partly = partly._replace(collectors={**partly.collectors, **usage_only})
    assert status(partly).row("a")[-1] == "usage cannot be read: throttled"


def test_a_bill_that_can_be_read_is_not_all_well() -> None:
    """The problems with its money stand before it, on its own page as well; each reason once."""
    late = invoices(
        LATE,
        LATE | {"last_payment_failure_reason": "other"},
        LATE | {"last_payment_failure_reason": "expired_card", "status": "paid"},
    )
    known = named("a", usage(5.0), late, budget=1.0, polled=True)
    said = "over budget; overdue; payment failed: card declined, other reason; bill readable"
    assert status(known).row("a")[-1] == said
    assert said in page(known).text
    future = invoices(LATE | {"due_date": 9})
    known = named("a", usage(5.0), future, budget=5.0, polled=True)
    assert status(known).row("a")[-1] == "payment failed: card declined; bill readable"
    none = invoices({"invoice_amount": 3.0, "due_date": 9})
    assert status(named("a", none, polled=True)).row("a")[-1] == "bill readable"


def test_problems_with_money_come_after_what_cannot_be_read() -> None:
    """And before all else, by default."""
    fleet = (
        named("good", usage(1.0), polled=True),
        named("waiting"),
        named("broke", usage(2.0), budget=1.0, polled=True),
        named("unread", usage(1.0), failure=OUTAGE),
    )
    assert status(*fleet).column() == ["unread", "broke", "waiting", "good"]


def test_the_exporter_itself_is_there() -> None:
    """Version, uptime, configuration and polls; and while it is not ready, what is left."""
    text = status(named("a"), context=NOBODY).text
    for words in (
        "1.2.3",
        "2 h",
        "0123456789ab",
        "3 succeeded, 1 failed",
        "Polling 1 organization.\n",
    ):
        assert words in text, words
    text = status(named("a"), named("b"), facts=replace(FACTS, ready=False, unpolled=1)).text
    assert "Not ready: waiting for the first poll of 1 organization." in text


def test_how_many_days_are_kept_is_there() -> None:
    """And that they are gone with the process, where nothing is stored."""
    said = "in memory only: a restart loses them"
    kept = status(named("a")).text
    assert "400 days kept" in kept
    assert said not in kept
    lost = status(named("a"), facts=replace(FACTS, kept_days=62, is_stored=False)).text
    assert f"62 days kept, {said}" in lost


LATE = {
    "invoice_amount": 3.0,
    "due_date": -1,
    "last_payment_failure_reason": "card_declined",
}
FLEET = (
    named("b", usage(5.0), budget=1.0),
    named("C", usage(7.0), budget=100.0, polled=True),
    named("a", usage(6.0), invoices(LATE), failure=OUTAGE),
    named("d"),
)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("", "abdC"),
        ("name", "abCd"),
        ("-name", "dCba"),
        ("month", "baCd"),
        ("-month", "Cabd"),
        ("-forecast", "Cabd"),
        ("-budget", "bCad"),
        ("owed", "abCd"),
        ("-state", "Cdba"),
        ("month'--", "abdC"),
        ("-nothing", "abdC"),
    ],
)
def test_the_order_is_asked_for(order: str, names: str) -> None:
    """Whoever has no number comes last both ways; equals by name; nonsense is the default."""
    assert "".join(status(*FLEET, sort=order).column()) == names


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"q": "A"}, "a"),
        ({"q": " nobody "}, ""),
        ({"show": "failing"}, "a"),
        ({"show": "waiting"}, "bd"),
        ({"show": "readable"}, "C"),
        ({"show": "up"}, "C"),
        ({"show": "problems"}, "ab"),
        ({"show": "payment-failed"}, "a"),
        ({"show": "overdue"}, "a"),
        ({"show": "over-budget"}, "b"),
        ({"show": "forecast-over-budget"}, "b"),
        ({"show": "withdrawn"}, ""),
        ({"show": "failing", "q": "b"}, ""),
        ({"show": "<script>"}, "abdC"),
    ],
)
def test_a_part_is_asked_for(parameters: dict[str, str], names: str) -> None:
    """By a part of the name or id, and by state."""
    html = status(*FLEET, asked=parameters)
    assert "".join(html.column()) == names
    assert f"{len(names)} of 4 organizations" in html.text


def test_who_is_not_on_metrics_can_be_asked_for() -> None:
    """From a certain id on, when there are more series than may be."""
    html = status(*FLEET, context=CONTEXT._replace(limit=Limit(first="c")), show="over-limit")
    assert "".join(html.column()) == "d"
    assert "not on /metrics: over limits.max_series" in html.text


def test_organizations_of_one_name_are_told_apart() -> None:
    """By their ids, which others need not have beside their names."""
    known = [
        state(organization(org_id, name=name, max_age=3600.0), usage(1.0))
        for org_id, name in (("id-1", "Acme"), ("id-2", "Acme"), ("id-3", "Beta"))
    ]
    assert sorted(status(*known).column()) == ["Acme id-1", "Acme id-2", "Beta"]


def test_sums_are_of_all_that_fit_and_say_what_they_lack() -> None:
    """Not of one page only."""
    many = [named(f"o{number:03}", usage(0.1)) for number in range(PAGE_ROWS + 20)]
    html = status(*many, named("x"), page="2", sort="name")
    assert html.row("All 121")[1] == "$12.00 excludes 1 unknown"
    assert status(named("x"), named("y")).row("All 2")[1] == "unknown"


def test_ten_thousand_come_in_pages() -> None:
    """Of a hundred, with a way to the next; a page that is not there is the last."""
    many = [named(f"o{number:03}") for number in range(2 * PAGE_ROWS + 1)]
    first = status(*many, sort="name")
    assert first.column()[0] == "o000"
    assert len(first.column()) == PAGE_ROWS
    assert "page 1 of 3" in first.text
    assert "./?sort=name&page=2" in first.links()
    assert status(*many, sort="name", page="2").column()[0] == "o100"
    for beyond in ("3", "99999999"):
        assert status(*many, sort="name", page=beyond).column() == ["o200"]
    for nonsense in ("0", "-1", "x", "9" * 20, "٣"):
        assert "page 1 of 3" in status(*many, page=nonsense).text


@given(
    search=st.text(max_size=20),
    show=st.sampled_from([*FILTERS]),
    sort=st.sampled_from([*COLUMNS]),
    descending=st.booleans(),
    page=st.integers(1, 1000),
)
def test_a_link_asks_for_what_it_was_made_of(
    search: str,
    show: str,
    sort: str,
    descending: bool,  # noqa: FBT001 - drawn
    page: int,
) -> None:
    """However odd the search."""
    query = Query(search.strip(), show, sort, descending, page)
    link = query.link(page=page)
    parameters = {name: values[0] for name, values in parse_qs(link[1:]).items()}
    assert Query.of(parameters) == query


@given(st.dictionaries(st.sampled_from(["q", "show", "sort", "page"]), st.text(max_size=30)))
def test_no_parameter_is_an_error(parameters: dict[str, str]) -> None:
    """What means nothing has its default."""
    query = Query.of(parameters)
    assert query.show in FILTERS
    assert query.sort in COLUMNS
    assert query.page >= 0


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    """By its digest; nothing else is loaded or run, and forms lead nowhere else."""
    pages = StatusPages(version="1", telemetry_path="/metrics")
    html = pages.status((named("a"),), CONTEXT, FACTS, {})
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert pages.security_policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    assert "style=" not in html
    assert "<script" not in html


def test_links_follow_the_external_url() -> None:
    """Behind a reverse proxy everything is below its path."""
    pages = StatusPages(version="1", telemetry_path="/m", links="/viam/")
    html = pages.status((named("a&b c"), named("a/b")), CONTEXT, FACTS, {})
    below = ("m", "config", "api/v1/organizations")
    odd = ("organizations/a%26b%20c", "organizations/?id=a%2Fb")
    for link in ("/viam/", *(f"/viam/{path}" for path in (*below, *odd))):
        assert f'href="{link}"' in html, link
    assert 'action="/viam/"' in html
