"""Amounts, multiplied by a factor that nobody knows.

Each amount is rounded to cents after that, and not for looks: the exact ratio of two amounts in
whole cents would give both away. The factor is below 1, so that a rounded amount fits any factor
near it. Rounding each amount on its own would break sums, so a total is made of its rounded parts,
plus what it differed from their sum before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from exporter.metrics.cents import SMALLEST
from exporter.metrics.extract.invoices import SETTLED
from exporter.metrics.extract.values import exact_sum
from exporter.pb import billing_pb2 as pb

MessageT = TypeVar("MessageT")

LOWEST: Final = 0.1
HIGHEST: Final = 0.9
CENTS: Final = 2  # digits

OUTSTANDING: Final = "outstanding"
# What the older API sends for each kind of usage. By name, so that one that is added to the
# messages cannot leave unscaled.
OLDER_COSTS: Final = tuple(
    field.name
    for field in pb.GetCurrentMonthUsageResponse.DESCRIPTOR.fields
    if field.name.endswith("_usage_cost")
)


class Sum(NamedTuple):
    """What a total may be the sum of, in US dollars: before, and scaled."""

    before: float
    scaled: float


NOTHING: Final = Sum(0.0, 0.0)


class Scale:
    """Multiplies by one factor, from LOWEST to HIGHEST."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def amount(self, usd: float) -> float:
        """Return an amount scaled and rounded; one that is not a number stays what it is."""
        return round(usd * self._factor, CENTS) + 0.0 if math.isfinite(usd) else usd

    def total(self, usd: float, *sums: Sum) -> float:
        """Return a total scaled. It differs from the nearest of the sums as it did before."""
        finite = [each for each in sums if math.isfinite(each.before)]
        if not finite or not math.isfinite(usd):
            return self.amount(usd)
        nearest = min(finite, key=lambda each: abs(usd - each.before))
        difference = usd - nearest.before
        if abs(difference) < SMALLEST:
            difference = 0.0
        return round(nearest.scaled + self.amount(difference), CENTS) + 0.0

    def usage(self, answer: pb.GetCurrentMonthUsageResponse) -> None:
        """Scale all amounts of a bill, in place."""
        before = pb.GetCurrentMonthUsageResponse()
        before.CopyFrom(answer)
        for source in answer.resource_usage_costs_by_source:
            if source.HasField("resource_usage_costs"):
                self._source(source.resource_usage_costs)
        for name in (*OLDER_COSTS, "discount_amount"):
            setattr(answer, name, self.amount(getattr(answer, name)))
        gross = _sum(_gross_of_sources, before, answer)
        net = _sum(_net_of_sources, before, answer)
        answer.total_usage_without_discount = self.total(
            before.total_usage_without_discount,
            _sum(_older_costs, before, answer),
            _sum(lambda it: _older_costs(it) - it.cloud_storage_usage_cost, before, answer),
            gross,
        )
        older_gross = _sum(lambda it: it.total_usage_without_discount, before, answer)
        answer.total_usage_with_discount = self.total(
            before.total_usage_with_discount,
            _sum(lambda it: it.total_usage_without_discount - it.discount_amount, before, answer),
            net,
        )
        older_net = _sum(lambda it: it.total_usage_with_discount, before, answer)
        answer.subtotal = self.total(before.subtotal, net, gross, older_net, older_gross)

    def _source(self, costs: pb.ResourceUsageCosts) -> None:
        before = pb.ResourceUsageCosts()
        before.CopyFrom(costs)
        for each in costs.usage_costs:
            each.cost = self.amount(each.cost)
        costs.discount = self.amount(costs.discount)
        costs.total_without_discount = self.total(
            before.total_without_discount,
            _sum(lambda it: exact_sum(each.cost for each in it.usage_costs), before, costs),
        )
        costs.total_with_discount = self.total(
            before.total_with_discount,
            _sum(lambda it: it.total_without_discount - it.discount, before, costs),
        )

    def invoices(self, answer: pb.GetInvoicesSummaryResponse) -> None:
        """Scale all amounts of invoices, in place."""
        before = pb.GetInvoicesSummaryResponse()
        before.CopyFrom(answer)
        for each in answer.invoices:
            each.invoice_amount = self.amount(each.invoice_amount)
        answer.outstanding_balance = self.total(
            before.outstanding_balance,
            NOTHING,
            _sum(lambda it: _owed(it, lambda status: status == OUTSTANDING), before, answer),
            _sum(lambda it: _owed(it, lambda status: status not in SETTLED), before, answer),
        )


def _sum(of: Callable[[MessageT], float], before: MessageT, scaled: MessageT) -> Sum:
    return Sum(of(before), of(scaled))


def _gross_of_sources(answer: pb.GetCurrentMonthUsageResponse) -> float:
    sources = answer.resource_usage_costs_by_source
    return exact_sum(each.resource_usage_costs.total_without_discount for each in sources)


def _net_of_sources(answer: pb.GetCurrentMonthUsageResponse) -> float:
    sources = answer.resource_usage_costs_by_source
    return exact_sum(each.resource_usage_costs.total_with_discount for each in sources)


def _older_costs(answer: pb.GetCurrentMonthUsageResponse) -> float:
    return exact_sum(getattr(answer, name) for name in OLDER_COSTS)


def _owed(answer: pb.GetInvoicesSummaryResponse, counts: Callable[[str], bool]) -> float:
    """Return the sum of the invoices whose status, in lower case, counts."""
    return exact_sum(each.invoice_amount for each in answer.invoices if counts(each.status.lower()))
