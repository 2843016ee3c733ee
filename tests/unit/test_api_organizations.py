"""What the JSON API says of an organization, in every state that one can be in."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.extract.invoices import FAILURE_REASONS, STATUSES
from exporter.model import (
    Cause,
    ClosedPeriod,
    ClosedPeriods,
    Failure,
    Reason,
)
from exporter.page.limit import Limit
from exporter.pb import billing_pb2 as pb
from exporter.state.messages import packed
from support.answers import SCHEMA, line, whole
from support.messages import messages
from support.months import Costs, lived
from support.reader import organization
from support.status import CONTEXT, DAY, ended, invoices, page, state, status, usage
from support.virtual import START

OUTAGE = Failure(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached")
BILLS = invoices(
    {"id": "i1", "invoice_amount": 30.0, "status": "Outstanding", "due_date": -1},
    {"id": "i2", "invoice_amount": 12.0, "invoice_date": -20, "due_date": 9},
    {"id": "i3", "invoice_amount": 99.0, "status": "paid", "invoice_date": -10, "paid_date": -5},
    balance=41.5,
)
CARD = pb.GetOrgBillingInformationResponse(
    type="PAYMENT_METHOD_TYPE_CARD",
    billing_email="jane@example.com",
    method=pb.PaymentMethodCard(brand="visa", last_four_digits="4242"),
)
ENDED = ended(250.0, start=START - 45 * DAY)
LAST = 253_402_300_799.0  # the end of the calendar, until which the storage takes times
ACME = organization("acme", name="Acme", max_age=3600.0, budget_usd=80.0)
# Names and ids that somebody could have: a slash, dots, spaces, other alphabets, and controls.
ODD = ("a/b", "..", " a  b ", "ß✓月", "A\0\x1b[31m\u202e", '"\\{}<>', "\U0001f600")


def test_an_organization_that_is_polled_has_its_numbers() -> None:
    """Those of the status page; the period is half over."""
    known = state(ACME, usage(40.0, 10.0), BILLS, CARD, polled=True)
    assert line(known) == {
        "org_id": "acme",
        "org_name": "Acme",
        "up": True,
        "period_start": "2026-11-08T12:00:00Z",
        "period_end": "2026-12-08T12:00:00Z",
        "month_to_date_usd": 50.0,
        "forecast_usd": 100.0,
        "forecast_lower_usd": 50.0,
        "forecast_upper_usd": 150.0,
        "forecast_method": "median_7d",
        "budget_usd": 80.0,
        "budget_used": 0.625,
        "budget_exhausted_at": "2026-12-02T12:00:00Z",
        "outstanding_balance_usd": 41.5,
        "unpaid_usd": 42.0,
        "overdue_usd": 30.0,
        "last_success": "2026-11-23T12:00:00Z",
        "failures": [],
        "withheld": [],
    }
    shown = status(known).row("Acme")
    assert shown[1:4] == ["$50.00", "$100.00", "62% of $80.00"]
    assert shown[5:7] == ["$42.00", "$30.00"]


def test_what_was_never_polled_is_not_known() -> None:
    """Null, and never 0."""
    found = whole(state(ACME))
    known = {"generated_at", "org_id", "org_name", "budget_usd"}
    assert {name for name, value in found.items() if value is not None} == (
        known | {"failures", "withheld"}
    )
    assert (found["failures"], found["withheld"]) == ([], [])


def test_up_is_told_when_every_collector_was_polled() -> None:
    """As viam_billing_up is."""
    good = state(ACME, usage(1.0), polled=True)
    one = good.collectors["usage"]._replace(polled=False)
    waiting = good._replace(collectors={**good.collectors, "usage": one})
    assert (line(good)["up"], line(waiting)["up"]) == (True, None)
    bad = state(ACME, usage(1.0), polled=True, failure=OUTAGE, failing_since=START)
    assert line(bad)["up"] is False


def test_a_failure_says_what_why_and_since_when() -> None:
    """The last good numbers stay."""
    known = state(ACME, usage(1.0), failure=OUTAGE, failing_since=START - 60, polled=True)
    found = line(known)
    assert found["month_to_date_usd"] == 1.0
    assert found["failures"] == [
        {
            "collector": collector.name,
            "cause": "outage",
            "since": "2026-11-23T11:59:00Z",
            "reason": "the server cannot be reached",
        }
        for collector in COLLECTORS
    ]


def test_what_is_too_old_is_withdrawn() -> None:
    """Its numbers, its costs and its invoices; when it succeeded last stays."""
    found = whole(state(ACME, usage(1.0), BILLS, CARD, received=-4000.0))
    for name in ("month_to_date_usd", "forecast_usd", "unpaid_usd", "costs", "invoices"):
        assert found[name] is None, name
    assert found["last_success"] == "2026-11-23T12:00:00Z"


def test_what_was_restored_is_there_and_up_is_not() -> None:
    """Nobody knows yet whether a poll succeeds."""
    found = line(state(ACME, usage(1.0), BILLS, CARD, polled=False))
    assert (found["month_to_date_usd"], found["up"]) == (1.0, None)


@pytest.mark.parametrize(("bad", "reason"), [(math.nan, "nan"), (math.inf, "infinity")])
def test_what_is_no_number_is_null_and_named_as_withheld(bad: float, reason: str) -> None:
    """Never NaN, which is no JSON. The parts that can be trusted are there."""
    bills = invoices({"id": "i1", "invoice_amount": bad}, {"id": "i2", "invoice_amount": 5.0})
    found = whole(state(ACME, usage(1.0, bad), bills))
    assert found["month_to_date_usd"] is None
    assert [each["amount_usd"] for each in found["invoices"]] == [None, 5.0]
    assert [each["cost_usd"] for each in found["costs"]] == [None]
    held = {(each["collector"], each["reason"]) for each in found["withheld"]}
    assert held >= {("usage", reason), ("invoices", reason)}


def test_what_is_withheld_is_what_the_page_names() -> None:
    """As many samples, for each reason: also an id that comes twice."""
    twice = invoices({"id": "i1", "invoice_amount": 5.0}, {"id": "i1", "invoice_amount": 6.0})
    known = state(ACME, usage(1.0, math.nan), twice)
    for limit in (Limit(), Limit(without_invoices=True), Limit(first="a"), Limit(first="b")):
        context = CONTEXT._replace(limit=limit)
        found = line(known, context)["withheld"]
        text = " ".join(page(known, context).text.split())
        samples = sum(
            int(word)
            for word, unit in zip(text.split(), text.split()[1:], strict=False)
            if unit.startswith("sample")
        )
        assert sum(each["samples"] for each in found) == samples
        limited = {each["collector"] for each in found if each["reason"] == "limit"}
        expected = {"usage", "invoices"} if limit.first == "a" else {"invoices"}
        assert limited == (expected if limit.without_invoices or limit.first == "a" else set())
    assert line(known, CONTEXT._replace(limit=Limit(first="a")))["unpaid_usd"] == 11.0


def test_a_share_of_a_budget_that_is_no_number_is_null() -> None:
    """A budget may be as small as a double gets."""
    tiny = organization("acme", max_age=3600.0, budget_usd=1e-300)
    found = line(state(tiny, usage(1e300)))
    assert (found["month_to_date_usd"], found["budget_used"]) == (1e300, None)
    none = organization("acme", max_age=3600.0, budget_usd=0.0)
    assert line(state(none, usage(1.0)))["budget_used"] is None


def test_an_organization_has_its_costs_invoices_and_closed_periods() -> None:
    """With the names of `viam-billing usage` and `invoices`, the newest invoice first."""
    found = whole(state(ACME, usage(40.0, discount=2.5, subtotal=9.0), BILLS)._replace(spend=ENDED))
    assert (found["gross_usd"], found["discount_usd"], found["subtotal_usd"]) == (42.5, 2.5, 9.0)
    assert found["costs"] == [
        {"source_type": "org", "tier": "", "resource_type": "per_machine", "cost_usd": 42.5}
    ]
    assert [each["invoice_id"] for each in found["invoices"]] == ["i3", "i2", "i1"]
    assert found["invoices"][-1] == {
        "invoice_id": "i1",
        "issued": None,
        "due": "2026-11-22T12:00:00Z",
        "paid": None,
        "status": "outstanding",
        "unpaid": True,
        "overdue": True,
        "amount_usd": 30.0,
        "payment_failure": None,
    }
    assert found["closed_periods"] == [
        {
            "period_start": "2026-10-09T12:00:00Z",
            "period_end": "2026-11-08T12:00:00Z",
            "usage_usd": 250.0,
            "usage_seen_at": "2026-11-08T11:45:00Z",
            "invoices_usd": 99.0,
            "difference_usd": -151.0,
            "gross_usd": None,
            "discount_usd": None,
            "costs": None,
            "invoices": [found["invoices"][0]],
        }
    ]


def test_a_closed_period_has_its_costs_where_its_last_answer_is_kept() -> None:
    """That of the newest one is in memory."""
    last = packed(usage(240.0, 10.0, discount=2.5).SerializeToString())
    closed = ClosedPeriods().plus(ClosedPeriod(None, START - 15 * DAY, 250.0, START), last)
    (found,) = whole(state(ACME, usage(1.0))._replace(spend=replace(ENDED, closed=closed)))[
        "closed_periods"
    ]
    assert (found["usage_usd"], found["gross_usd"], found["discount_usd"]) == (250.0, 255.0, 5.0)
    assert found["costs"] == [
        {"source_type": "org", "tier": "", "resource_type": "per_machine", "cost_usd": 255.0}
    ]


def test_days_are_beside_what_was_expected_of_them() -> None:
    """With the causes of those that were spikes; an estimated one is not among them."""
    spike = datetime(2026, 11, 21, tzinfo=UTC)

    def spending(date: datetime) -> Costs:
        more = 22.0 if date == spike else 0.0
        return {("org", "", "per_machine"): 8.0 + more, ("org", "", "logs_upload"): 2.0 + more / 5}

    off = [(START - 5.5 * DAY, START - 3.5 * DAY)]
    known = lived(spending, datetime(2026, 10, 1, tzinfo=UTC), off=off, discount=0.0)
    found = {each["date"]: each for each in whole(known.state)["expected_days"]}
    one, usual = found["2026-11-21"], found["2026-11-22"]
    assert one["is_spike"]
    assert one["expected_usd"] == pytest.approx(10.0)
    assert one["above_usd"] == pytest.approx(26.4)
    assert [(each["resource_type"], each["above_usd"]) for each in one["causes"]] == [
        ("per_machine", pytest.approx(22.0)),
        ("logs_upload", pytest.approx(4.4)),
    ]
    assert (usual["is_spike"], usual["causes"]) == (False, [])
    assert "2026-11-19" not in found
    assert max(found) == "2026-11-22"


def test_a_closed_period_without_invoices_has_nothing_to_compare_with() -> None:
    """Whether there are none or they are not known: null, and not 0."""
    known = state(ACME, usage(1.0))
    (unknown,) = whole(known._replace(spend=ENDED))["closed_periods"]
    assert (unknown["invoices"], unknown["difference_usd"]) == (None, None)
    (none,) = whole(state(ACME, usage(1.0), invoices())._replace(spend=ENDED))["closed_periods"]
    assert (none["invoices"], none["invoices_usd"], none["difference_usd"]) == ([], None, None)


@pytest.mark.parametrize("text", ODD)
def test_any_id_and_name_is_told_as_it_is(text: str) -> None:
    """JSON has escapes for all of it: to a terminal nothing happens."""
    whose = organization(text, name=text, max_age=3600.0)
    answer = usage(1.0)
    answer.resource_usage_costs_by_source[0].tier_name = text
    bill = invoices({"id": text, "status": text, "last_payment_failure_reason": text})
    failure = Failure(Cause.OTHER, text, text)
    found = whole(state(whose, answer, bill, failure=failure, failing_since=START))
    assert (found["org_id"], found["org_name"]) == (text, text)
    assert found["costs"][0]["tier"] == text
    assert found["invoices"][0]["invoice_id"] == text
    assert {each["reason"] for each in found["failures"]} == {text}
    assert line(state(whose))["org_id"] == text


def test_nothing_personal_is_in_it() -> None:
    """Of the payment nothing is told at all."""
    text = str(whole(state(ACME, CARD, polled=True)))
    assert "jane" not in text
    assert "4242" not in text
    assert "visa" not in text


@given(
    messages(pb.GetCurrentMonthUsageResponse),
    messages(pb.GetInvoicesSummaryResponse),
    st.floats(),
    st.sampled_from([Limit(), Limit(without_invoices=True, first="o")]),
)
@settings(max_examples=60)
def test_any_answer_is_as_the_schema_says(
    usage_: Any, invoices_: Any, budget: float, limit: Limit
) -> None:
    """Whatever numbers, dates and texts the API sends: null or a number, and never NaN."""
    whose = organization(max_age=3600.0, budget_usd=budget)
    known = state(whose, usage_, invoices_, polled=True)._replace(spend=ENDED)
    context = CONTEXT._replace(limit=limit)
    assert line(known, context).items() <= whole(known, context).items()


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0.0, LAST))
@settings(max_examples=60)
def test_any_closed_period_is_as_the_schema_says(usage_usd: float, end: float) -> None:
    """Also one that ended at an odd time."""
    whole(state(ACME, usage(1.0), BILLS)._replace(spend=ended(usage_usd, end)))


def restricted() -> dict[str, list[str]]:
    """Return what the schema lists the values of."""
    parts = SCHEMA["$defs"]
    return {
        "collectors": parts["Collector"]["enum"],
        "causes": parts["Failure"]["properties"]["cause"]["enum"],
        "reasons": parts["Withheld"]["properties"]["reason"]["enum"],
        "statuses": parts["Invoice"]["properties"]["status"]["enum"],
    }


def test_the_schema_lists_the_values_that_the_code_has() -> None:
    """All of them, and no other."""
    assert restricted() == {
        "collectors": [collector.name for collector in COLLECTORS],
        "causes": [*Cause],
        "reasons": [*Reason],
        "statuses": [*STATUSES],
    }
    assert FAILURE_REASONS  # a text in the schema: more may come


def test_every_part_of_the_schema_says_what_it_is() -> None:
    """The tables of docs/api.md are made of it."""

    def without(part: Any, where: str) -> list[str]:
        missing = [] if part.get("description") or part.get("$ref") else [where]
        for name, each in part.get("properties", {}).items():
            missing += without(each, f"{where}.{name}")
        return missing

    assert [each for name, part in SCHEMA["$defs"].items() for each in without(part, name)] == []
