"""Any order of answers, errors, reloads, jumps of the clock and time keeps the invariants."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.model import ApiKey, Cause
from exporter.pb import billing_pb2 as pb
from support.reader import BILLING, INVOICES, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualLoop

ORGANIZATIONS = ("a", "b", "c", "d")
INTERVAL, MAX_AGE, CONCURRENCY = 30.0, 100.0, 3
MAX_DELAY = 20.0
# From one answer to the next question: two intervals or a minute, after retries, all with
# every slot taken by the slowest calls there are.
LONGEST_GAP = 60.0 + 3 * MAX_DELAY * (3 * len(ORGANIZATIONS) / CONCURRENCY)

rpcs = st.sampled_from(list(ReadRpc))
ids = st.sampled_from(ORGANIZATIONS)
amounts = st.integers(0, 100_000).map(lambda cents: cents / 100)
errors = st.sampled_from(
    [
        BillingError(Cause.OUTAGE, "UNAVAILABLE", "down", transient=True),
        BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "no owner"),
        BillingError(Cause.CREDENTIALS, "UNAUTHENTICATED", "refused"),
        BillingError(Cause.THROTTLED, "RESOURCE_EXHAUSTED", "busy", transient=True, retry_after=5),
    ]
)


class JournalReader(FakeReader):
    """Keeps what it answered, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: defaultdict[tuple[str, ReadRpc], dict[float, float]] = defaultdict(dict)

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Answer as told, and note it."""
        raw = await super().read(rpc, org_id, api_key)
        amount = 0.0
        try:
            if rpc is USAGE:
                usage = pb.GetCurrentMonthUsageResponse.FromString(raw)
                amount = usage.subtotal
            elif rpc is INVOICES:
                amount = pb.GetInvoicesSummaryResponse.FromString(raw).outstanding_balance
        except Exception:  # noqa: BLE001 - garbage is no answer
            return raw
        self.answered[org_id, rpc][asyncio.get_running_loop().time()] = amount
        return raw


class Polling(RuleBasedStateMachine):
    """A poller before an API that does anything."""

    @initialize()
    def start(self) -> None:
        """Poll all organizations."""
        self.loop = VirtualLoop()
        self.reader = JournalReader()
        self.period = 1_793_491_200
        self.configured = set(ORGANIZATIONS)
        self.since = dict.fromkeys(ORGANIZATIONS, 0.0)
        self.seen: dict[Any, float] = {}
        self.set_back = False
        self.rig = Rig(self._config(), self.reader)
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.inside = self.rig.running(publishing=False)
        await self.inside.__aenter__()

    def _config(self) -> Any:
        organizations = [
            organization(org_id, interval=INTERVAL, max_age=MAX_AGE)
            for org_id in sorted(self.configured)
        ]
        return config(*organizations, max_concurrency=CONCURRENCY)

    @rule(org_id=ids, amount=amounts, rollover=st.booleans())
    def answer_usage(self, org_id: str, amount: float, *, rollover: bool) -> None:
        """Let usage be an amount, at times of a new period."""
        self.period += 86_400 * 30 * rollover
        answer = pb.GetCurrentMonthUsageResponse(subtotal=amount)
        answer.start_date.seconds = self.period
        source = answer.resource_usage_costs_by_source.add()
        source.resource_usage_costs.total_with_discount = amount
        self.reader.answers[USAGE, org_id] = answer

    @rule(org_id=ids, amount=amounts)
    def answer_invoices(self, org_id: str, amount: float) -> None:
        """Let the balance be an amount."""
        answer = pb.GetInvoicesSummaryResponse(outstanding_balance=amount)
        self.reader.answers[INVOICES, org_id] = answer

    @rule(org_id=ids, rpc=rpcs, error=errors)
    def fail(self, org_id: str, rpc: ReadRpc, error: BillingError) -> None:
        """Let a call fail from now on."""
        self.reader.answers[rpc, org_id] = error

    @rule(org_id=ids, rpc=rpcs)
    def garble(self, org_id: str, rpc: ReadRpc) -> None:
        """Let an answer not parse."""
        self.reader.answers[rpc, org_id] = b"\xff\xff"

    @rule(org_id=ids, rpc=rpcs, delay=st.floats(0.0, MAX_DELAY))
    def delay(self, org_id: str, rpc: ReadRpc, delay: float) -> None:
        """Let a call take its time."""
        self.reader.delays[rpc, org_id] = delay

    @rule(org_ids=st.sets(ids, min_size=1))
    def reload(self, org_ids: set[str]) -> None:
        """Poll other organizations."""
        for org_id in org_ids - self.configured:
            self.since[org_id] = self.loop.time()
            self.reader.answered.pop((org_id, USAGE), None)
            self.reader.answered.pop((org_id, INVOICES), None)
        self.seen = {key: v for key, v in self.seen.items() if key[1] in org_ids}
        self.configured = set(org_ids)

        async def configure() -> None:
            await self.rig.poller.configure(self._config(), self.reader)

        self.loop.run_until_complete(configure())

    @rule(seconds=st.floats(-1e7, 1e7))
    def jump(self, seconds: float) -> None:
        """Set the wall clock. Set back, it takes timestamps along."""
        self.rig.clock.jump(seconds)
        self.set_back = self.set_back or seconds < 0

    @rule(seconds=st.floats(0.0, 200.0))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @precondition(lambda self: hasattr(self, "rig"))
    @invariant()
    def nothing_overlaps(self) -> None:
        """Nor are there more calls at once than configured."""
        assert self.reader.overlaps == 0
        assert self.reader.most_in_flight <= CONCURRENCY

    @precondition(lambda self: hasattr(self, "rig"))
    @invariant()
    def nobody_starves(self) -> None:
        """Each collector of each organization is asked in time."""
        now = self.loop.time()
        asked: dict[tuple[str, ReadRpc], float] = {}
        for at, rpc, org_id in self.reader.calls:
            asked[org_id, rpc] = at
        for org_id in self.configured:
            for rpc in (USAGE, BILLING, INVOICES):
                last = max(asked.get((org_id, rpc), 0.0), self.since[org_id])
                assert now - last <= LONGEST_GAP

    @precondition(lambda self: hasattr(self, "rig"))
    @invariant()
    def the_page_is_true(self) -> None:
        """Money is what was answered, and not too old; counters and timestamps do not fall."""
        self.loop.run_until_complete(self.rig.publisher.publish())
        now = self.loop.time()
        for name, rpc in (
            ("viam_billing_usage_subtotal_usd", USAGE),
            ("viam_billing_outstanding_balance_usd", INVOICES),
        ):
            for (org_id,), value in self.rig.values(name, "org_id").items():
                assert org_id in self.configured
                told = self.reader.answered[org_id, rpc]
                assert value in told.values()
                assert now - max(told) <= MAX_AGE
        for name in (
            "viam_billing_usage_spend_usd_total",
            "viam_billing_usage_corrections_usd_total",
            "viam_billing_collector_last_success_timestamp_seconds",
            "viam_billing_collector_last_attempt_timestamp_seconds",
        ):
            if "timestamp" in name and self.set_back:
                continue
            labels = ("org_id", "collector") if "collector" in name else ("org_id",)
            for key, value in self.rig.values(name, *labels).items():
                before = self.seen.get((name, *key), 0.0)
                assert value >= before
                self.seen[name, *key] = value

    def teardown(self) -> None:
        """End it: any exception that a task raised comes out here."""
        if hasattr(self, "rig"):
            self.loop.run_until_complete(self.inside.__aexit__(None, None, None))
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()


pytestmark = pytest.mark.long
TestPolling = Polling.TestCase
TestPolling.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
