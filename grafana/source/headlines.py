"""Single numbers that several dashboards begin with: of all organizations that are chosen."""

from __future__ import annotations

from typing import Final

from exporter.rules.series import MONTH_TO_DATE
from grafana.source.money_panels import (
    FAILED,
    FORECAST,
    NO_FORECAST,
    NO_RULES,
    NOTHING_POLLED,
    OVERDUE,
    UNPAID,
)
from grafana.source.panels import (
    COUNT,
    DAYS_LEFT,
    NONE_IS_GOOD,
    USD,
    Beside,
    Panel,
    stat,
)
from grafana.source.promql import by_id, metric, most, picked, recorded, without

FAILED_SUM: Final = f"sum({most('org_id, reason', metric(FAILED))})"
NEXT_DUE: Final = "viam_billing_invoice_next_due_timestamp_seconds"


def overdue(url: str | None = None) -> Panel:
    """Return what is unpaid and past its due date."""
    return stat(
        "Overdue",
        "Sum of the unpaid invoices whose due date has passed. Should be $0. The calendar of dues "
        "on the dashboard of invoices says which; pay them, or ask why they were not paid.",
        f"sum({by_id(OVERDUE)})",
        unit=USD,
        empty=NOTHING_POLLED,
        colours=NONE_IS_GOOD,
        url=url,
    )


def failed_payments(url: str | None = None) -> Panel:
    """Return what is unpaid because a payment failed."""
    return stat(
        "Failed payments",
        "Sum of the unpaid invoices whose last payment failed. Should be $0. The reasons are on "
        "the dashboard of invoices; most of them need another card.",
        FAILED_SUM,
        unit=USD,
        empty=NOTHING_POLLED,
        colours=NONE_IS_GOOD,
        url=url,
    )


def next_due(url: str | None = None) -> Panel:
    """Return how soon something has to be paid."""
    return stat(
        "Days to next due date",
        "Days until the next due date of an unpaid invoice. Three days before it, see that the "
        "payment is on its way.",
        f"(min({by_id(NEXT_DUE)}) - time()) / 86400",
        unit=COUNT,
        decimals=1,
        empty="Nothing to come",
        colours=DAYS_LEFT,
        url=url,
    )


def owed(url: str | None = None) -> Panel:
    """Return what is unpaid."""
    return stat(
        "Owed",
        "Sum of the unpaid invoices, due or not. What the current period has cost is not part of "
        "it. Compare it with what is overdue.",
        f"sum({by_id(UNPAID)})",
        unit=USD,
        empty=NOTHING_POLLED,
        url=url,
    )


def month_so_far() -> Panel:
    """Return what the period has cost."""
    return stat(
        "Month so far",
        "What the current billing period has cost until the last poll, after discounts and "
        "credits. It begins again near $0 with each period.",
        f"sum({recorded(MONTH_TO_DATE)})",
        unit=USD,
        empty=NO_RULES,
    )


def forecast() -> Panel:
    """Return what the period will cost."""
    return stat(
        "Forecast of the month",
        "Where the exporter expects the current period to end, from the organization's own days. "
        "The bounds are in the row of the budget. It comes with the first good poll.",
        picked(FORECAST),
        unit=USD,
        empty=NO_FORECAST,
    )


def forecast_of_all() -> Panel:
    """Return what the period will cost all organizations that are chosen."""
    return stat(
        "Forecast of the month",
        "Where the exporter expects the current period to end, all organizations together. Those "
        "without a forecast are not in it: how many they are stands beside it. The dashboard of an "
        "organization has the bounds.",
        f"sum({picked(FORECAST)})",
        unit=USD,
        empty=NO_FORECAST,
        beside=Beside("expected", "organizations without", without(FORECAST), COUNT, "orange"),
    )
