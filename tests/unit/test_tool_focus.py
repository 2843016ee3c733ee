"""The rows for FOCUS: its columns and formats, and that what is billed adds up."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.cents import SMALLEST
from exporter.metrics.extract import usage
from exporter.pb import billing_pb2 as pb
from exporter.tool import focus
from exporter.tool.output import write_csv
from exporter.tool.usage_lines import Bill
from support.focus_columns import COLUMNS, OTHERS, violations
from support.process import ROOT
from support.reader import organization

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
    assert abs(billed - it.usage.month_to_date) <= 2 * SMALLEST * max(1, len(sources))


@given(SOURCES)
def test_rows_meet_the_requirements_of_the_specification(sources: Sequence[Source]) -> None:
    """Type, nullability, allowed values and conditions of each column; columns are in order."""
    for row in rows(sources):
        assert tuple(row) == focus.COLUMNS
        assert violations(row) == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"BilledCost": None}, "BilledCost is null"),
        ({"BilledCost": math.nan}, "BilledCost has a value that is not allowed"),
        ({"ChargePeriodEnd": "2025-07-01"}, "ChargePeriodEnd has a value that is not allowed"),
        ({"ChargeDescription": ""}, "ChargeDescription has a value that is not allowed"),
        ({"ChargeCategory": "Discount"}, "ChargeCategory has a value that is not allowed"),
        ({"Tags": '{"a": []}'}, "Tags has a value that is not allowed"),
        (
            {"ProviderName": "Viam"},
            "ProviderName is neither a column of the specification nor named as ours",
        ),
        ({"SkuId": None}, "Usage that is not a correction names its SKU."),
        ({"PricingQuantity": 1.0}, "Without a SKU price there is no quantity."),
        ({"PricingUnit": "GB"}, "A quantity and its unit come together."),
        (
            {"ListCost": 2.0, "ContractedCost": 2.0},
            "Without a unit price, the list cost is the billed one.",
        ),
        (
            {"EffectiveCost": 0.0},
            "What covers no other charge, and is covered by none, costs what is billed.",
        ),
        ({"InvoiceDetailId": "1"}, "A charge without an invoice has no line of one either."),
        (
            {"ChargeCategory": "Credit", "ContractedCost": 0.0},
            "The contracted cost of a credit is the billed one.",
        ),
        (
            {"ContractedCost": 0.0},
            "Without negotiated prices, the contracted cost is the list cost.",
        ),
        ({"ChargeCategory": "Purchase"}, "A purchase is not usage-based."),
        (
            {"ChargePeriodEnd": "2025-08-01T00:00:00Z"},
            "Periods end after their start; that of a charge is within that of the bill.",
        ),
    ],
)
def test_what_the_specification_forbids_is_found(change: Mapping[str, Any], wrong: str) -> None:
    """So that the test above can fail: each kind of violation, made on purpose."""
    (row,) = rows([(1, "", [(1, 1.0)], 0.0, 0.0)])
    assert violations({**row, **change})[0] == wrong


def test_columns_are_those_of_the_version() -> None:
    """Every mandatory one, no invented one, ours last and named as ours; the order is theirs."""
    theirs = [name for name in focus.COLUMNS if not name.startswith("x_")]
    assert set(theirs) == set(COLUMNS)
    assert list(focus.COLUMNS) == sorted(theirs) + sorted(set(focus.COLUMNS) - set(theirs))
    (row,) = rows([(1, "", [(1, 1.0)], 0.0, 0.0)])
    for name, column in COLUMNS.items():
        rest = {other: value for other, value in row.items() if other != name}
        assert (f"{name} is missing" in violations(rest)) == column.mandatory


def test_every_column_that_is_not_filled_is_documented() -> None:
    """With the reason, in docs/commands/usage.md."""
    text = (ROOT / "docs" / "commands" / "usage.md").read_text()
    table = text[text.index("What the API does not say") :]
    named = set(re.findall(r"`(\w+)`", table)) | {
        name for stem in re.findall(r"`(\w+)\.\.\.`", table) for name in OTHERS if stem in name
    }
    (row,) = rows([(1, "gold", [(1, 1.0)], 0.0, 0.0)])
    assert named == {*OTHERS, *(name for name, value in row.items() if value is None)}


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
