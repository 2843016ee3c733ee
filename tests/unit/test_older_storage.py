"""What a pod finds on its volume after an upgrade: a storage as an older exporter left it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.state.place import FILE
from support.reader import BILLING, INVOICES, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

# Written by the exporter at the commit that first shipped a chart, run with --demo, and dumped.
OLDER: Final = Path(__file__).with_name("older_storage.sql")
ORGANIZATION: Final = "0326324d-fb69-4ffb-ba18-90c78092b4d4"
PERIOD: Final = 1_793_491_200  # 2026-11-01T00:00:00Z
STOPPED: Final = 1_795_902_952.0  # 2026-11-28T21:55:52Z
SPENT, MONTH_TO_DATE = 0.00311333160027516, 748.69007156102


def test_an_upgrade_keeps_what_an_older_exporter_stored(tmp_path: Path) -> None:
    """All of it is on the page at once, and counters go on from where they stood."""
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(OLDER.read_text())
    api = FakeReader()
    api.delays = {USAGE: 30, BILLING: 1e6, INVOICES: 1e6}
    answer = pb.GetCurrentMonthUsageResponse()
    answer.start_date.seconds = PERIOD
    source = answer.resource_usage_costs_by_source.add(source_type="SOURCE_TYPE_ORG")
    source.resource_usage_costs.total_with_discount = MONTH_TO_DATE + 2.5
    api.answers[USAGE] = answer

    async def scenario() -> None:
        clock = VirtualClock()
        clock.jump(STOPPED + 60 - clock.time())
        one = config(organization(ORGANIZATION, interval=600.0, max_age=2400.0))
        async with Rig.stored(tmp_path, one, api, clock) as rig, rig.running():
            await asyncio.sleep(1)
            types = rig.values("viam_billing_usage_resource_spend_usd_total", "resource_type")
            assert len(types) == 5
            assert rig.value("viam_billing_usage_spend_usd_total") == SPENT
            assert rig.value("viam_billing_usage_month_to_date_usd") == MONTH_TO_DATE
            assert rig.value("viam_billing_outstanding_balance_usd") == 0
            await asyncio.sleep(60)
            assert rig.value("viam_billing_usage_spend_usd_total") == pytest.approx(SPENT + 2.5)

    run(scenario())
