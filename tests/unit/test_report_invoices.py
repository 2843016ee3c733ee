"""Invoices in the report: unpaid ones first and in full, and sums that the tables lead to."""

from __future__ import annotations

from typing import Any

from exporter.tool.api_answers import InvoiceLine
from exporter.tool.report import invoice_tables, pages
from exporter.tool.report.months import Report
from support.months import NOW
from support.reports import month, new, of_many_lines, report, usual
from support.status import DAY, Html
from support.tables import amounts, table

LATE = [
    "2026-10-02",
    "2026-10-16",
    "overdue for 38 days; the last payment failed: card declined",
    "$241.20",
]
PAID = ["2026-11-01", "2026-11-15", "paid 2026-11-11", "$255.50"]


def invoice(number: int, usd: float | None = 10.0, **fields: Any) -> InvoiceLine:
    """Return a paid one, unless told otherwise."""
    line = {
        "invoice_id": f"INV-{number}",
        "issued": "2026-11-02T00:00:00Z",
        "due": None,
        "paid": "2026-11-03T00:00:00Z",
        "status": "paid",
        "unpaid": False,
        "overdue": False,
        "amount_usd": usd,
        "payment_failure": None,
    }
    return InvoiceLine.model_validate(line | fields)


def owed(number: int, usd: float = 10.0, due: str | None = None) -> InvoiceLine:
    """Return one that is unpaid."""
    return invoice(number, usd, due=due, paid=None, status="outstanding", unpaid=True)


def page(of: Report) -> Html:
    """Return a report taken apart."""
    return Html.of(pages.html(of))


def test_every_unpaid_invoice_is_listed_first_whatever_its_month() -> None:
    """With how late it is and why; they add up to the card."""
    html = page(report([usual()]))
    bill, total = table(html, "Invoice")
    assert bill == ["INV-0006", *LATE]
    assert f"Unpaid invoices{total[-1]}" in html.text
    assert html.row("INV-0007")[1:] == PAID
    assert "No invoice is unpaid." in page(report([new()])).text


def test_unpaid_ones_are_ordered_by_when_they_were_due() -> None:
    """And what the exporter has in its sum, but not in its list, is a line."""
    late = owed(3, due="2026-10-01T00:00:00Z")
    later = owed(2, due="2026-10-02T00:00:00Z")
    found = invoice_tables.unpaid([owed(1), later, invoice(4), late], 42.5)
    assert [each.invoice_id for each in found.listed] == ["INV-3", "INV-2", "INV-1"]
    assert (found.steps, found.usd) == ([("Not listed", 12.5)], 42.5)
    assert invoice_tables.unpaid([late], None) == ([late], [], 10.0)


def test_a_month_that_ended_says_what_was_invoiced_for_it() -> None:
    """Beside its total, with the difference between the two."""
    one = month(usual(), "2026-10")
    assert one.period.usd is not None
    difference = f"${one.period.usd - 255.5:,.2f} less than the total; Viam"
    html = page(report([usual()], "2026-10"))
    assert f"Invoiced$255.50{difference}" in html.text
    assert html.row("INV-0007")[1:] == PAID
    assert month(usual()).invoiced_usd is None


def test_only_paid_invoices_are_left_out_of_a_table() -> None:
    """By number and state, and with their sum: nothing is lost."""
    of = report([of_many_lines()])
    html = page(of)
    *bills, total = table(html, "Invoice")
    every = of.months[0].whole.invoices or ()
    assert len(bills) == sum(each.unpaid for each in every) > 20
    assert sum(amounts(bill[-1])[0] for bill in bills) == amounts(total[-1])[0]
    assert f"Unpaid invoices{total[-1]}" in html.text
    *bills, rest, total = table(html, "Invoice", number=1)
    assert len(bills) == invoice_tables.MAX_INVOICES
    assert rest[0] == "150 paid invoices, not listed"
    assert sum(amounts(bill[-1])[0] for bill in (*bills, rest)) == amounts(total[-1])[0]


def test_more_unpaid_invoices_than_there_is_room_are_listed() -> None:
    """No paid one is then."""
    every = [owed(number) for number in range(60)]
    found = invoice_tables.dated([invoice(99, -5.0), invoice(98), *every])
    assert len(found.listed) == 60
    assert found.steps == [
        ("1 credit invoice, not listed", -5.0),
        ("1 paid invoice, not listed", 10.0),
    ]
    assert found.usd == 605.0


def test_a_void_invoice_is_in_no_sum() -> None:
    """Nobody pays it."""
    void = invoice(1, 99.0, paid=None, status="void")
    assert invoice_tables.dated([invoice(2), void]).usd == 10.0
    assert invoice_tables.state_at(void, NOW) == "void"


def test_days_overdue_are_whole_ones() -> None:
    """In the first 24 hours there is none to name."""
    due = owed(1, due="2026-11-23T00:00:00Z").model_copy(update={"overdue": True})
    assert invoice_tables.state_at(due, NOW) == "overdue for less than a day"
    assert invoice_tables.state_at(due, NOW + DAY) == "overdue for 1 day"
