"""Invoices one by one: expressions and tables that two dashboards have."""

from __future__ import annotations

from typing import Final

from grafana.source.board import INVOICES, ORGANIZATION, THIS_INVOICE, THIS_ORGANIZATION, to
from grafana.source.known import INVOICES as INVOICES_POLLED
from grafana.source.known import rows
from grafana.source.panels import DATE, NONE_IS_GOOD, USD, Panel
from grafana.source.promql import metric, most
from grafana.source.tables import Column, table

BY: Final = "org_id, invoice_id"
AMOUNT: Final = "viam_billing_invoice_amount_usd"
OF_INVOICE: Final = 'invoice_id=~"$invoice"'
# What is still to be paid. A void one among the status `other` cannot be told apart here.
OPEN: Final = f"""({most(BY, metric(AMOUNT, 'status!="paid"'))} > 0)"""

WAITING: Final = ("outstanding", "payment_processing")
STATUSES: Final = {
    "paid": ("paid", "green"),
    "payment_processing": ("in payment", "blue"),
    "outstanding": ("outstanding", "orange"),
    "overdue": ("overdue", "red"),
    "credit": ("credit", "text"),
    "other": ("other", "text"),
}
ORGANIZATION_COLUMN: Final = Column(
    "Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION), width=220
)
INVOICE_COLUMN: Final = Column(
    "Invoice", label="invoice_id", url=to(INVOICES, THIS_ORGANIZATION, THIS_INVOICE), reasons=True
)
STATUS_COLUMN: Final = Column("Status", label="status", texts=STATUSES, width=120)


def moment(which: str, *matchers: str, by: str = BY) -> str:
    """Return a date of each invoice, Unix seconds: issued, due or paid."""
    return most(by, metric(f"viam_billing_invoice_{which}_timestamp_seconds", *matchers))


def with_state(amount: str, due: str) -> str:
    """Return amounts of invoices with statuses of our own: overdue, and credit below $0."""
    late = f"{amount} > 0 and on (invoice_id) {due} < time()"
    waiting = "|".join(WAITING)
    late = f'label_replace({late}, "status", "overdue", "status", "{waiting}")'
    credit = f'label_replace({amount} < 0, "status", "credit", "", "")'
    return f"({late} or on (invoice_id) {credit} or on (invoice_id) {amount})"


def every_invoice(*, one_organization: bool) -> Panel:
    """Return the table of all invoices that have series, of those chosen where one can choose."""
    matchers = () if one_organization else (OF_INVOICE,)
    dates = {each: moment(each, *matchers, by="invoice_id") for each in ("issued", "due", "paid")}
    amount = most("org_id, org_name, invoice_id, status", metric(AMOUNT, *matchers))
    amount = with_state(amount, dates["due"])
    # An invoice that is not paid yet is as late as it is now; nothing is late for $0.
    ended = f"({dates['paid']} or 0 * {dates['due']} + time())"
    late = f"floor(clamp_min({ended} - {dates['due']}, 0) / 86400) and on (invoice_id) {amount} > 0"
    return table(
        "Every invoice",
        "The invoices that have series of their own: with invoices.detail open, the default, the "
        "unpaid ones; with all, also the newest of the others; with none, no invoice at all. Days "
        "late are counted until the payment, or until now: should be 0. Click an invoice to see it "
        "alone.",
        *(() if one_organization else (ORGANIZATION_COLUMN,)),
        INVOICE_COLUMN,
        STATUS_COLUMN,
        Column("Amount", rows(amount, INVOICES_POLLED, "invoice_id"), unit=USD),
        Column("Issued", f"1000 * {dates['issued']}", unit=DATE),
        Column("Due", f"1000 * {dates['due']}", unit=DATE),
        Column("Paid", f"1000 * {dates['paid']}", unit=DATE),
        Column("Days late", late, decimals=0, colours=NONE_IS_GOOD),
        key="invoice_id",
        hidden=("org_id",),
        sort="Issued",
    )
