"""Three situations in which texts mislead most easily: what the billing API answers in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from exporter.api.calls import ReadRpc
from exporter.pb import billing_pb2 as pb

HOUR, DAY = 3600.0, 86_400.0
WEEKEND: Final = 0.5  # of what a working day costs
MONTHS: Final = [
    datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp() for month in range(15)
]


def at(day: str, hour: float = 0) -> float:
    """Return a moment of 2026 in Unix seconds; `day` is written as 11-20."""
    return datetime.fromisoformat(f"2026-{day}T00:00:00+00:00").timestamp() + hour * HOUR


def invoice(number: str, usd: float, issued: str, due: str, paid: str = "") -> pb.InvoiceSummary:
    """Return an invoice, paid if there is a day for that."""
    made = pb.InvoiceSummary(
        id=number, invoice_amount=usd, status="paid" if paid else "outstanding"
    )
    made.invoice_date.FromSeconds(int(at(issued)))
    made.due_date.FromSeconds(int(at(due)))
    if paid:
        made.paid_date.FromSeconds(int(at(paid)))
    return made


@dataclass(frozen=True)
class Bill:
    """What the API has of an organization, in calendar months.

    Usage appears `lag` seconds late, and a month goes on for `late` seconds after its end.
    """

    org_id: str
    name: str
    per_day: float  # US dollars on a working day
    budget_usd: float | None = None
    invoices: Sequence[pb.InvoiceSummary] = ()
    denied: bool = False
    lag: float = 0.0
    late: float = 0.0

    def answer(self, rpc: ReadRpc, now: float) -> Message | grpc.StatusCode:
        """Return what is answered at a moment."""
        if self.denied:
            return grpc.StatusCode.PERMISSION_DENIED
        if rpc is ReadRpc.GET_CURRENT_MONTH_USAGE:
            return self._usage(now)
        if rpc is ReadRpc.GET_ORG_BILLING_INFORMATION:
            return pb.GetOrgBillingInformationResponse(
                type="PAYMENT_METHOD_TYPE_CARD", method=pb.PaymentMethodCard(brand="visa")
            )
        unpaid = sum(each.invoice_amount for each in self.invoices if each.status != "paid")
        return pb.GetInvoicesSummaryResponse(outstanding_balance=unpaid, invoices=self.invoices)

    def _usage(self, now: float) -> pb.GetCurrentMonthUsageResponse:
        month = max(number for number, start in enumerate(MONTHS) if start <= now - self.late)
        start, end = MONTHS[month], MONTHS[month + 1]
        usd = self.per_day * _working_days(start, min(end, max(start, now - self.lag)))
        answer = pb.GetCurrentMonthUsageResponse(subtotal=usd)
        answer.start_date.FromSeconds(int(start))
        answer.end_date.FromSeconds(int(end))
        if usd:
            costs = answer.resource_usage_costs_by_source.add(source_type="SOURCE_TYPE_ORG")
            made: Any = costs.resource_usage_costs
            made.total_with_discount = made.total_without_discount = usd
            for name, share in (("PER_MACHINE", 0.75), ("BINARY_DATA_UPLOAD", 0.25)):
                made.usage_costs.add(resource_type=f"USAGE_COST_TYPE_{name}", cost=share * usd)
        return answer


def _working_days(start: float, end: float) -> float:
    """Return how many working days' worth there is between two moments."""
    days, day = 0.0, start
    while day < end:
        share = 1.0 if datetime.fromtimestamp(day, UTC).weekday() < 5 else WEEKEND
        days += share * min(DAY, end - day) / DAY
        day += DAY
    return days


@dataclass(frozen=True)
class World:
    """A situation: what is known from before, since when Prometheus looks, and when people do."""

    name: str
    title: str
    situation: str
    bills: Sequence[Bill]
    begins: float  # of the exporter that runs now, and of Prometheus
    looked_at: float
    known_since: float | None = None  # by exporters before it, to which the API always answered
    outage_since: float = float("inf")

    @property
    def midnight(self) -> float:
        """When the day of the beginning began: promtool counts from there."""
        return self.begins - self.begins % DAY

    def answer(self, rpc: ReadRpc, org_id: str, now: float) -> Message | grpc.StatusCode:
        """Return what the API answers, or how it fails."""
        (bill,) = [each for each in self.bills if each.org_id == org_id]
        if now >= self.outage_since and not bill.denied:
            return grpc.StatusCode.UNAVAILABLE
        return bill.answer(rpc, now)


PAID: Final = invoice("INV-OCT", 1320.0, "11-01", "11-15", "11-03")
OUTAGE: Final = World(
    "outage",
    "An outage of three days",
    "Every call has failed with UNAVAILABLE since 17 November, 12:00 UTC; it is 20 November, "
    "12:00. Spend has been known since 1 November. Acme Robotics has a budget of $1,500 and an "
    "unpaid invoice of $1,200, which was due on 19 November. Beta Farms and Gamma Labs have "
    "neither. Delta Drones has a budget of $100, and its API key has been refused from the start.",
    (
        Bill("acme", "Acme Robotics", 60.0, 1500.0, [invoice("INV-1", 1200, "11-01", "11-19")]),
        Bill("beta", "Beta Farms", 20.0, None, [PAID]),
        Bill("gamma", "Gamma Labs", 5.0),
        Bill("delta", "Delta Drones", 1.0, 100.0, denied=True),
    ),
    begins=at("11-17", 11),
    looked_at=at("11-20", 12),
    known_since=at("11-01"),
    outage_since=at("11-17", 12),
)
FIRST_HOUR: Final = World(
    "first-hour",
    "The first hour",
    "Acme Robotics was first polled one hour ago, at 11:00 UTC on 20 November. Nothing "
    "is known from before. It has a budget of $1,500, and no invoices yet.",
    (Bill("acme", "Acme Robotics", 60.0, 1500.0),),
    begins=at("11-20", 11),
    looked_at=at("11-20", 12),
)
ROLLOVER: Final = World(
    "rollover",
    "Three hours after the end of a billing period",
    "It is 1 December, 03:00 UTC. Spend has been known since 1 October. The API shows usage two "
    "hours late: Acme Robotics already has some in its new period, Beta Farms has none yet. For "
    "Gamma Labs, the API still returns November. Acme Robotics has a budget of $1,500.",
    (
        Bill("acme", "Acme Robotics", 60.0, 1500.0, [PAID], lag=2 * HOUR),
        Bill("beta", "Beta Farms", 20.0, lag=4 * HOUR),
        Bill("gamma", "Gamma Labs", 5.0, late=6 * HOUR),
    ),
    begins=at("11-30", 1),
    looked_at=at("12-01", 3),
    known_since=at("10-01"),
)
WORLDS: Final = {world.name: world for world in (OUTAGE, FIRST_HOUR, ROLLOVER)}
