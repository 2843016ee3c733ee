"""Organizations to report of: a usual one, a new one, some in trouble, one with many lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Final

from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.extract.values import enum_label
from exporter.model import Cause, CollectorState, Failure, OrganizationState
from exporter.pb import billing_pb2 as pb
from exporter.tool.report.months import Month, Report, Told, month_of
from support.months import ACME, HOUR, NOW, Costs, Lived, lived
from support.status import DAY, invoices

SPIKES: Final = (datetime(2026, 10, 14, tzinfo=UTC), datetime(2026, 11, 14, tzinfo=UTC))
CREDIT: Final = datetime(2026, 11, 10, 6, tzinfo=UTC).timestamp()
PAID: Final = {"id": "INV-0007", "invoice_amount": 255.5, "status": "paid"} | {
    "invoice_date": -22,
    "due_date": -8,
    "paid_date": -12,
}
LATE: Final = {"id": "INV-0006", "invoice_amount": 241.2, "status": "outstanding"} | {
    "invoice_date": -52,
    "due_date": -38,
    "last_payment_failure_reason": "card_declined",
}
BILLS: Final = invoices(PAID, LATE, balance=241.2)
DENIED: Final = Failure(
    Cause.PERMISSION, "PERMISSION_DENIED", "GetCurrentMonthUsage: the key may not read this bill"
)
DOWN: Final = Failure(Cause.OUTAGE, "UNAVAILABLE", "GetInvoicesSummary: it cannot be reached")
TYPES: Final = [
    enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", number)
    for number in pb.UsageCostType.values()
    if number
]


def spending(date: datetime) -> Costs:
    """Return what a robotics company spends on a day: more from November on, with two spikes."""
    rng = Random(date.toordinal())
    more = 1.15 if date >= datetime(2026, 11, 1, tzinfo=UTC) else 1.0
    burst = 30.0 if date in SPIKES else 0.0
    return {
        ("org", "", "per_machine"): 6 * more * rng.uniform(0.9, 1.1),
        ("fragment", "gold", "binary_data_cloud_storage"): 2 * more * rng.uniform(0.8, 1.2) + burst,
        ("org", "", "logs_upload"): 0.5 * rng.uniform(0.8, 1.2),
        ("fragment", "silver", "data_egress"): 1.2 * rng.uniform(0.5, 1.5),
    }


@cache
def usual() -> Lived:
    """Return one with everything: budget, credit, estimated days, spikes, invoices."""
    return lived(
        spending,
        datetime(2026, 8, 20, tzinfo=UTC),
        BILLS,
        who=replace(ACME, budget_usd=330.0),
        off=[(NOW - 6 * DAY, NOW - 4.2 * DAY)],
        credits_={CREDIT: 12.0},
    )


@cache
def new() -> Lived:
    """Return one that was first polled five hours ago, without invoices."""
    since = datetime.fromtimestamp(NOW - 5 * HOUR, UTC)
    return lived(spending, since, invoices(), who=replace(ACME, id="new", name="Barrel Mapping"))


@cache
def stale() -> Lived:
    """Return one that could not be read for three days, and is over budget."""
    who = replace(ACME, id="stale", name="Quillback <Harvesting> & Söhne", budget_usd=200.0)
    found = lived(spending, datetime(2026, 9, 1, tzinfo=UTC), BILLS, who=who, until=NOW - 3 * DAY)
    return _failing(found, DOWN)


@cache
def never_read() -> Lived:
    """Return one of which nothing was ever known."""
    states = {each.name: CollectorState(polled=True, attempted=NOW) for each in COLLECTORS}
    who = replace(ACME, id="never", name="Ossuline Foundry", budget_usd=1500.0)
    return _failing(Lived(OrganizationState(who, states), {}, {}), DENIED)


@cache
def of_many_lines() -> Lived:
    """Return one with two hundred costs and two hundred invoices."""

    def costs(date: datetime) -> Costs:
        rng = Random(date.toordinal())
        return {
            ("fragment", f"tier {tier:02}", TYPES[(tier * 7 + number) % len(TYPES)]): rng.uniform(
                0.1, 9
            )
            for tier in range(20)
            for number in range(10)
        }

    bills = [
        {
            "id": f"INV-{number:04}",
            "invoice_amount": 10.01 * number,
            "status": "paid" if number % 7 else "outstanding",
            "invoice_date": -20 - number / 100,
            "due_date": -5 + number / 9,
        }
        for number in range(1, 201)
    ]
    who = replace(ACME, id="lines", name="Two Hundred Lines Limited", budget_usd=10_000.0)
    return lived(costs, datetime(2026, 9, 25, tzinfo=UTC), invoices(*bills), who=who)


def _failing(found: Lived, failure: Failure) -> Lived:
    collectors = {
        name: each._replace(failure=failure, failing_since=NOW - 3 * DAY)
        for name, each in found.state.collectors.items()
    }
    return found._replace(state=found.state._replace(collectors=collectors))


def report(every: Iterable[Lived], wanted: str | None = None, now: float = NOW) -> Report:
    """Return a month of organizations, as a running exporter tells it."""
    told = [Told(*each.told()) for each in every]
    found = [(each, month_of(each, wanted, now)) for each in told]
    return Report(
        [made for _, made in found if made is not None],
        [each.whole for each, made in found if made is None],
        [],
        now,
        "a running exporter",
    )


def month(one: Lived, wanted: str | None = None, now: float = NOW) -> Month:
    """Return a month of an organization, of which something is known."""
    (found,) = report([one], wanted, now).months
    return found
