"""A month of an organization, and of all together: what is known, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.base.plain import HALF_A_CENT
from exporter.metrics import cents
from exporter.metrics.closed import TOLERANCE
from exporter.metrics.extract.values import exact_sum
from exporter.metrics.problems import is_over
from exporter.state.day_rows import DAY
from exporter.state.listing import text_of
from exporter.tool.api_answers import DayLine, InvoiceLine, WholeOrganization
from exporter.tool.outcomes import ReadFailure
from exporter.tool.parts import Breakdown, broken_down, together_in_cents
from exporter.tool.report import days, made_of, periods
from exporter.tool.report.compares import Compared, compared
from exporter.tool.report.days import MonthDays
from exporter.tool.report.invoice_tables import amounts
from exporter.tool.report.past_months import PastMonths, past_months
from exporter.tool.report.periods import Period, State
from exporter.tool.times import parsed


class Told(NamedTuple):
    """What a ledger tells of an organization."""

    whole: WholeOrganization
    days: Sequence[DayLine]


class UsedUp(NamedTuple):
    """The day on which a budget was used up."""

    day: str  # as 2026-11-27
    is_estimated: bool  # nobody saw what the day cost


@dataclass(frozen=True, slots=True)
class Month:
    """A month of an organization. Amounts are US dollars, None where they are not known."""

    whole: WholeOrganization
    period: Period
    days: MonthDays
    made_of: Mapping[str, Breakdown]  # by each of parts.BY that is known
    is_by_days: bool  # what it is made of is known from its days alone
    compared: Compared | None
    has_before: bool  # the month before is known
    dated: Sequence[InvoiceLine] | None  # invoices of which the date is in the month
    past: PastMonths | None  # this month and those before it

    @property
    def invoiced_usd(self) -> float | None:
        """What was invoiced for it, in the month after."""
        usd = amounts(self.period.billed) if self.period.billed else math.nan
        return None if math.isnan(usd) else usd

    @property
    def invoiced_more(self) -> float | None:
        """How much more was invoiced for it than it has cost, or less if it is below 0."""
        if self.invoiced_usd is None or self.period.usd is None:
            return None
        return self.invoiced_usd - self.period.usd

    @property
    def credits_usd(self) -> float:
        """About how large the credits and corrections of its known days were."""
        return exact_sum(self.days.credits.values())

    @property
    def without_credits(self) -> float | None:
        """About what it would have cost without them."""
        return None if self.period.usd is None else self.period.usd + self.credits_usd

    @property
    def has_costs(self) -> bool:
        """Whether the billing API says what it is made of."""
        return bool(self.made_of) and not self.is_by_days

    @property
    def has_forecast(self) -> bool:
        """Whether the organization's forecast is the one of this month."""
        return (
            self.period.state is not State.ENDED
            and self.period.usd is not None
            and self.whole.forecast_usd is not None
            and self.period.owns(_time(self.whole.period_start))
        )

    @property
    def end_usd(self) -> float | None:
        """What the month came to, or will by the forecast."""
        if self.period.state is State.ENDED:
            return self.period.usd
        return self.whole.forecast_usd if self.has_forecast else None

    @property
    def before_discounts(self) -> float | None:
        """What it cost before discounts, in whole cents; None if these do not lead to the total."""
        usd, gross, discount = self.period.usd, self.period.gross, self.period.discount
        if usd is None or gross is None or discount is None:
            return None
        if not cents.add_up(gross, discount, usd):
            return None
        return cents.before_discounts(gross, discount, usd)

    @property
    def budget_used(self) -> float | None:
        """What it has cost as a share of the budget."""
        return self._of_budget(self.period.usd)

    @property
    def budget_forecast(self) -> float | None:
        """The forecast as a share of the budget."""
        return self._of_budget(self.end_usd)

    @property
    def budget_left(self) -> float | None:
        """What is left of the budget, in US dollars; less than 0 if it has cost more."""
        if self.whole.budget_usd is None or self.period.usd is None:
            return None
        return self.whole.budget_usd - self.period.usd

    @property
    def may_exceed_usd(self) -> float | None:
        """By how much it may exceed the budget that the forecast says is enough; None if not."""
        budget, upper = self.whole.budget_usd, self.whole.forecast_upper_usd
        if budget is None or upper is None or not self.has_forecast or upper <= budget:
            return None
        return upper - budget if (self.end_usd or 0.0) <= budget else None

    def _of_budget(self, usd: float | None) -> float | None:
        budget = self.whole.budget_usd
        return usd / budget if usd is not None and budget else None

    @property
    def is_over(self) -> bool:
        """Whether it costs more than its budget, or will by the forecast's lower bound."""
        budget = self.whole.budget_usd
        if budget is None or self.period.usd is None:
            return False
        lower = self.whole.forecast_lower_usd if self.has_forecast else None
        return max(self.period.usd, lower or 0.0) > budget

    @property
    def is_forecast_over(self) -> bool:
        """Whether it will cost more than its budget by the forecast, and has not yet."""
        return (self.budget_forecast or 0.0) > 1 >= (self.budget_used or 0.0)

    @property
    def has_exceeded(self) -> bool:
        """Whether it has cost more than its budget, by a cent or more."""
        return is_over(self.period.usd, self.whole.budget_usd)

    @property
    def used_up(self) -> UsedUp | None:
        """Since when it has cost more than its budget; None if that is not known."""
        budget, spent, since = self.whole.budget_usd, 0.0, None
        if budget is None or not self.has_exceeded:
            return None
        if self.days.days and self.days.days[0][0] != self.days.first:
            return None
        for number, each in self.days.days:
            if each.is_unknown:
                return None
            spent += days.net(each)
            if spent <= budget:
                since = None
            elif since is None:
                since = UsedUp(text_of(number), each.estimated >= HALF_A_CENT)
        return since

    @property
    def seen(self) -> float | None:
        """When the amounts were read, or on which day if only the ledger says it."""
        if self.period.seen is None and self.days.days:
            return float(self.days.days[-1][0] * DAY)
        return self.period.seen

    @property
    def read(self) -> float | None:
        """When the oldest of the newest answers came, those with invoices included."""
        return _time(self.whole.last_success)

    @property
    def beside_days(self) -> float | None:
        """What the total has that no known day has; None if that is nothing."""
        if self.period.usd is None or not self.days.days:
            return None
        rest = self.period.usd - self.days.known
        return rest if abs(rest) >= HALF_A_CENT else None


@dataclass(frozen=True, slots=True)
class Report:
    """A month of several organizations, by name."""

    months: Sequence[Month]
    nothing: Sequence[WholeOrganization]  # organizations of which nothing is known in it
    failures: Sequence[ReadFailure]  # what could not be read at all
    generated: float  # Unix seconds
    source: str  # for people: what it was read from


def month_of(told: Told, month: str | None, now: float) -> Month | None:
    """Return a month of an organization, as `periods.wanted` has it; None if nothing is known."""
    whole, listed = told
    every = periods.known_periods(whole, listed, now)
    period = periods.wanted(every, month, now)
    if period is None:
        return None
    before = periods.before(every, period)
    of_month = days.of_period(period, whole, listed, now)
    of_before = days.NO_DAYS
    if before is not None:
        of_before = days.of_period(before, whole, listed, now)
    parts = made_of.of([period])
    is_by_days = not parts and period.usd is not None and bool(of_month.days)
    if is_by_days and period.usd is not None:
        parts = {"resource": broken_down(_resources(of_month).items(), 0.0, period.usd)}
    return Month(
        whole,
        period,
        of_month,
        parts,
        is_by_days,
        compared(period, of_month, before, of_before),
        before is not None,
        _dated(period, whole.invoices),
        past_months(every, period),
    )


class Together(NamedTuple):
    """What several organizations' month was made of, in whole cents."""

    made_of: Mapping[str, Breakdown]
    number: int  # of organizations
    left_out: Sequence[Month]  # those of which it is not known


def together(months: Sequence[Month]) -> Together | None:
    """Return what a month of several organizations was made of; None if nothing is known."""
    known = [each for each in months if each.has_costs]
    left_out = [each for each in months if not each.has_costs]
    exact = made_of.of(each.period for each in known)
    parts = {
        by: together_in_cents(made, [each.made_of[by] for each in known])
        for by, made in exact.items()
    }
    return Together(parts, len(known), left_out) if known else None


def _resources(of_month: MonthDays) -> Mapping[str, float]:
    found: dict[str, list[float]] = {}
    for _, each in of_month.days:
        for name, moved in each.resources().items():
            found.setdefault(name, []).extend([moved.spend, -moved.corrections])
    return {name: exact_sum(usds) for name, usds in found.items()}


def _dated(period: Period, invoices: Sequence[InvoiceLine] | None) -> Sequence[InvoiceLine] | None:
    """Return the invoices dated in a period, as those beside one that ended are found."""
    if invoices is None or period.start is None:
        return None
    first = period.start - TOLERANCE
    until = float("inf") if period.end is None else period.end - TOLERANCE
    return [
        each
        for each in invoices
        if each.issued is not None and first <= parsed(each.issued) < until
    ]


def _time(text: str | None) -> float | None:
    return None if text is None else parsed(text)
