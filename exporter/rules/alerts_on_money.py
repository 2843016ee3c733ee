"""Alerts about invoices and payments."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import DOLLARS, ORGANIZATION, Alerts, dollars, looked_up
from exporter.rules.expressions import named
from exporter.rules.remembered import IN_FLIGHT, NO_METHOD
from exporter.rules.rule import Alert
from exporter.rules.rule_settings import seconds
from exporter.rules.series import last

UNPAID = last("viam_billing_invoices_unpaid_amount_usd")
OVERDUE = last("viam_billing_invoices_overdue_amount_usd")
NEXT_DUE = last("viam_billing_invoice_next_due_timestamp_seconds")
FAILED = last("viam_billing_invoices_payment_failed_amount_usd")
LATEST = last("viam_billing_invoice_latest_amount_usd")
USUAL = last("viam_billing_invoice_previous_median_amount_usd")
BALANCE = last("viam_billing_outstanding_balance_usd")
SPENT = last("viam_billing_usage_month_to_date_usd")
UNVERIFIED = last("viam_billing_payment_method_verification_pending")
PAYING = last(IN_FLIGHT)
METHODLESS = last(NO_METHOD)  # 1 without a payment method, 0 with one
ALL_FAILED = f"sum by (org_id) ({FAILED})"


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts. They look at what is remembered, so that an outage resolves none."""
    yield from _due(make)
    yield from _failed(make)
    yield from _amounts(make)
    yield from _methods(make)


def _due(make: Alerts) -> Iterator[Alert]:
    # A due date that passes while nothing can be polled is still one to look at.
    soon = f"({NEXT_DUE} > 0) - time() < {seconds(make.settings.thresholds.due_soon)}"
    waiting = (
        f"{ORGANIZATION} has invoices over {DOLLARS} that are unpaid and not overdue. "
        f"The first is due at {looked_up(NEXT_DUE, 'humanizeTimestamp')}"
    )
    yield from _as_it_looks(
        make,
        "ViamBillingInvoiceDueSoon",
        f"({UNPAID} - {OVERDUE} > 0) and ({soon})",
        f"({METHODLESS} == 0) unless ({ALL_FAILED} > 0 or {UNVERIFIED} > 0)",
        (
            "An unpaid invoice is due soon, and may not be paid automatically.",
            f"{waiting}. A payment failed, or no payment method is there that works.",
        ),
        (
            "An unpaid invoice is due soon, and payment is automatic.",
            f"{waiting}. The payment method will be charged.",
        ),
    )
    overdue = f"{ORGANIZATION} owes {DOLLARS} on invoices whose due date has passed."
    yield from _as_it_looks(
        make,
        "ViamBillingInvoiceOverdue",
        f"{OVERDUE} > 0",
        f"{PAYING} >= {OVERDUE}",
        ("An unpaid invoice is past its due date.", overdue),
        (
            "An unpaid invoice is past its due date, and a payment is in flight.",
            f"{overdue} Payments of {dollars(PAYING)} are in flight.",
        ),
    )


def _failed(make: Alerts) -> Iterator[Alert]:
    failed = (
        f"{ORGANIZATION} has unpaid invoices over {DOLLARS} whose last payment failed: "
        "{{ $labels.reason }}."
    )
    yield from _as_it_looks(
        make,
        "ViamBillingPaymentFailed",
        f"{FAILED} > 0",
        f"{PAYING} >= {ALL_FAILED}",
        ("The last payment of an unpaid invoice failed.", failed),
        (
            "The last payment of an unpaid invoice failed, and another one is in flight.",
            f"{failed} Payments of {dollars(PAYING)} are in flight.",
        ),
    )


def _as_it_looks(  # noqa: PLR0913 - what two alerts consist of
    make: Alerts,
    name: str,
    expr: str,
    good: str,
    told: tuple[str, str],
    told_if_good: tuple[str, str],
) -> Iterator[Alert]:
    """Yield two alerts of one name, of which one fires: a milder one where things look good.

    `good` is an expression with the organizations where they do, and what is told is summary and
    description. What nobody knows does not look good.
    """
    severities = make.settings.alerts[name]
    yield make.about_organization(name, named(f"({expr}) unless on (org_id) ({good})"), *told)
    yield make.about_organization(
        name,
        named(f"({expr}) and on (org_id) ({good})"),
        *told_if_good,
        severity=severities.mitigated or severities.severity,
    )


def _amounts(make: Alerts) -> Iterator[Alert]:
    limits = make.settings.thresholds
    large = (
        f"({LATEST} > {limits.large_invoice_factor} * ({USUAL} > 0)) "
        f"and ({LATEST} - {USUAL} > {limits.large_invoice_usd})"
    )
    known = f"{LATEST} == {LATEST} offset {limits.large_invoice_news}"
    yield make.about_organization(
        "ViamBillingInvoiceUnusuallyLarge",
        named(f"({large}) unless ({known})"),
        "The newest invoice is much larger than those of its kind before it.",
        f"{ORGANIZATION} has a new invoice over {DOLLARS}. "
        f"The median of those of its kind before it is {dollars(USUAL)}.",
    )
    yield make.about_organization(
        "ViamBillingOutstandingBalance",
        named(f"{BALANCE} > {limits.outstanding_balance_usd}"),
        "A balance is outstanding since the last billing cycle.",
        f"{ORGANIZATION} has an outstanding balance of {DOLLARS}.",
    )


def _methods(make: Alerts) -> Iterator[Alert]:
    at_stake = f"({UNPAID} > 0) or ({BALANCE} > 0) or ({SPENT} > 0)"
    yield make.about_organization(
        "ViamBillingPaymentMethodMissing",
        named(f"({at_stake}) and ({METHODLESS} > 0)"),
        "There is no payment method, and something is owed or was spent.",
        f"{ORGANIZATION} has no payment method. Unpaid invoices come to {dollars(UNPAID)}, the "
        f"outstanding balance to {dollars(BALANCE)}, this billing period so far to "
        f"{dollars(SPENT)}.",
    )
    yield make.about_organization(
        "ViamBillingBankAccountUnverified",
        named(f"{UNVERIFIED} > 0"),
        "A bank account awaits verification, and nothing can be paid from it until then.",
        f"{ORGANIZATION} pays from a bank account that is not verified yet. "
        f"Unpaid invoices come to {dollars(UNPAID)}.",
    )
