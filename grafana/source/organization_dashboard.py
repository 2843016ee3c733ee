"""One organization: its budget, what it spends on what, what it owes, and how it pays."""

from __future__ import annotations

from collections.abc import Sequence

from grafana.source import board, days, headlines, invoice_tables
from grafana.source.attention import USED
from grafana.source.board import CHOSEN_ORGANIZATION, EXPORTER, INVOICES, Board, to
from grafana.source.freshness import DATA_AGE, parts_table
from grafana.source.known import (
    ANY_PART,
    BILLING,
    BUDGETED,
    CONFIGURED,
    CREDIT,
    GONE,
    USAGE,
    USAGE_OF_BUDGET,
    amount,
    parts,
    tile,
)
from grafana.source.known import INVOICES as INVOICES_POLLED
from grafana.source.money_panels import LAST_FAILURE, OUTSTANDING
from grafana.source.panels import (
    COUNT,
    DATE,
    OF_BUDGET,
    SECONDS,
    SHARE,
    USD,
    Panel,
    stat,
    value_map,
)
from grafana.source.promql import by_id, metric, picked
from grafana.source.spend_panels import END, NET, START, budget, period, spend


def _wrong() -> Sequence[Panel]:
    readable = f"({by_id('viam_billing_up')} or on (org_id) 0 * {GONE})"
    return (
        tile(
            "Bill readable",
            "Whether the last poll of every part of the bill succeeded. If not, the last good "
            "numbers stay for a while and are then withdrawn: the last row says what failed.",
            readable,
            ANY_PART,
            none="Not polled yet",
            unit=COUNT,
            mappings=[value_map({"1": ("Yes", "green"), "0": ("No", "red")})],
            url=to(EXPORTER, CHOSEN_ORGANIZATION),
        ),
        tile(
            "Data age",
            "Time since the last good poll of the oldest part of the bill. Should be below two "
            "poll intervals.",
            DATA_AGE,
            ANY_PART,
            none="Never read",
            unit=SECONDS,
            url=to(EXPORTER, CHOSEN_ORGANIZATION),
        ),
        tile(
            "Budget used",
            "Share of the period's budget that is spent. Compare it with the period elapsed. Above "
            "100%, find what grew in the rows below, or raise the budget.",
            USED,
            USAGE_OF_BUDGET,
            none="No budget set",
            unit=SHARE,
            colours=OF_BUDGET,
        ),
        headlines.overdue(to(INVOICES, CHOSEN_ORGANIZATION), one=True),
        headlines.failed_payments(to(INVOICES, CHOSEN_ORGANIZATION), one=True),
        headlines.next_due(to(INVOICES, CHOSEN_ORGANIZATION), one=True),
    )


def _money() -> Sequence[Panel]:
    start, end = picked(START), picked(END)
    return (
        headlines.month_so_far(one=True),
        headlines.forecast(one=True),
        tile(
            "Budget",
            "What the organization may spend in a period, from the exporter's configuration.",
            BUDGETED,
            CONFIGURED,
            none="No budget set",
            unit=USD,
        ),
        tile(
            "Period elapsed",
            "Share of the billing period that is over. Budget used should not be far above it.",
            f"clamp((time() - {start}) / ({end} - {start} > 0), 0, 1)",
            USAGE,
            none="The bill has no dates",
            unit=SHARE,
        ),
        headlines.owed(to(INVOICES, CHOSEN_ORGANIZATION), one=True),
        days.week_trend(one=True),
    )


def _payment() -> Sequence[Panel]:
    methods = f"max by (payment_method, card_brand) ({metric('viam_billing_payment_method_info')})"
    latest = f"({amount('viam_billing_invoice_latest_amount_usd')} > 0)"
    median = amount("viam_billing_invoice_previous_median_amount_usd")
    return (
        stat(
            "Pays with",
            "How the organization pays, as last polled: card and brand, bank account, or nothing. "
            "None is fine only for one that owes nothing.",
            parts(methods, BILLING, "payment_method"),
            name="{{payment_method}} {{card_brand}}",
            names=True,
            unit=COUNT,
        ),
        tile(
            "Bank account",
            "Whether a bank account awaits verification. While it does, nothing can be charged: "
            "follow the link in Viam's billing settings.",
            amount("viam_billing_payment_method_verification_pending"),
            BILLING,
            none=headlines.WITHHELD,
            unit=COUNT,
            mappings=[value_map({"1": ("Unverified", "orange"), "0": ("Nothing pending", "text")})],
        ),
        tile(
            "Outstanding balance",
            "What was unpaid at the end of the last billing cycle, as Viam reports it. The current "
            "period is not included. Click for the invoices.",
            amount(OUTSTANDING),
            INVOICES_POLLED,
            none=headlines.WITHHELD,
            unit=USD,
            below_zero=CREDIT,
            url=to(INVOICES, CHOSEN_ORGANIZATION),
        ),
        tile(
            "Latest invoice",
            "The newest invoice above $0.",
            latest,
            INVOICES_POLLED,
            none="No invoice above $0",
            unit=USD,
        ),
        tile(
            "Latest against usual",
            "The newest invoice as a share of the median of up to six before it. Should be near "
            "100%; above 200%, compare the two periods above.",
            f"{latest} / ({median} > 0)",
            INVOICES_POLLED,
            none="After 4 invoices above $0",
            unit=SHARE,
            colours=((None, "text"), (2, "orange")),
        ),
        tile(
            "Last failed payment",
            "When a payment of a still unpaid invoice last failed.",
            f"1000 * {LAST_FAILURE}",
            INVOICES_POLLED,
            none="None",
            unit=DATE,
            url=to(INVOICES, CHOSEN_ORGANIZATION),
        ),
        invoice_tables.every_invoice(one_organization=True),
    )


def _data() -> Sequence[Panel]:
    return (
        parts_table(one_organization=True),
        tile(
            "Period starts",
            "Start of the current billing period, as Viam reports it.",
            f"1000 * {by_id(START)}",
            USAGE,
            none="The bill has no dates",
            unit=DATE,
            width=3,
            height=6,
        ),
        tile(
            "Period ends",
            "End of the current billing period, as Viam reports it.",
            f"1000 * {by_id(END)}",
            USAGE,
            none="The bill has no dates",
            unit=DATE,
            width=3,
            height=6,
        ),
        tile(
            "Subtotal",
            "The subtotal that Viam reports without defining it. Usually month to date, after or "
            "before discounts.",
            by_id("viam_billing_usage_subtotal_usd"),
            USAGE,
            none="Not in the answer",
            unit=USD,
            below_zero=CREDIT,
            width=3,
            height=6,
        ),
        tile(
            "Difference",
            "Subtotal less month to date. If it is not $0, usually one of them includes a discount "
            "that the other does not. Worth a look when it changes.",
            by_id("viam_billing_usage_reconciliation_difference_usd"),
            USAGE,
            none="Not in the answer",
            unit=USD,
            below_zero=CREDIT,
            width=3,
            height=6,
        ),
    )


def organization() -> Board:
    """Return the dashboard of one organization."""
    return Board(
        board.ORGANIZATION,
        "Viam billing / Organization",
        "What one organization spends at Viam and on what, its budget, and how it pays.",
        (
            board.organization(several=False),
            board.labels(
                "resource_type",
                "Resource type",
                "resource_type",
                "viam_billing_usage_resource_spend_usd_total",
            ),
            board.labels("source_type", "Source", "source_type", NET),
        ),
        (
            ("Is anything wrong?", _wrong()),
            ("Money", _money()),
            ("Budget", budget()),
            ("Spend", spend()),
            ("This period", period()),
            ("Invoices and payment", _payment()),
            ("Data", _data()),
        ),
        bars=True,
    )
