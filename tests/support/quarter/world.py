"""What a world consists of: organizations, exporters that poll them, and answers to their calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause
from exporter.simulator import Account, ledger, messages
from support.reader import BILLING, INVOICES, USAGE, FakeReader

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

# What calls of each kind take, in seconds, on the median.
TURN: Final = 0.0005  # seconds, of the event loop
LATENCY: Final = {"Authenticate": 0.06, USAGE: 0.18, BILLING: 0.09, INVOICES: 0.3}
LATE_CALLS: Final = 0.004  # the share that meets its deadline


@dataclass(frozen=True)
class Life:
    """An exporter's process, from its start to its end."""

    starts: float
    ends: float
    interval: float  # between polls


@dataclass(frozen=True)
class World:
    """What there is between two moments, in Unix seconds.

    It is scraped every `coarse` seconds, on the last day every `fine` ones.
    """

    accounts: Sequence[Account]
    start: float
    end: float
    lives: Sequence[Life]
    reader: Callable[[World, Callable[[], float], int], AccountsReader]
    shards: int = 1
    requests_per_day: int = 1600  # of each shard
    coarse: float = 2 * HOUR
    fine: float = 300.0

    @property
    def fine_from(self) -> float:
        """Return when the last day begins."""
        return self.end - DAY


@lru_cache
def _history(account: Account, period: ledger.Period) -> tuple[ledger.Invoice, ...]:
    return ledger.history(account, period)


class AccountsReader(FakeReader):
    """Answers from the simulator's ledger, fails as told, and counts its calls."""

    def __init__(self, world: World, clock: Callable[[], float], seed: int) -> None:
        """Make a reader at a clock of Unix seconds. `telemetry` has to be set before use."""
        super().__init__()
        self.telemetry: Telemetry
        self._accounts = {account.id: account for account in world.accounts}
        self._clock = clock
        self._rng = Random(seed)
        self._limit = world.requests_per_day
        self._day, self._requests = 0, 0
        self._tokens: set[str] = set()

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Answer a call, authenticating before the first with a key."""
        if api_key.id not in self._tokens:
            await self._call("Authenticate", None)
            self._tokens.add(api_key.id)
        account, now = self._accounts[org_id], self._clock()
        failure = self.failure(rpc, account, now)
        if failure is None and self._rng.random() < LATE_CALLS:
            failure = BillingError(Cause.OUTAGE, "DEADLINE_EXCEEDED", "too late", transient=True)
        await self._call(rpc, failure)
        return self.answer(rpc, account, self._clock())

    async def _call(self, method: str, failure: BillingError | None) -> None:
        late = failure is not None and failure.code == "DEADLINE_EXCEEDED"
        seconds = 20.0 if late else LATENCY[method] * self._rng.lognormvariate(0, 0.4)
        await asyncio.sleep(seconds)
        day = int(self._clock() // DAY)
        self._requests = self._requests + 1 if day == self._day else 1
        self._day = day
        self.telemetry.requests_left(self._limit, self._limit - self._requests)
        self.telemetry.api_request(method, seconds, failure.code if failure else None)
        self.telemetry.turn_took(TURN)
        if failure is not None:
            raise failure

    def failure(self, rpc: ReadRpc, account: Account, now: float) -> BillingError | None:  # noqa: ARG002 - for those that fail
        """Return what a call fails with, None if it is answered."""
        return None

    def answer(self, rpc: ReadRpc, account: Account, now: float) -> bytes:
        """Return the answer to a call."""
        period = ledger.period_at(now)
        if rpc is USAGE:
            usage = ledger.usage(account, now)
            return messages.current_month_usage(account, usage, _as_is).SerializeToString()
        if rpc is BILLING:
            return messages.org_billing_information(account, period, _as_is).SerializeToString()
        found = ledger.issued(_history(account, period), now)
        return messages.invoices_summary(found, now, _as_is).SerializeToString()


def _as_is(moment: float) -> float:
    return moment
