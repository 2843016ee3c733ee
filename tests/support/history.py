"""A process that takes in answers for weeks, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from exporter.model import ClosedPeriod, Spend
from exporter.pb import billing_pb2 as pb
from exporter.polling.schedule import Unit
from exporter.state.day_rows import Day
from exporter.state.saver import Saver
from support.meter import DAY, HOUR, Meter
from support.reader import config, organization
from support.rig import Rig

SETTINGS = config(organization(interval=6 * HOUR, max_age=4 * DAY))
UNIT = Unit("o1", "usage")


class Process:
    """A process that takes in an answer every six hours, and stores what it knows once a day."""

    def __init__(self, rig: Rig, meter: Meter) -> None:
        self.rig = rig
        self._meter = meter

    async def start(self) -> None:
        """Know the organization."""
        organizations = {each.id: each for each in SETTINGS.organizations}
        await self.rig.intake.configure(organizations, ["usage"], SETTINGS.invoice_detail)

    async def run(self, days: int) -> None:
        """Let so many days pass."""
        rig = self.rig
        saver = None
        if rig.storage is not None:
            saver = Saver(rig.storage, rig.store, rig.telemetry, rig.found, rig.restore)
            saver.keep({})
        for _ in range(days):
            for _ in range(4):
                rig.clock.jump(6 * HOUR)
                answer = self._meter.read()
                assert isinstance(answer, pb.GetCurrentMonthUsageResponse)
                await rig.intake.succeed(UNIT, answer.SerializeToString(), 1.0)
            if saver is not None:
                await saver.save()

    async def days(self, first: int = 0, until: int = 100_000) -> dict[int, Day]:
        """Return the days of the organization."""
        return dict(await self.rig.archive.days("o1", first, until))

    @property
    def spend(self) -> Spend:
        """Return its counters."""
        state = self.rig.store.get("o1")
        assert state is not None
        assert state.spend is not None
        return state.spend

    @property
    def closed(self) -> list[ClosedPeriod]:
        """Return its periods that have ended."""
        return [*self.spend.closed]


@asynccontextmanager
async def process(meter: Meter, folder: Path | None = None) -> AsyncIterator[Process]:
    """Have a process while inside, with what the one before it left in the folder."""
    async with AsyncExitStack() as stack:
        if folder is None:
            rig = Rig(SETTINGS, meter.reader, clock=meter.clock)
        else:
            made = Rig.stored(folder, SETTINGS, meter.reader, meter.clock)
            rig = await stack.enter_async_context(made)
        there = Process(rig, meter)
        await there.start()
        yield there
