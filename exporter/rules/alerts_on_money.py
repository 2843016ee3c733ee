"""Alerts about invoices and payments."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import DOLLARS, ORGANIZATION, Alerts, dollars, looked_up
from exporter.rules.expressions import named
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
UNVERIFIED = last("viam_billing_payment_method_verification_pending")


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts. They look at what is remembered, so that an outage resolves none."""
    limits = make.settings.thresholds
    # A due date that passes while nothing can be polled is still one to look at.
    soon = f"({NEXT_DUE} > 0) - time() < {seconds(limits.due_soon)}"
    yield make.about_organization(
        "ViamBillingInvoiceDueSoon",
        named(f"({UNPAID} - {OVERDUE} > 0) and ({soon})"),
        "An unpaid invoice is due soon.",
        f"{ORGANIZATION} has invoices over {DOLLARS} that are unpaid and not overdue. "
        f"The first is due at {looked_up(NEXT_DUE, 'humanizeTimestamp')}.",
    )
    yield make.about_organization(
        "ViamBillingInvoiceOverdue",
        named(f"{OVERDUE} > 0"),
        "An unpaid invoice is past its due date.",
        f"{ORGANIZATION} owes {DOLLARS} on invoices whose due date has passed.",
    )
    yield make.about_organization(
        "ViamBillingPaymentFailed",
        named(f"{FAILED} > 0"),
        "The last payment of an unpaid invoice failed.",
        f"{ORGANIZATION} has unpaid invoices over {DOLLARS} whose last payment failed: "
        "{{ $labels.reason }}.",
    )
    large = (
        f"({LATEST} > {limits.large_invoice_factor} * ({USUAL} > 0)) "
        f"and ({LATEST} - {USUAL} > {limits.large_invoice_usd})"
    )
    known = f"{LATEST} == {LATEST} offset {limits.large_invoice_news}"
    yield make.about_organization(
        "ViamBillingInvoiceUnusuallyLarge",
        named(f"({large}) unless ({known})"),
        "The newest invoice is much larger than the ones before.",
        f"{ORGANIZATION} has a new invoice over {DOLLARS}. "
        f"The median of the ones before is {dollars(USUAL)}.",
    )
    yield make.about_organization(
        "ViamBillingOutstandingBalance",
        named(f"{BALANCE} > {limits.outstanding_balance_usd}"),
        "A balance is outstanding since the last billing cycle.",
        f"{ORGANIZATION} has an outstanding balance of {DOLLARS}.",
    )
    yield make.about_organization(
        "ViamBillingBankAccountUnverified",
        named(f"{UNVERIFIED} > 0"),
        "A bank account awaits verification, and nothing can be paid from it until then.",
        f"{ORGANIZATION} pays from a bank account that is not verified yet. "
        f"Unpaid invoices come to {dollars(UNPAID)}.",
    )
