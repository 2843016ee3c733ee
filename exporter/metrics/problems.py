"""What can be wrong with a bill: one name and one order for all pages and reports."""

from __future__ import annotations

from enum import StrEnum

from exporter.base.plain import HALF_A_CENT


class Kind(StrEnum):
    """What is wrong, in the order in which it needs attention."""

    UNREAD = "cannot_be_read"
    OUT_OF_DATE = "out_of_date"
    WITHHELD = "withheld"
    OVER_BUDGET = "over_budget"
    OVERDUE = "overdue"
    PAYMENT_FAILED = "payment_failed"
    FORECAST_OVER_BUDGET = "forecast_over_budget"
    INCOMPLETE = "incomplete"
    SPIKE = "spike"

    @property
    def words(self) -> str:
        """What people call it."""
        return str(self).replace("_", " ")

    @property
    def urgency(self) -> int:
        """Its place in the order, 0 being the worst."""
        return [*Kind].index(self)


def is_over(spent: float | None, budget: float | None) -> bool:
    """Whether more than a budget is spent, as US dollars with cents show it."""
    return spent is not None and budget is not None and spent - budget >= HALF_A_CENT


def failure_words(reason: str) -> str:
    """Return why a payment failed, as people read it."""
    return "other reason" if reason == "other" else reason.replace("_", " ")
