"""One organization: its budget, what it spends on what, what it owes, and how it pays."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.rules.series import BUDGET_USED
from grafana.source import board, days, headlines, invoice_tables
from grafana.source.board import CHOSEN_ORGANIZATION, EXPORTER, INVOICES, Board, to
from grafana.source.freshness import DATA_AGE, parts_table
from grafana.source.money_panels import BUDGET, NO_BUDGET, NOTHING_POLLED, OUTSTANDING
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
    return (
        stat(
            "Bill readable",
            "Whether the last poll of every part of the bill succeeded. If not, the last good "
            "numbers stay for a while and are then withdrawn: the last row says what failed.",
            by_id("viam_billing_up"),
            unit=COUNT,
            empty=NOTHING_POLLED,
            mappings=[value_map({"1": ("Yes", "green"), "0": ("No", "red")})],
            url=to(EXPORTER, CHOSEN_ORGANIZATION),
        ),
        stat(
            "Data age",
            "Time since the last good poll of the part of the bill that is oldest. Should be "
            "below two poll intervals.",
            DATA_AGE,
            unit=SECONDS,
            empty=NOTHING_POLLED,
            url=to(EXPORTER, CHOSEN_ORGANIZATION),
        ),
        stat(
            "Budget used",
            "Share of the period's budget that is spent. Compare it with the share of the period "
            "that is over. Above 100 %, find what grew in the rows below, or raise the budget.",
            by_id(BUDGET_USED),
            unit=SHARE,
            empty=NO_BUDGET,
            colours=OF_BUDGET,
        ),
        headlines.overdue(to(INVOICES, CHOSEN_ORGANIZATION)),
        headlines.failed_payments(to(INVOICES, CHOSEN_ORGANIZATION)),
        headlines.next_due(to(INVOICES, CHOSEN_ORGANIZATION)),
    )


def _money() -> Sequence[Panel]:
    return (
        headlines.month_so_far(),
        headlines.forecast(),
        stat(
            "Budget",
            "What the organization may spend in a period, from the exporter's configuration.",
            picked(BUDGET),
            unit=USD,
            empty=NO_BUDGET,
        ),
        stat(
            "Period over",
            "Share of the billing period that is over. Budget used should not be far above it.",
            f"clamp((time() - {picked(START)}) / ({picked(END)} - {picked(START)} > 0), 0, 1)",
            unit=SHARE,
            empty=NOTHING_POLLED,
        ),
        days.last_week(),
        headlines.owed(to(INVOICES, CHOSEN_ORGANIZATION)),
    )


def _payment() -> Sequence[Panel]:
    method = metric("viam_billing_payment_method_info")
    latest = by_id("viam_billing_invoice_latest_amount_usd")
    median = by_id("viam_billing_invoice_previous_median_amount_usd")
    return (
        stat(
            "Pays with",
            "How the organization pays, as last polled: card and brand, bank account, or nothing. "
            "None is fine only for those that owe nothing.",
            f"max by (payment_method, card_brand) ({method})",
            legend="{{payment_method}} {{card_brand}}",
            unit=COUNT,
            empty=NOTHING_POLLED,
        ),
        stat(
            "Bank account",
            "Whether a bank account awaits verification. While it does, nothing can be charged: "
            "follow the link in Viam's billing settings.",
            by_id("viam_billing_payment_method_verification_pending"),
            unit=COUNT,
            empty=NOTHING_POLLED,
            mappings=[value_map({"1": ("Unverified", "orange"), "0": ("Nothing pending", "text")})],
        ),
        stat(
            "Outstanding balance",
            "What was unpaid at the end of the last billing cycle, as Viam says. The current "
            "period is not part of it. Click for the invoices.",
            by_id(OUTSTANDING),
            unit=USD,
            empty=NOTHING_POLLED,
            url=to(INVOICES, CHOSEN_ORGANIZATION),
        ),
        stat(
            "Latest invoice",
            "The newest invoice above $0.",
            latest,
            unit=USD,
            empty="No invoice yet",
        ),
        stat(
            "Latest against usual",
            "The newest invoice as a share of the median of up to six before it. Near 100 %; "
            "above 200 %, compare the two periods above.",
            f"{latest} / ({median} > 0)",
            unit=SHARE,
            empty="Too few invoices",
            colours=((None, "text"), (2, "orange")),
        ),
        stat(
            "Last failed payment",
            "When a payment of an invoice that is still unpaid was last tried in vain.",
            f"1000 * {by_id('viam_billing_payment_last_failure_timestamp_seconds')}",
            unit=DATE,
            empty="None",
            url=to(INVOICES, CHOSEN_ORGANIZATION),
        ),
        invoice_tables.every_invoice(one_organization=True),
    )


def _data() -> Sequence[Panel]:
    return (
        parts_table(one_organization=True),
        stat(
            "Period starts",
            "Start of the current billing period, as Viam says.",
            f"1000 * {by_id(START)}",
            unit=DATE,
            empty=NOTHING_POLLED,
            width=3,
            height=6,
        ),
        stat(
            "Period ends",
            "End of the current billing period, as Viam says.",
            f"1000 * {by_id(END)}",
            unit=DATE,
            empty=NOTHING_POLLED,
            width=3,
            height=6,
        ),
        stat(
            "Subtotal",
            "The subtotal that Viam gives, without saying what it is. Usually month to date, or "
            "that before discounts.",
            by_id("viam_billing_usage_subtotal_usd"),
            unit=USD,
            empty=NOTHING_POLLED,
            width=3,
            height=6,
        ),
        stat(
            "Difference",
            "Subtotal less month to date. Other than $0 where one of them has a discount that the "
            "other has not, as a rule. Worth a look when it changes.",
            by_id("viam_billing_usage_reconciliation_difference_usd"),
            unit=USD,
            empty=NOTHING_POLLED,
            width=3,
            height=6,
        ),
    )


def organization() -> Board:
    """Return the dashboard of one organization."""
    return Board(
        board.ORGANIZATION,
        "Viam billing / Organization",
        "What one organization spends at Viam, on what, against which budget, and how it pays.",
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
