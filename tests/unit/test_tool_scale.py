"""Amounts by a secret factor: what adds up still does, and no amount is given away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from exporter.pb import billing_pb2 as pb
from exporter.tool.scale import HIGHEST, LOWEST, Scale

FACTORS = st.floats(LOWEST, HIGHEST)
AMOUNTS = st.floats(-1e6, 1e6)
CENTS = st.integers(-10_000_000, 10_000_000).map(lambda cents: cents / 100)
COSTS = st.lists(AMOUNTS, max_size=5)


def bill(sources: Sequence[tuple[Sequence[float], float]]) -> pb.GetCurrentMonthUsageResponse:
    """Return a bill of sources with costs and a discount each, all of which adds up."""
    answer = pb.GetCurrentMonthUsageResponse()
    for costs, discount in sources:
        total = answer.resource_usage_costs_by_source.add().resource_usage_costs
        for usd in costs:
            total.usage_costs.add(resource_type=pb.USAGE_COST_TYPE_PER_MACHINE, cost=usd)
        total.discount = discount
        total.total_without_discount = math.fsum(costs)
        total.total_with_discount = total.total_without_discount - discount
    return answer


def sums(answer: pb.GetCurrentMonthUsageResponse) -> tuple[float, float]:
    """Return what all sources cost without discount and with it."""
    totals = [each.resource_usage_costs for each in answer.resource_usage_costs_by_source]
    return (
        math.fsum(each.total_without_discount for each in totals),
        math.fsum(each.total_with_discount for each in totals),
    )


@given(FACTORS, st.lists(st.tuples(COSTS, AMOUNTS), max_size=3), st.sampled_from([0, 1]))
def test_what_adds_up_still_does(
    factor: float, sources: Sequence[tuple[Sequence[float], float]], which: int
) -> None:
    """Costs to totals, and totals to the subtotal, whichever of the two it is the sum of."""
    answer = bill(sources)
    answer.subtotal = sums(answer)[which]
    alike = math.isclose(*sums(answer), abs_tol=1e-6)  # it may be taken for the other then
    Scale(factor).usage(answer)
    for each in answer.resource_usage_costs_by_source:
        total = each.resource_usage_costs
        parts = math.fsum(cost.cost for cost in total.usage_costs)
        assert total.total_without_discount == pytest.approx(parts, abs=1e-6)
        assert total.total_with_discount == pytest.approx(parts - total.discount, abs=1e-6)
    expected = sums(answer)
    assert answer.subtotal == pytest.approx(expected[which], abs=0.011 if alike else 1e-6)


@given(FACTORS, COSTS, st.floats(0.5, 100))
def test_what_does_not_add_up_differs_as_before(
    factor: float, costs: Sequence[float], too_much: float
) -> None:
    """By the difference, scaled as an amount is."""
    answer = bill([(costs, 0.0)])
    answer.subtotal = sums(answer)[0] + too_much
    Scale(factor).usage(answer)
    difference = answer.subtotal - sums(answer)[0]
    assert difference == pytest.approx(too_much * factor, abs=0.05)  # a cent for each amount


@given(FACTORS, st.lists(AMOUNTS, max_size=4), st.sampled_from(["paid", "Outstanding"]))
def test_the_balance_is_that_of_the_invoices(
    factor: float, amounts: Sequence[float], status: str
) -> None:
    """Of those that are not settled, if that is what it was; nothing stays nothing."""
    answer = pb.GetInvoicesSummaryResponse()
    for usd in amounts:
        answer.invoices.add(invoice_amount=usd, status=status)
    paid = status == "paid"
    answer.outstanding_balance = 0.0 if paid else math.fsum(amounts)
    before = answer.outstanding_balance
    Scale(factor).invoices(answer)
    scaled = math.fsum(each.invoice_amount for each in answer.invoices)
    near_nothing = abs(before) < 0.1
    assert answer.outstanding_balance == pytest.approx(
        0.0 if paid else scaled, abs=0.1 if near_nothing else 1e-6
    )


def test_the_older_totals_keep_their_sums() -> None:
    """With the storage cost that comes twice, and beside sources."""
    answer = pb.GetCurrentMonthUsageResponse(
        cloud_storage_usage_cost=3.335,
        binary_data_cloud_storage_usage_cost=1.115,
        other_cloud_storage_usage_cost=2.22,
        per_machine_usage_cost=7.777,
        discount_amount=1.111,
        total_usage_without_discount=11.112,
        total_usage_with_discount=10.001,
        subtotal=10.001,
    )
    Scale(0.333).usage(answer)
    parts = 0.37 + 0.74 + 2.59
    assert answer.total_usage_without_discount == pytest.approx(parts)
    assert answer.total_usage_with_discount == pytest.approx(parts - 0.37)
    assert answer.subtotal == answer.total_usage_with_discount


@given(FACTORS, FACTORS, CENTS)
def test_an_amount_tells_nothing_of_the_factor(one: float, other: float, usd: float) -> None:
    """Some amount in whole cents gives the same with any other factor."""
    scaled = Scale(one).amount(usd)
    assert Scale(other).amount(round(scaled / other, 2)) == scaled


@pytest.mark.parametrize("usd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stays_what_it_is(usd: float) -> None:
    """It is what a report may be about. Its sums are scaled as amounts are."""
    answer = bill([([usd, 1.0], 0.0)])
    answer.subtotal = 2.0
    Scale(0.5).usage(answer)
    (source,) = answer.resource_usage_costs_by_source
    (first, second) = source.resource_usage_costs.usage_costs
    assert first.cost == pytest.approx(usd, nan_ok=True)
    assert (second.cost, answer.subtotal) == (0.5, 1.0)


def _amounts(message: Message) -> Iterator[float]:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            yield value
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for each in [value] if isinstance(value, Message) else value:
                yield from _amounts(each)


def test_no_amount_leaves_as_it_came() -> None:
    """Whatever fields of amounts a message has, or gets."""
    usd = 100.37
    usage, costs = pb.GetCurrentMonthUsageResponse(), pb.ResourceUsageCosts()
    owed = pb.GetInvoicesSummaryResponse(invoices=[pb.InvoiceSummary()])
    for message in (usage, costs, owed, owed.invoices[0]):
        for field in message.DESCRIPTOR.fields:
            if field.type == FieldDescriptor.TYPE_DOUBLE:
                setattr(message, field.name, usd)
    costs.usage_costs.add(cost=usd)
    usage.resource_usage_costs_by_source.add().resource_usage_costs.CopyFrom(costs)
    Scale(0.5).usage(usage)
    Scale(0.5).invoices(owed)
    scaled = [*_amounts(usage), *_amounts(owed)]
    assert len(scaled) == 18
    assert usd not in scaled
