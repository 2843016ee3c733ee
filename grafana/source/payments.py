"""How invoices are paid, and why they are not: panels of the dashboard of invoices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from exporter.rules.series import SEEN, last
from grafana.source.charts import hues, lines
from grafana.source.invoice_tables import ORGANIZATION_COLUMN
from grafana.source.known import BILLING, INVOICES, State, amount, cell, rows
from grafana.source.money_panels import FAILED, LAST_FAILURE, OLDEST_DUE
from grafana.source.panels import COUNT, DATE, SHARE, USD, Panel, Query
from grafana.source.promql import by_id, metric, most, named, recorded
from grafana.source.tables import NOTHING, Column, table

ALL_BY_STATUS: Final = "viam_billing_invoices_amount_usd"
FAILED_COUNT: Final = "viam_billing_invoices_payment_failed"
PENDING: Final = "viam_billing_payment_method_verification_pending"
WAITING: Final = 'status=~"outstanding|payment_processing"'


def payments() -> Sequence[Panel]:
    """Return the row of payments."""
    reasons = "org_id, org_name, reason"
    latest = f"({amount('viam_billing_invoice_latest_amount_usd')} > 0)"
    median = f"({amount('viam_billing_invoice_previous_median_amount_usd')} > 0)"
    name = f"({named(SEEN)} > bool 0)"
    failed = most("org_id, reason", recorded(last(FAILED)))
    methods, unread = metric("viam_billing_payment_method_info"), BILLING.of(State.UNREADABLE)
    failed = f"({failed} > 0) * on (org_id) group_left (org_name) {name}"
    return (
        table(
            "Why payments failed",
            "Organizations with unpaid invoices whose last payment failed, by reason. Should be "
            "none. Ask the owner of the card; retrying a declined one does not help.",
            ORGANIZATION_COLUMN,
            Column("Reason", label="reason"),
            Column("Amount", rows(failed, INVOICES, "reason"), unit=USD),
            Column("Invoices", f"{most(reasons, metric(FAILED_COUNT))} > 0", width=80),
            Column(
                "Last attempt",
                f"1000 * ({failed}) ^ 0 * on (org_id) group_left () {LAST_FAILURE}",
                unit=DATE,
            ),
            key=None,
            hidden=("org_id",),
            sort="Amount",
            width=12,
            height=8,
        ),
        table(
            "How organizations pay",
            "Payment method as last polled, the earliest due date of an unpaid invoice, and the "
            "total ever paid. None is fine only for those that owe nothing; an unverified bank "
            "account cannot be charged.",
            replace(ORGANIZATION_COLUMN, width=None),
            Column("_known", named(SEEN), shown=False),
            Column("Method", label="payment_method", width=135),
            Column("Brand", label="card_brand", width=100),
            Column(
                "_method",
                f"{most('org_id, payment_method, card_brand', methods)} or on (org_id) "
                f'label_replace({unread}, "payment_method", "cannot be read", "", "")',
                shown=False,
            ),
            Column(
                "Unverified",
                cell(amount(PENDING), BILLING),
                texts={"1": ("unverified", "orange"), "0": (NOTHING, "text")},
                width=125,
            ),
            Column("First due", cell(f"1000 * {OLDEST_DUE}", INVOICES), unit=DATE, width=125),
            Column("Total paid", by_id(ALL_BY_STATUS, 'status="paid"'), unit=USD, width=115),
            key="org_id",
            sort="First due",
            width=12,
            height=8,
        ),
        table(
            "Latest invoice against usual",
            "The newest invoice above $0 beside the median of up to six before it. Should be near "
            "100%; above 200%, click the organization and look at what grew.",
            replace(ORGANIZATION_COLUMN, width=None),
            Column("_known", named(SEEN), shown=False),
            Column(
                "Latest",
                cell(latest, INVOICES, later=True),
                unit=USD,
                texts={"Infinity": ("none above $0", "text")},
            ),
            Column("Usual", median, unit=USD),
            Column(
                "Share",
                f"{latest} / {median}",
                unit=SHARE,
                colours=((None, "text"), (2, "orange")),
            ),
            key="org_id",
            sort="Share",
            width=12,
            height=8,
        ),
        lines(
            "Invoices awaiting payment",
            "How many invoices await payment, or have a payment in progress. Both rise when "
            "invoices come, and should be at 0 well before the next ones.",
            Query(
                "sum by (status) "
                f"({most('org_id, status', metric('viam_billing_invoices', WAITING))})",
                "{{status}}",
            ),
            unit=COUNT,
            styles=hues("outstanding", "payment_processing"),
        ),
    )
