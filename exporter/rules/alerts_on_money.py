"""Alerts about invoices and payments."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import (
    DATE,
    DOLLARS,
    ORGANIZATION,
    USD,
    Alerts,
    Text,
    as_of,
    asked,
    dollars,
    from_today,
)
from exporter.rules.expressions import named
from exporter.rules.remembered import IN_FLIGHT, NO_METHOD
from exporter.rules.rule import Alert
from exporter.rules.rule_settings import seconds
from exporter.rules.series import last

UNPAID = last("viam_billing_invoices_unpaid_amount_usd")
OVERDUE = last("viam_billing_invoices_overdue_amount_usd")
NEXT_DUE = last("viam_billing_invoice_next_due_timestamp_seconds")
OLDEST_DUE = last("viam_billing_invoice_oldest_unpaid_due_timestamp_seconds")
FAILED = last("viam_billing_invoices_payment_failed_amount_usd")
LATEST = last("viam_billing_invoice_latest_amount_usd")
USUAL = last("viam_billing_invoice_previous_median_amount_usd")
BALANCE = last("viam_billing_outstanding_balance_usd")
SPENT = last("viam_billing_usage_month_to_date_usd")
UNVERIFIED = last("viam_billing_payment_method_verification_pending")
PAYING = last(IN_FLIGHT)
METHODLESS = last(NO_METHOD)  # 1 without a payment method, 0 with one
PAYMENTS = f"Payments totalling {dollars(PAYING)} are in progress."
# `other` is also what the API gives no reason for, and any that the exporter does not know.
REASON = '{{ $labels.reason | reReplaceAll "^other$" "reason unknown" | reReplaceAll "_" " " }}'
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
    first, oldest = (f"{due}{{org_id=%[1]q}} != 0" for due in (NEXT_DUE, OLDEST_DUE))
    unpaid = f"{ORGANIZATION} has unpaid invoices totalling {DOLLARS}"
    title = unpaid + asked(first, f", the first due on {DATE}")
    unpaid += asked(first, f", the first due on {DATE}, {from_today(first)}")
    yield from _as_it_looks(
        make,
        "ViamBillingInvoiceDueSoon",
        f"({UNPAID} - {OVERDUE} > 0) and ({soon})",
        f"({METHODLESS} == 0) unless ({ALL_FAILED} > 0 or {UNVERIFIED} > 0)",
        Text(
            title,
            "An unpaid invoice is due soon or already due, and might not be paid automatically.",
            f"{unpaid}. They might not be paid automatically: a payment failed, or no working "
            f"payment method is known.{as_of('invoices')}",
        ),
        Text(
            title,
            "An unpaid invoice is due soon or already due, and should be paid automatically.",
            f"{unpaid}. The payment method should be charged automatically.{as_of('invoices')}",
        ),
    )
    title = f"{ORGANIZATION} has overdue invoices totalling {DOLLARS}"
    overdue = f"{ORGANIZATION} owes {DOLLARS} on overdue invoices" + asked(
        oldest, f", the oldest due on {DATE}, {from_today(oldest)}"
    )
    overdue += f".{as_of('invoices')}"
    yield from _as_it_looks(
        make,
        "ViamBillingInvoiceOverdue",
        f"{OVERDUE} > 0",
        f"{PAYING} >= {OVERDUE}",
        Text(title, "An unpaid invoice is past its due date.", overdue),
        Text(
            f"{title}, and a payment in progress",
            "An unpaid invoice is past its due date, and a payment is in progress.",
            f"{overdue} {PAYMENTS}",
        ),
    )


def _failed(make: Alerts) -> Iterator[Alert]:
    title = f"{ORGANIZATION} has failed payments totalling {DOLLARS} ({REASON})"
    failed = (
        f"{ORGANIZATION} has unpaid invoices totalling {DOLLARS} whose last payment failed: "
        f"{REASON}.{as_of('invoices')}"
    )
    yield from _as_it_looks(
        make,
        "ViamBillingPaymentFailed",
        f"{FAILED} > 0",
        f"{PAYING} >= {ALL_FAILED}",
        Text(title, "The last payment of an unpaid invoice failed.", failed),
        Text(
            f"{title}, and another in progress",
            "The last payment of an unpaid invoice failed, and another is in progress.",
            f"{failed} {PAYMENTS}",
        ),
    )


def _as_it_looks(  # noqa: PLR0913 - what two alerts consist of
    make: Alerts,
    name: str,
    expr: str,
    good: str,
    text: Text,
    text_if_good: Text,
) -> Iterator[Alert]:
    """Yield two alerts of one name, of which one fires: a milder one where things look good.

    `good` is an expression with the organizations where they do. What is not known is not good.
    """
    severities = make.settings.alerts[name]
    yield make.about_organization(name, named(f"({expr}) unless on (org_id) ({good})"), text)
    yield make.about_organization(
        name,
        named(f"({expr}) and on (org_id) ({good})"),
        text_if_good,
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
        Text(
            f"{ORGANIZATION} has an unusually large invoice: {DOLLARS} against a median of "
            f"{dollars(USUAL)}",
            "The newest invoice is much larger than earlier ones of its kind.",
            f"The newest invoice of {ORGANIZATION} is for {DOLLARS}. "
            f"The median of earlier ones of its kind is {dollars(USUAL)}.{as_of('invoices')}",
        ),
    )
    balance = f"{ORGANIZATION} has an outstanding balance of {DOLLARS}"
    yield make.about_organization(
        "ViamBillingOutstandingBalance",
        named(f"{BALANCE} > {limits.outstanding_balance_usd}"),
        Text(
            balance,
            "A balance from past billing cycles is unpaid.",
            f"{balance} from past billing cycles.{as_of('invoices')}",
        ),
    )


def _methods(make: Alerts) -> Iterator[Alert]:
    at_stake = f"({UNPAID} > 0) or ({BALANCE} > 0) or ({SPENT} > 0)"
    yield make.about_organization(
        "ViamBillingPaymentMethodMissing",
        named(f"({at_stake}) and ({METHODLESS} > 0)"),
        Text(
            f"{ORGANIZATION} has no payment method, and {DOLLARS} to pay",
            "An organization owes or has spent money, but has no payment method.",
            f"{ORGANIZATION} has no payment method. Unpaid invoices: {dollars(UNPAID)}. "
            f"Outstanding balance: {dollars(BALANCE)}. Usage in this billing period: "
            f"{dollars(SPENT)}.{as_of('billing_information')}",
        ),
    )
    yield make.about_organization(
        "ViamBillingBankAccountUnverified",
        named(f"{UNVERIFIED} > 0"),
        Text(
            f"{ORGANIZATION} has an unverified bank account"
            + asked(f"{UNPAID}{{org_id=%[1]q}} > 0", f", and unpaid invoices totalling {USD}"),
            "The bank account that an organization is to pay from is not verified.",
            f"{ORGANIZATION} is set up to pay from a bank account that is not verified. "
            f"Unpaid invoices: {dollars(UNPAID)}.{as_of('billing_information')}",
        ),
    )
