"""The rows for FOCUS: its columns and formats, and that what is billed adds up."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.extract import usage
from exporter.pb import billing_pb2 as pb
from exporter.tool import focus
from exporter.tool.output import write_csv
from exporter.tool.usage_lines import Bill
from support.process import ROOT
from support.reader import organization

# What version 1.2 of the specification demands of every dataset.
MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
# And what it has besides, for those whom it applies to.
OTHERS = [
    "AvailabilityZone",
    "BillingAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeFrequency",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "InvoiceId",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
]
NULLABLE = {"ChargeClass", "PricingQuantity", "PricingUnit", "SkuId", "SkuMeter", "x_Tier"}
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
JUNE, JULY = 1_748_736_000, 1_751_328_000

AMOUNTS = st.floats(-1e7, 1e7) | st.sampled_from([0.0, -0.0, 0.005, 1e-7, 10_000_000.0])
SOURCES = st.lists(
    st.tuples(
        st.integers(0, 5),  # the type of the source
        st.sampled_from(["", "gold"]),
        st.lists(st.tuples(st.integers(0, 25), AMOUNTS), max_size=4),
        AMOUNTS,  # the discount of the whole
        AMOUNTS,  # what the total is too much
    ),
    max_size=4,
)
Source = tuple[int, str, Sequence[tuple[int, float]], float, float]


def bill(sources: Sequence[Source], start: int = JUNE, end: int = JULY, nanos: int = 0) -> Bill:
    """Return a bill with these sources."""
    answer = pb.GetCurrentMonthUsageResponse()
    answer.start_date.seconds, answer.end_date.seconds = start, end
    answer.end_date.nanos = nanos
    for source_type, tier, costs, discount, excess in sources:
        source = answer.resource_usage_costs_by_source.add()
        source.source_type, source.tier_name = source_type, tier  # type: ignore[assignment]
        total = source.resource_usage_costs
        for resource_type, usd in costs:
            total.usage_costs.add(resource_type=resource_type, cost=usd)
        total.total_without_discount = math.fsum(usd for _, usd in costs) + excess
        total.discount = discount
        total.total_with_discount = total.total_without_discount - discount
    return Bill(organization(), usage.view(answer))


def rows(*args: Any, **options: Any) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a bill."""
    return [*focus.rows([bill(*args, **options)])]


@given(SOURCES)
def test_billed_costs_add_up_to_month_to_date(sources: Sequence[Source]) -> None:
    """However discounts lie on whole sources, and whatever totals differ from their parts."""
    it = bill(sources)
    billed = math.fsum(row["BilledCost"] for row in focus.rows([it]))
    # Of each source, less than a ten-thousandth of a cent is left out.
    assert abs(billed - it.usage.month_to_date) <= 2 * focus.SMALLEST * max(1, len(sources))


@given(SOURCES)
def test_rows_are_as_the_specification_wants_them(sources: Sequence[Source]) -> None:
    """All columns in their order, no empty text, and nothing empty that must not be."""
    for row in rows(sources):
        assert tuple(row) == focus.COLUMNS
        assert "" not in row.values()
        assert {name for name, value in row.items() if value is None} <= NULLABLE
        assert len({row[cost] for cost in COSTS}) == 1
        assert row["ChargeCategory"] in {"Usage", "Credit", "Adjustment"}
        assert (row["SkuId"] is not None) == (row["ChargeCategory"] == "Usage")
        assert isinstance(json.loads(row["Tags"]), dict)


def test_columns_are_those_of_the_version() -> None:
    """Every mandatory one, no invented one, ours last and named as ours; the order is theirs."""
    theirs = [name for name in focus.COLUMNS if not name.startswith("x_")]
    assert set(theirs) >= set(MANDATORY)
    assert set(theirs) <= {*MANDATORY, *OTHERS}
    assert list(focus.COLUMNS) == sorted(theirs) + sorted(set(focus.COLUMNS) - set(theirs))


def test_every_column_that_is_not_filled_is_documented() -> None:
    """With the reason, in docs/commands/usage.md."""
    text = (ROOT / "docs" / "commands" / "usage.md").read_text()
    table = text[text.index("What the API does not say") :]
    named = set(re.findall(r"`(\w+)`", table)) | {
        name for stem in re.findall(r"`(\w+)\.\.\.`", table) for name in OTHERS if stem in name
    }
    never = {"ChargeClass", "PricingQuantity", "PricingUnit"}
    assert named >= (set(OTHERS) - set(focus.COLUMNS)) | never


def test_a_discount_of_a_whole_source_is_a_credit() -> None:
    """As the API gives it: for the source and tier, beside the costs before discounts."""
    got = [
        (row["ChargeCategory"], row["BilledCost"], row["x_Tier"])
        for row in rows([(1, "gold", [(1, 10.0), (2, 5.0)], 3.0, 0.0), (1, "", [], 2.0, 2.0)])
    ]
    assert got == [
        ("Credit", -2.0, None),
        ("Adjustment", 2.0, None),
        ("Usage", 5.0, "gold"),
        ("Usage", 10.0, "gold"),
        ("Credit", -3.0, "gold"),
    ]


@pytest.mark.parametrize(
    ("end", "nanos"), [(JULY, 0), (JULY - 1, 0), (JULY - 1, 999_999_999), (JULY - 1, 5)]
)
def test_periods_end_before_their_end(end: int, nanos: int) -> None:
    """The specification wants the first moment after it; a last second, or a part, is none."""
    (row,) = rows([(1, "", [(1, 1.0)], 0.0, 0.0)], end=end, nanos=nanos)
    assert row["BillingPeriodStart"] == row["ChargePeriodStart"] == "2025-06-01T00:00:00Z"
    assert row["BillingPeriodEnd"] == row["ChargePeriodEnd"] == "2025-07-01T00:00:00Z"


def test_what_is_missing_is_named() -> None:
    """A cost that is no number has no row, and a period that is not known is empty."""
    it = bill([(1, "", [(1, math.nan), (2, 4.0)], 0.0, 0.0)], start=0)
    assert [row["BilledCost"] for row in focus.rows([it])] == [4.0]
    assert [what.partition(" ")[2][:10] for _, what in focus.gaps([it])] == [
        "cost that ",
        "billing pe",
    ]
    assert [*focus.gaps([bill([])])] == []


def test_numbers_have_no_exponent(capsys: pytest.CaptureFixture[str]) -> None:
    """Some that read CSV do not know 1e-07, and no digit may be lost."""
    write_csv(("a", "b", "c"), [{"a": 1e-07, "b": -1e16, "c": 0.1 + 0.2}])
    assert capsys.readouterr().out == "a,b,c\n0.0000001,-10000000000000000,0.30000000000000004\n"
