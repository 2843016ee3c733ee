"""What panels about money say without data, and how their series are shown."""

from __future__ import annotations

from typing import Any, Final

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
