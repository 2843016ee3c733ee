"""Alerts about invoices, payments and budgets: silent, not rash, firing in full, resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.case import Case, check, on_page
from rules.harness import ACME, DAY, FIRST, HOUR, MINUTE, gone, same, then
from rules.healthy import healthy

UNPAID = {
    on_page("viam_billing_invoices_unpaid"): same(1),
    on_page("viam_billing_invoices_unpaid_amount_usd"): same(312.5),
}
CASES = (
    Case(
        "ViamBillingInvoiceDueSoon",
        "warning",
        "money",
        "An unpaid invoice is due soon.",
        "Acme Robotics has invoices over $312.50 that are unpaid and not overdue. The first is due "
        "at 1970-01-03 00:00:00 +0000 UTC.",
        UNPAID | {on_page("viam_billing_invoice_next_due_timestamp_seconds"): same(2 * DAY)},
    ),
    Case(
        "ViamBillingInvoiceOverdue",
        "critical",
        "money",
        "An unpaid invoice is past its due date.",
        "Acme Robotics owes $312.50 on invoices whose due date has passed.",
        UNPAID
        | {
            on_page("viam_billing_invoices_overdue"): same(1),
            on_page("viam_billing_invoices_overdue_amount_usd"): same(312.5),
        },
    ),
    Case(
        "ViamBillingPaymentFailed",
        "critical",
        "money",
        "The last payment of an unpaid invoice failed.",
        "Acme Robotics has unpaid invoices over $312.50 whose last payment failed: card_declined.",
        UNPAID
        | {
            on_page(
                "viam_billing_invoices_payment_failed_amount_usd", reason="card_declined"
            ): same(312.5)
        },
        {"reason": "card_declined"},
    ),
    Case(
        "ViamBillingInvoiceUnusuallyLarge",
        "warning",
        "money",
        "The newest invoice is much larger than the ones before.",
        "Acme Robotics has a new invoice over $2100.00. The median of the ones before is $690.00.",
        {on_page("viam_billing_invoice_latest_amount_usd"): same(2100)},
    ),
    Case(
        "ViamBillingOutstandingBalance",
        "info",
        "money",
        "A balance is outstanding since the last billing cycle.",
        "Acme Robotics has an outstanding balance of $44.10.",
        {on_page("viam_billing_outstanding_balance_usd"): same(44.1)},
    ),
    Case(
        "ViamBillingBankAccountUnverified",
        "warning",
        "money",
        "A bank account awaits verification, and nothing can be paid from it until then.",
        "Acme Robotics pays from a bank account that is not verified yet. Unpaid invoices come to "
        "$312.50.",
        UNPAID | {on_page("viam_billing_payment_method_verification_pending"): same(1)},
    ),
    Case(
        "ViamBillingBudgetExceeded",
        "warning",
        "spend",
        "More was spent in this billing period than the budget allows.",
        "Acme Robotics has spent $2345.67 in this billing period. The budget is $2000.00.",
        {on_page("viam_billing_usage_month_to_date_usd"): same(2345.67)},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_of_money_fires_in_full_and_in_time(case: Case, tmp_path: Path) -> None:
    """With every label and annotation, not before its time, and not for long after."""
    check(case, tmp_path)


def test_a_large_invoice_is_told_of_for_a_week(tmp_path: Path) -> None:
    """Then everybody knows; until then an outage does not end it."""
    step, every = 4 * MINUTE, HOUR // 2
    pages = healthy(10 * DAY // step, step)
    pages.every = every
    name, begins = "viam_billing_invoice_latest_amount_usd", DAY // step
    large = then((same(700), begins), (same(2100), begins), (gone, begins), same(2100))
    pages.set(name, large, FIRST, ACME)
    pages.during(FIRST, 2 * begins, begins, "viam_billing_invoices_unpaid")
    alert = "ViamBillingInvoiceUnusuallyLarge"
    fires = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    for days, told in ((1, False), (1.5, True), (2.5, True), (7.5, True), (8.5, False)):
        pages.expect_sample(fires, int(days * DAY) - every, *[("{}", 1.0)] * told)
    pages.check(tmp_path)
