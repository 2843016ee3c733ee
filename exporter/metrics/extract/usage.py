"""GetCurrentMonthUsage: the current period's bill so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.metrics.extract.values import (
    Samples,
    View,
    enum_label,
    exact_sum,
    label_text,
    unix_time,
    unknown,
)
from exporter.pb import billing_pb2 as pb

MAX_TIERS = 20


class Totals(NamedTuple):
    """The totals of sources with the same labels, in US dollars: parts that add up."""

    gross: list[float]
    discount: list[float]
    net: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(View):
    """The current period's bill so far, in US dollars.

    The same labels can come several times: what has them in common is added up, exactly.
    """

    costs: Mapping[tuple[str, str, str], Sequence[float]]  # by source type, tier, resource type
    totals: Mapping[tuple[str, str], Totals]  # by source type, tier
    month_to_date: float  # net costs of all sources
    subtotal: float
    period_start: float | None

    @property
    def gross(self) -> float:
        """The total before discounts."""
        return exact_sum([usd for total in self.totals.values() for usd in total.gross])

    @property
    def discount(self) -> float:
        """The total of the discounts."""
        return exact_sum([usd for total in self.totals.values() for usd in total.discount])


def view(answer: pb.GetCurrentMonthUsageResponse) -> Usage:
    """Return what a GetCurrentMonthUsage answer means."""
    sources = answer.resource_usage_costs_by_source
    costs, totals, unknown_enums = _by_source(sources) if sources else _deprecated(answer)
    return Usage(
        costs=costs,
        totals=totals,
        month_to_date=exact_sum([usd for total in totals.values() for usd in total.net]),
        subtotal=answer.subtotal,
        period_start=unix_time(answer.start_date),
        period_end=unix_time(answer.end_date),
        unknown_enums=unknown_enums,
    )


Costs = defaultdict[tuple[str, str, str], list[float]]
TotalsOfSources = defaultdict[tuple[str, str], Totals]
Found = tuple[Costs, TotalsOfSources, Mapping[str, int]]


def _nothing() -> Found:
    return defaultdict(list), defaultdict(lambda: Totals([], [], [])), {}


def _by_source(sources: Sequence[pb.ResourceUsageCostsBySource]) -> Found:
    # First by numbers and names as they came: there are many more amounts than labels.
    amounts: defaultdict[tuple[int, str], defaultdict[int, list[float]]]
    amounts = defaultdict(lambda: defaultdict(list))
    bills: defaultdict[tuple[int, str], Totals] = defaultdict(lambda: Totals([], [], []))
    source_types: Counter[int] = Counter()
    names = set()
    for source in sources:
        key = source.source_type, source.tier_name
        source_types[source.source_type] += 1
        names.add(source.tier_name)
        if not source.HasField("resource_usage_costs"):
            continue
        bill = source.resource_usage_costs
        by_type = amounts[key]
        for cost in bill.usage_costs:
            by_type[cost.resource_type].append(cost.cost)
        gross, discount, net = bills[key]
        gross.append(bill.total_without_discount)
        discount.append(bill.discount)
        net.append(bill.total_with_discount)
    tiers = _tier_labels(map(label_text, names))
    costs, totals, _ = _nothing()
    resource_types: Counter[int] = Counter()
    for (source_type, name), parts in bills.items():
        labels = enum_label(pb.SourceType, "SOURCE_TYPE_", source_type), tiers[label_text(name)]
        for total, part in zip(totals[labels], parts, strict=True):
            total.extend(part)
        for resource_type, usd in amounts[source_type, name].items():
            kind = enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", resource_type)
            costs[(*labels, kind)] += usd
            resource_types[resource_type] += len(usd)
    return (
        costs,
        totals,
        {**unknown(pb.SourceType, source_types), **unknown(pb.UsageCostType, resource_types)},
    )


def _tier_labels(names: Iterable[str]) -> Mapping[str, str]:
    """Map names, as labels have them, to values, of which there are at most MAX_TIERS and `other`.

    Which names keep a label of their own does not depend on the order they came in.
    """
    distinct = sorted(set(names) - {""})
    kept = {name: name for name in distinct[:MAX_TIERS]}
    return {"": ""} | dict.fromkeys(distinct, "other") | kept


def _deprecated(answer: pb.GetCurrentMonthUsageResponse) -> Found:
    binary = answer.binary_data_cloud_storage_usage_cost
    other = answer.other_cloud_storage_usage_cost
    by_type = {
        # The whole repeats its parts.
        "cloud_storage": 0.0 if binary or other else answer.cloud_storage_usage_cost,
        "binary_data_cloud_storage": binary,
        "other_cloud_storage": other,
        "data_upload": answer.data_upload_usage_cost,
        "data_egress": answer.data_egres_usage_cost,
        "remote_control": answer.remote_control_usage_cost,
        "standard_compute": answer.standard_compute_usage_cost,
        "per_machine": answer.per_machine_usage_cost,
    }
    costs, totals, nothing_unknown = _nothing()
    for resource_type, usd in by_type.items():
        if usd:
            costs["org", "", resource_type].append(usd)
    gross, discount = answer.total_usage_without_discount, answer.discount_amount
    net = answer.total_usage_with_discount
    if costs or gross or discount or net:
        totals["org", ""] = Totals([gross], [discount], [net])
    return costs, totals, nothing_unknown


def cost(usage: Usage) -> Samples:
    """Cost of each (source_type, tier, resource_type)."""
    for labels, parts in usage.costs.items():
        yield labels, exact_sum(parts)


def gross_cost(usage: Usage) -> Samples:
    """Total without discount of each (source_type, tier)."""
    for labels, totals in usage.totals.items():
        yield labels, exact_sum(totals.gross)


def discount(usage: Usage) -> Samples:
    """Discount of each (source_type, tier)."""
    for labels, totals in usage.totals.items():
        yield labels, exact_sum(totals.discount)


def net_cost(usage: Usage) -> Samples:
    """Total with discount of each (source_type, tier)."""
    for labels, totals in usage.totals.items():
        yield labels, exact_sum(totals.net)
