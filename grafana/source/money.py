"""What the rules record, by short names, and how its series are shown."""

from __future__ import annotations

from typing import Any, Final

SO_FAR: Final = "org:viam_billing_usage_month_to_date_usd:max"
FORECAST: Final = "org:viam_billing_month_end_usd:forecast"
FORECAST_LOWER: Final = "org:viam_billing_month_end_usd:forecast_lower"
FORECAST_UPPER: Final = "org:viam_billing_month_end_usd:forecast_upper"
DAY: Final = "org:viam_billing_usage_net_spend_usd:increase1d"
WEEK: Final = "org:viam_billing_usage_net_spend_usd:increase7d"
TYPE_COST: Final = "org_resource_type:viam_billing_usage_cost_usd:max"
TYPE_DAY: Final = "org_resource_type:viam_billing_usage_net_spend_usd:increase1d"
TYPE_WEEK: Final = "org_resource_type:viam_billing_usage_net_spend_usd:increase7d"
BUDGET: Final = "org:viam_billing_budget_usd:max"
BUDGET_USED: Final = "org:viam_billing_budget_used:ratio"
BUDGET_FORECAST: Final = "org:viam_billing_budget_forecast:ratio"
OUTSTANDING: Final = "org:viam_billing_outstanding_balance_usd:max"
UNPAID: Final = "org:viam_billing_invoices_unpaid_amount_usd:max"
OVERDUE: Final = "org:viam_billing_invoices_overdue_amount_usd:max"
OVERDUE_COUNT: Final = "org:viam_billing_invoices_overdue:max"
ELAPSED: Final = "org:viam_billing_usage_period_elapsed:ratio"
FAILED: Final = "viam_billing_invoices_payment_failed_amount_usd"


NOTHING_POLLED: Final = "Nothing polled yet"
NO_RULES: Final = "No data: are the recording rules loaded?"
NO_BUDGET: Final = "No budget set"


def firing(severity: str) -> str:
    """Return a selector of the alerts of this project that fire, of a severity or pattern."""
    return f'ALERTS{{alertname=~"ViamBilling.+",alertstate="firing",severity=~"{severity}"}}'


Property = tuple[str, Any]


def fixed(name: str) -> Property:
    """Return the property of a series that gives it a colour."""
    return "color", {"mode": "fixed", "fixedColor": name}


DASHED: Final[Property] = ("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
THIN: Final[Property] = ("custom.lineWidth", 1)
FILLED: Final[Property] = ("custom.fillOpacity", 15)
