"""What alerts about money look at: data that was withdrawn is remembered, for it is still owed.

Each series carries itself on: what is on a page, else what this rule said before, for as long as
the organization is there. That costs the same for an outage of a week as for one of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.expressions import END, START, by_organization
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings
from exporter.rules.series import (
    BUDGET,
    FORECAST_LOWER,
    MONTH_TO_DATE,
    OUTSTANDING,
    OVERDUE,
    SEEN,
    SINCE,
    UNPAID,
    last,
    metric_of,
)

# What nobody scrapes: the lower bound of the forecast.
MONTH_END_LOWER = "viam_billing_month_end_lower_usd"

# What is paid at the moment, and whether there is no payment method: parts of what is scraped.
IN_FLIGHT = "viam_billing_invoices_payment_in_flight_amount_usd"
NO_METHOD = "viam_billing_payment_method_none"

# By metric: what is fresh of it, and the value for data that is fresh and rightly lacks it.
USAGE_WITHOUT = f"0 * {by_organization('viam_billing_usage_month_to_date_usd')}"
INVOICES_WITHOUT = f"0 * {by_organization('viam_billing_invoices_unpaid')}"
REMEMBERED = {
    "viam_billing_usage_month_to_date_usd": (
        by_organization(MONTH_TO_DATE),
        f"0 * {by_organization(START)}",
    ),
    END: (by_organization(END), USAGE_WITHOUT),
    MONTH_END_LOWER: (by_organization(FORECAST_LOWER), USAGE_WITHOUT),
    "viam_billing_budget_usd": (
        by_organization(BUDGET),
        # 0 is a budget: nothing may be spent.
        f"0 * {by_organization('viam_billing_poll_interval_seconds')} - 1",
    ),
    **{
        metric_of(record): (by_organization(record), "")
        for record in (OUTSTANDING, UNPAID, OVERDUE)
    },
    "viam_billing_invoices_payment_failed_amount_usd": (
        by_organization("viam_billing_invoices_payment_failed_amount_usd", "reason"),
        "",
    ),
    **{
        metric: (by_organization(metric), INVOICES_WITHOUT)
        for metric in (
            "viam_billing_invoice_next_due_timestamp_seconds",
            "viam_billing_invoice_latest_amount_usd",
            "viam_billing_invoice_previous_median_amount_usd",
        )
    },
    IN_FLIGHT: (
        by_organization('viam_billing_invoices_amount_usd{status="payment_processing"}'),
        INVOICES_WITHOUT,
    ),
    NO_METHOD: (
        by_organization('viam_billing_payment_method_info{payment_method="none"}'),
        f"0 * {by_organization('viam_billing_payment_method_info')}",
    ),
    "viam_billing_payment_method_verification_pending": (
        by_organization("viam_billing_payment_method_verification_pending"),
        "",
    ),
}


def remembered(settings: Settings) -> Iterator[Recording]:
    """What alerts about money look at: what was withdrawn is still owed."""
    for name, (fresh, otherwise) in REMEMBERED.items():
        record = last(name)
        expr = _kept(record, fresh, settings.windows.memory, otherwise)
        yield Recording(record, expr)
    since = f"last_over_time({SINCE}[{settings.windows.memory}]) and on (org_id) {SEEN}"
    yield Recording(SINCE, f"({since}) or {by_organization(SEEN)}")


def _kept(record: str, fresh: str, memory: str, otherwise: str) -> str:
    parts = [f"({fresh})", f"({otherwise})"] if otherwise else [f"({fresh})"]
    parts.append(f"(last_over_time({record}[{memory}]) and on (org_id) {SEEN})")
    return " or ".join(parts)
