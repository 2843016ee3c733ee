"""What exporters answer at /api/v1, as it is read: whatever came, this is what it may hold.

Fields that are not known here come from a newer exporter, and are passed over.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from exporter.flags import MAX_SHARDS
from exporter.state.listing import number_of
from exporter.tool import times


class AnswerError(ValueError):
    """An answer is none of the API's."""


def _time(text: str) -> str:
    times.parsed(text)
    return text


def _date(text: str) -> str:
    number_of(text)
    return text


Time = Annotated[str, AfterValidator(_time)]
Usd = float | None
Spent = Annotated[float, Field(ge=0)] | None


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Shard(_Answer):
    """Which part of the organizations an exporter has: all of them if `total` is 1."""

    ordinal: Annotated[int, Field(ge=0, lt=MAX_SHARDS)]
    total: Annotated[int, Field(ge=1, le=MAX_SHARDS)]


class Failing(_Answer):
    """A collector whose last poll failed."""

    collector: str
    cause: str
    since: Time | None = None
    reason: str


class Withheld(_Answer):
    """Samples that an exporter does not trust."""

    collector: str
    reason: str
    samples: int


class OrganizationLine(_Answer):
    """An organization in a line; None is what is not known. `usage` has the same names."""

    org_id: Annotated[str, Field(min_length=1)]
    org_name: str
    up: bool | None = None
    period_start: Time | None = None
    period_end: Time | None = None
    month_to_date_usd: Usd = None
    forecast_usd: Usd = None
    forecast_lower_usd: Usd = None
    forecast_upper_usd: Usd = None
    forecast_method: str | None = None
    budget_usd: Usd = None
    budget_used: float | None = None
    budget_exhausted_at: Time | None = None
    outstanding_balance_usd: Usd = None
    unpaid_usd: Usd = None
    overdue_usd: Usd = None
    last_success: Time | None = None
    failures: list[Failing] = []
    withheld: list[Withheld] = []


class ForecastMethod(_Answer):
    """What a method of the forecast says."""

    name: str
    forecast_usd: Usd
    weight: float  # of 1
    past_error: float | None = None  # a share of what is usual


class Cost(_Answer):
    """What a part of the bill costs, before discounts; None if it is withheld."""

    source_type: str
    tier: str
    resource_type: str
    cost_usd: Usd


class InvoiceLine(_Answer):
    """An invoice."""

    invoice_id: str
    issued: Time | None
    due: Time | None
    paid: Time | None
    status: str
    unpaid: bool
    overdue: bool
    amount_usd: Usd
    payment_failure: str | None


class ClosedLine(_Answer):
    """A billing period that has ended."""

    period_start: Time | None
    period_end: Time
    usage_usd: float
    usage_seen_at: Time
    gross_usd: Usd = None
    discount_usd: Usd = None
    costs: list[Cost] | None = None  # None if the period's last answer is not kept, or unread
    invoices: list[InvoiceLine] | None = None  # those of the month after it, the newest first


class Above(_Answer):
    """By how much a resource type was above what was expected of it."""

    resource_type: str
    above_usd: float


class ExpectedLine(_Answer):
    """A day, beside what it was expected to cost before it began."""

    date: Annotated[str, AfterValidator(_date)]
    expected_usd: Usd
    expected_upper_usd: Usd
    is_spike: bool
    above_usd: Usd
    causes: list[Above]  # of a spike, the largest first


class WholeOrganization(OrganizationLine):
    """An organization, with how its forecast is made, and what its bill is made of.

    `forecast` shows the former only, so the latter is left out when it is dumped.
    """

    forecast_closed_period_error: float | None = None  # a share of what the period came to
    forecast_methods: list[ForecastMethod] | None = None  # those that count most first
    budget_exhausted_is_estimated: bool | None = None  # None while it is not used up
    usage_seen_at: Time | None = Field(None, exclude=True)
    gross_usd: Usd = Field(None, exclude=True)
    discount_usd: Usd = Field(None, exclude=True)
    subtotal_usd: Usd = Field(None, exclude=True)
    costs: list[Cost] | None = Field(None, exclude=True)
    invoices: list[InvoiceLine] | None = Field(None, exclude=True)  # the newest first
    closed_periods: list[ClosedLine] | None = Field(None, exclude=True)  # the newest first
    expected_days: list[ExpectedLine] | None = Field(None, exclude=True)  # the oldest first


class OrganizationsPage(_Answer):
    """A page of organizations."""

    shard: Shard
    organizations: list[OrganizationLine]
    next_cursor: str | None  # from where the next page goes on


class PeriodOfDay(_Answer):
    """What a day has of a billing period."""

    period_start: Time | None
    spend_usd: Annotated[float, Field(ge=0)]
    corrections_usd: Annotated[float, Field(ge=0)]
    estimated_usd: Annotated[float, Field(ge=0)]


class DayLine(_Answer):
    """A UTC day of the ledger, as `exporter.state.listing` has it. Amounts are US dollars."""

    date: Annotated[str, AfterValidator(_date)]
    spend_usd: Spent
    corrections_usd: Spent
    estimated_usd: Spent
    unknown_seconds: Annotated[float, Field(ge=0)]
    resources: dict[str, float] | None = None
    resource_corrections: dict[str, float] | None = None
    periods: list[PeriodOfDay] = []


def _ascending(days: list[DayLine]) -> list[DayLine]:
    if any(one.date >= other.date for one, other in pairwise(days)):
        raise ValueError("must be in order")
    return days


class DaysAnswer(_Answer):
    """The days of an organization, the oldest first."""

    org_id: str
    days: Annotated[list[DayLine], AfterValidator(_ascending)]


def read(model: type[Any], content: bytes) -> Any:
    """Return an answer as what it has to be. Raises AnswerError, which repeats nothing of it."""
    try:
        return model.model_validate_json(content)
    except ValidationError:
        raise AnswerError("does not match this release's API") from None
