"""The current month of organizations, read from the billing API or told by exporters: one form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.base import plain
from exporter.metrics import parts
from exporter.metrics.catalog import USAGE
from exporter.metrics.extract.usage import Usage
from exporter.metrics.samples import apply
from exporter.model import Organization
from exporter.tool.api_answers import OrganizationLine, Withheld

# Of these, exporters list none: whether an organization has any is on its own page.
OF_THE_BILL: Final = ("gross_usd", "discount_usd", "subtotal_usd")
LISTS: Final = ("failures", "withheld")
# The names of the exporter's API, and those of the bill itself.
COLUMNS: Final = (
    *(name for name in OrganizationLine.model_fields if name not in LISTS),
    *OF_THE_BILL,
)
OF_THE_LEDGER: Final = (
    "forecast_usd",
    "forecast_lower_usd",
    "forecast_upper_usd",
    "forecast_method",
    "budget_exhausted_at",
)
COLLECTOR: Final = "usage"


class Bill(NamedTuple):
    """What an organization's current period has cost so far, as the billing API has it."""

    organization: Organization
    usage: Usage


class UsageLine(NamedTuple):
    """An organization's current period. Amounts are US dollars, None where they are not known."""

    line: OrganizationLine
    bill: Bill | None = None  # if the billing API was asked

    @property
    def gross(self) -> float | None:
        """The total before discounts."""
        return None if self.bill is None else plain.number(self.bill.usage.gross)

    @property
    def discount(self) -> float | None:
        """The total of the discounts."""
        return None if self.bill is None else plain.number(self.bill.usage.discount)

    @property
    def is_withheld(self) -> bool:
        """Whether amounts of it are not known because nobody could trust them."""
        return any(each.collector == COLLECTOR for each in self.line.withheld)

    def summand(self, usd: float | None) -> float | None:
        """Return an amount of it to be added up: no number if it is withheld."""
        return math.nan if usd is None and self.is_withheld else usd

    def plain(self) -> dict[str, Any]:
        """Return it as programs get it."""
        subtotal = None if self.bill is None else plain.number(self.bill.usage.subtotal)
        return {
            **self.line.model_dump(),
            "gross_usd": self.gross,
            "discount_usd": self.discount,
            "subtotal_usd": subtotal,
        }

    def costs(self) -> Sequence[Mapping[str, Any]] | None:
        """Return the costs of its parts, before discounts."""
        return None if self.bill is None else parts.costs(self.bill.usage)


def of_bill(bill: Bill, told: OrganizationLine | None) -> UsageLine:
    """Return a bill, with what an exporter tells of its ledger."""
    organization, usage = bill
    budget = organization.budget_usd
    line = OrganizationLine(
        org_id=organization.id,
        org_name=organization.name,
        period_start=plain.moment(usage.period_start),
        period_end=plain.moment(usage.period_end),
        month_to_date_usd=plain.number(usage.month_to_date),
        budget_usd=budget,
        budget_used=plain.number(usage.month_to_date / budget) if budget else None,
        withheld=_withheld(bill),
    )
    if told is not None:
        line = line.model_copy(update={name: getattr(told, name) for name in OF_THE_LEDGER})
    return UsageLine(line, bill)


def _withheld(bill: Bill) -> list[Withheld]:
    """Return what the exporter would keep off its page."""
    reasons: Counter[str] = Counter()
    for spec in USAGE:
        reasons.update(apply(spec, bill.organization, bill.usage)[1])
    return [
        Withheld(collector=COLLECTOR, reason=str(reason), samples=count)
        for reason, count in sorted(reasons.items())
    ]
