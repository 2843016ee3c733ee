"""An organization with every reason for an alert about money, and what may happen to its data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from rules.case import what_to_do
from rules.harness import (
    ACME,
    ALERTS,
    COLLECTORS,
    HOUR,
    MINUTE,
    Labels,
    Pages,
    between,
    gone,
    same,
    series,
)
from rules.healthy import NO_METHOD, add_exporter, add_organization

DOWN: Final = "ViamBillingExporterDown"
STEP: Final = 2 * MINUTE
AN_HOUR: Final = HOUR // STEP
OF_BUDGETS: Final = ("ViamBillingBudgetUsed", "ViamBillingBudgetForecastExceeded")
OF_MONEY: Final = (
    *OF_BUDGETS,
    "ViamBillingBankAccountUnverified",
    "ViamBillingInvoiceDueSoon",
    "ViamBillingInvoiceOverdue",
    "ViamBillingInvoiceUnusuallyLarge",
    "ViamBillingOutstandingBalance",
    "ViamBillingPaymentFailed",
    "ViamBillingPaymentMethodMissing",
    "ViamBillingSpendSpike",
)
# What comes of polls that fail, once they have failed for long.
OF_OUTAGE: Final = ("ViamBillingDataStale", "ViamBillingUpstreamOutage")
# What an organization keeps on the page when its data is withdrawn.
KEPT: Final = ("_total", "_org_info", "_budget_usd", "_poll_interval_seconds", "_collector_")


def trouble(hours: float, *targets: Labels) -> Pages:
    """Return the pages of exporters that all have Acme, which owes and overspends."""
    pages = Pages(int(hours * AN_HOUR), STEP)
    for target in targets:
        add_exporter(pages, target)
        add_trouble(pages, target, ACME)
    return pages


def add_trouble(pages: Pages, target: Labels, org: Labels) -> None:
    """Add to an exporter's page an organization that has every reason for an alert."""
    add_organization(pages, target, org)
    for name, value in (
        ("viam_billing_invoices_unpaid", 2),
        ("viam_billing_invoices_unpaid_amount_usd", 500),
        ("viam_billing_invoices_overdue", 1),
        ("viam_billing_invoices_overdue_amount_usd", 300),
        ("viam_billing_invoice_next_due_timestamp_seconds", 2 * HOUR),
        ("viam_billing_invoice_latest_amount_usd", 2000),
        ("viam_billing_outstanding_balance_usd", 500),
        ("viam_billing_payment_method_verification_pending", 1),
        ("viam_billing_budget_usd", 100),
        ("viam_billing_spend_yesterday_usd", 500),
    ):
        pages.set(name, same(value), target, org)
    pages.drop("viam_billing_payment_method_info", {**target, **org})
    pages.set("viam_billing_payment_method_info", same(1), target, org, NO_METHOD)
    failed = "viam_billing_invoices_payment_failed_amount_usd"
    pages.set(failed, same(300), target, org, reason="card_declined")


def down(target: Labels) -> Mapping[str, Labels]:
    """Return labels and annotations of the alert on an exporter that is down, or on having none."""
    title, what = "Prometheus has no exporter to scrape", "Bills"
    if target:
        title = f"Prometheus cannot scrape the exporter at {target['instance']}"
        what = "The bills that it reads"
    description = f"{title}. {what} are not being watched. {what_to_do(DOWN)}"
    texts = {"title": title, "description": description}
    return {
        "labels": {**target, "severity": "critical", "area": "exporter"},
        "annotations": {**ALERTS[DOWN]["annotations"], **texts},
    }


def fail(pages: Pages, target: Labels, start: int, steps: int, step: int = STEP) -> None:
    """Let every poll of an exporter fail for so long that the data is withdrawn."""
    withdraw(pages, target, start, steps)
    for collector in COLLECTORS:
        labels = {**target, **ACME, "collector": collector}
        key = series("viam_billing_collector_failure", labels, cause="outage")
        pages.input[key] = between(gone, start, steps, same(1))
        key = series("viam_billing_collector_last_success_timestamp_seconds", labels)
        pages.input[key] = between(pages.input[key], start, steps, same(start * step))


def withdraw(pages: Pages, target: Labels, start: int, steps: int) -> None:
    """Take what was polled off an exporter's page."""
    names = {key.partition("{")[0] for key in pages.input}
    lost = {n for n in names if n.startswith("viam_billing_") and not n.endswith(KEPT)}
    lost = {n for n in lost if not any(kept in n for kept in ("_exporter_", "_collector_"))}
    pages.during(target, start, steps, *lost)


def expect_throughout(
    pages: Pages,
    at: int,
    steps: int,
    *alerts: str,
    org: Labels = ACME,
    apart_from: Collection[str] = (),
) -> None:
    """Expect alerts to have fired at every one of the last so many evaluations, once each.

    And no others, apart from those that are looked at elsewhere.
    """
    window = f"{steps * STEP // MINUTE - 1}m"
    for alert in sorted(ALERTS.keys() - set(apart_from)):
        fired = f'ALERTS{{alertname="{alert}", alertstate="firing", org_id="acme-1"}}'
        samples = [(series("", org), float(steps))] if alert in alerts else []
        expr = f"sum by (org_id, org_name) (count_over_time({fired}[{window}]))"
        pages.expect_sample(expr, at, *samples)
