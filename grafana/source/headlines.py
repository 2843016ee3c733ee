"""Single numbers that several dashboards begin with: of one organization, or of all chosen ones."""

from __future__ import annotations

from typing import Final

from grafana.source.attention import ALL_FAILED
from grafana.source.known import CREDIT, INVOICES, USAGE, amount, month_to_date, overdue_usd, tile
from grafana.source.money_panels import FORECAST, NEXT_DUE, UNPAID
from grafana.source.panels import COUNT, DAYS_LEFT, NONE_IS_GOOD, USD, Panel
from grafana.source.promql import picked

WITHHELD: Final = "Withheld"
NO_FORECAST: Final = "The bill has no dates"


def overdue(url: str | None = None, *, one: bool = False) -> Panel:
    """Return what is unpaid and past its due date."""
    value = overdue_usd()
    return tile(
        "Overdue",
        "Sum of the unpaid invoices whose due date has passed. Should be $0. The calendar of due "
        "dates on the invoices dashboard shows which; pay them, or ask why they were not paid.",
        value,
        INVOICES,
        total=None if one else f"sum({value})",
        none=WITHHELD,
        unit=USD,
        colours=NONE_IS_GOOD,
        url=url,
    )


def failed_payments(url: str | None = None, *, one: bool = False) -> Panel:
    """Return what is unpaid because a payment failed."""
    return tile(
        "Failed payments",
        "Sum of the unpaid invoices whose last payment failed. Should be $0. The reasons are on "
        "the invoices dashboard; most need another card.",
        ALL_FAILED,
        INVOICES,
        total=None if one else f"sum({ALL_FAILED})",
        none=WITHHELD,
        unit=USD,
        colours=NONE_IS_GOOD,
        url=url,
    )


def next_due(url: str | None = None, *, one: bool = False) -> Panel:
    """Return how soon something has to be paid."""
    # 0 is remembered of those that owe nothing.
    value = f"(({amount(NEXT_DUE)} > 0) - time()) / 86400"
    return tile(
        "Days to next due date",
        "Days until the next due date of an unpaid invoice. Three days before it, check that the "
        "payment is on its way. Below 0, it has passed since the bill was last read.",
        value,
        INVOICES,
        total=None if one else f"min({value})",
        having="",
        none="Nothing due",
        unit=COUNT,
        decimals=1,
        colours=DAYS_LEFT,
        url=url,
    )


def owed(url: str | None = None, *, one: bool = False) -> Panel:
    """Return what is unpaid."""
    value = amount(UNPAID)
    return tile(
        "Owed",
        "Sum of the unpaid invoices, due or not. The cost of the current period is not "
        "included. Compare it with what is overdue.",
        value,
        INVOICES,
        total=None if one else f"sum({value})",
        none=WITHHELD,
        unit=USD,
        url=url,
    )


def month_so_far(*, one: bool = False) -> Panel:
    """Return what the period has cost."""
    value = month_to_date()
    return tile(
        "Month so far",
        "What the billing period had cost at the last poll, after discounts and credits. It "
        "starts again near $0 with each period, once the API reports the new one.",
        value,
        USAGE,
        total=None if one else f"sum({value})",
        none=WITHHELD,
        unit=USD,
        below_zero=CREDIT,
    )


def forecast(*, one: bool = False) -> Panel:
    """Return what the period will cost."""
    value = picked(FORECAST)
    return tile(
        "Forecast for the month",
        "What the exporter expects the current period to cost, from each organization's own past. "
        "The bounds are in the budget row of the organization dashboard. It is available from the "
        "first good poll, and is not kept when the bill cannot be read.",
        value,
        USAGE,
        total=None if one else f"sum({value})",
        none=NO_FORECAST,
        unit=USD,
        below_zero=CREDIT,
    )
