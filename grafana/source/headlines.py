"""Single numbers that several dashboards begin with: of all organizations that are chosen."""

from __future__ import annotations

from typing import Final

from exporter.rules.series import FORECAST, MONTH_TO_DATE, OVERDUE, UNPAID
from grafana.source.money_panels import FAILED, NO_RULES, NOTHING_POLLED
from grafana.source.panels import COUNT, DAYS_LEFT, NONE_IS_GOOD, USD, Panel, stat
from grafana.source.promql import by_id, metric, most, recorded

FAILED_SUM: Final = f"sum({most('org_id, reason', metric(FAILED))})"
NEXT_DUE: Final = "viam_billing_invoice_next_due_timestamp_seconds"


def overdue(url: str | None = None) -> Panel:
    """Return what is unpaid and past its due date."""
    return stat(
        "Overdue",
        "Sum of the unpaid invoices whose due date has passed. Should be $0. The calendar of dues "
        "on the dashboard of invoices says which; pay them, or ask why they were not paid.",
        f"sum({recorded(OVERDUE)})",
        unit=USD,
        empty=NO_RULES,
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
        f"sum({recorded(UNPAID)})",
        unit=USD,
        empty=NO_RULES,
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
        "What the current period will cost if it goes on as it has: the middle of several "
        "estimates. The dashboard of an organization has the bounds.",
        f"sum({recorded(FORECAST)})",
        unit=USD,
        empty="Not enough known yet",
    )
