"""The page of an organization: how each number came to be, and nothing that a name could add."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Cause, Failure, OrganizationState, Spend, Tally
from exporter.page.limit import Limit
from exporter.pb import billing_pb2 as pb
from exporter.state import history
from exporter.state.day_rows import Day, Entry, Moved, packed
from exporter.state.history import NO_NEWS, PastPoll
from exporter.state.ledger import made
from exporter.web.status import detail
from support.ledgers import day, with_days
from support.messages import messages
from support.reader import organization
from support.status import (
    ALL,
    CONTEXT,
    DAY,
    FACTS,
    ended,
    invoices,
    page,
    pages,
    state,
    status,
    usage,
)
from support.virtual import START

CARD = pb.GetOrgBillingInformationResponse(
    type="PAYMENT_METHOD_TYPE_CARD",
    billing_email="jane@example.com",
    method=pb.PaymentMethodCard(brand="visa", last_four_digits="4242"),
)


def test_no_control_of_a_name_is_in_a_page() -> None:
    """Not NUL, which no HTML can hold, nor what steers a terminal that shows it."""
    named = organization(name="A\0c\x1b[31mme\u202e", max_age=3600.0)
    html = pages().organization(state(named, usage(1.0)), CONTEXT, ALL)
    table = pages().status((state(named, usage(1.0)),), CONTEXT, FACTS, {})
    for text in html, table:
        assert r"A\x00c\x1b[31mme\u202e" in text
        assert not {c for c in text if not c.isprintable()} - {"\n"}


def test_sums_and_differences_are_shown_with_their_parts() -> None:
    """Sources as received, then what is made of them; more than cents are kept."""
    html = page(state(None, usage(40.125, 10.0, discount=2.5, subtotal=49.0)))
    assert html.row("Sum")[1:] == ["$55.125", "$55.125", "$5.00", "$50.125"]
    assert html.row("Before discounts")[1] == "$55.125"
    assert html.row("Discounts")[1] == "$5.00"
    assert html.row("Month so far")[1] == "$50.125"
    assert html.row("Subtotal")[1] == "$49.00"
    assert html.row("Subtotal")[2].endswith(
        "neither the sum after discounts nor the sum before them"
    )
    assert html.row("Difference")[1] == "−$1.125"  # noqa: RUF001 - a real minus
    assert html.row("Forecast")[1] == "$100.25"
    assert html.row("usual days of the last week")[1:] == ["24%", "not known yet", "$100.25"]


@pytest.mark.parametrize(
    ("subtotal", "words"),
    [(15.0, "here it is the sum after discounts"), (20.0, "here it is the sum before discounts")],
)
def test_it_says_what_the_subtotal_comes_to(subtotal: float, words: str) -> None:
    """The API does not define it."""
    html = page(state(None, usage(15.0, discount=5.0, subtotal=subtotal)))
    assert html.row("Subtotal")[2].endswith(words)


def test_totals_of_the_older_shape_are_shown_by_their_fields() -> None:
    """When no source is given."""
    old = usage(per_machine_usage_cost=7.5, total_usage_with_discount=7.0, discount_amount=0.5)
    html = page(state(None, old))
    assert html.row("per_machine_usage_cost")[1] == "$7.50"
    assert html.row("Month so far")[1] == "$7.00"
    assert "no sources of costs, only these totals" in " ".join(html.text.split())


def test_invoices_have_what_was_received_and_their_state() -> None:
    """The newest first; a repeated id is pointed out."""
    first = {"id": "i1", "invoice_amount": 30.0, "status": "Outstanding", "invoice_date": -40}
    html = page(
        state(
            None,
            invoices(
                first | {"due_date": -10, "last_payment_failure_reason": "card_declined"},
                {"id": "i2", "invoice_amount": 9.0, "status": "paid", "invoice_date": -5},
                {"id": "i2", "invoice_amount": 8.0, "status": "Void", "invoice_date": -6},
                {"id": "i3", "invoice_amount": -5.0, "status": "sent", "invoice_date": -90},
                {"id": "i4", "invoice_amount": math.nan, "status": "sent", "invoice_date": -91},
                balance=30.0,
            ),
        )
    )
    rows = [row[0] for row in html.rows if row and row[0].startswith("i")]
    assert rows == ["i2", "i2 duplicate id", "i1", "i3", "i4"]
    assert html.row("i1")[2:] == [
        "2026-11-13",
        "none",
        "$30.00",
        "Outstanding",
        "overdue",
        "card declined",
    ]
    assert html.row("i2 duplicate id")[5:7] == ["Void counted as other", "settled"]
    assert html.row("i3")[6] == "credit"
    assert html.row("i4")[4:7] == ["not a number", "sent counted as other", "unknown"]
    assert "1 invoice, $30.00" in html.text


def test_what_is_withheld_is_named_with_its_reason() -> None:
    """Metric by metric."""
    html = page(state(None, usage(1.0, math.nan)))
    text = " ".join(html.text.split())
    assert "viam_billing_usage_month_to_date_usd: 1 sample, not a number, or a sum" in text
    assert "Nothing is withheld" not in text
    assert "Nothing is withheld" in page(state(None, usage(1.0))).text


def test_what_the_limit_of_series_keeps_off_the_page_is_withheld() -> None:
    """Per-invoice series first, then all of an organization: never shown as if it were there."""
    bill = invoices({"id": "i1", "invoice_amount": 5.0, "status": "sent"})
    known = state(None, usage(1.0), bill)
    invoice = "viam_billing_invoice_amount_usd"
    short = page(known, CONTEXT._replace(limit=Limit(without_invoices=True))).text
    assert f"{invoice}: 1 sample, there are more series than" in short
    assert f"{invoice}{{" not in short
    assert "viam_billing_usage_month_to_date_usd{" in short
    none = page(known, CONTEXT._replace(limit=Limit(without_invoices=True, first="o1"))).text
    assert "viam_billing_usage_month_to_date_usd: 1 sample, there are more series than" in none
    assert "viam_billing_usage_month_to_date_usd{" not in none
    assert "; not on /metrics: over limits.max_series" in none


def test_the_last_polls_are_shown_with_duration_and_result() -> None:
    """The newest first, and a failure in words."""
    past = history.add(b"", PastPoll(START - 60, 0.25, NO_NEWS))
    past = history.add(past, PastPoll(START, 1.5, Cause.OUTAGE))
    failure = Failure(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached")
    html = page(state(None, usage(1.0), history=past, failure=failure))
    polls = [
        [" ".join(cell.split()) for cell in row] for row in html.rows if row[-1:] == ["outage"]
    ]
    assert polls[0] == ["2026-11-23 12:00:00 UTC (0 s ago)", "1.500 s", "outage"]
    assert "outage (UNAVAILABLE): the server cannot be reached" in html.text
    assert html.text.index("1.500 s") < html.text.index("0.250 s")


def test_the_answer_and_the_samples_are_there_as_text() -> None:
    """What came, and what /metrics says of it; personal data never was kept."""
    html = page(state(None, usage(1.5), CARD))
    assert "total_with_discount: 1.5" in html.text
    assert 'viam_billing_usage_month_to_date_usd{org_id="o1",org_name="O1"} 1.5' in html.text
    assert "card, visa" in " ".join(html.text.split())
    assert "jane" not in html.text
    assert "4242" not in html.text


def test_an_organization_that_was_never_polled_has_a_page() -> None:
    """And one whose data is from before a restart."""
    assert "Not polled since the exporter started." in " ".join(page(state()).text.split())
    restored = state(None, usage(1.0), polled=False)
    assert "the data is from before that" in " ".join(page(restored).text.split())


def test_spend_counters_are_explained() -> None:
    """They span periods, which month to date does not."""
    known = state(None, usage(1.0))
    spend = Spend(START, Tally(12.0, 3.0, 1.0), {})
    html = page(known._replace(spend=spend))
    assert (html.row("Spend counter")[1], html.row("Corrections")[1]) == ("$12.00", "$3.00")


def test_a_period_that_ended_stands_beside_the_invoices_after_it() -> None:
    """With both sums and what lies between them."""
    spend = ended(250.0)
    usage_fee = (
        {"id": "usage", "invoice_amount": 255.5, "invoice_date": -14},
        {"id": "fee", "invoice_amount": 40.0, "invoice_date": -3},
    )
    html = page(state(None, usage(1.0), invoices(*usage_fee))._replace(spend=spend))
    assert html.row("until 2026-11-08")[1:] == [
        "$250.00",
        "2026-11-08 11:45:00 UTC 15 min before its end",
        "fee $40.00, usage $255.50",
        "$295.50",
        "$45.50",
    ]
    none = page(state(None, usage(1.0), invoices())._replace(spend=spend))
    assert none.row("until 2026-11-08")[1:] == [
        "$250.00",
        "2026-11-08 11:45:00 UTC 15 min before its end",
        "none",
        "",
        "",
    ]
    unknown = page(state(None, usage(1.0))._replace(spend=spend))
    assert unknown.row("until 2026-11-08")[3] == "unknown"
    many = [{"id": f"n{n}", "invoice_date": -1} for n in range(detail.MAX_OF_PERIOD + 7)]
    long = page(state(None, usage(1.0), invoices(*many))._replace(spend=spend))
    assert long.row("until 2026-11-08")[3].endswith(" and 7 more")
    whole = page(state(None, usage(1.0))._replace(spend=ended(2.0, start=START - 45 * DAY)))
    assert whole.row("2026-10-09 to 2026-11-08")[1] == "$2.00"
    assert "Periods that have ended" not in page(state(None, usage(1.0))).text


def test_amounts_say_of_when_they_are_and_that_they_are_withdrawn() -> None:
    """In an outage they are still there, and must not pass for current ones."""
    bills = invoices({"id": "i1", "invoice_amount": 5.0, "status": "sent"})
    answers = usage(1.0), bills, CARD
    fresh = " ".join(page(state(None, *answers)).text.split())
    assert fresh.count("As of 2026-11-23 12:00:00 UTC (0 s ago). ") == 3
    old = " ".join(page(state(None, *answers, received=-1e6)).text.split())
    assert old.count("(0 s ago), too old, so no longer published. ") == 3


def test_a_budget_is_used_up_or_will_be() -> None:
    """What is still to come is no fact."""
    over = page(state(organization(max_age=3600.0, budget_usd=20.0), usage(40.0)))
    assert re.search(r"Budget used up2026-11-\S+ \S+ UTC estimated: the bill was not", over.text)
    ahead = page(state(organization(max_age=3600.0, budget_usd=60.0), usage(40.0)))
    assert re.search(r"Budget used up \(forecast\)2026-1[12]-", ahead.text)
    never = page(state(organization(max_age=3600.0, budget_usd=1e4), usage(40.0)))
    assert "Budget used up (forecast)not in this period" in never.text


def test_each_part_of_the_page_can_be_jumped_to() -> None:
    """And no link leads to one that is not there."""
    bills = invoices({"id": "i1", "invoice_amount": 5.0, "status": "sent"})
    full = state(None, usage(1.0), bills, CARD)._replace(spend=ended(250.0))
    for known in (full, state(None, usage(1.0)), state()):
        html = page(known)
        ids = {value for name, value in html.attributes if name == "id"}
        links = [link for link in html.links() if link.startswith("#")]
        assert "#polls" in links
        assert {link[1:] for link in links} <= ids
        assert sum(tag == "h2" for tag, _ in html.tags) == len({*links})


def test_a_failure_says_since_when() -> None:
    """Not only when it was polled last."""
    failure = Failure(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached")
    html = page(state(None, usage(1.0), failure=failure, failing_since=START - 7200))
    assert "Failing since2026-11-23 10:00:00 UTC (2 h ago)" in html.text
    assert "Failing since" not in page(state(None, usage(1.0))).text


def test_a_page_has_an_end_whatever_was_sent() -> None:
    """Thousands of sources, costs, invoices, and a long answer."""
    answer = usage(*[1.0] * (detail.MAX_SOURCES + 7))
    for _ in range(detail.MAX_COSTS + 3):
        answer.resource_usage_costs_by_source[0].resource_usage_costs.usage_costs.add(cost=1.0)
    for _ in range(1000):
        answer.resource_usage_costs_by_source.add(tier_name="t" * 100)
    many = invoices(*[{"id": f"n{n}"} for n in range(detail.MAX_INVOICES + 11)])
    html = page(state(None, answer, many))
    for words in (
        "and 1,007 more sources",
        "and 4 more costs",
        "And 11 older ones",
        "Too long to show",
    ):
        assert words in html.text, words
    assert sum(tag == "tr" for tag, _ in html.tags) < 700


# --- Injection ---

MARKUP = st.one_of(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</style><script>alert(1)</script>",
            '" onmouseover="alert(1)',
            "'><img src=x onerror=alert(1)>",
            "</bdi></a></th></tr></table><form action=//example.com>",
            "<!--",
            "]]>",
            "{{ 7*7 }}{% raw %}",
            "javascript:alert(1)",
            "&lt;b&gt;",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)


def hostile(text: str) -> OrganizationState:
    """Return an organization with a text wherever one can come from outside."""
    answer = usage(1.0)
    answer.resource_usage_costs_by_source[0].tier_name = text
    bill = invoices(
        {"id": text, "status": text, "last_payment_failure_reason": text, "invoice_date": 1}
    )
    billing = pb.GetOrgBillingInformationResponse(
        type="PAYMENT_METHOD_TYPE_CARD",
        billing_tier=text,
        method=pb.PaymentMethodCard(brand=text),
    )
    who = organization(text, name=text, max_age=3600.0, labels={"team": text}, budget_usd=5.0)
    failure = Failure(Cause.OTHER, text, text)
    known = state(who, answer, bill, billing, polled=True, failure=failure, failing_since=START)
    return known._replace(spend=ended(1.0, START))


@given(MARKUP)
@settings(max_examples=40)
def test_no_text_from_outside_becomes_markup(text: str) -> None:
    """A page with it has the elements and attributes of one without, and the text as text."""
    pages = [(page(hostile("x")), page(hostile(text)))]
    pages.append((status(hostile("x"), q="x"), status(hostile(text), q=text)))
    for plain, found in pages:
        assert found.tags == plain.tags
        assert not [value for name, value in found.attributes if name.startswith("on")]
        allowed = (
            "./",
            "../",
            "?",
            "#",
            "organizations/",
            "metrics",
            "api/",
            "config",
            "-/",
            "data:,",
        )
        assert all(link.startswith(allowed) for link in found.links())


@given(
    messages(pb.GetCurrentMonthUsageResponse),
    messages(pb.GetInvoicesSummaryResponse),
    messages(pb.GetOrgBillingInformationResponse),
)
@settings(max_examples=40)
def test_any_answer_gives_a_page(usage_: Any, invoices_: Any, billing: Any) -> None:
    """Whatever numbers, dates and texts it has."""
    known = state(None, usage_, invoices_, billing)
    assert page(known).text
    assert status(known, context=CONTEXT).text


def test_each_day_is_shown_as_it_is_known() -> None:
    """The newest first: what it cost and of what, or that it is estimated, or unknown."""
    today = int(START // DAY)
    moved = {"per_machine": Moved(20.0, 0.0), "log": Moved(0.5, 0.0), "other": Moved(0.0, 1.0)}
    rows = {
        today: Day(0.0, (Entry(0.0, 5.0, 0.0, 0.0, {}),)),
        today - 1: Day(3600.0, (Entry(0.0, 10.5, 2.0, 0.0, moved),)),
        today - 2: Day(0.0, (Entry(0.0, 8.0, 0.0, 5.0, {}),)),
        today - 3: Day(30_000.0, (Entry(0.0, 3.0, 0.0, 0.0, {}),)),
        today - 4: Day(0.0, ()),
        today - 40: Day(0.0, ()),
    }
    packed_rows = {number: packed(day) for number, day in rows.items()}
    spend = Spend(START, Tally(12.0, 3.0, 1.0), {}, ledger=made(packed_rows, today, 62))
    html = page(state(None, usage(1.0))._replace(spend=spend))
    assert [row for row in html.rows if row and row[0].startswith("2026-")][:5] == [
        ["2026-11-23", "$5.00", "", "", "", "so far"],
        ["2026-11-22", "$10.50", "", "$2.00", "per_machine $20.00, log $0.50", "all but 1 h"],
        ["2026-11-21", "$8.00", "", "", "", "estimated"],
        ["2026-11-20", "unknown", "", "", "", "no"],
        ["2026-11-19", "$0.00", "", "", "", "yes"],
    ]
    text = " ".join(html.text.split())
    assert "Last whole day$10.50 Last 7 daysunknown" in text
    assert "Days known3 of 40" in text
    assert len([row for row in html.rows if row and row[1:2] == ["unknown"]]) == 1 + 24


def test_days_that_are_known_stay_when_the_month_is_withdrawn() -> None:
    """They are the past. What counts back from today is withdrawn, and days since are unknown."""
    assert "Spend per day" not in page(state()).text
    fresh = with_days({1: day(2.0), 2: day(3.0)})
    old = with_days({1: day(2.0), 2: day(3.0)}, received=-1e6)
    for known, withdrawn in ((fresh, False), (old, True)):
        html = page(known)
        text = " ".join(html.text.split())
        assert html.row("2026-11-22")[1] == "$2.00"
        until = "until the last answer" if withdrawn else "so far"
        assert html.row("2026-11-23")[-1] == until
        assert (html.row("Forecast")[1] == "withdrawn") == withdrawn
        assert ("Nothing is known about the days after 2026-11-23, the day" in text) == withdrawn
        assert ("Last whole day" in text) != withdrawn


def test_windows_say_how_many_of_their_days_are_estimated() -> None:
    """As in the first hour, of which the days before are nothing else."""
    known = with_days({ago: day(2.0, estimated=2.0 if ago < 3 else 0.0) for ago in range(1, 30)})
    text = " ".join(page(known).text.split())
    assert "Last whole day$2.00 1 day estimated Last 7 days$14.00 2 days estimated" in text
    assert "7 days before$14.00 Last 28 days$56.00 2 days estimated" in text


def test_a_period_that_the_api_does_not_give_is_unknown() -> None:
    """And not none."""
    answer = usage(1.0)
    answer.ClearField("start_date")
    answer.ClearField("end_date")
    text = page(state(None, answer)).text
    assert "Billing period from an unknown day to an unknown day" in text
