"""A billing API that answers as it is told: the fake at the network's edge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.config import ApiConfig, Config, InvoicesConfig, LimitsConfig
from exporter.model import ApiKey, Cause, Organization, Secret
from exporter.pb import billing_pb2 as pb

USAGE, BILLING, INVOICES = ReadRpc

OUTAGE = BillingError(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached", transient=True)
EMPTY: Mapping[Any, Any] = {
    USAGE: pb.GetCurrentMonthUsageResponse(),
    BILLING: pb.GetOrgBillingInformationResponse(),
    INVOICES: pb.GetInvoicesSummaryResponse(),
}


class FakeReader:
    """Answers each (rpc, organization) with a message, raw bytes or an error.

    `delays` are seconds before an answer; `calls` lists what was asked and when; `in_flight`
    and `most_in_flight` count calls, altogether and, in `overlaps`, of one kind at a time.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[ReadRpc, str] | ReadRpc, Any] = {**EMPTY}
        self.delays: dict[tuple[ReadRpc, str] | ReadRpc | str, float] = {}
        self.calls: list[tuple[float, ReadRpc, str]] = []
        self.keys: list[ApiKey] = []
        self.most_in_flight = 0
        self.overlaps = 0
        self._in_flight: Counter[tuple[ReadRpc, str]] = Counter()

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Answer as told."""
        loop = asyncio.get_running_loop()
        self.calls.append((loop.time(), rpc, org_id))
        self.keys.append(api_key)
        self._in_flight[rpc, org_id] += 1
        self.overlaps += self._in_flight[rpc, org_id] > 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight.total())
        try:
            delay = self.delays.get((rpc, org_id), self.delays.get(rpc, self.delays.get(org_id, 0)))
            await asyncio.sleep(delay)
            answer = self.answers.get((rpc, org_id), self.answers[rpc])
            if isinstance(answer, BillingError):
                raise answer
            return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())
        finally:
            self._in_flight[rpc, org_id] -= 1

    async def read_at_once(self, *what: Any) -> bytes:
        """Answer as told: it takes no login."""
        return await self.read(*what)

    def times(self, rpc: ReadRpc, org_id: str) -> list[float]:
        """Return when something was asked."""
        return [at for at, *what in self.calls if what == [rpc, org_id]]


def organization(org_id: str = "o1", **changes: Any) -> Organization:
    """Return an organization that is polled once a minute."""
    values: dict[str, Any] = {
        "id": org_id,
        "name": org_id.upper(),
        "api_key": ApiKey("key-id", secret=Secret("key")),
        "interval": 60.0,
        "max_age": 240.0,
    }
    return Organization(**(values | changes))


def config(*organizations: Organization, **changes: Any) -> Config:
    """Return a configuration that polls the organizations, `o1` if none are given."""
    sections: dict[str, Any] = {
        "api": ApiConfig(max_concurrency=changes.pop("max_concurrency", 32)),
        "limits": LimitsConfig(max_series=changes.pop("max_series", 1_000_000)),
        "invoices": InvoicesConfig(detail=changes.pop("detail", "open")),
    }
    return Config(organizations=organizations or (organization(),), **(sections | changes))
