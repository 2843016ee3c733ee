"""Names of the series that the rules record: level, metric and operations with colons between.

They are an API: dashboards, alerts and users' own graphs ask for them.
"""

from __future__ import annotations

from typing import Final

# Which exporters there are, and which organizations; and of several exporters that have one, which
# is believed.
EXPORTERS: Final = "exporter:viam_billing_exporter_build_info:seen"
EXPORTERS_DOWN: Final = "fleet:viam_billing_exporters_down:count"
SHARDS_MISSING: Final = "fleet:viam_billing_exporter_shards_missing:count"
PICKED: Final = "org_exporter:viam_billing_exporter:picked"
SEEN: Final = "org:viam_billing_org_info:seen"
SINCE: Final = "org_id:viam_billing_org_info:since"

# When collectors had a success, and for how long those had none that had none for too long.
SUCCEEDED: Final = "org_id_collector:viam_billing_collector_last_success_timestamp_seconds:last"
OUT_OF_DATE: Final = "org_id_collector:viam_billing_collector_last_success_timestamp_seconds:old"
STATE: Final = "org_id_collector:viam_billing_collector_success:state"
STALE: Final = "org_id_collector:viam_billing_collector_success_age_seconds:stale"

READABLE, UNREADABLE = 1, 3  # the values of STATE; what was not polled yet is in between

# The current period, as the picked exporter knows it.
MONTH_TO_DATE: Final = "org:viam_billing_usage_month_to_date_usd:picked"
TYPE_COST: Final = "org_resource_type:viam_billing_usage_cost_usd:picked"
LAST_PERIOD: Final = "org_id:viam_billing_usage_month_to_date_usd:last_period"
BUDGET_USED: Final = "org:viam_billing_budget_used:ratio"

# All organizations together, and how many have no forecast.
ALL_MONTH_TO_DATE: Final = "fleet:viam_billing_usage_month_to_date_usd:sum"
ALL_FORECAST: Final = "fleet:viam_billing_forecast_usd:sum"
WITHOUT_FORECAST: Final = "fleet:viam_billing_forecast_usd:missing"

# What was spent in all, and when the bill was read last: at the end of each hour.
READINGS: Final = "org_id_reading:viam_billing_usage_net_spend_usd:hourly"
ANSWERED: Final = "org:viam_billing_usage_answer_timestamp_seconds:hourly"

# What a day that cost far too much came to.
SPIKE: Final = "org_id_day:viam_billing_spend_spike_usd:last"


def last(metric: str) -> str:
    """Return the name of the recorded series that remembers a metric."""
    level = "org_id_reason" if "payment_failed" in metric else "org_id"
    return f"{level}:{metric}:last"
