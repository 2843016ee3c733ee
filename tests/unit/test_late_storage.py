"""Storage that is read late, while polls end and the configuration changes: who wins."""

from __future__ import annotations

import asyncio
import dataclasses

from exporter.metrics import fragments
from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    ApiKey,
    InvoiceDetail,
    Organization,
    SavedAnswer,
    SavedOrganization,
    Secret,
    Spend,
    Tally,
)
from exporter.pb import billing_pb2 as pb
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.process.clock import SystemClock
from exporter.state.messages import packed
from exporter.state.store import Store

ACME = Organization("acme", "Acme", ApiKey("id", Secret("key")), 60.0, 600.0)
STARTED = 1_780_000_000
USAGE = Unit(ACME.id, "usage")


def answer(net: float) -> bytes:
    """Return an answer that is long enough to be read in a thread."""
    message = pb.GetCurrentMonthUsageResponse()
    message.start_date.seconds = STARTED
    first = message.resource_usage_costs_by_source.add(tier_name="a tier")
    first.resource_usage_costs.total_with_discount = net
    for _ in range(10_000):
        message.resource_usage_costs_by_source.add()
    return message.SerializeToString()


async def intake(store: Store) -> Intake:
    """Return one that knows one organization."""
    made = Intake(store, Telemetry("1", "revision"), SystemClock(), InvoiceDetail())
    await made.configure({ACME.id: ACME}, [USAGE.collector], InvoiceDetail())
    return made


def test_a_poll_that_is_read_meanwhile_counts_on_from_what_was_stored() -> None:
    """And does not begin the counters at 0 in its place."""

    async def main() -> None:
        store = Store()
        polled = await intake(store)
        stored = Spend(float(STARTED), Tally(1000.0, 0.0, baseline=40.0), {})
        _, begun = await asyncio.gather(
            polled.succeed(USAGE, answer(50.0), 0.1),
            polled.restore({ACME.id: SavedOrganization(ACME.id, {}, stored)}),
        )
        assert not begun
        state = store.get(ACME.id)
        assert state is not None
        assert state.spend is not None
        assert state.spend.month_to_date == Tally(1010.0, 0.0, baseline=50.0)

    asyncio.run(main())


def test_a_name_that_changes_meanwhile_is_in_what_was_stored() -> None:
    """Its lines have the name that the organization has by then."""

    async def main() -> None:
        store = Store()
        polled = await intake(store)
        now = SystemClock().time()
        saved = SavedAnswer(packed(answer(50.0)), now, now)
        renamed = dataclasses.replace(ACME, name="Acme Robotics")
        await asyncio.gather(
            polled.restore({ACME.id: SavedOrganization(ACME.id, {"usage": saved}, None)}),
            polled.configure({ACME.id: renamed}, [USAGE.collector], InvoiceDetail()),
        )
        state = store.get(ACME.id)
        assert state is not None
        found = state.collectors["usage"].answer
        assert found is not None
        text = b"".join(fragments.unpacked(found.reading.fragments)).decode()
        assert 'org_name="Acme Robotics"' in text
        assert 'org_name="Acme"' not in text

    asyncio.run(main())
