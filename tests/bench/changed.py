"""What an answer costs that differs from the one before in its amounts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from bench.figures import short
from bench.findings import Findings, Table
from exporter.pb import billing_pb2 as pb

ROUNDS: Final = 5
COLUMNS: Final = (
    *("a changed answer", "bytes", "decoded and read us", "taken in us", "/ decoded and read"),
    "taken in and on the page us",
)
# How an answer is taken in, by organization and collector.
Take = Callable[[str, str, bytes], Awaitable[None]]


async def measure(
    answers: Mapping[str, Mapping[str, bytes]], take: Take, publish: Callable[[], Awaitable[None]]
) -> Findings:
    """Change the answers of all organizations, which have been taken in before."""
    findings, rows = Findings(), []
    for name, (change, read) in KINDS.items():
        taken, shown = [], []
        for number in range(1, ROUNDS + 1):
            raws = {org_id: change(each[name], number) for org_id, each in answers.items()}
            started = time.process_time()
            for org_id, raw in raws.items():
                await take(org_id, name, raw)
            taken.append(1e6 * (time.process_time() - started) / len(raws))
            await publish()
            shown.append(1e6 * (time.process_time() - started) / len(raws))
        started = time.process_time()
        for raw in raws.values():
            read(raw)
        bare = 1e6 * (time.process_time() - started) / len(raws)
        cost = findings.values[f"changed, {name}"] = statistics.median(taken)
        rows.append(
            [
                *(name, short(len(raw)), short(bare), short(cost), short(cost / bare)),
                short(statistics.median(shown)),
            ]
        )
    findings.tables.append(Table("changed", COLUMNS, rows))
    return findings


def _more_usage(raw: bytes, number: int) -> bytes:
    """Return an answer in which every amount has grown, the more the higher the number."""
    answer = pb.GetCurrentMonthUsageResponse.FromString(raw)
    for source in answer.resource_usage_costs_by_source:
        bill = source.resource_usage_costs
        for each in bill.usage_costs:
            each.cost = round(each.cost + number, 2)
        more = number * len(bill.usage_costs)
        bill.total_without_discount = round(bill.total_without_discount + more, 2)
        bill.total_with_discount = round(bill.total_with_discount + more, 2)
        answer.subtotal = round(answer.subtotal + more, 2)
    return answer.SerializeToString(deterministic=True)


def _more_due(raw: bytes, number: int) -> bytes:
    """Return an answer in which the newest invoice has grown: old ones do not change."""
    answer = pb.GetInvoicesSummaryResponse.FromString(raw)
    newest = answer.invoices[0]
    newest.invoice_amount = round(newest.invoice_amount + number, 2)
    answer.outstanding_balance = round(answer.outstanding_balance + number, 2)
    return answer.SerializeToString(deterministic=True)


def _read_usage(raw: bytes) -> object:
    """Decode an answer and read its fields, which is the least that anybody has to do."""
    answer = pb.GetCurrentMonthUsageResponse.FromString(raw)
    found: list[Any] = [answer.subtotal, answer.start_date.seconds, answer.end_date.seconds]
    for source in answer.resource_usage_costs_by_source:
        bill = source.resource_usage_costs
        found.append((source.source_type, source.tier_name, bill.discount))
        found.append((bill.total_without_discount, bill.total_with_discount))
        found += [(each.resource_type, each.cost) for each in bill.usage_costs]
    return found


def _read_invoices(raw: bytes) -> object:
    """Do the same with invoices."""
    answer = pb.GetInvoicesSummaryResponse.FromString(raw)
    found: list[Any] = [answer.outstanding_balance]
    for each in answer.invoices:
        dates = each.invoice_date.seconds, each.due_date.seconds, each.paid_date.seconds
        found.append((each.id, each.invoice_amount, each.status, dates))
    return found


KINDS: Final[Mapping[str, tuple[Callable[[bytes, int], bytes], Callable[[bytes], object]]]] = {
    "usage": (_more_usage, _read_usage),
    "invoices": (_more_due, _read_invoices),
}
