"""Names of the series that the rules record: level, metric and operations with colons between.

They are an API: dashboards, alerts and users' own graphs ask for them. Days and weeks are increases
of a day and of a week.
"""

from __future__ import annotations

from typing import Final

# Which organizations there are, and which exporters.
EXPORTERS: Final = "exporter:viam_billing_exporter_build_info:seen"
EXPORTERS_DOWN: Final = "fleet:viam_billing_exporters_down:count"
SHARDS_MISSING: Final = "fleet:viam_billing_exporter_shards_missing:count"
SEEN: Final = "org:viam_billing_org_info:seen"
SINCE: Final = "org_id:viam_billing_org_info:since"

# When collectors had a success, and for how long those had none that had none for too long.
SUCCEEDED: Final = "org_id_collector:viam_billing_collector_last_success_timestamp_seconds:last"
STALE: Final = "org_id_collector:viam_billing_collector_success_age_seconds:stale"

# The current period.
MONTH_TO_DATE: Final = "org:viam_billing_usage_month_to_date_usd:max"
ELAPSED: Final = "org:viam_billing_usage_period_elapsed:ratio"
TYPE_COST: Final = "org_resource_type:viam_billing_usage_cost_usd:max"

# Spend, what was taken back of it, and the one less the other.
SPEND_DAY: Final = "org:viam_billing_usage_spend_usd:increase1d"
SPEND_WEEK: Final = "org:viam_billing_usage_spend_usd:increase7d"
CORRECTIONS_DAY: Final = "org:viam_billing_usage_corrections_usd:increase1d"
CORRECTIONS_WEEK: Final = "org:viam_billing_usage_corrections_usd:increase7d"
NET_DAY: Final = "org:viam_billing_usage_net_spend_usd:increase1d"
NET_WEEK: Final = "org:viam_billing_usage_net_spend_usd:increase7d"
TYPE_DAY: Final = "org_resource_type:viam_billing_usage_net_spend_usd:increase1d"
TYPE_WEEK: Final = "org_resource_type:viam_billing_usage_net_spend_usd:increase7d"
MEDIAN_DAY: Final = f"{SPEND_DAY}_median7d"
LARGEST_DAY: Final = f"{NET_DAY}_max13d"

# What was spent in all, and when the bill was read last: at the end of each hour.
READINGS: Final = "org_id_reading:viam_billing_usage_net_spend_usd:hourly"
ANSWERED: Final = "org:viam_billing_usage_answer_timestamp_seconds:hourly"

# The month as it is going.
PACE: Final = "org_id_basis:viam_billing_usage_pace_usd:per_day"
FORECAST: Final = "org:viam_billing_month_end_usd:forecast"
FORECAST_LOWER: Final = f"{FORECAST}_lower"
FORECAST_UPPER: Final = f"{FORECAST}_upper"
BUDGET_USED: Final = "org:viam_billing_budget_used:ratio"
BUDGET_FORECAST: Final = "org:viam_billing_budget_forecast:ratio"
BUDGET_FORECAST_LOWER: Final = "org:viam_billing_budget_forecast_lower:ratio"

# Gauges that are recorded as they are.
BUDGET: Final = "org:viam_billing_budget_usd:max"
OUTSTANDING: Final = "org:viam_billing_outstanding_balance_usd:max"
UNPAID: Final = "org:viam_billing_invoices_unpaid_amount_usd:max"
OVERDUE: Final = "org:viam_billing_invoices_overdue_amount_usd:max"
OVERDUE_COUNT: Final = "org:viam_billing_invoices_overdue:max"


def metric_of(record: str) -> str:
    """Return the metric of a recorded series."""
    return record.split(":")[1]


def of_fleet(record: str) -> str:
    """Return the name of the sum over all organizations of a recorded series."""
    _, metric, operation = record.split(":")
    return f"fleet:{metric}:{'sum' if operation == 'max' else f'sum_{operation}'}"


def last(metric: str) -> str:
    """Return the name of the recorded series that remembers a metric."""
    level = "org_id_reason" if "payment_failed" in metric else "org_id"
    return f"{level}:{metric}:last"
