"""The fleet of the benchmarks: configurations, and answers for the billing server to send.

Everything is invented, and the same for the same seed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

import yaml

from exporter.pb import auth_pb2
from exporter.pb import billing_pb2 as pb

SEED: Final = 1
# Invoices are dated from here, so that the newest is due in some days.
NOW: Final = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: TID251
# What an organization uses. Its fragments share a tier, so that their costs are added up: the
# answer is large, as real ones are, and the series are not many more than everybody has.
TYPES: Final = (
    pb.USAGE_COST_TYPE_PER_MACHINE,
    pb.USAGE_COST_TYPE_BINARY_DATA_UPLOAD,
    pb.USAGE_COST_TYPE_BINARY_DATA_CLOUD_STORAGE,
    pb.USAGE_COST_TYPE_PREMIUM_MODULE,
)
SOURCES: Final = 24
TIER: Final = "Autonomy Pro, committed use, billed a year in advance"
INVOICES: Final = 32
NAMES: Final = ("Amber Otter", "Brisk Plover", "Cobalt Marten", "Dusky Heron", "Early Badger")


def organizations(count: int) -> list[tuple[str, str]]:
    """Return the ids and names of the first organizations."""
    rng = Random(SEED)
    return [
        (str(UUID(int=rng.getrandbits(128), version=4)), f"{rng.choice(NAMES)} {number:05}")
        for number in range(1, count + 1)
    ]


@dataclass(frozen=True)
class Polling:
    """How the exporter polls: as rarely as it may, unless a measurement wants otherwise."""

    interval: str = "1h"
    first_interval: str = "1h"  # of the first organization
    concurrency: int = 32
    timeout: str = "20s"


def write_configuration(
    file: Path, count: int, port: int, polling: Polling, ca_file: Path | None = None
) -> Path:
    """Write what makes the exporter poll the billing server on a port, over TLS if it has a CA."""
    entries: list[dict[str, str]] = [
        {"id": org_id, "name": name} for org_id, name in organizations(count)
    ]
    entries[0]["poll_interval"] = polling.first_interval
    document = {
        "api": {
            "address": f"127.0.0.1:{port}",
            "tls": ca_file is not None,
            "ca_file": ca_file and str(ca_file),
            "max_concurrency": polling.concurrency,
            "timeout": polling.timeout,
        },
        "poll": {"interval": polling.interval, "max_age": "1d"},
        "credentials": {"api_key_id": "bench", "api_key": "bench"},
        "organizations": entries,
    }
    file.touch(0o600)
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    return file


def write_answers(file: Path, count: int) -> Path:
    """Write the answers for the billing server.

    A token's, then for each organization its id and three answers, each followed by where in it
    stand amounts that change together. Every block has its length before it.
    """
    rng = Random(SEED)
    with file.open("wb") as stream:
        stream.write(_block(_token()))
        for org_id, _ in organizations(count):
            stream.write(_block(org_id.encode()))
            for make in (_usage, _billing_information, _invoices):
                answer, amounts = make(rng)
                stream.write(_block(answer))
                stream.write(_block(b"".join(struct.pack("<I", at) for at in amounts)))
    return file


def _block(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


def _token() -> bytes:
    return auth_pb2.AuthenticateResponse(access_token="t" * 200).SerializeToString()


def _positions(answer: bytes, amounts: Iterable[float]) -> Iterator[int]:
    """Yield where in an answer amounts stand."""
    for amount in amounts:
        yield answer.index(struct.pack("<d", amount))


Made = tuple[bytes, Iterable[int]]


def _usage(rng: Random) -> Made:
    answer = pb.GetCurrentMonthUsageResponse()
    answer.start_date.FromDatetime(NOW.replace(day=1))
    answer.end_date.FromDatetime(NOW.replace(day=1) + timedelta(days=31))
    for _ in range(SOURCES):
        source = answer.resource_usage_costs_by_source.add(
            source_type=pb.SOURCE_TYPE_FRAGMENT, tier_name=TIER
        )
        bill = source.resource_usage_costs
        for resource_type in TYPES:
            bill.usage_costs.add(resource_type=resource_type, cost=_usd(rng, 90))
        bill.total_without_discount = round(sum(cost.cost for cost in bill.usage_costs), 2)
        bill.discount = round(0.1 * bill.total_without_discount, 2)
        bill.total_with_discount = round(bill.total_without_discount - bill.discount, 2)
        answer.subtotal = round(answer.subtotal + bill.total_with_discount, 2)
    first = answer.resource_usage_costs_by_source[0].resource_usage_costs
    amounts = (
        first.usage_costs[0].cost,
        first.total_without_discount,
        first.total_with_discount,
        answer.subtotal,
    )
    raw = answer.SerializeToString(deterministic=True)
    return raw, _positions(raw, amounts)


def _billing_information(rng: Random) -> Made:
    answer = pb.GetOrgBillingInformationResponse(
        type=pb.PAYMENT_METHOD_TYPE_CARD,
        billing_email=f"accounts.payable.{rng.getrandbits(32):08x}@example.com",
        method=pb.PaymentMethodCard(brand="visa", last_four_digits="4242"),
    )
    return answer.SerializeToString(deterministic=True), ()


def _invoices(rng: Random) -> Made:
    """Return one a month, the newest of them not paid yet."""
    answer = pb.GetInvoicesSummaryResponse()
    for age in range(INVOICES):
        issued = NOW - timedelta(days=3 + 30 * age)
        invoice = answer.invoices.add(
            id=f"in_{rng.getrandbits(128):032x}",
            invoice_amount=_usd(rng, 2000),
            status="paid" if age else "outstanding",
        )
        invoice.invoice_date.FromDatetime(issued)
        invoice.due_date.FromDatetime(issued + timedelta(days=15))
        if age:
            invoice.paid_date.FromDatetime(issued + timedelta(days=2))
    newest = answer.invoices[0].invoice_amount
    # The balance differs from the amount, or both would be found at the same place.
    answer.outstanding_balance = newest + 1
    raw = answer.SerializeToString(deterministic=True)
    return raw, _positions(raw, (answer.outstanding_balance, newest))


def _usd(rng: Random, most: float) -> float:
    return round(rng.uniform(most / 100, most), 2)
