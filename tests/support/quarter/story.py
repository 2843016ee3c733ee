"""What happens in the quarter: which bills there are, and which calls fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Final

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause
from exporter.pb import billing_pb2 as pb
from exporter.simulator import Account, demo_fleet, ledger, messages
from support.reader import BILLING, INVOICES, USAGE, FakeReader

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
START: Final = datetime(2026, 8, 24, tzinfo=UTC).timestamp()
END: Final = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()

OUTAGE: Final = datetime(2026, 10, 12, 6, tzinfo=UTC).timestamp()
OUTAGE_ENDS: Final = OUTAGE + 14 * HOUR
UNKNOWN_TYPE: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
BUSIER: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CHARGED_LATER: Final = datetime(2026, 11, 19, 9, tzinfo=UTC).timestamp()
INVOICE_TWICE: Final = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
LOST_PERMISSION: Final = END - 30 * HOUR
THROTTLED: Final = END - 7 * HOUR
THROTTLED_ENDS: Final = THROTTLED + 2 * HOUR

OVER_BUDGET, DECLINED, BANK, CREDITED, FRAGMENTS, FREE, DEPRECATED, GROSS = ACCOUNTS = demo_fleet(1)
UNKNOWN_NUMBER: Final = 99  # no enum of ours has it

# What calls of each kind take, in seconds, on the median.
LATENCY: Final = {"Authenticate": 0.06, USAGE: 0.18, BILLING: 0.09, INVOICES: 0.3}
LATE_CALLS: Final = 0.004  # the share that meets its deadline


def account_at(account: Account, moment: float) -> Account:
    """Return an account as it stands at a moment: two of them change their pace."""
    if account.id == GROSS.id and moment >= BUSIER:
        return _faster(account, 0, 1.6)
    if account.id == FRAGMENTS.id and moment >= CHARGED_LATER:
        return _faster(account, 3, 1.9)  # also for the days before: a charge that came late
    return account


def month_to_date(account: Account, moment: float) -> float:
    """Return what the account's period has cost up to a moment, by the simulator's ledger."""
    return ledger.usage(account_at(account, moment), moment).net


def _faster(account: Account, index: int, factor: float) -> Account:
    sources = list(account.sources)
    paces = (replace(p, usd_per_day=p.usd_per_day * factor) for p in sources[index].paces)
    sources[index] = replace(sources[index], paces=tuple(paces))
    return replace(account, sources=tuple(sources))


@lru_cache
def _history(org_id: str, period: ledger.Period) -> tuple[ledger.Invoice, ...]:
    account = next(account for account in ACCOUNTS if account.id == org_id)
    return ledger.history(account, period)


class StoryReader(FakeReader):
    """Answers from the simulator's ledger, fails as the story says, and counts its calls."""

    def __init__(self, clock: Callable[[], float], seed: int, requests_per_day: int) -> None:
        """Make a reader at a clock of Unix seconds. `telemetry` has to be set before use."""
        super().__init__()
        self.telemetry: Telemetry
        self._clock = clock
        self._rng = Random(seed)
        self._limit = requests_per_day
        self._day, self._requests = 0, 0
        self._tokens: set[str] = set()

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Answer a call, authenticating before the first with a key."""
        if api_key.id not in self._tokens:
            await self._call("Authenticate", None)
            self._tokens.add(api_key.id)
        await self._call(rpc, self._failure(rpc, org_id))
        account = next(account for account in ACCOUNTS if account.id == org_id)
        return self._answer(rpc, account, self._clock())

    async def _call(self, method: str, failure: BillingError | None) -> None:
        late = failure is not None and failure.code == "DEADLINE_EXCEEDED"
        seconds = 20.0 if late else LATENCY[method] * self._rng.lognormvariate(0, 0.4)
        await asyncio.sleep(seconds)
        day = int(self._clock() // DAY)
        self._requests = self._requests + 1 if day == self._day else 1
        self._day = day
        self.telemetry.requests_left(self._limit, self._limit - self._requests)
        self.telemetry.api_request(method, seconds, failure.code if failure else None)
        if failure is not None:
            raise failure

    def _failure(self, rpc: ReadRpc, org_id: str) -> BillingError | None:
        now = self._clock()
        if OUTAGE <= now < OUTAGE_ENDS:
            return BillingError(Cause.OUTAGE, "UNAVAILABLE", "an outage", transient=True)
        if org_id == DEPRECATED.id and rpc is BILLING and now >= LOST_PERMISSION:
            return BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "no longer an owner")
        if org_id == CREDITED.id and rpc is INVOICES and THROTTLED <= now < THROTTLED_ENDS:
            return BillingError(Cause.THROTTLED, "RESOURCE_EXHAUSTED", "too many", transient=True)
        if self._rng.random() < LATE_CALLS:
            return BillingError(Cause.OUTAGE, "DEADLINE_EXCEEDED", "too late", transient=True)
        return None

    def _answer(self, rpc: ReadRpc, account: Account, now: float) -> bytes:
        period = ledger.period_at(now)
        if rpc is USAGE:
            usage = ledger.usage(account_at(account, now), now)
            answer = messages.current_month_usage(account, usage, lambda moment: moment)
            if account.id == FRAGMENTS.id and now >= UNKNOWN_TYPE:
                _rename_last_type(answer)
            return answer.SerializeToString()
        if rpc is BILLING:
            message = messages.org_billing_information(account, period, lambda moment: moment)
            return message.SerializeToString()
        found = ledger.issued(_history(account.id, period), now)
        summary = messages.invoices_summary(found, now, lambda moment: moment)
        if account.id == CREDITED.id and now >= INVOICE_TWICE:
            summary.invoices.append(summary.invoices[0])
        return summary.SerializeToString()


def _rename_last_type(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Give the last cost of the organization's own a type that is newer than this exporter."""
    own = answer.resource_usage_costs_by_source[0].resource_usage_costs
    own.usage_costs[-1].ClearField("resource_type")
    number = b"\x08" + bytes([UNKNOWN_NUMBER])
    own.usage_costs[-1].MergeFromString(number)
