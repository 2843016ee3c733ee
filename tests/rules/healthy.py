"""A healthy page: an exporter, and an organization that spends a dollar an hour."""

from __future__ import annotations

from typing import Final

from rules.harness import ACME, COLLECTORS, DAY, FIRST, HOUR, Labels, Pages, rising, same

START, END = -10 * DAY, 20 * DAY
PER_HOUR: Final = 1.0
SPENT: Final = PER_HOUR * 24 * 10  # month to date when time begins
REASONS: Final = ("card_declined", "expired_card", "other")
STATUSES: Final = ("paid", "outstanding", "payment_processing", "other")
CARD: Final = {"payment_method": "card", "card_brand": "visa"}
NO_METHOD: Final = {"payment_method": "none", "card_brand": ""}
SPENDS_ON: Final = "per_machine"
PER_DAY: Final = 24 * PER_HOUR
KNOWN: Final = 20 * DAY  # of the ledger


def healthy(steps: int, step: int = 60) -> Pages:
    """Return the pages of one exporter with one organization."""
    pages = Pages(steps, step)
    add_exporter(pages, FIRST)
    add_organization(pages, FIRST, ACME)
    return pages


def add_exporter(pages: Pages, target: Labels, loaded: float = 0.5) -> None:
    """Add an exporter that loaded its configuration at a time, in Unix seconds."""
    own = "viam_billing_exporter_"
    for name, value in (
        ("up", 1),
        (f"{own}build_info", 1),
        (f"{own}config_last_reload_successful", 1),
        (f"{own}config_last_reload_success_timestamp_seconds", loaded),
        (f"{own}storage_last_write_successful", 1),
        (f"{own}discovery_last_refresh_successful", 1),
        (f"{own}api_requests_limit", 1000),
        (f"{own}api_requests_remaining", 1000),
        (f"{own}organizations", 1),
    ):
        pages.set(name, same(value), target)
    pages.set(f"{own}withheld_samples_total", same(0), target, reason="limit")


def add_organization(pages: Pages, target: Labels, org: Labels) -> None:
    """Add an organization to an exporter's page."""
    both = {**target, **org}
    hourly = PER_HOUR * pages.step / HOUR
    for name, value in (
        ("viam_billing_org_info", 1),
        ("viam_billing_poll_interval_seconds", 900),
        ("viam_billing_budget_usd", 2000),
        ("viam_billing_usage_period_start_timestamp_seconds", START),
        ("viam_billing_usage_period_end_timestamp_seconds", END),
        ("viam_billing_outstanding_balance_usd", 0),
        ("viam_billing_invoices_unpaid", 0),
        ("viam_billing_invoices_unpaid_amount_usd", 0),
        ("viam_billing_invoices_overdue", 0),
        ("viam_billing_invoices_overdue_amount_usd", 0),
        ("viam_billing_invoice_latest_amount_usd", 700),
        ("viam_billing_invoice_previous_median_amount_usd", 690),
        ("viam_billing_payment_method_verification_pending", 0),
        ("viam_billing_usage_corrections_usd_total", 0),
        ("viam_billing_spend_today_usd", PER_DAY / 2),
        ("viam_billing_spend_yesterday_usd", PER_DAY),
        ("viam_billing_spend_yesterday_start_timestamp_seconds", -DAY),
        ("viam_billing_spend_7d_usd", 7 * PER_DAY),
        ("viam_billing_spend_expected_day_usd", PER_DAY),
        ("viam_billing_spend_expected_day_upper_usd", 40),
        ("viam_billing_spend_expected_today_upper_usd", 40),
        ("viam_billing_ledger_known_seconds", KNOWN),
        ("viam_billing_ledger_estimated_seconds", 0),
        ("viam_billing_forecast_usd", 30 * PER_DAY),
        ("viam_billing_forecast_lower_usd", 700),
        ("viam_billing_forecast_upper_usd", 740),
    ):
        pages.set(name, same(value), both)
    pages.set("viam_billing_payment_method_info", same(1), both, CARD)
    for status in STATUSES:
        pages.set("viam_billing_invoices", same(0), both, status=status)
        pages.set("viam_billing_invoices_amount_usd", same(0), both, status=status)
    for reason in REASONS:
        name = "viam_billing_invoices_payment_failed_amount_usd"
        pages.set(name, same(0), both, reason=reason)
    amount = rising(SPENT, hourly)
    pages.set("viam_billing_usage_month_to_date_usd", amount, both)
    pages.set("viam_billing_usage_spend_usd_total", amount, both)
    on = {"resource_type": SPENDS_ON}
    pages.set("viam_billing_usage_cost_usd", amount, both, on, source_type="org", tier="")
    pages.set("viam_billing_usage_resource_spend_usd_total", amount, both, on)
    pages.set("viam_billing_usage_resource_corrections_usd_total", same(0), both, on)
    for name in ("spend_yesterday_usd", "spend_expected_day_usd"):
        pages.set(f"viam_billing_resource_{name}", same(PER_DAY), both, on)
    for collector in COLLECTORS:
        which = {**both, "collector": collector}
        now = rising(0, pages.step)
        pages.set("viam_billing_collector_success", same(1), which)
        for moment in ("attempt", "success"):
            name = f"viam_billing_collector_last_{moment}_timestamp_seconds"
            pages.set(name, now, which)
        pages.set("viam_billing_collector_last_change_timestamp_seconds", now, which)
