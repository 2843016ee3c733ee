"""The current month of organizations, read from the billing API or told by exporters: one form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.base import plain
from exporter.metrics import cents, parts, render
from exporter.metrics.catalog import USAGE
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import Organization
from exporter.tool.api_answers import OrganizationLine, WholeOrganization, Withheld
from exporter.tool.history_file import Reading
from exporter.tool.replay import at_first_sight

# Of these, exporters list none: whether an organization has any is on its own page.
OF_THE_BILL: Final = ("gross_usd", "discount_usd", "subtotal_usd")
# Shares of the budget, by what they are the share of.
OF_THE_BUDGET: Final[Mapping[str, str]] = {
    "budget_forecast": "forecast_usd",
    "budget_forecast_lower": "forecast_lower_usd",
    "budget_forecast_upper": "forecast_upper_usd",
}
LISTS: Final = ("failures", "withheld")
# The names of the exporter's API, those of the bill itself, and shares.
COLUMNS: Final = (
    *(name for name in OrganizationLine.model_fields if name not in LISTS),
    *OF_THE_BILL,
    *OF_THE_BUDGET,
)
OF_THE_LEDGER: Final = (
    "forecast_usd",
    "forecast_lower_usd",
    "forecast_upper_usd",
    "forecast_method",
    "budget_exhausted_at",
)
COLLECTOR: Final = "usage"
UNKNOWN: Final = "unknown"


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
        return self._of_the_bill("gross")

    @property
    def discount(self) -> float | None:
        """The total of the discounts."""
        return self._of_the_bill("discount")

    @property
    def gross_in_cents(self) -> float | None:
        """The total before discounts, to be shown beside the others: they add up if it does."""
        if self.gross is None or self.discount is None or self.line.month_to_date_usd is None:
            return self.gross
        return cents.before_discounts(self.gross, self.discount, self.line.month_to_date_usd)

    @property
    def subtotal(self) -> float | None:
        """The API's own number, which it does not define."""
        return self._of_the_bill("subtotal")

    @property
    def period(self) -> str:
        """The billing period, by its days."""
        days = [(each or UNKNOWN)[:10] for each in (self.line.period_start, self.line.period_end)]
        return UNKNOWN if days == [UNKNOWN, UNKNOWN] else " to ".join(days)

    @property
    def is_withheld(self) -> bool:
        """Whether amounts of it are not known because nobody could trust them."""
        return any(each.collector == COLLECTOR for each in self.line.withheld)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known of its bill, not even that it cannot be trusted."""
        return self.line.month_to_date_usd is None and not self.is_withheld

    @property
    def shares(self) -> Mapping[str, float | None]:
        """The forecast and its bounds as shares of the budget, by the names that programs get."""
        return {
            name: plain.number(plain.share(getattr(self.line, usd), self.line.budget_usd))
            for name, usd in OF_THE_BUDGET.items()
        }

    def summand(self, usd: float | None) -> float | None:
        """Return an amount of it to be added up: no number if it is withheld."""
        return math.nan if usd is None and self.is_withheld else usd

    def plain(self) -> dict[str, Any]:
        """Return it as programs get it."""
        return {
            **self.line.model_dump(include={*OrganizationLine.model_fields}),
            "gross_usd": self.gross,
            "discount_usd": self.discount,
            "subtotal_usd": self.subtotal,
            **self.shares,
        }

    def costs(self) -> Sequence[Mapping[str, Any]] | None:
        """Return the costs of its parts, before discounts."""
        if self.bill is not None:
            return parts.costs(self.bill.usage)
        if not isinstance(self.line, WholeOrganization) or self.line.costs is None:
            return None
        return [each.model_dump() for each in self.line.costs]

    def _of_the_bill(self, name: str) -> float | None:
        if self.bill is not None:
            return plain.number(getattr(self.bill.usage, name))
        usd: float | None = getattr(self.line, f"{name}_usd", None)  # exporters tell it if asked
        return usd


def of_bill(bill: Bill, told: OrganizationLine | None, alone_at: float | None = None) -> UsageLine:
    """Return a bill, with the forecast that an exporter tells of its ledger.

    Or with one from the bill alone, if that is all there is: `alone_at` is when it came, in Unix
    seconds.
    """
    organization, usage = bill
    budget = organization.budget_usd
    line = OrganizationLine(
        org_id=organization.id,
        org_name=organization.name,
        period_start=plain.moment(usage.period_start),
        period_end=plain.moment(usage.period_end),
        month_to_date_usd=plain.number(usage.month_to_date),
        budget_usd=budget,
        budget_used=plain.number(plain.share(usage.month_to_date, budget)),
        withheld=_withheld(bill),
    )
    if told is not None:
        line = line.model_copy(update={name: getattr(told, name) for name in OF_THE_LEDGER})
    forecast = None if alone_at is None else at_first_sight(Reading(alone_at, usage), budget)
    if forecast is not None:
        values = (
            plain.number(forecast.usd),
            plain.number(forecast.lower),
            plain.number(forecast.upper),
            forecast.method,
            plain.moment(forecast.exhausted),
        )
        line = line.model_copy(update=dict(zip(OF_THE_LEDGER, values, strict=True)))
    return UsageLine(line, bill)


def total(amounts: Iterable[float | None]) -> float | None:
    """Return the sum of the amounts that are known; None if there is none."""
    known = [usd for usd in amounts if usd is not None]
    return exact_sum(known) if known else None


def shown_total(amounts: Iterable[float | None]) -> float | None:
    """Return the sum of the amounts that are known as they are shown; None if there is none."""
    known = [usd for usd in amounts if usd is not None]
    return cents.total(known) if known else None


def plain_total(lines: Sequence[UsageLine]) -> dict[str, Any]:
    """Return the sums as programs get them, with how many organizations they are of."""
    known = [each for each in lines if not each.is_unknown]
    amounts = {
        "month_to_date_usd": [each.summand(each.line.month_to_date_usd) for each in known],
        "gross_usd": [each.summand(each.gross) for each in known],
        "discount_usd": [each.summand(each.discount) for each in known],
        "forecast_usd": [each.line.forecast_usd for each in known],
    }
    return {
        "organizations": len(known),
        "with_forecast": sum(usd is not None for usd in amounts["forecast_usd"]),
        **{name: plain.number(total(each)) for name, each in amounts.items()},
    }


def _withheld(bill: Bill) -> list[Withheld]:
    """Return what the exporter would keep off its page."""
    reasons = render.lines(USAGE, bill.organization, bill.usage).withheld
    return [
        Withheld(collector=COLLECTOR, reason=str(reason), samples=count)
        for reason, count in sorted(reasons.items())
    ]
