"""Any order of failures, restarts, jumps of the clock and time keeps the daily ceiling."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.api.calls import ReadRpc
from exporter.config import ApiConfig
from exporter.model import ApiKey
from exporter.state.budget import Budget
from support.reader import EMPTY, OUTAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, VirtualLoop

LIMIT = 60
DAY = 86_400.0

rpcs = st.sampled_from(list(ReadRpc))


class RationedReader(FakeReader):
    """Takes a request before each call, as the client does, and counts what it sent."""

    budget: Budget

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._day = 0
        self.sent: Counter[int] = Counter()  # by day; a clock that is set back begins none

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Take a request, then answer as told."""
        await self.budget.take()
        today = int(self._clock.time() // DAY)
        if self._day > today + 1:  # it never was, nor were those between
            self._day = today
            self.sent.clear()
        self._day = max(self._day, today)
        self.sent[self._day] += 1
        return await super().read(rpc, org_id, api_key)


class Rationing(RuleBasedStateMachine):
    """A poller with few requests a day, before an API that fails as it likes."""

    @initialize()
    def start(self) -> None:
        """Begin with an empty storage."""
        self.loop = VirtualLoop()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = VirtualClock()
        self.reader = RationedReader(self.clock)
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        organizations = [organization(name, interval=60.0) for name in "abc"]
        configured = config(*organizations, api=ApiConfig(max_requests_per_day=LIMIT))
        self.stored = Rig.stored(self.folder / "state", configured, self.reader, self.clock)
        rig = await self.stored.__aenter__()
        self.reader.budget = Budget(LIMIT, rig.storage, rig.telemetry, self.clock)
        self.inside = rig.running(publishing=False)
        await self.inside.__aenter__()

    async def _stop(self) -> None:
        await self.inside.__aexit__(None, None, None)
        await self.stored.__aexit__(None, None, None)

    @rule(rpc=rpcs)
    def fail(self, rpc: ReadRpc) -> None:
        """Let a call fail so that it is retried."""
        self.reader.answers[rpc] = OUTAGE

    @rule(rpc=rpcs)
    def recover(self, rpc: ReadRpc) -> None:
        """Let a call succeed again."""
        self.reader.answers[rpc] = EMPTY[rpc]

    @rule(seconds=st.floats(-3 * DAY, 3 * DAY))
    def jump(self, seconds: float) -> None:
        """Set the wall clock."""
        self.clock.jump(seconds)

    @rule()
    def restart(self) -> None:
        """End the process and start another: it loses what it had reserved and not sent."""
        self.loop.run_until_complete(self._stop())
        self.loop.run_until_complete(self._start())

    @rule(hours=st.floats(0.0, 30.0))
    def wait(self, hours: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(hours * 3600))

    @precondition(lambda self: hasattr(self, "reader"))
    @invariant()
    def no_day_has_more(self) -> None:
        """Whatever happened on it."""
        assert max(self.reader.sent.values(), default=0) <= LIMIT

    def teardown(self) -> None:
        """End it: any exception that a task raised comes out here."""
        if hasattr(self, "reader"):
            self.loop.run_until_complete(self._stop())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)


pytestmark = pytest.mark.long
TestRationing = Rationing.TestCase
TestRationing.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
