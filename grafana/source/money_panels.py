"""Metrics that several panels about money have, and how their series are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from exporter.rules.series import last
from grafana.source.panels import COUNT
from grafana.source.promql import by_id

FAILED: Final = "viam_billing_invoices_payment_failed_amount_usd"
UNPAID: Final = "viam_billing_invoices_unpaid_amount_usd"
OVERDUE: Final = "viam_billing_invoices_overdue_amount_usd"
NEXT_DUE: Final = "viam_billing_invoice_next_due_timestamp_seconds"
OUTSTANDING: Final = "viam_billing_outstanding_balance_usd"
BUDGET: Final = "viam_billing_budget_usd"
FORECAST: Final = "viam_billing_forecast_usd"

# Dates of each organization as they were last known, in Unix seconds; 0 is remembered of none.
EXHAUSTED: Final = f"({by_id(last('viam_billing_budget_exhausted_timestamp_seconds'))} > 0)"
LAST_FAILURE: Final = f"({by_id(last('viam_billing_payment_last_failure_timestamp_seconds'))} > 0)"
OLDEST_DUE: Final = (
    f"({by_id(last('viam_billing_invoice_oldest_unpaid_due_timestamp_seconds'))} > 0)"
)


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
# Of a series of numbers beside money.
COUNTED_ON_THE_RIGHT: Final[Sequence[Property]] = (
    fixed("text"),
    THIN,
    ("unit", COUNT),
    ("decimals", 0),
    ("min", 0),
    ("custom.axisPlacement", "right"),
)
