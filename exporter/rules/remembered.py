"""What alerts about money look at: data that was withdrawn is remembered, for it is still owed.

Each series carries itself on: what is on a page, else what this rule said before, for as long as
the organization is there. That costs the same for an outage of a week as for one of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.expressions import END, START, by_organization, picked, picked_or_any
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings
from exporter.rules.series import SEEN, SINCE, SPIKE, last

MONTH_TO_DATE: Final = "viam_billing_usage_month_to_date_usd"
YESTERDAY: Final = "viam_billing_spend_yesterday_usd"
TODAY: Final = "viam_billing_spend_today_usd"
EXHAUSTED: Final = "viam_billing_budget_exhausted_timestamp_seconds"

# What is paid at the moment, and whether there is no payment method: parts of what is scraped.
IN_FLIGHT = "viam_billing_invoices_payment_in_flight_amount_usd"
NO_METHOD = "viam_billing_payment_method_none"

USAGE_WITHOUT: Final = f"0 * {picked(MONTH_TO_DATE)}"


def _or_zero(metric: str, there: str) -> tuple[str, str]:
    """Return a metric that may be rightly absent, and 0 for data that is fresh and lacks it.

    `there` is one that comes with the same answers. If the picked exporter has that, it knows.
    """
    fresh = f"{picked(metric)} or 0 * {picked(there)} or {by_organization(metric)}"
    return fresh, f"0 * {by_organization(there)}"


# By metric: what is fresh of it, and the value for data that is fresh and rightly lacks it.
REMEMBERED = {
    MONTH_TO_DATE: (picked(MONTH_TO_DATE), f"0 * {picked(START)}"),
    END: (picked(END), USAGE_WITHOUT),
    "viam_billing_forecast_lower_usd": (
        picked("viam_billing_forecast_lower_usd"),
        USAGE_WITHOUT,
    ),
    # Absent where the budget lasts, or where there is none.
    EXHAUSTED: (picked(EXHAUSTED), USAGE_WITHOUT),
    "viam_billing_budget_usd": (
        picked("viam_billing_budget_usd"),
        # 0 is a budget: nothing may be spent.
        f"0 * {picked('viam_billing_poll_interval_seconds')} - 1",
    ),
    **{
        metric: (picked_or_any(metric), "")
        for metric in (
            "viam_billing_outstanding_balance_usd",
            "viam_billing_invoices_unpaid_amount_usd",
            "viam_billing_invoices_overdue_amount_usd",
        )
    },
    "viam_billing_invoices_payment_failed_amount_usd": (
        picked_or_any("viam_billing_invoices_payment_failed_amount_usd", "reason"),
        "",
    ),
    **{
        metric: _or_zero(metric, "viam_billing_invoices_unpaid")
        for metric in (
            "viam_billing_invoice_next_due_timestamp_seconds",
            "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds",
            "viam_billing_payment_last_failure_timestamp_seconds",
            "viam_billing_invoice_latest_amount_usd",
            "viam_billing_invoice_previous_median_amount_usd",
        )
    },
    IN_FLIGHT: _or_zero(
        'viam_billing_invoices_amount_usd{status="payment_processing"}',
        "viam_billing_invoices_unpaid",
    ),
    NO_METHOD: _or_zero(
        'viam_billing_payment_method_info{payment_method="none"}',
        "viam_billing_payment_method_info",
    ),
    "viam_billing_payment_method_verification_pending": (
        picked_or_any("viam_billing_payment_method_verification_pending"),
        "",
    ),
}


def remembered(settings: Settings) -> Iterator[Recording]:
    """What alerts about money look at: what was withdrawn is still owed."""
    memory = settings.windows.memory
    for name, (fresh, otherwise) in REMEMBERED.items():
        record = last(name)
        yield Recording(record, _kept(record, fresh, memory, otherwise))
    spikes, others = _spikes(settings.thresholds.spike_usd)
    yield Recording(SPIKE, _kept(SPIKE, spikes, memory, others))
    since = f"last_over_time({SINCE}[{memory}]) and on (org_id) {SEEN}"
    yield Recording(SINCE, f"({since}) or {by_organization(SEEN)}")


def _spikes(least: float) -> tuple[str, str]:
    """Return what the last whole day and today cost if they are spikes, and 0 if they are none.

    A spike is so many dollars above what was expected, or, of a day that is not over, above its
    limit. Until the first good answer after midnight, the day before stays what it was as `today`.
    """
    yesterday, today = picked(YESTERDAY), picked(TODAY)
    expected, limit, limit_today = (
        picked(f"viam_billing_spend_expected_{what}_usd")
        for what in ("day", "day_upper", "today_upper")
    )
    above = f"{yesterday} > {limit} and {yesterday} - {expected} > {least}"
    return (
        _of_days(above, f"{today} > {limit_today} + {least}"),
        _of_days(USAGE_WITHOUT, f"0 * {today}"),
    )


def _of_days(yesterday: str, today: str) -> str:
    return " or ".join(
        f'label_replace({expr}, "day", "{day}", "", "")'
        for day, expr in (("yesterday", yesterday), ("today", today))
    )


def _kept(record: str, fresh: str, memory: str, otherwise: str) -> str:
    parts = [f"({fresh})", f"({otherwise})"] if otherwise else [f"({fresh})"]
    parts.append(f"(last_over_time({record}[{memory}]) and on (org_id) {SEEN})")
    return " or ".join(parts)
