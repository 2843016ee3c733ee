"""The past that invoices tell of: what the exporter would have shown at each moment, or nothing."""

from __future__ import annotations

import io
import math
import re
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser

from exporter.metrics.catalog import INVOICES
from exporter.metrics.extract import invoices
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
    return out.getvalue()


def values(page: str, name: str) -> dict[float, float]:
    """Return a metric's only series, by time."""
    found = re.findall(rf"^{name}{{[^}}]*}} (\S+) (\d+)$", page, re.MULTILINE)
    return {float(time): float(value) for value, time in found}


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
    views = [
        invoices.view(each, moment, detail="all", limit=1000)
        for each in (live, past_invoices.as_of(now, moment))
    ]
    for spec in INVOICES:
        if spec.name in past_invoices.FROM_DATES | past_invoices.FROM_PAYMENTS:
            then, made = (sorted(spec.extract(view)) for view in views)
            assert then == made, spec.name


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
