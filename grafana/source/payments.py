"""How invoices are paid, and why they are not: panels of the dashboard of invoices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from exporter.rules.series import SEEN, last
from grafana.source.charts import hues, lines
from grafana.source.invoice_tables import ORGANIZATION_COLUMN, STATUSES, WAITING
from grafana.source.known import (
    BILLING,
    INVOICES,
    OUT_OF_DATE,
    State,
    amount,
    cell,
    overdue_usd,
    rows,
)
from grafana.source.money_panels import (
    COUNTED_ON_THE_RIGHT,
    DASHED,
    FAILED,
    FILLED,
    LAST_FAILURE,
    OLDEST_DUE,
    OUTSTANDING,
    UNPAID,
    fixed,
)
from grafana.source.panels import (
    COUNT,
    DATE,
    NOTHING_FOUND,
    SHARE,
    USD,
    USD_AXIS,
    Panel,
    Query,
)
from grafana.source.promql import by_id, metric, most, named, recorded
from grafana.source.tables import NOTHING, Column, table

ALL_BY_STATUS: Final = "viam_billing_invoices_amount_usd"
FAILED_COUNT: Final = "viam_billing_invoices_payment_failed"
PENDING: Final = "viam_billing_payment_method_verification_pending"
WHOLE: Final = [("decimals", 0)]
# Amounts are remembered while bills cannot be read. Lines end when none of them is current.
CURRENT: Final = f"({amount(UNPAID)} unless on (org_id) {INVOICES.old})"


def owed_over_time(title: str, *, width: int) -> Panel:
    """Return what was owed over time, to the hour."""
    return lines(
        title,
        "Jumps when invoices come, above all on the first of the month, and falls as they are "
        "paid. Nothing should be overdue. The balance is Viam's own number, and leaves out "
        "invoices of the current cycle. A bill that is out of date counts with its last amounts; "
        "how many are is on the right. The lines end when all are.",
        Query(f"sum({amount(UNPAID)}) and on () {CURRENT}", "unpaid invoices", "1h"),
        Query(f"sum({amount(OUTSTANDING)}) and on () {CURRENT}", "outstanding balance", "1h"),
        Query(f"sum({overdue_usd()}) > 0 and on () {CURRENT}", "overdue", "1h"),
        Query(f"count({INVOICES.old})", OUT_OF_DATE, "1h"),
        unit=USD_AXIS,
        width=width,
        styles=[
            ("unpaid invoices", [fixed("blue")]),
            ("outstanding balance", [fixed("purple"), DASHED]),
            ("overdue", [fixed("red"), FILLED]),
            (OUT_OF_DATE, COUNTED_ON_THE_RIGHT),
        ],
    )


def failed_over_time() -> Panel:
    """Return what was unpaid over time because a payment failed, by reason."""
    failed = most("org_id, reason", recorded(last(FAILED)))
    return lines(
        "Failed payments by reason",
        "Sum of the unpaid invoices whose last payment failed. Should be $0 for every reason. "
        "Declined and expired cards must be replaced; missing funds and processing errors may "
        "resolve with the next attempt. The lines end when no bill can be read.",
        Query(f"sum by (reason) ({failed}) > 0 and on () {CURRENT}", "{{reason}}"),
        unit=USD_AXIS,
        width=8,
        shades="red",
        empty=NOTHING_FOUND,
    )


def of_status(status: str) -> str:
    """Return how many invoices have a status."""
    invoices = metric("viam_billing_invoices", f'status="{status}"')
    return f"sum({most('org_id', invoices)})"


def payments() -> Sequence[Panel]:
    """Return the row of payments."""
    reasons = "org_id, org_name, reason"
    latest = f"({amount('viam_billing_invoice_latest_amount_usd')} > 0)"
    median = f"({amount('viam_billing_invoice_previous_median_amount_usd')} > 0)"
    name = f"({named(SEEN)} > bool 0)"
    failed = most("org_id, reason", recorded(last(FAILED)))
    methods, unread = metric("viam_billing_payment_method_info"), BILLING.of(State.UNREADABLE)
    awaiting = {status: STATUSES[status][0] for status in WAITING}
    paid = by_id(ALL_BY_STATUS, 'status="paid"')
    failed = f"({failed} > 0) * on (org_id) group_left (org_name) {name}"
    return (
        table(
            "Why payments failed",
            "Organizations with unpaid invoices whose last payment failed, by reason. Should be "
            "none. Ask the owner of the card; retrying a declined one does not help.",
            ORGANIZATION_COLUMN,
            Column("Reason", label="reason", reasons=True),
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
            # Of one that gets credit only, nothing was paid.
            Column("Total paid", f"{paid} > 0", unit=USD, width=115),
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
            *(Query(of_status(status), name) for status, name in awaiting.items()),
            unit=COUNT,
            styles=[*hues(*awaiting.values()), *((name, WHOLE) for name in awaiting.values())],
        ),
    )
