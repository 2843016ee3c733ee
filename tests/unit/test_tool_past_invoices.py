"""The past that invoices tell of: what the exporter would have shown at each moment, or nothing."""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser

from exporter.metrics import render
from exporter.metrics.extract import invoices
from exporter.metrics.extract.invoices import SETTLED
from exporter.metrics.extract.values import unix_time
from exporter.model import InvoiceDetail
from exporter.pb import billing_pb2 as pb
from exporter.simulator import Account, demo_fleet, ledger, messages
from exporter.tool import past_invoices
from support.reader import organization

DAY = 86_400
HOUR = 3_600
END = datetime(2025, 6, 20, 9, tzinfo=UTC).timestamp()
ALL = InvoiceDetail("all", 1000)
LABELS = (("instance", "localhost:8426"), ("job", "viam-billing"))


def answer(account: Account, moment: float) -> pb.GetInvoicesSummaryResponse:
    """Return what the simulated API says at a moment."""
    found = ledger.invoices(account, moment)
    return messages.invoices_summary(found, moment, lambda simulated: simulated)


def text(response: pb.GetInvoicesSummaryResponse, step: float = HOUR) -> str:
    """Return what is written of an organization."""
    past = past_invoices.history(organization(), response, ALL, LABELS, END)
    out = io.StringIO()
    past_invoices.write([past], step, 0.0, END, out.write)
    return f"{out.getvalue()}# EOF\n"


def values(page: str, name: str) -> dict[float, float]:
    """Return a metric's only series, by time."""
    found = re.findall(rf"^{name}{{[^}}]*}} (\S+) (\d+)$", page, re.MULTILINE)
    return {float(time): float(value) for value, time in found}


def as_of(answer: pb.GetInvoicesSummaryResponse, moment: float) -> pb.GetInvoicesSummaryResponse:
    """Return an answer with the invoices that there were at `moment`, paid or outstanding."""
    then = pb.GetInvoicesSummaryResponse()
    for invoice in answer.invoices:
        issued, paid = unix_time(invoice.invoice_date), unix_time(invoice.paid_date)
        if issued is None or issued > moment:
            continue
        old = then.invoices.add()
        old.CopyFrom(invoice)
        old.ClearField("last_payment_failure_reason")
        old.ClearField("last_payment_failure_at")
        if invoice.status in SETTLED and paid is not None and paid <= moment:
            old.status = "paid"
        else:
            old.status = "outstanding"
            old.ClearField("paid_date")
    return then


Samples = Mapping[str, Mapping[tuple[str, ...], float]]


def shown(view: invoices.Invoices) -> Samples:
    """Return what the exporter's own extractors make of a view: by metric, then by labels."""
    texts = render.lines(past_invoices.SPECS, organization(), view).texts
    return {
        spec.name: dict(rows(text.decode()))
        for spec, text in zip(past_invoices.SPECS, texts, strict=True)
    }


def rows(page: str) -> list[tuple[tuple[str, ...], float]]:
    """Return the labels and the value of each line, whatever stands after it."""
    found = re.findall(r"^(\w+){(.*)} (\S+)(?: \d+)?$", page, re.MULTILINE)
    return [((labels,), float(value)) for _, labels, value in found]


def backfilled(past: past_invoices.History, moment: float) -> Samples:
    """Return what is written for one moment."""
    out = io.StringIO()
    past_invoices.write([past], moment, moment, moment, out.write)
    made: dict[str, dict[tuple[str, ...], float]] = {s.name: {} for s in past_invoices.SPECS}
    for line in out.getvalue().split("\n"):
        for key, value in rows(line):
            name = line.partition("{")[0]
            assert key not in made[name], "a series comes twice"
            made[name][key] = value
    return made


@given(st.integers(0, 7), st.integers(0, 240))
def test_the_past_is_what_the_api_said_then(which: int, days: int) -> None:
    """At any past moment, each series that is backfilled equals what was live at that moment."""
    account = demo_fleet(1)[which]
    moment = END - days * DAY
    # What is no longer in the history now was there then: compare with what both know.
    now = answer(account, END)
    known = {invoice.id for invoice in now.invoices}
    live = answer(account, moment)
    kept = [invoice for invoice in live.invoices if invoice.id in known]
    del live.invoices[:]
    live.invoices.extend(kept)
    then = shown(invoices.view(live, moment, detail="all", limit=1000))
    past = past_invoices.history(organization(), now, ALL, (), END)
    made = backfilled(past, moment)
    for spec in past_invoices.SPECS:
        if spec.name in past_invoices.FROM_DATES or moment < past.uncertain_from:
            assert made[spec.name] == then[spec.name], spec.name


TIMES = st.none() | st.integers(1, 12)
AMOUNTS = st.floats(-5, 5) | st.sampled_from([0.1, 1e300, math.inf, math.nan])
INVOICE = st.fixed_dictionaries(
    {
        "id": st.sampled_from("abcdef"),
        "invoice_amount": AMOUNTS,
        "status": st.sampled_from(["paid", "outstanding", "void", "x"]),
        "invoice_date": TIMES,
        "due_date": TIMES,
        "paid_date": TIMES,
    }
)


@given(
    st.lists(INVOICE, max_size=12),
    st.sampled_from(["none", "open", "all"]),
    st.integers(1, 5),
    st.integers(1, 13),
)
def test_what_is_written_of_a_moment_is_what_an_answer_of_then_would_have_shown(
    given_invoices: list[dict[str, Any]], detail: str, limit: int, moment: int
) -> None:
    """Whatever the invoices are like: sums, which of them have series, and who has an id."""
    response = pb.GetInvoicesSummaryResponse()
    for each in given_invoices:
        invoice = response.invoices.add()
        for field, value in each.items():
            if field.endswith("_date") and value is not None:
                getattr(invoice, field).seconds = value
            elif value is not None:
                setattr(invoice, field, value)
    then = shown(invoices.view(as_of(response, moment), moment, detail=detail, limit=limit))
    past = past_invoices.history(organization(), response, InvoiceDetail(detail, limit), (), 20)
    made = backfilled(past, moment)
    for spec in past_invoices.SPECS:
        expected = then[spec.name]
        if spec.name not in past_invoices.FROM_DATES and moment >= past.uncertain_from:
            expected = {}
        if past.start is None or moment < past.start:
            expected = {}
        assert made[spec.name] == expected, spec.name


def many(count: int) -> pb.GetInvoicesSummaryResponse:
    """Return unpaid invoices, one an hour, each due a day later."""
    response = pb.GetInvoicesSummaryResponse()
    for number in range(count):
        invoice = response.invoices.add(
            id=str(number), invoice_amount=number + 0.1, status="outstanding"
        )
        invoice.invoice_date.seconds = int(END - number * HOUR)
        invoice.due_date.seconds = int(END - (number - 24) * HOUR)
    return response


def work(count: int, limit: int) -> int:
    """Return how many lines of Python it takes to go through so many invoices and write a few."""
    counted = 0

    def trace(_frame: object, event: str, _argument: object) -> Any:
        nonlocal counted
        counted += event == "line"
        return trace

    response = many(count)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        past = past_invoices.history(
            organization(), response, InvoiceDetail("all", limit), LABELS, END
        )
        past_invoices.write([past], 30 * DAY, END - DAY, END, lambda _: None)
    finally:
        sys.settrace(before)
    return counted


@pytest.mark.parametrize("limit", [10, 10_000])
def test_twice_the_invoices_are_twice_the_work(limit: int) -> None:
    """And not four times: an answer may have thousands of them."""
    assert work(800, limit) < 2.3 * work(400, limit)


def test_a_line_is_written_as_soon_as_it_is_made() -> None:
    """An invoice of 1970 has millions of samples: none waits for another, and any may be the last.

    What stops it comes from where it writes to.
    """
    response = pb.GetInvoicesSummaryResponse()
    invoice = response.invoices.add(id="a", invoice_amount=1, status="outstanding")
    invoice.invoice_date.seconds = 60
    past = past_invoices.history(organization(), response, ALL, LABELS, END)
    put: list[str] = []

    def take(text: str) -> None:
        put.append(text)
        if len(put) == 1000:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        past_invoices.write([past], 1, 0.0, END, take)
    assert max(text.count("\n") for text in put) <= 3  # those of a header


def test_a_due_date_and_a_payment_show_when_they_were() -> None:
    """Unpaid from its date, overdue from its due date, neither from its payment on."""
    issued = END - 40 * DAY
    response = pb.GetInvoicesSummaryResponse()
    invoice = response.invoices.add(id="a", invoice_amount=12.5, status="paid")
    invoice.invoice_date.seconds = int(issued)
    invoice.due_date.seconds = int(issued + 15 * DAY)
    invoice.paid_date.seconds = int(issued + 20 * DAY)
    page = text(response)
    unpaid = values(page, "viam_billing_invoices_unpaid_amount_usd")
    overdue = values(page, "viam_billing_invoices_overdue_amount_usd")
    assert min(unpaid) == issued
    assert max(unpaid) == END
    for time in unpaid:
        assert unpaid[time] == (12.5 if time < issued + 20 * DAY else 0)
        late = issued + 15 * DAY <= time < issued + 20 * DAY
        assert overdue[time] == (12.5 if late else 0)
    assert sorted(unpaid) == [issued + HOUR * n for n in range(40 * 24 + 1)]
    assert f'job="{LABELS[1][1]}"' in page


def test_what_nobody_knows_is_left_out() -> None:
    """An amount that was settled nobody knows when hides what was unpaid from its date on."""
    response = pb.GetInvoicesSummaryResponse()
    for day, status in ((30, "paid"), (20, "void"), (10, "outstanding")):
        invoice = response.invoices.add(id=str(day), invoice_amount=day, status=status)
        invoice.invoice_date.seconds = int(END - day * DAY)
        if status == "paid":
            invoice.paid_date.seconds = int(END - (day - 2) * DAY)
    page = text(response)
    assert max(values(page, "viam_billing_invoices_unpaid")) < END - 20 * DAY
    assert max(values(page, "viam_billing_backfill_invoiced_usd")) == END
    response.invoices.add(id="undated", invoice_amount=1, status="outstanding")
    assert values(text(response), "viam_billing_invoices_unpaid") == {}
    assert past_invoices.uncertain_from(response) == -math.inf


def test_a_date_of_payment_on_what_is_owed_does_not_count() -> None:
    """The exporter shows it as unpaid, and so does the past."""
    response = pb.GetInvoicesSummaryResponse()
    invoice = response.invoices.add(id="a", invoice_amount=5, status="outstanding")
    invoice.invoice_date.seconds = int(END - 3 * DAY)
    invoice.paid_date.seconds = int(END - 2 * DAY)
    assert set(values(text(response), "viam_billing_invoices_unpaid").values()) == {1.0}


def test_it_is_openmetrics_in_order() -> None:
    """A strict parser reads it, and the times of each series rise."""
    account = demo_fleet(1)[1]
    page = text(answer(account, END), step=DAY)
    families = {f.name: f for f in parser.text_string_to_metric_families(page)}  # type: ignore[no-untyped-call]
    assert families.keys() == {spec.name for spec in past_invoices.SPECS}
    for family in families.values():
        times: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for sample in family.samples:
            times.setdefault(tuple(sorted(sample.labels.items())), []).append(sample.timestamp)
        for series in times.values():
            assert all(a < b for a, b in pairwise(series))


def test_nothing_gives_nothing() -> None:
    """An organization without invoices has no past."""
    assert "{" not in text(pb.GetInvoicesSummaryResponse())
