"""Bills with every trap of the API in them, and beside each what the exporter must say of it.

Answers are in protobuf's JSON, as the SDK's server takes them. What is expected is written by
hand, by the rules of the contract: nothing here comes from the exporter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import fsum
from typing import Any

Values = Mapping[tuple[str, ...], float | None]

ZERO_TIME = "0001-01-01T00:00:00Z"  # of Go, where a time that nobody set leaks as this one


@dataclass(frozen=True)
class Row:
    """An invoice that has series of its own. Times are Unix seconds, None where unset."""

    id: str
    status: str
    usd: float | None  # None if it is no number
    issued: float | None = None
    due: float | None = None
    paid: float | None = None
    unpaid: bool = False


@dataclass(frozen=True)
class Bill:
    """An organization, what the API says of it, and what the page must say.

    `expected` maps metrics, without the prefix, to the values by the labels after org_id and
    org_name; a number stands for a metric without more labels. None means that the series must
    be absent. `rows` are the invoices in the order in which `invoices.max_per_organization`
    keeps them. `withheld` counts, by (collector, reason), the samples that are no numbers,
    `withheld_rows` those of `rows` alone, which are missing where such an invoice is not shown.
    """

    id: str
    key_id: str
    usage: Mapping[str, Any]
    billing_information: Mapping[str, Any]
    invoices: Mapping[str, Any]
    expected: Mapping[str, float | Values]
    rows: Sequence[Row] = ()
    withheld: Mapping[tuple[str, str], int] = field(default_factory=dict)
    withheld_rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    name: str | None = None
    budget_usd: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def at(*moment: int) -> float:
    """Return Unix seconds of a date, and a time, in UTC."""
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


def source(
    source_type: str | int,
    tier: str,
    *costs: tuple[str | int, float | str],
    gross: float | str = 0.0,
    discount: float | str = 0.0,
    net: float | str = 0.0,
) -> dict[str, Any]:
    """Return a ResourceUsageCostsBySource with these (resource type, cost) lines."""
    lines = [
        {"resource_type": f"USAGE_COST_TYPE_{kind}" if isinstance(kind, str) else kind, "cost": usd}
        for kind, usd in costs
    ]
    return {
        "source_type": f"SOURCE_TYPE_{source_type}"
        if isinstance(source_type, str)
        else source_type,
        "tier_name": tier,
        "resource_usage_costs": {
            "usage_costs": lines,
            "discount": discount,
            "total_with_discount": net,
            "total_without_discount": gross,
        },
    }


def invoice(  # noqa: PLR0913 - a message's fields
    invoice_id: str,
    usd: float | str,
    status: str,
    *,
    issued: str | None = None,
    due: str | None = None,
    paid: str | None = None,
    reason: str = "",
    failed: str | None = None,
) -> dict[str, Any]:
    """Return an InvoiceSummary; dates without a time are midnight in UTC."""
    times = {
        "invoice_date": issued,
        "due_date": due,
        "paid_date": paid,
        "last_payment_failure_at": failed,
    }
    return {
        "id": invoice_id,
        "invoice_amount": usd,
        "status": status,
        "last_payment_failure_reason": reason,
    } | {name: time if "T" in time else f"{time}T00:00:00Z" for name, time in times.items() if time}


CARD = {"brand": "visa", "last_four_digits": "PRIVATE-card-digits"}
BANK = {
    "bank_name": "PRIVATE-bank",
    "last_four_digits_account_number": "PRIVATE-account-digits",
    "routing_number": "PRIVATE-routing-number",
    "account_type": "PRIVATE-account-type",
}

# Sources in every shape: equal labels twice, numbers that no enum has, messages that are absent.
SOURCES = Bill(
    id="11111111-1111-4111-8111-111111111111",
    name='Ashgrove "Fleet" \\ Field é',
    budget_usd=250.5,
    labels={"team": 'a "b" \\ c', "cost_center": "42"},
    key_id="key-1",
    usage={
        "start_date": "2025-01-01T00:00:00.250Z",
        "end_date": "2025-02-01T00:00:00Z",
        "subtotal": 30.1,
        # The older shape of the same costs: not to be added.
        "cloud_storage_usage_cost": 1000,
        "data_upload_usage_cost": 1000,
        "data_egres_usage_cost": 1000,
        "remote_control_usage_cost": 1000,
        "standard_compute_usage_cost": 1000,
        "discount_amount": 1000,
        "total_usage_with_discount": 1000,
        "total_usage_without_discount": 1000,
        "per_machine_usage_cost": 1000,
        "binary_data_cloud_storage_usage_cost": 1000,
        "other_cloud_storage_usage_cost": 1000,
        "resource_usage_costs_by_source": [
            source(
                "ORG",
                "",
                ("PER_MACHINE", 12.5),
                ("REMOTE_CONTROL", 0.1),
                ("REMOTE_CONTROL", 0.2),
                (99, 1.75),
                (100, 2.25),
                ("BINARY_DATA_UPLOAD", 0.0),
                gross=16.8,
                discount=1.5,
                net=15.3,
            ),
            source("FRAGMENT", "Gold", ("PREMIUM_MODULE", 6.5), gross=6.5, net=6.5),
            source(
                "FRAGMENT",
                "Gold",
                ("PREMIUM_MODULE", 0.1),
                ("SIMULATION_COMPUTE", 4.0),
                gross=4.1,
                discount=0.6,
                net=3.5,
            ),
            source("FRAGMENT", 'Q "x" \\ y\nz é', ("STANDARD_COMPUTE", 1.0), gross=1.0, net=1.0),
            {"source_type": "SOURCE_TYPE_FRAGMENT", "tier_name": "Idle"},
            source("FRAGMENT", "Empty"),
            source(7, "", ("LOGS_UPLOAD", 0.7), gross=0.7, net=0.7),
            source(99, "", ("LOGS_UPLOAD", 0.3), gross=0.3, net=0.3),
            source("UNSPECIFIED", "", ("UNSPECIFIED", 0.05), gross=0.05, net=0.05),
            # A credit: the total is more than its line.
            source("ORG", "", ("PER_MACHINE", 0.1), gross=0.1, discount=-0.25, net=0.35),
        ],
    },
    billing_information={
        "type": "PAYMENT_METHOD_TYPE_CARD",
        "billing_email": "PRIVATE@example.com",
        "method": CARD,
        "billing_tier": "Team",
        "method_us_bank_account": BANK,
    },
    # One invoice in each state.
    invoices={
        "outstanding_balance": 95.5,
        "invoices": [
            invoice(
                "paid",
                100.1,
                "paid",
                issued="2024-08-01",
                due="2024-08-31",
                paid="2024-08-03T10:20:30Z",
            ),
            invoice("loud", 50.05, "PAID", issued="2024-07-01", due="2024-07-31"),
            invoice(
                "declined",
                80.2,
                "outstanding",
                issued="2024-06-01",
                due="2024-07-01",
                reason="card_declined",
                failed="2024-07-02",
            ),
            invoice(
                "open", 70.4, "Outstanding", issued="2024-09-01", due="2099-01-01T12:00:00.500Z"
            ),
            invoice("later", 20.2, "outstanding", issued="2024-05-01", due="2099-02-01"),
            # A failure with a time and no reason.
            invoice(
                "processing",
                30.3,
                "payment_processing",
                issued="2024-04-01",
                due="2024-05-01",
                failed="2024-05-03",
            ),
            # A reason that is new, without a time.
            invoice(
                "overdue",
                11.0,
                "Overdue",
                issued="2024-03-01",
                due="2024-04-01",
                reason="do_not_honor",
                failed=ZERO_TIME,
            ),
            # Settled: what failed before is history.
            invoice(
                "free",
                5.0,
                "Free",
                issued="2024-02-01",
                due="2024-03-01",
                reason="expired_card",
                failed="2024-12-01",
            ),
            invoice("void", 9.0, "void", issued="2024-01-01", due="2024-02-01"),
            invoice("credit", -15.5, "outstanding", issued="2024-10-01", due="2024-10-31"),
            invoice("zero", 0.0, "outstanding", issued="2024-10-02", due="2024-11-01"),
            invoice("undated", 3.3, "outstanding", issued=ZERO_TIME, due="1970-01-01"),
            invoice('"\\\n é', 1.1, "", issued="2023-12-01", due="2099-03-01"),
        ],
    },
    rows=[
        Row("overdue", "other", 11.0, at(2024, 3, 1), at(2024, 4, 1), unpaid=True),
        Row("processing", "payment_processing", 30.3, at(2024, 4, 1), at(2024, 5, 1), unpaid=True),
        Row("declined", "outstanding", 80.2, at(2024, 6, 1), at(2024, 7, 1), unpaid=True),
        Row(
            "open",
            "outstanding",
            70.4,
            at(2024, 9, 1),
            at(2099, 1, 1, 12) + 0.5,
            unpaid=True,
        ),
        Row("later", "outstanding", 20.2, at(2024, 5, 1), at(2099, 2, 1), unpaid=True),
        Row('"\\\n é', "other", 1.1, at(2023, 12, 1), at(2099, 3, 1), unpaid=True),
        Row("undated", "outstanding", 3.3, unpaid=True),
        Row("zero", "outstanding", 0.0, at(2024, 10, 2), at(2024, 11, 1)),
        Row("credit", "outstanding", -15.5, at(2024, 10, 1), at(2024, 10, 31)),
        Row("paid", "paid", 100.1, at(2024, 8, 1), at(2024, 8, 31), at(2024, 8, 3, 10, 20, 30)),
        Row("loud", "paid", 50.05, at(2024, 7, 1), at(2024, 7, 31)),
        Row("free", "other", 5.0, at(2024, 2, 1), at(2024, 3, 1)),
        Row("void", "other", 9.0, at(2024, 1, 1), at(2024, 2, 1)),
    ],
    expected={
        "usage_cost_usd": {
            ("org", "", "per_machine"): fsum([12.5, 0.1]),
            ("org", "", "remote_control"): fsum([0.1, 0.2]),
            ("org", "", "unknown_99"): 1.75,
            ("org", "", "unknown_100"): 2.25,
            ("org", "", "binary_data_upload"): 0.0,
            ("fragment", "Gold", "premium_module"): fsum([6.5, 0.1]),
            ("fragment", "Gold", "simulation_compute"): 4.0,
            ("fragment", 'Q "x" \\ y\nz é', "standard_compute"): 1.0,
            ("unknown_7", "", "logs_upload"): 0.7,
            ("unknown_99", "", "logs_upload"): 0.3,
            ("unspecified", "", "unspecified"): 0.05,
        },
        "usage_gross_cost_usd": {
            ("org", ""): fsum([16.8, 0.1]),
            ("fragment", "Gold"): fsum([6.5, 4.1]),
            ("fragment", 'Q "x" \\ y\nz é'): 1.0,
            ("fragment", "Empty"): 0.0,
            ("unknown_7", ""): 0.7,
            ("unknown_99", ""): 0.3,
            ("unspecified", ""): 0.05,
        },
        "usage_discount_usd": {
            ("org", ""): fsum([1.5, -0.25]),
            ("fragment", "Gold"): 0.6,
            ("fragment", 'Q "x" \\ y\nz é'): 0.0,
            ("fragment", "Empty"): 0.0,
            ("unknown_7", ""): 0.0,
            ("unknown_99", ""): 0.0,
            ("unspecified", ""): 0.0,
        },
        "usage_net_cost_usd": {
            ("org", ""): fsum([15.3, 0.35]),
            ("fragment", "Gold"): fsum([6.5, 3.5]),
            ("fragment", 'Q "x" \\ y\nz é'): 1.0,
            ("fragment", "Empty"): 0.0,
            ("unknown_7", ""): 0.7,
            ("unknown_99", ""): 0.3,
            ("unspecified", ""): 0.05,
        },
        "usage_month_to_date_usd": fsum([15.3, 6.5, 3.5, 1.0, 0.7, 0.3, 0.05, 0.35]),
        "usage_subtotal_usd": 30.1,
        "usage_reconciliation_difference_usd": 30.1
        - fsum([15.3, 6.5, 3.5, 1.0, 0.7, 0.3, 0.05, 0.35]),
        "usage_period_start_timestamp_seconds": at(2025, 1, 1) + 0.25,
        "usage_period_end_timestamp_seconds": at(2025, 2, 1),
        "payment_method_info": {("card", "visa"): 1},
        "payment_method_verification_pending": 0,
        "outstanding_balance_usd": 95.5,
        "invoices": {
            ("paid",): 2,
            ("outstanding",): 6,
            ("payment_processing",): 1,
            ("other",): 4,
        },
        "invoices_amount_usd": {
            ("paid",): fsum([100.1, 50.05]),
            ("outstanding",): fsum([80.2, 70.4, 20.2, -15.5, 0.0, 3.3]),
            ("payment_processing",): 30.3,
            ("other",): fsum([11.0, 5.0, 9.0, 1.1]),
        },
        "invoices_unpaid": 7,
        "invoices_unpaid_amount_usd": fsum([80.2, 70.4, 20.2, 30.3, 11.0, 3.3, 1.1]),
        "invoices_overdue": 3,
        "invoices_overdue_amount_usd": fsum([80.2, 30.3, 11.0]),
        "invoice_next_due_timestamp_seconds": at(2099, 1, 1, 12) + 0.5,
        "invoice_oldest_unpaid_due_timestamp_seconds": at(2024, 4, 1),
        "invoice_latest_amount_usd": 70.4,
        # Of 100.1, 50.05, 80.2, 20.2, 30.3 and 11.0: the mean of the two in the middle.
        "invoice_previous_median_amount_usd": (30.3 + 50.05) / 2,
        "invoices_payment_failed": {("card_declined",): 1, ("other",): 2},
        "invoices_payment_failed_amount_usd": {
            ("card_declined",): 80.2,
            ("other",): fsum([30.3, 11.0]),
        },
        "payment_last_failure_timestamp_seconds": at(2024, 7, 2),
        "org_info": {("Team", "USD"): 1},
    },
)

RESOURCE_TYPES = (
    "unspecified",
    "data_upload",
    "data_egress",
    "remote_control",
    "standard_compute",
    "cloud_storage",
    "binary_data_cloud_storage",
    "other_cloud_storage",
    "per_machine",
    "trigger_notification",
    "tabular_data_cloud_storage",
    "config_history_cloud_storage",
    "logs_cloud_storage",
    "training_logs_cloud_storage",
    "packages_cloud_storage",
    "binary_data_upload",
    "tabular_data_upload",
    "logs_upload",
    "binary_data_egress",
    "tabular_data_egress",
    "logs_egress",
    "training_logs_egress",
    "tabular_data_database_cloud_storage",
    "tabular_data_database_compute",
    "binary_data_cross_region_egress",
    "pipeline_sink_cloud_storage",
    "pipeline_sink_compute",
    "premium_module",
    "simulation_compute",
)

# Every type of cost by its name, a bank account that awaits verification, an id that comes twice.
EVERY_TYPE = Bill(
    id="22222222-2222-4222-8222-222222222222",
    name="Brackenwold",
    key_id="key-2",
    usage={
        "start_date": "2025-01-01T00:00:00Z",
        "end_date": "2025-01-31T23:59:59.999Z",
        "subtotal": 50.75,
        "resource_usage_costs_by_source": [
            source(
                "ORG",
                "Base",
                *((name.upper(), number / 8) for number, name in enumerate(RESOURCE_TYPES)),
                gross=50.75,
                net=50.75,
            )
        ],
    },
    billing_information={
        "type": "PAYMENT_METHOD_TYPE_USBANKACCOUNT",
        "billing_email": "PRIVATE@example.com",
        "method_us_bank_account": {
            **BANK,
            "verification_info": {
                "arrival_date": "1735689600",
                "hosted_verification_page_url": "https://example.com/PRIVATE",
            },
        },
    },
    invoices={
        "outstanding_balance": 30.0,
        "invoices": [
            invoice("twin", 10.0, "outstanding", issued="2024-01-01", due="2024-02-01"),
            invoice("twin", 20.0, "outstanding", issued="2024-02-01", due="2024-03-01"),
            invoice("a", 40.0, "paid", issued="2023-12-01"),
            invoice("b", 7.5, "paid", issued="2023-11-01"),
            invoice("c", 5.0, "paid", issued="2023-10-01"),
        ],
    },
    rows=[
        Row("twin", "outstanding", 10.0, at(2024, 1, 1), at(2024, 2, 1), unpaid=True),
        Row("a", "paid", 40.0, at(2023, 12, 1)),
        Row("b", "paid", 7.5, at(2023, 11, 1)),
        Row("c", "paid", 5.0, at(2023, 10, 1)),
    ],
    # The second one's amount, date and due date.
    withheld={("invoices", "duplicate"): 3},
    expected={
        "usage_cost_usd": {
            ("org", "Base", name): number / 8 for number, name in enumerate(RESOURCE_TYPES)
        },
        "usage_gross_cost_usd": {("org", "Base"): 50.75},
        "usage_discount_usd": {("org", "Base"): 0.0},
        "usage_net_cost_usd": {("org", "Base"): 50.75},
        "usage_month_to_date_usd": 50.75,
        "usage_subtotal_usd": 50.75,
        "usage_reconciliation_difference_usd": 0.0,
        "usage_period_start_timestamp_seconds": at(2025, 1, 1),
        "usage_period_end_timestamp_seconds": at(2025, 2, 1) - 0.001,
        "payment_method_info": {("us_bank_account", ""): 1},
        "payment_method_verification_pending": 1,
        "outstanding_balance_usd": 30.0,
        "invoices": {("outstanding",): 2, ("paid",): 3},
        "invoices_amount_usd": {("outstanding",): 30.0, ("paid",): 52.5},
        "invoices_unpaid": 2,
        "invoices_unpaid_amount_usd": 30.0,
        "invoices_overdue": 2,
        "invoices_overdue_amount_usd": 30.0,
        "invoice_oldest_unpaid_due_timestamp_seconds": at(2024, 2, 1),
        "invoice_latest_amount_usd": 20.0,
        "invoice_previous_median_amount_usd": (7.5 + 10.0) / 2,  # of 10, 40, 7.5 and 5
        "org_info": {("", "USD"): 1},
    },
)

# The older shape of an answer, a bank account that is verified, nothing but credits.
DEPRECATED = Bill(
    id="33333333-3333-4333-8333-333333333333",
    name="Cinderhope",
    budget_usd=0.0,
    key_id="key-3",
    usage={
        "start_date": "2025-01-01T00:00:00Z",
        "end_date": "2025-02-01T00:00:00Z",
        "subtotal": 20.0,
        "cloud_storage_usage_cost": 3.5,  # of which are the two parts below
        "binary_data_cloud_storage_usage_cost": 2.25,
        "other_cloud_storage_usage_cost": 1.25,
        "data_upload_usage_cost": 4.5,
        "data_egres_usage_cost": 1.5,
        "remote_control_usage_cost": 0.0,
        "standard_compute_usage_cost": 6.0,
        "per_machine_usage_cost": 8.0,
        "discount_amount": 2.35,
        "total_usage_with_discount": 21.15,
        "total_usage_without_discount": 23.5,
    },
    billing_information={
        "type": "PAYMENT_METHOD_TYPE_USBANKACCOUNT",
        "billing_email": "PRIVATE@example.com",
        "method_us_bank_account": BANK,
    },
    invoices={
        "outstanding_balance": -7.5,
        "invoices": [
            invoice("used", -5.0, "paid", issued="2024-01-01", paid="2024-01-01"),
            invoice("left", -2.5, "outstanding", issued="2024-02-01", due="2024-02-15"),
        ],
    },
    rows=[
        Row("left", "outstanding", -2.5, at(2024, 2, 1), at(2024, 2, 15)),
        Row("used", "paid", -5.0, at(2024, 1, 1), None, at(2024, 1, 1)),
    ],
    expected={
        "usage_cost_usd": {
            ("org", "", "binary_data_cloud_storage"): 2.25,
            ("org", "", "other_cloud_storage"): 1.25,
            ("org", "", "data_upload"): 4.5,
            ("org", "", "data_egress"): 1.5,
            ("org", "", "standard_compute"): 6.0,
            ("org", "", "per_machine"): 8.0,
        },
        "usage_gross_cost_usd": {("org", ""): 23.5},
        "usage_discount_usd": {("org", ""): 2.35},
        "usage_net_cost_usd": {("org", ""): 21.15},
        "usage_month_to_date_usd": 21.15,
        "usage_subtotal_usd": 20.0,
        "usage_reconciliation_difference_usd": 20.0 - 21.15,
        "usage_period_start_timestamp_seconds": at(2025, 1, 1),
        "usage_period_end_timestamp_seconds": at(2025, 2, 1),
        "payment_method_info": {("us_bank_account", ""): 1},
        "payment_method_verification_pending": 0,
        "outstanding_balance_usd": -7.5,
        "invoices": {("outstanding",): 1, ("paid",): 1},
        "invoices_amount_usd": {("outstanding",): -2.5, ("paid",): -5.0},
        "invoices_unpaid": 0,
        "invoices_unpaid_amount_usd": 0.0,
        "invoices_overdue": 0,
        "invoices_overdue_amount_usd": 0.0,
        "org_info": {("", "USD"): 1},
    },
)

# The older shape with the whole of the storage alone, and a payment method that is new.
DEPRECATED_WHOLE = Bill(
    id="44444444-4444-4444-8444-444444444444",
    name="Dunlinstone",
    key_id="key-4",
    usage={"cloud_storage_usage_cost": 3.5},
    billing_information={"type": 9, "billing_email": "PRIVATE@example.com", "method": CARD},
    invoices={"invoices": [invoice("only", 12.0, "outstanding", due="2099-01-01")]},
    rows=[Row("only", "outstanding", 12.0, None, at(2099, 1, 1), unpaid=True)],
    expected={
        "usage_cost_usd": {("org", "", "cloud_storage"): 3.5},
        "usage_gross_cost_usd": {("org", ""): 0.0},
        "usage_discount_usd": {("org", ""): 0.0},
        "usage_net_cost_usd": {("org", ""): 0.0},
        "usage_month_to_date_usd": 0.0,
        "usage_subtotal_usd": 0.0,
        "usage_reconciliation_difference_usd": 0.0,
        "payment_method_info": {("unknown_9", ""): 1},
        "payment_method_verification_pending": 0,
        "outstanding_balance_usd": 0.0,
        "invoices": {("outstanding",): 1},
        "invoices_amount_usd": {("outstanding",): 12.0},
        "invoices_unpaid": 1,
        "invoices_unpaid_amount_usd": 12.0,
        "invoices_overdue": 0,
        "invoices_overdue_amount_usd": 0.0,
        "invoice_next_due_timestamp_seconds": at(2099, 1, 1),
        "invoice_oldest_unpaid_due_timestamp_seconds": at(2099, 1, 1),
        "org_info": {("", "USD"): 1},
    },
)

# What is no number, alone and in sums, and times before 1970.
NO_NUMBERS = Bill(
    id="55555555-5555-4555-8555-555555555555",
    name="Eiderfell",
    key_id="key-5",
    usage={
        "start_date": ZERO_TIME,
        "end_date": "1969-12-31T23:59:59Z",
        "subtotal": 5.0,
        "resource_usage_costs_by_source": [
            source(
                "ORG",
                "",
                ("PER_MACHINE", "NaN"),
                ("REMOTE_CONTROL", 1.5),
                gross=1.7e308,
                discount=0.5,
                net="Infinity",
            ),
            source("ORG", "", ("PER_MACHINE", 3.0), gross=1.7e308, net=1.0),
        ],
    },
    billing_information={
        "type": "PAYMENT_METHOD_TYPE_UNSPECIFIED",
        "billing_email": "PRIVATE@example.com",
        "method": CARD,
    },
    invoices={
        "outstanding_balance": "-Infinity",
        "invoices": [
            invoice("nan", "NaN", "outstanding", issued="2024-03-01", due="2024-04-01"),
            invoice("infinite", "Infinity", "disputed", issued="2024-02-01"),
            invoice("paid", 4.0, "paid", issued="2024-01-01"),
        ],
    },
    rows=[
        Row("nan", "outstanding", None, at(2024, 3, 1), at(2024, 4, 1)),
        Row("infinite", "other", None, at(2024, 2, 1)),
        Row("paid", "paid", 4.0, at(2024, 1, 1)),
    ],
    withheld={
        ("usage", "nan"): 1,  # one cost
        ("usage", "infinity"): 4,  # gross, which overflows; net, and month to date and difference
        ("invoices", "nan"): 1,  # the sum of the outstanding ones
        ("invoices", "infinity"): 2,  # the balance, and the sum of the other ones
    },
    withheld_rows={("invoices", "nan"): 1, ("invoices", "infinity"): 1},
    expected={
        "usage_cost_usd": {("org", "", "remote_control"): 1.5},
        "usage_discount_usd": {("org", ""): 0.5},
        "usage_subtotal_usd": 5.0,
        "payment_method_info": {("none", ""): 1},
        "payment_method_verification_pending": 0,
        "invoices": {("outstanding",): 1, ("other",): 1, ("paid",): 1},
        "invoices_amount_usd": {("outstanding",): None, ("other",): None, ("paid",): 4.0},
        "invoices_unpaid": 0,
        "invoices_unpaid_amount_usd": 0.0,
        "invoices_overdue": 0,
        "invoices_overdue_amount_usd": 0.0,
        "invoice_latest_amount_usd": 4.0,
        "org_info": {("", "USD"): 1},
    },
)

# Nothing but a subtotal, and the key of another organization.
NOTHING = Bill(
    id="66666666-6666-4666-8666-666666666666",
    key_id="key-5",
    usage={"subtotal": 12.5},
    billing_information={},
    invoices={},
    expected={
        "usage_month_to_date_usd": 0.0,
        "usage_subtotal_usd": 12.5,
        "usage_reconciliation_difference_usd": 12.5,
        "payment_method_info": {("none", ""): 1},
        "payment_method_verification_pending": 0,
        "outstanding_balance_usd": 0.0,
        "invoices_unpaid": 0,
        "invoices_unpaid_amount_usd": 0.0,
        "invoices_overdue": 0,
        "invoices_overdue_amount_usd": 0.0,
        "org_info": {("", "USD"): 1},
    },
)


def _by_tier(share: float, *more: str) -> dict[tuple[str, ...], float]:
    """Return a share of each tier's number, by the labels; those above 20 have one together."""
    tiers: dict[tuple[str, ...], float] = {
        ("fragment", f"tier {number:02}", *more): number * share for number in range(1, 21)
    }
    return tiers | {("fragment", "other", *more): 21 * share + 22 * share}


# More tiers than an organization gets labels for, and texts that are longer than a label.
LONG = Bill(
    id="77777777-7777-4777-8777-777777777777",
    name="Gannetrow",
    key_id="key-6",
    usage={
        "resource_usage_costs_by_source": [
            source(
                "FRAGMENT",
                f"tier {number:02}",
                ("PER_MACHINE", number / 4),
                gross=number / 2,
                discount=number / 4,
                net=number / 4,
            )
            for number in range(1, 23)
        ],
    },
    billing_information={
        "type": "PAYMENT_METHOD_TYPE_CARD",
        "method": {"brand": "é" * 300},
        "billing_tier": "t" * 300,
    },
    invoices={"invoices": [invoice("i" * 300, 1.0, "outstanding")]},
    rows=[Row("i" * 256, "outstanding", 1.0, unpaid=True)],
    expected={
        "usage_cost_usd": _by_tier(0.25, "per_machine"),
        "usage_gross_cost_usd": _by_tier(0.5),
        "usage_discount_usd": _by_tier(0.25),
        "usage_net_cost_usd": _by_tier(0.25),
        "usage_month_to_date_usd": 22 * 23 / 2 / 4,
        "usage_subtotal_usd": 0.0,
        "usage_reconciliation_difference_usd": -22 * 23 / 2 / 4,
        "payment_method_info": {("card", "é" * 256): 1},
        "payment_method_verification_pending": 0,
        "outstanding_balance_usd": 0.0,
        "invoices": {("outstanding",): 1},
        "invoices_amount_usd": {("outstanding",): 1.0},
        "invoices_unpaid": 1,
        "invoices_unpaid_amount_usd": 1.0,
        "invoices_overdue": 0,
        "invoices_overdue_amount_usd": 0.0,
        "org_info": {("t" * 256, "USD"): 1},
    },
)

BILLS = (SOURCES, EVERY_TYPE, DEPRECATED, DEPRECATED_WHOLE, NO_NUMBERS, NOTHING, LONG)
KEYS = {f"key-{number}": f"PRIVATE-secret-{number}" for number in range(1, 7)}
