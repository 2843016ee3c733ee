"""What is rendered of an organization when something of it changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.report import report_on
from exporter.metrics.telemetry import Telemetry
from exporter.model import Cause, Failure, InvoiceDetail, Moment
from exporter.page.organization_lines import lines_of
from exporter.pb import billing_pb2 as pb
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.state.store import Store
from support.reader import organization

DAY = 86_400.0
BEGAN = 20_000 * DAY
OUTAGE = Failure(Cause.OUTAGE, "UNAVAILABLE", "down")
COLLECTORS = ("usage", "billing_information", "invoices")


@dataclass
class SetClock:
    """A clock that the test sets."""

    now: float = BEGAN + DAY / 2

    def time(self) -> float:
        """Return Unix seconds."""
        return self.now

    def monotonic(self) -> float:
        """Return the same."""
        return self.now


class Step(NamedTuple):
    """A poll, or nothing but time."""

    seconds: float  # after the step before
    collector: str | None
    cents: int | None  # by which amounts have grown; None if the poll failed


STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 60.0, 3600.0, DAY, 7 * DAY]),
    st.sampled_from([*COLLECTORS, "usage", None]),
    st.sampled_from([None, 0, 0, 1, 5000, -200]),
)


def answer(collector: str, cents: int) -> bytes:
    """Return an answer with amounts of so many cents."""
    if collector == "billing_information":
        return pb.GetOrgBillingInformationResponse(
            billing_tier=f"tier {cents % 3}"
        ).SerializeToString()
    if collector == "invoices":
        invoices = pb.GetInvoicesSummaryResponse(outstanding_balance=cents / 100)
        invoices.invoices.add(id="in", invoice_amount=cents / 100, status="outstanding")
        return invoices.SerializeToString()
    usage = pb.GetCurrentMonthUsageResponse(subtotal=cents / 100)
    usage.start_date.seconds, usage.end_date.seconds = int(BEGAN), int(BEGAN + 30 * DAY)
    bill = usage.resource_usage_costs_by_source.add().resource_usage_costs
    bill.usage_costs.add(resource_type=pb.USAGE_COST_TYPE_PER_MACHINE, cost=cents / 100)
    bill.total_with_discount = bill.total_without_discount = cents / 100
    return usage.SerializeToString()


@given(st.lists(STEPS, min_size=2, max_size=14))
@settings(max_examples=60)
def test_lines_that_are_not_made_again_are_those_that_would_be(steps: list[Step]) -> None:
    """Whatever is polled, fails or ages: what is passed over has not changed."""

    async def scenario() -> None:
        clock, store = SetClock(), Store()
        intake = Intake(store, Telemetry("", ""), clock, InvoiceDetail())
        known = organization(max_age=2 * DAY, budget_usd=90.0, interval=3600.0)
        await intake.configure({known.id: known}, COLLECTORS, InvoiceDetail())
        cents, before, texts = 1000, None, dict[int, bytes]()
        for step in steps:
            clock.now += step.seconds
            if step.collector is not None and step.cents is not None:
                cents += step.cents
                raw = answer(step.collector, cents)
                await intake.succeed(Unit(known.id, step.collector), raw, 0.1)
            elif step.collector is not None:
                intake.fail(Unit(known.id, step.collector), OUTAGE, 0.1)
            state = store.get(known.id)
            assert state is not None
            report = report_on(state, Moment(clock.now, clock.now))
            before, changed = lines_of(report, before)
            texts |= changed
            whole, every = lines_of(report, None)
            assert texts == every
            assert before == whole

    asyncio.run(scenario())
