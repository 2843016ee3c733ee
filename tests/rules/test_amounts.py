"""Amounts in what alerts say: as people write them, and as pages and reports do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from exporter.rules.alert import AS_USD
from exporter.web.status.formatting import MINUS, usd
from rules.case import Case
from rules.harness import ALERT_RULES, FIRST, HOUR, MINUTE, Pages, same
from rules.healthy import CARD, NO_METHOD, add_exporter, add_organization

# US dollars, and how they are written.
WRITTEN: Final = (
    (0, "$0.00"),
    (0.005, "$0.01"),
    (999.99, "$999.99"),
    (999.999, "$1,000.00"),
    (1879.16, "$1,879.16"),
    (12_345.6, "$12,345.60"),
    (100_000, "$100,000.00"),
    (1_234_567.891, "$1,234,567.89"),
    (123_456_789_012.34, "$123,456,789,012.34"),
    (-4.2, "-$4.20"),
    (-999.99, "-$999.99"),
    (-1879.16, "-$1,879.16"),
    (-1_234_567.89, "-$1,234,567.89"),
)


def test_amounts_have_commas_and_their_sign_in_front(tmp_path: Path) -> None:
    """In the value of an alert and in what it looks up, of either sign, however large."""
    pages = Pages(2 * HOUR // MINUTE)
    add_exporter(pages, FIRST)
    fired = []
    for number, (amount, written) in enumerate(WRITTEN):
        org = {"org_id": f"id-{number}", "org_name": f"Organization {number}"}
        add_organization(pages, FIRST, org)
        pages.drop("viam_billing_payment_method_info", CARD | org)
        pages.set("viam_billing_payment_method_info", same(1), FIRST, org, NO_METHOD)
        owed, paid = (amount, written) if amount > 0 else (1000, "$1,000.00")
        pages.set("viam_billing_invoices_unpaid_amount_usd", same(owed), FIRST, org)
        pages.set("viam_billing_outstanding_balance_usd", same(amount), FIRST, org)
        pages.set("viam_billing_usage_month_to_date_usd", same(0), FIRST, org)
        name = org["org_name"]
        case = Case(
            "ViamBillingPaymentMethodMissing",
            "warning",
            "money",
            f"{name} has no payment method, and {paid} to pay",
            "An organization owes or has spent money, but has no payment method.",
            f"{name} has no payment method. Unpaid invoices: {paid}. Outstanding balance: "
            f"{written}. Usage in this billing period: $0.00.",
            about=org,
        )
        fired.append(case.fired())
    pages.expect("ViamBillingPaymentMethodMissing", 100 * MINUTE, *fired)
    pages.check(tmp_path)


def test_pages_write_amounts_in_the_same_way() -> None:
    """But for the minus, which is a hyphen where text is plain."""
    for amount, written in WRITTEN:
        assert usd(amount).replace(MINUS, "-") == written


def test_no_alert_formats_numbers_in_another_way() -> None:
    """What is formatted at all is dollars, and has a comma for each thousand."""
    texts = [text for rule in ALERT_RULES for text in rule["annotations"].values()]
    formatted = sum(text.count('printf "%.') + text.count("$%") for text in texts)
    assert formatted == sum(text.count(AS_USD) for text in texts) > 0
