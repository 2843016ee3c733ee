"""Alerts about invoices and payments: silent, not rash, firing in full, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rules.case import Case, check, on_page
from rules.harness import (
    ACME,
    DAY,
    FIRST,
    HOUR,
    LINK_FLAGS,
    LINKS,
    MINUTE,
    Pages,
    Values,
    between,
    gone,
    hold,
    made,
    rising,
    same,
    series,
    then,
)
from rules.healthy import CARD, NO_METHOD, add_exporter, add_organization, healthy
from rules.trouble import fail, withdraw

NEXT_DUE = "viam_billing_invoice_next_due_timestamp_seconds"
OLDEST_DUE = "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds"
UNPAID = {
    on_page("viam_billing_invoices_unpaid"): same(1),
    on_page("viam_billing_invoices_unpaid_amount_usd"): same(312.5),
}
OVERDUE = UNPAID | {
    on_page("viam_billing_invoices_overdue"): same(1),
    on_page("viam_billing_invoices_overdue_amount_usd"): same(312.5),
    on_page(OLDEST_DUE): same(-12.5 * DAY),
}
FAILED_AMOUNT = "viam_billing_invoices_payment_failed_amount_usd"
FAILED = UNPAID | {on_page(FAILED_AMOUNT, reason="card_declined"): same(312.5)}
IN_PAYMENT = on_page("viam_billing_invoices_amount_usd", status="payment_processing")
METHOD = "viam_billing_payment_method_info"
WITHOUT_METHOD = {on_page(METHOD, **CARD): gone, on_page(METHOD, **NO_METHOD): same(1)}
OVERDUE_TITLE = "Acme Robotics has overdue invoices totalling $312.50"
OVERDUE_CASE = Case(
    "ViamBillingInvoiceOverdue",
    "critical",
    "money",
    OVERDUE_TITLE,
    "An unpaid invoice is past its due date.",
    "Acme Robotics owes $312.50 on overdue invoices, the oldest due on 1969-12-19, 13 days ago.",
    OVERDUE,
)
FAILED_TITLE = "Acme Robotics has failed payments totalling $312.50 (card declined)"
UNVERIFIED = on_page("viam_billing_payment_method_verification_pending")


def due_soon(case: str, trouble: Mapping[str, Values], *, automatic: bool = False) -> Case:
    """Return a case of an invoice that is due soon."""
    summary = "should be paid automatically" if automatic else "might not be paid automatically"
    title = "Acme Robotics has unpaid invoices totalling $312.50, the first due on 1970-01-03"
    end = (
        "The payment method should be charged automatically."
        if automatic
        else "They might not be paid automatically: a payment failed, or no working payment method "
        "is known."
    )
    return Case(
        "ViamBillingInvoiceDueSoon",
        "info" if automatic else "warning",
        "money",
        title,
        f"An unpaid invoice is due soon or already due, and {summary}.",
        f"{title}, in 2 days. {end}",
        {
            **UNPAID,
            on_page(NEXT_DUE): same(2 * DAY),
            **trouble,
        },
        case=case,
    )


CASES = (
    due_soon("automatic", {}, automatic=True),
    due_soon("payment failed", FAILED),
    due_soon("no method", WITHOUT_METHOD),
    due_soon("unverified", {UNVERIFIED: same(1)}),
    OVERDUE_CASE,
    replace(OVERDUE_CASE, trouble=OVERDUE | {IN_PAYMENT: same(20)}, case="something else is paid"),
    replace(OVERDUE_CASE, trouble=OVERDUE | {IN_PAYMENT: gone}, case="nobody knows what is paid"),
    Case(
        "ViamBillingInvoiceOverdue",
        "warning",
        "money",
        f"{OVERDUE_TITLE}, and a payment in progress",
        "An unpaid invoice is past its due date, and a payment is in progress.",
        f"{OVERDUE_CASE.description} Payments totalling $312.50 are in progress.",
        OVERDUE | {IN_PAYMENT: same(312.5)},
        case="in flight",
    ),
    Case(
        "ViamBillingPaymentFailed",
        "critical",
        "money",
        FAILED_TITLE,
        "The last payment of an unpaid invoice failed.",
        "Acme Robotics has unpaid invoices totalling $312.50 whose last payment failed: "
        "card declined.",
        FAILED,
        {"reason": "card_declined"},
    ),
    Case(
        "ViamBillingPaymentFailed",
        "warning",
        "money",
        f"{FAILED_TITLE}, and another in progress",
        "The last payment of an unpaid invoice failed, and another is in progress.",
        "Acme Robotics has unpaid invoices totalling $312.50 whose last payment failed: "
        "card declined. Payments totalling $400.00 are in progress.",
        FAILED | {IN_PAYMENT: same(400)},
        {"reason": "card_declined"},
        case="in flight",
    ),
    Case(
        "ViamBillingPaymentFailed",
        "critical",
        "money",
        "Acme Robotics has failed payments totalling $312.50 (reason unknown)",
        "The last payment of an unpaid invoice failed.",
        "Acme Robotics has unpaid invoices totalling $312.50 whose last payment failed: reason "
        "unknown.",
        UNPAID | {on_page(FAILED_AMOUNT, reason="other"): same(312.5)},
        {"reason": "other"},
        case="nobody knows why",
    ),
    Case(
        "ViamBillingPaymentMethodMissing",
        "warning",
        "money",
        "Acme Robotics has no payment method, and $312.50 to pay",
        "An organization owes or has spent money, but has no payment method.",
        "Acme Robotics has no payment method. Unpaid invoices: $312.50. Outstanding balance: "
        "$0.00. Usage in this billing period: $0.00.",
        UNPAID | WITHOUT_METHOD | {on_page("viam_billing_usage_month_to_date_usd"): same(0)},
    ),
    Case(
        "ViamBillingInvoiceUnusuallyLarge",
        "warning",
        "money",
        "Acme Robotics has an unusually large invoice: $2,100.00 against a median of $690.00",
        "The newest invoice is much larger than earlier ones of its kind.",
        "The newest invoice of Acme Robotics is for $2,100.00. The median of earlier ones of its "
        "kind is $690.00.",
        {on_page("viam_billing_invoice_latest_amount_usd"): same(2100)},
    ),
    Case(
        "ViamBillingOutstandingBalance",
        "info",
        "money",
        "Acme Robotics has an outstanding balance of $44.10",
        "A balance from past billing cycles is unpaid.",
        "Acme Robotics has an outstanding balance of $44.10 from past billing cycles.",
        {on_page("viam_billing_outstanding_balance_usd"): same(44.1)},
    ),
    Case(
        "ViamBillingBankAccountUnverified",
        "warning",
        "money",
        "Acme Robotics has an unverified bank account, and unpaid invoices totalling $312.50",
        "The bank account that an organization is to pay from is not verified.",
        "Acme Robotics is set up to pay from a bank account that is not verified. Unpaid invoices: "
        "$312.50.",
        UNPAID | {UNVERIFIED: same(1)},
    ),
    Case(
        "ViamBillingBankAccountUnverified",
        "warning",
        "money",
        "Acme Robotics has an unverified bank account",
        "The bank account that an organization is to pay from is not verified.",
        "Acme Robotics is set up to pay from a bank account that is not verified. Unpaid invoices: "
        "$0.00.",
        {UNVERIFIED: same(1)},
        case="nothing unpaid",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_alert_of_money_fires_in_full_and_in_time(case: Case, tmp_path: Path) -> None:
    """With every label and annotation, not before its time, and not for long after."""
    check(case, tmp_path)


def test_links_name_the_alert_and_the_organization(tmp_path: Path) -> None:
    """Whatever characters its id has."""
    pages = Pages(60)
    add_exporter(pages, FIRST)
    odd = {"org_id": "a&b #1", "org_name": "Odd"}
    add_organization(pages, FIRST, odd)
    pages.set("viam_billing_invoices_overdue_amount_usd", same(312.5), FIRST, odd)
    pages.set(OLDEST_DUE, same(-12.5 * DAY), FIRST, odd)
    title, description = (
        text.replace("Acme Robotics", "Odd")
        for text in (OVERDUE_CASE.title, OVERDUE_CASE.description)
    )
    fired = replace(OVERDUE_CASE, title=title, about=odd).fired()
    links = {
        "runbook_url": f"{LINKS.runbooks}#viambillinginvoiceoverdue",
        "dashboard_url": f"{LINKS.dashboards}/d/viam-billing-organization"
        "?var-organization=a%26b+%231",
    }
    # Where a link says what to do, the description does not.
    annotations = {**fired["annotations"], "description": description, **links}
    pages.expect(OVERDUE_CASE.alert, 55 * MINUTE, {**fired, "annotations": annotations})
    pages.check(tmp_path, made(tmp_path, {}, *LINK_FLAGS))


def test_an_outage_leaves_no_old_amount_without_its_age(tmp_path: Path) -> None:
    """What is remembered may have been paid, and a date that was to come may have passed."""
    step = 15 * MINUTE
    hour = HOUR // step
    pages = healthy(60 * hour, step)
    due = due_soon("", {on_page(NEXT_DUE): same(DAY)})
    pages.input.update({**due.trouble, **WITHOUT_METHOD})
    fail(pages, FIRST, 5 * hour, 55 * hour, step)
    for at, away, age in (
        (4, "in 1 day", ""),
        (29, "today", " Invoices were last read 1d ago, so this may have changed."),
        (53, "1 day ago", " Invoices were last read 2d ago, so this may have changed."),
    ):
        title = due.title.replace("1970-01-03", "1970-01-02")
        told = due.description.replace("1970-01-03, in 2 days", f"1970-01-02, {away}")
        fired = replace(due, title=title, description=f"{told}{age}").fired()
        pages.expect(due.alert, at * HOUR, fired)
    pages.check(tmp_path)


def test_days_are_those_of_the_calendar(tmp_path: Path) -> None:
    """At noon, what was due last night was due a day ago, as the dates say."""
    pages, fired = Pages(14, HOUR), []
    add_exporter(pages, FIRST)
    for hours, day, away in (
        (-241, "1969-12-21", "11 days ago"),
        (-25, "1969-12-30", "2 days ago"),
        (-1, "1969-12-31", "1 day ago"),
        (1, "1970-01-01", "today"),
        (11, "1970-01-01", "today"),
    ):
        org = {"org_id": f"id{hours}", "org_name": "Acme Robotics"}
        add_organization(pages, FIRST, org)
        pages.set("viam_billing_invoices_overdue_amount_usd", same(312.5), FIRST, org)
        pages.set(OLDEST_DUE, same(hours * HOUR), FIRST, org)
        told = OVERDUE_CASE.description.replace("1969-12-19, 13 days ago", f"{day}, {away}")
        fired.append(replace(OVERDUE_CASE, description=told, about=org).fired())
    pages.expect(OVERDUE_CASE.alert, 12 * HOUR, *fired)
    pages.check(tmp_path)


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


@pytest.mark.parametrize("name", ["ViamBillingInvoiceOverdue", "ViamBillingPaymentFailed"])
def test_an_alert_changes_its_severity_with_the_payment(name: str, tmp_path: Path) -> None:
    """Never both, never none: the other one is pending at once, through an outage, too."""
    pages = healthy(5 * 60)
    for key, values in (OVERDUE | FAILED).items():
        pages.input[key] = between(pages.input.get(key, gone), 20, 280, values)
    pages.input[IN_PAYMENT] = then((same(0), 80), (same(312.5), 140), same(0))
    withdraw(pages, FIRST, 100, 90)
    for minute, severity in (
        (79, "critical"),
        (82, None),
        (98, "warning"),
        (185, "warning"),  # what is paid is remembered, as is what is owed
        (218, "warning"),
        (222, None),
        (238, "critical"),
    ):
        fires = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
        expect_severity(pages, f"count by (severity) ({fires})", minute, severity)
    # Some alert of that name at each minute, and never two.
    there = f'count(ALERTS{{alertname="{name}"}})'
    pages.expect_near(f"sum_over_time(({there})[200m:1m])", 240 * MINUTE + 1, 200)
    pages.expect_near(f"max_over_time(({there})[200m:1m])", 240 * MINUTE + 1, 1)
    assert hold(name) == 15 * MINUTE
    pages.check(tmp_path)


def expect_severity(pages: Pages, expr: str, minute: int, severity: str | None) -> None:
    """Expect one alert with that severity, or none."""
    samples = [(series("", severity=severity), 1.0)] if severity else []
    pages.expect_sample(expr, minute * MINUTE, *samples)


def test_what_is_unknown_of_a_payment_method_is_a_warning(tmp_path: Path) -> None:
    """Its collector may be off, and then nothing says that payment is automatic."""
    pages = healthy(60)
    pages.drop(METHOD)
    for key, values in due_soon("", {}).trouble.items():
        pages.input[key] = values
    fires = 'count by (severity) (ALERTS{alertstate="firing"})'
    expect_severity(pages, fires, 30, "warning")
    pages.expect("ViamBillingPaymentMethodMissing", 55 * MINUTE)
    pages.check(tmp_path)


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ({}, False),
        ({"usage_month_to_date_usd": same(3)}, True),
        ({"outstanding_balance_usd": same(4)}, True),
        ({"invoices_unpaid_amount_usd": same(5)}, True),
        ({"usage_month_to_date_usd": rising(-9, 0.01)}, False),
    ],
    ids=["nothing", "spent", "outstanding", "unpaid", "credited"],
)
def test_whoever_owes_nothing_needs_no_payment_method(
    amount: Mapping[str, Values], tmp_path: Path, *, told: bool
) -> None:
    """Nor does one that spent nothing, as with a free tier; a second replica changes nothing."""
    pages = healthy(2 * 60)
    pages.drop(METHOD)
    pages.set("viam_billing_usage_month_to_date_usd", same(0), FIRST, ACME)
    pages.set(METHOD, same(1), FIRST, ACME, NO_METHOD)
    for name, values in amount.items():
        pages.set(f"viam_billing_{name}", values, FIRST, ACME)
    second = {key.replace("exporter-0", "exporter-1"): v for key, v in pages.input.items()}
    pages.input |= second
    fires = 'count(ALERTS{alertname="ViamBillingPaymentMethodMissing", alertstate="firing"})'
    pages.expect_sample(fires, 58 * MINUTE)
    pages.expect_sample(fires, 90 * MINUTE, *[("{}", 1.0)] * told)
    pages.check(tmp_path)


def test_a_period_that_begins_has_nothing_to_pay_yet(tmp_path: Path) -> None:
    """At rollover month to date is 0 again; what becomes an invoice is owed then."""
    pages = healthy(4 * 60)
    pages.drop(METHOD)
    pages.set(METHOD, same(1), FIRST, ACME, NO_METHOD)
    month = then((same(240), 90), (same(0), 60), rising(1, 0.1))
    pages.set("viam_billing_usage_month_to_date_usd", month, FIRST, ACME)
    fires = 'count(ALERTS{alertname="ViamBillingPaymentMethodMissing", alertstate="firing"})'
    for minute, told in ((88, True), (93, False), (200, False), (225, True)):
        pages.expect_sample(fires, minute * MINUTE, *[("{}", 1.0)] * told)
    pages.check(tmp_path)
