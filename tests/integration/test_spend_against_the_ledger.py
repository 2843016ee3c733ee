"""Three months of simulated time: the spend counters against the answers that were polled.

Through credits, a change of tier, outages and restarts. What no answer showed, the time
between the last poll of a period and its end, is bounded here as it is documented.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Any

from exporter.api.calls import ReadRpc
from exporter.model import ApiKey, Organization
from exporter.pb import billing_pb2 as pb
from exporter.simulator import Account, demo_fleet, ledger, messages
from support.reader import OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

DAY = 86_400.0
INTERVAL = 6 * 3600.0
SEPTEMBER = datetime(2026, 9, 3, 1, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
ACCOUNTS = demo_fleet(1)


class LedgerReader(FakeReader):
    """Answers from the simulator's ledger, with outages, and keeps what it answered."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.told: defaultdict[str, list[pb.GetCurrentMonthUsageResponse]] = defaultdict(list)

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Answer from the ledger, or fail for one day in nine."""
        if rpc is not USAGE:
            return await super().read(rpc, org_id, api_key)
        now = self.clock.time()
        if int(now // DAY) % 9 == 4:
            raise OUTAGE
        account = _tier_changed(next(a for a in ACCOUNTS if a.id == org_id), now)
        usage = ledger.usage(account, now)
        answer = messages.current_month_usage(account, usage, lambda moment: moment)
        self.told[org_id].append(answer)
        return answer.SerializeToString()


def _tier_changed(account: Account, now: float) -> Account:
    """Move the first source to another tier on the 20th of October."""
    if now < datetime(2026, 10, 20, tzinfo=UTC).timestamp():
        return account
    first, *others = account.sources
    return replace(account, sources=(replace(first, tier="Enterprise"), *others))


def _organizations() -> list[Organization]:
    return [
        organization(a.id, name=a.name, interval=INTERVAL, max_age=4 * INTERVAL) for a in ACCOUNTS
    ]


def _month_to_date(answer: pb.GetCurrentMonthUsageResponse) -> float:
    if not answer.resource_usage_costs_by_source:
        return answer.total_usage_with_discount
    sources = answer.resource_usage_costs_by_source
    return fsum(source.resource_usage_costs.total_with_discount for source in sources)


def _expected(told: list[pb.GetCurrentMonthUsageResponse]) -> tuple[float, float]:
    """Return spend and corrections of what was told, worked out the long way.

    A fall counts with the answer after it, down to the larger of the two.
    """
    spend: list[float] = []
    corrections: list[float] = []
    counted, fallen = _month_to_date(told[0]), None
    for before, after in pairwise(told):
        amount = _month_to_date(after)
        if after.start_date != before.start_date:
            counted, fallen = 0.0, None
        if amount >= counted:
            spend.append(amount - counted)
            counted, fallen = amount, None
        elif fallen is None:
            fallen = amount
        else:
            corrections.append(counted - max(fallen, amount))
            counted, fallen = max(fallen, amount), amount if amount < fallen else None
    return fsum(spend), fsum(corrections)


def test_three_months_are_counted_to_the_cent(tmp_path: Path) -> None:
    """Whatever happens in between, the counters are what the answers said."""
    page: dict[str, Any] = {}

    async def scenario() -> None:
        clock = VirtualClock()
        clock.offset = SEPTEMBER
        reader = LedgerReader(clock)
        while clock.time() < DECEMBER - 1:
            everyone = config(*_organizations())
            async with Rig.stored(tmp_path / "state", everyone, reader, clock) as rig:
                async with rig.running(publishing=False):  # until the restart, after 17 days
                    await asyncio.sleep(min(17 * DAY, DECEMBER - 1 - clock.time()))
                await rig.publisher.publish()
        for name in ("spend", "corrections"):
            page[name] = rig.values(f"viam_billing_usage_{name}_usd_total", "org_id")
            resources = f"viam_billing_usage_resource_{name}_usd_total"
            page[f"resource_{name}"] = rig.values(resources, "org_id", "resource_type")
        page["told"] = reader.told

    run(scenario())
    credited = 0
    for account in ACCOUNTS:
        told = page["told"][account.id]
        assert len(told) > 250
        spend, corrections = _expected(told)
        assert abs(page["spend"][account.id,] - spend) < 0.005
        assert abs(page["corrections"][account.id,] - corrections) < 0.005
        credited += corrections > 1
        _check_against_the_truth(account, page["spend"][account.id,], corrections)
        per_type = [v for key, v in page["resource_spend"].items() if key[0] == account.id]
        gross = fsum(per_type)
        assert gross >= page["spend"][account.id,] - 0.005
        moved = [v for key, v in page["resource_corrections"].items() if key[0] == account.id]
        assert fsum(moved) < 0.005, "neither a credit nor a tier changes costs before discounts"
    assert credited == 1


def _check_against_the_truth(account: Account, spend: float, corrections: float) -> None:
    """What no answer showed is at most what accrued since the last poll of each period.

    Polls come every six hours, and an outage lasts a day: three times two days' cost at most.
    """
    ends = [ledger.period_at(SEPTEMBER)]
    while ends[-1].end < DECEMBER:
        ends.append(ledger.period_at(ends[-1].end))
    truth = fsum(ledger.final_usage(account, period).net for period in ends)
    truth -= ledger.usage(account, SEPTEMBER).net
    missed = truth - (spend - corrections)
    per_day = max(ledger.final_usage(account, period).gross for period in ends) / 28
    assert -0.005 <= missed <= 3 * 2 * 1.5 * per_day + 0.005
