"""What FOCUS 1.4 requires of the Cost and Usage dataset, column by column, in our own words.

The official validator cannot check this version: the newest release of focus-validator, 1.0.0, has
the rules of FOCUS 1.0. Its unreleased code has newer ones, but downloads them when it runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A mandatory column, or one that is written although it is not."""

    holds: Callable[[Any], bool]  # whether a value that is not null is of the type and allowed
    nullable: bool = False
    mandatory: bool = True


class Condition(NamedTuple):
    """A requirement that joins columns."""

    rule: str
    holds: Callable[[Row], bool]


def _text(value: object) -> bool:
    """Strings are not empty and have no white space at their ends."""
    return isinstance(value, str) and value != "" and value == value.strip()


def _decimal(value: object) -> bool:
    return isinstance(value, int | float) and value - value == 0  # false for NaN and infinities


def _moment(value: object) -> bool:
    """ISO 8601, in UTC, to the second."""
    return isinstance(value, str) and bool(
        re.fullmatch(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ", value)
    )


def _tags(value: object) -> bool:
    """A JSON object whose values are no objects or lists."""
    tags = json.loads(value) if isinstance(value, str) else None
    return isinstance(tags, dict) and not any(
        isinstance(each, dict | list) for each in tags.values()
    )


def _one_of(*allowed: str) -> Callable[[Any], bool]:
    return lambda value: value in allowed


COLUMNS: Final[Mapping[str, Column]] = {
    "BilledCost": Column(_decimal),
    "BillingAccountId": Column(_text),
    "BillingAccountName": Column(_text, nullable=True),
    "BillingCurrency": Column(lambda value: bool(re.fullmatch(r"[A-Z]{3}", value))),
    "BillingPeriodEnd": Column(_moment),
    "BillingPeriodStart": Column(_moment),
    "ChargeCategory": Column(_one_of("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    "ChargeClass": Column(_one_of("Correction"), nullable=True),
    "ChargeDescription": Column(_text, nullable=True),
    "ChargeFrequency": Column(_one_of("One-Time", "Recurring", "Usage-Based"), mandatory=False),
    "ChargePeriodEnd": Column(_moment),
    "ChargePeriodStart": Column(_moment),
    "ContractedCost": Column(_decimal),
    "EffectiveCost": Column(_decimal),
    "HostProviderName": Column(_text),
    # Mandatory where the issuer has invoices to be paid.
    "InvoiceDetailId": Column(_text, nullable=True),
    "InvoiceId": Column(_text, nullable=True),
    "InvoiceIssuerName": Column(_text),
    "ListCost": Column(_decimal),
    "PricingQuantity": Column(_decimal, nullable=True),
    "PricingUnit": Column(_text, nullable=True),
    # Of the allowed values, the one that we use; the specification has 19 and their children.
    "ServiceCategory": Column(_one_of("Internet of Things")),
    "ServiceName": Column(_text),
    "ServiceProviderName": Column(_text),
    "ServiceSubcategory": Column(
        _one_of("IoT Analytics", "IoT Platforms", "Other (Internet of Things)"), mandatory=False
    ),
    "SkuId": Column(_text, nullable=True, mandatory=False),
    "SkuMeter": Column(_text, nullable=True, mandatory=False),
    "Tags": Column(_tags, nullable=True, mandatory=False),
}

# Columns that are for issuers with what their names say, and that bills of Viam do not have.
OTHERS: Final = (
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "AvailabilityZone",
    "BillingAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "CommitmentProgramEligibilityDetails",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractApplied",
    "ContractedUnitPrice",
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
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
)

CONDITIONS: Final = (
    Condition(
        "Usage that is not a correction names its SKU.",
        lambda row: (
            row["ChargeCategory"] != "Usage"
            or row["ChargeClass"] == "Correction"
            or row["SkuId"] is not None
        ),
    ),
    Condition(
        "Without a SKU price there is no quantity.",
        lambda row: row.get("SkuPriceId") is not None or row["PricingQuantity"] is None,
    ),
    Condition(
        "A quantity and its unit come together.",
        lambda row: (row["PricingQuantity"] is None) == (row["PricingUnit"] is None),
    ),
    Condition(
        "The contracted cost of a credit is the billed one.",
        lambda row: row["ChargeCategory"] != "Credit" or row["ContractedCost"] == row["BilledCost"],
    ),
    Condition(
        "Without negotiated prices, the contracted cost is the list cost.",
        lambda row: row["ContractedCost"] == row["ListCost"],
    ),
    Condition(
        "Without a unit price, the list cost is the billed one.",
        lambda row: row.get("ListUnitPrice") is not None or row["ListCost"] == row["BilledCost"],
    ),
    Condition(
        "What covers no other charge, and is covered by none, costs what is billed.",
        lambda row: row["EffectiveCost"] == row["BilledCost"],
    ),
    Condition(
        "A purchase is not usage-based.",
        lambda row: row["ChargeFrequency"] != "Usage-Based" or row["ChargeCategory"] != "Purchase",
    ),
    Condition(
        "A charge without an invoice has no line of one either.",
        lambda row: row["InvoiceId"] is not None or row["InvoiceDetailId"] is None,
    ),
    Condition(
        "Periods end after their start; that of a charge is within that of the bill.",
        lambda row: (
            row["BillingPeriodStart"] <= row["ChargePeriodStart"]
            and row["ChargePeriodStart"] < row["ChargePeriodEnd"]
            and row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        ),
    ),
)


def violations(row: Row) -> list[str]:
    """Return what a row does against the specification, in words; nothing if it conforms."""
    found = []
    for name, column in COLUMNS.items():
        if name not in row:
            if column.mandatory:
                found.append(f"{name} is missing")
        elif row[name] is None:
            if not column.nullable:
                found.append(f"{name} is null")
        elif not column.holds(row[name]):
            found.append(f"{name} has a value that is not allowed")
    found += [
        f"{name} is neither a column of the specification nor named as ours"
        for name in row.keys() - COLUMNS.keys()
        if name not in OTHERS and not re.fullmatch(r"x_[A-Z][A-Za-z0-9]*", name)
    ]
    whole = {**dict.fromkeys(COLUMNS), **row}
    return found or [each.rule for each in CONDITIONS if not each.holds(whole)]
