"""Invoices and payments: what is owed, what is late and why, and every invoice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from grafana.source import board, headlines, invoice_tables
from grafana.source.board import Board
from grafana.source.invoice_tables import (
    AMOUNT,
    BY,
    INVOICE_COLUMN,
    NO_INVOICES,
    OF_INVOICE,
    OPEN,
    ORGANIZATION_COLUMN,
    STATUS_COLUMN,
    moment,
)
from grafana.source.money_panels import (
    FAILED,
    FILLED,
    NOTHING_POLLED,
    OUTSTANDING,
    OVERDUE,
    UNPAID,
    fixed,
)
from grafana.source.panels import (
    COUNT,
    DATE,
    DAYS_LEFT,
    NONE_IS_BETTER,
    NONE_IS_GOOD,
    USD,
    USD_AXIS,
    Panel,
    Query,
    lines,
    ranking,
    stat,
    states,
)
from grafana.source.payments import PENDING, payments
from grafana.source.promql import by_id, metric, most
from grafana.source.tables import TEXT, Column, table

OVERDUE_COUNT: Final = "viam_billing_invoices_overdue"
# Days past due, up to which an amount is in a class of age; the last class has no end.
AGES: Final = (0, 15, 30, 60)
AGE_COLOURS: Final = ("blue", "yellow", "orange", "red", "dark-red")


def _wrong() -> Sequence[Panel]:
    return (
        headlines.overdue(),
        stat(
            "Overdue invoices",
            "How many unpaid invoices are past their due date. Should be 0.",
            f"sum({by_id(OVERDUE_COUNT)})",
            unit=COUNT,
            empty=NOTHING_POLLED,
            colours=NONE_IS_GOOD,
        ),
        headlines.failed_payments(),
        headlines.next_due(),
        stat(
            "Bank accounts unverified",
            "Organizations whose bank account awaits verification. Should be 0: while it does, "
            "nothing can be charged. Viam's billing settings have the link.",
            f"sum({by_id(PENDING)})",
            unit=COUNT,
            empty=NOTHING_POLLED,
            colours=NONE_IS_BETTER,
        ),
        headlines.owed(),
    )


def _ageing() -> Sequence[Panel]:
    return (
        ranking(
            "Ageing of what is owed",
            "Unpaid invoices by how long they are past due. All should be in the first bar. The "
            "longer ago, the less is a new try of the same card going to help.",
            *_classes_of_age(),
            unit=USD,
            empty=NO_INVOICES,
            colours=dict(zip(_class_names(), AGE_COLOURS, strict=True)),
            width=8,
        ),
        lines(
            "Owed and overdue",
            "Jumps when invoices come and falls as they are paid. Overdue should stay at $0. The "
            "balance is Viam's own number, and leaves out invoices of the current cycle.",
            Query(f"sum({by_id(UNPAID)})", "unpaid invoices"),
            Query(f"sum({by_id(OUTSTANDING)})", "outstanding balance"),
            Query(f"sum({by_id(OVERDUE)})", "overdue"),
            unit=USD_AXIS,
            empty=NOTHING_POLLED,
            width=8,
            styles=[
                ("unpaid invoices", [fixed("blue")]),
                ("outstanding balance", [fixed("purple")]),
                ("overdue", [fixed("red"), FILLED]),
            ],
        ),
        lines(
            "Failed payments by reason",
            "Sum of the unpaid invoices whose last payment failed. Should be $0 for every reason. "
            "Declined and expired cards have to be replaced, missing funds and processing errors "
            "may pass with the next try.",
            Query(f"sum by (reason) ({most('org_id, reason', metric(FAILED))}) > 0", "{{reason}}"),
            unit=USD_AXIS,
            empty="No payment failed",
            width=8,
        ),
    )


def _classes_of_age() -> Sequence[Query]:
    """Return the sums of unpaid invoices by days past due, 0 where none is in a class."""
    past_due = f"(time() - {moment('due')}) / 86400"
    none = f"0 * sum({by_id(UNPAID)})"
    classes = []
    for after, until, name in zip((None, *AGES), (*AGES, None), _class_names(), strict=True):
        bounds = f"{past_due} > {after}" if after is not None else past_due
        bounds = f"({bounds}) <= {until}" if until is not None else bounds
        classes.append(Query(f"sum({OPEN} and on ({BY}) ({bounds})) or {none}", name))
    return classes


def _class_names() -> Sequence[str]:
    between = (f"{after + 1} to {until} days late" for after, until in pairwise(AGES))
    return ("not due yet", *between, f"over {AGES[-1]} days late")


def _calendar() -> Sequence[Panel]:
    labels = "org_id, org_name, invoice_id, status"
    unpaid = f"""{most(labels, metric(AMOUNT, 'status!="paid"'))} > 0"""
    due = moment("due", by="invoice_id")
    return (
        table(
            "Calendar of dues",
            "Unpaid invoices, the earliest due date first. Days left are below 0 when it is "
            "overdue. Click an invoice to see it alone.",
            Column("Due", f"1000 * ({due} and on (invoice_id) {unpaid})", unit=DATE, width=100),
            Column(
                "Days left",
                f"ceil(({due} - time()) / 86400) and on (invoice_id) {unpaid}",
                decimals=0,
                colours=DAYS_LEFT,
                cell=TEXT,
                width=100,
            ),
            ORGANIZATION_COLUMN,
            INVOICE_COLUMN,
            Column("Amount", unpaid, unit=USD),
            STATUS_COLUMN,
            key="invoice_id",
            hidden=("org_id",),
            empty="Nothing is unpaid, or the exporter's invoices.detail is none",
            sort="Days left",
            ascending=True,
            height=8,
        ),
    )


def _each() -> Sequence[Panel]:
    status = {
        name: most("invoice_id", metric(AMOUNT, OF_INVOICE, f'status="{name}"'))
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
    return (
        invoice_tables.every_invoice(one_organization=False),
        states(
            "What became of each invoice",
            "Status over time of the invoices chosen above, each until a month after it was paid. "
            "Should turn green before it turns red.",
            Query(" or ".join(steps), "{{invoice_id}}"),
            values=(
                (0, "paid", "green"),
                (1, "in payment", "blue"),
                (2, "outstanding", "orange"),
                (3, "overdue", "red"),
            ),
            empty=NO_INVOICES,
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
            ("What is owed", (*_ageing(), *_calendar())),
            ("Payments", payments()),
            ("Invoices", _each()),
        ),
    )
