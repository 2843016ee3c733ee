"""The current month in the columns of FOCUS, the FinOps Open Cost and Usage Specification."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from exporter.base import plain
from exporter.metrics.cents import SMALLEST
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import Organization

VERSION: Final = "1.4"
PROVIDER: Final = "Viam"
CURRENCY: Final = "USD"
DAY: Final = 86_400

# In alphabetical order: all columns that the specification makes mandatory, those that it wants of
# an issuer of invoices, and others that can be filled. ChargeClass, PricingQuantity and PricingUnit
# are always empty because the billing API does not send them, InvoiceId and InvoiceDetailId because
# the current period has no invoice yet. Columns of our own come last.
COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceDetailId",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "Tags",
    "x_SourceType",
    "x_Tier",
)


class OrganizationUsage(Protocol):
    """An organization and its current period."""

    @property
    def organization(self) -> Organization:
        """Whose bill it is."""

    @property
    def usage(self) -> Usage:
        """What it has cost so far."""


def document(found: Iterable[OrganizationUsage]) -> dict[str, Any]:
    """Return the rows for JSON, with the version that they follow."""
    return {"FocusVersion": VERSION, "Rows": list(rows(found))}


def rows(found: Iterable[OrganizationUsage]) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each cost, and for each source its discount, which is not split by cost.

    The billed costs of an organization add up to its month to date. A cost that is no number has
    no row, for the specification knows no empty costs: `gaps` names its organization.
    """
    return (row for row in _rows(found) if row["BilledCost"] is not None)


def gaps(found: Iterable[OrganizationUsage]) -> Iterator[tuple[Organization, str]]:
    """Yield the organizations of which something is missing that the specification wants."""
    for bill in found:
        if any(row["BilledCost"] is None for row in _rows([bill])):
            yield bill.organization, "a cost that is not a number was left out"
        if bill.usage.totals and None in (bill.usage.period_start, bill.usage.period_end):
            yield bill.organization, "the billing period is unknown, so its columns are empty"


def _rows(found: Iterable[OrganizationUsage]) -> Iterator[Mapping[str, Any]]:
    for bill in found:
        common = _common(bill)
        usage = bill.usage
        for (source_type, tier), total in sorted(usage.totals.items()):
            source = common | {"x_SourceType": source_type, "x_Tier": tier or None}
            costs = {
                resource_type: exact_sum(parts)
                for (of_type, of_tier, resource_type), parts in sorted(usage.costs.items())
                if (of_type, of_tier) == (source_type, tier)
            }
            for resource_type, usd in costs.items():
                text = f"Usage so far in the billing period: {resource_type.replace('_', ' ')}"
                sku = {"SkuId": resource_type, "SkuMeter": resource_type}
                yield _row(source | sku, "Usage", text, usd)
            discount = exact_sum(total.discount)
            if discount:
                text = "Discount on the usage of this source and tier"
                yield _row(source, "Credit", text, -discount)
            rest = exact_sum([*total.net, discount, *(-usd for usd in costs.values())])
            if not abs(rest) < SMALLEST:  # so that what is no number shows, too
                text = "Difference between the source's total and its parts, as the API gives them"
                yield _row(source, "Adjustment", text, rest)


def _common(bill: OrganizationUsage) -> dict[str, Any]:
    organization, usage = bill.organization, bill.usage
    start, end = _start(usage.period_start), _end(usage.period_end)
    return dict.fromkeys(COLUMNS) | {
        "BillingAccountId": organization.id,
        "BillingAccountName": organization.name,
        "BillingCurrency": CURRENCY,
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        # The specification has the service provider stand for a host that bills do not name.
        "HostProviderName": PROVIDER,
        "InvoiceIssuerName": PROVIDER,
        "ServiceCategory": "Internet of Things",
        "ServiceName": PROVIDER,
        "ServiceProviderName": PROVIDER,
        "ServiceSubcategory": "IoT Platforms",
        "Tags": json.dumps(dict(organization.labels)),
    }


def _start(seconds: float | None) -> str | None:
    """Return a period's first moment as the specification wants it: in whole seconds."""
    return None if seconds is None else plain.moment(math.floor(seconds))


def _end(seconds: float | None) -> str | None:
    """Return the first moment after a period: one that ends in a day's last second ends with it."""
    if seconds is None:
        return None
    whole = math.ceil(seconds)
    return plain.moment(whole + (whole % DAY == DAY - 1))


def _row(
    given: Mapping[str, Any], category: str, description: str, usd: float
) -> Mapping[str, Any]:
    # Without unit prices, the specification has all costs of a charge match the billed one.
    costs = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
    return {
        **given,
        **dict.fromkeys(costs, plain.number(usd)),
        "ChargeCategory": category,
        "ChargeDescription": description,
    }
