"""Invoices and payments: what is owed, what is late and why, and every invoice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from grafana.source import board, headlines, invoice_tables
from grafana.source.board import Board
from grafana.source.charts import ranking, states
from grafana.source.invoice_tables import (
    AMOUNT,
    BY,
    INVOICE_COLUMN,
    OF_INVOICE,
    OPEN,
    ORGANIZATION_COLUMN,
    STATUS_COLUMN,
    moment,
)
from grafana.source.known import (
    BILLING,
    INVOICES,
    MISSING,
    ORGANIZATIONS,
    State,
    amount,
    rows,
    tile,
)
from grafana.source.money_panels import UNPAID
from grafana.source.panels import (
    COUNT,
    DATE,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    USD,
    Panel,
    Query,
)
from grafana.source.payments import PENDING, failed_over_time, owed_over_time, payments
from grafana.source.promql import MEMORY, by_id, metric, most
from grafana.source.tables import ROW, Column, table

OVERDUE_COUNT: Final = "viam_billing_invoices_overdue"
# Days past due, up to which an amount is in a class of age; the last class has no end.
AGES: Final = (0, 15, 30, 60)
CENT: Final = 0.005
# Rows of what is overdue are red, and let text of any colour be read.
OVERDUE_ROW: Final = ((None, "transparent"), (0, "rgba(242, 73, 92, 0.25)"))
NOT_ITEMIZED: Final = "age not known"
ON_TIMELINE: Final = 30  # invoices: more could not be read
AGE_COLOURS: Final = ("blue", "yellow", "orange", "red", "dark-red")


def _wrong() -> Sequence[Panel]:
    return (
        headlines.overdue(),
        tile(
            "Overdue invoices",
            "How many unpaid invoices are past their due date. Should be 0.",
            by_id(OVERDUE_COUNT),
            INVOICES,
            total=f"sum({by_id(OVERDUE_COUNT)})",
            none=headlines.WITHHELD,
            unit=COUNT,
            colours=NONE_IS_GOOD,
        ),
        headlines.failed_payments(),
        headlines.next_due(),
        tile(
            "Bank accounts unverified",
            "Organizations whose bank account awaits verification. Should be 0: while it does, "
            "nothing can be charged. Viam's billing settings have the link.",
            amount(PENDING),
            BILLING,
            total=f"sum({amount(PENDING)})",
            none=headlines.WITHHELD,
            unit=COUNT,
            colours=NONE_IS_BETTER,
        ),
        headlines.owed(),
    )


def _aging() -> Sequence[Panel]:
    return (
        ranking(
            "Aging of unpaid invoices",
            "Unpaid invoices by how long they are past due. All should be in the first bar: the "
            "older an invoice, the less it helps to charge the same card again. Invoices without a "
            "series of their own, because there are too many or because they cannot be read now, "
            "have a bar too, so that the bars add up to what is owed.",
            *_classes_of_age(),
            unit=USD,
            colours={**dict(zip(_class_names(), AGE_COLOURS, strict=True)), NOT_ITEMIZED: "text"},
            counts=MISSING,
            width=8,
        ),
        owed_over_time("Owed and overdue", width=8),
        failed_over_time(),
    )


def _classes_of_age() -> Sequence[Query]:
    """Return the sums of unpaid invoices by days past due, 0 where none that can be read is."""
    past_due = f"(time() - {moment('due')}) / 86400"
    none = f"0 * count({INVOICES.of(State.NONE)})"
    classes = []
    for after, until, name in zip((None, *AGES), (*AGES, None), _class_names(), strict=True):
        bounds = f"{past_due} > {after}" if after is not None else past_due
        bounds = f"({bounds}) <= {until}" if until is not None else bounds
        classes.append(Query(f"sum({OPEN} and on ({BY}) ({bounds})) or {none}", name))
    rest = f"sum({amount(UNPAID)}) - (sum({OPEN}) or 0 * sum({amount(UNPAID)}))"
    classes.append(Query(f"clamp_min({rest}, 0) > {CENT}", NOT_ITEMIZED))
    classes.append(Query(f"count({ORGANIZATIONS} unless on (org_id) {amount(UNPAID)})", MISSING))
    return classes


def _class_names() -> Sequence[str]:
    between = (f"{after + 1} to {until} days late" for after, until in pairwise(AGES))
    return ("not due yet", *between, f"over {AGES[-1]} days late")


def _calendar() -> Sequence[Panel]:
    labels = "org_id, org_name, invoice_id, status"
    due = moment("due", by="invoice_id")
    unpaid = f"""({most(labels, metric(AMOUNT, 'status!="paid"'))} > 0)"""
    return (
        table(
            "Calendar of due dates",
            "Unpaid invoices that have a series of their own, the earliest due date first. Overdue "
            "ones are red; days past due are below 0 for those that are not due yet. Click an "
            "invoice to see it alone.",
            Column("Due", f"1000 * ({due} and on (invoice_id) {unpaid})", unit=DATE, width=100),
            Column(
                "Days past due",
                f"floor((time() - {due}) / 86400) and on (invoice_id) {unpaid}",
                decimals=0,
                colours=OVERDUE_ROW,
                cell=ROW,
                width=130,
            ),
            ORGANIZATION_COLUMN,
            INVOICE_COLUMN,
            Column(
                "Amount",
                rows(invoice_tables.with_state(unpaid, due), INVOICES, "invoice_id"),
                unit=USD,
            ),
            STATUS_COLUMN,
            key="invoice_id",
            hidden=("org_id",),
            sort="Days past due",
            height=8,
        ),
    )


def _each() -> Sequence[Panel]:
    status = {
        name: f"""({most("invoice_id", metric(AMOUNT, OF_INVOICE, f'status="{name}"'))} > 0)"""
        for name in invoice_tables.STATUSES
    }
    due, paid = (moment(each, OF_INVOICE, by="invoice_id") for each in ("due", "paid"))
    unpaid = f"({status['outstanding']} or {status['payment_processing']})"
    steps = (
        f"3 + 0 * ({unpaid} and on (invoice_id) {due} < time())",
        f"2 + 0 * {status['outstanding']}",
        f"1 + 0 * {status['payment_processing']}",
        f"0 * ({status['paid']} and on (invoice_id) time() - {paid} < 30 * 86400)",
    )
    issued = metric("viam_billing_invoice_issued_timestamp_seconds", OF_INVOICE)
    # Also where the bills could not be read lately, and those issued in the last hours.
    found = f"{issued} @ end() or last_over_time({issued}[{MEMORY}:6h] @ end())"
    newest = most("invoice_id", found)
    shown = f"({' or '.join(steps)}) and on (invoice_id) topk({ON_TIMELINE}, {newest})"
    return (
        invoice_tables.every_invoice(one_organization=False),
        states(
            "What became of each invoice",
            f"Status over time of the {ON_TIMELINE} newest invoices of those chosen above, each "
            "until a month after it was paid. Those of $0 and credits are left out. Should turn "
            "green before it turns red. Choose an invoice above to see an older one.",
            Query(shown, "{{invoice_id}}"),
            values=(
                (0, "paid", "green"),
                (1, "in payment", "blue"),
                (2, "outstanding", "orange"),
                (3, "overdue", "red"),
            ),
            width=24,
            height=12,
        ),
    )


def invoices() -> Board:
    """Return the dashboard of invoices and payments."""
    return Board(
        board.INVOICES,
        "Viam billing / Invoices and payments",
        "What is owed to Viam, what is late and why, and every invoice.",
        (
            board.organization(several=True),
            board.labels("invoice", "Invoice", "invoice_id", AMOUNT),
        ),
        (
            ("Is anything wrong?", _wrong()),
            ("What is owed", (*_aging(), *_calendar())),
            ("Payments", payments()),
            ("Invoices", _each()),
        ),
    )
