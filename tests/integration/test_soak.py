"""Random faults against a hundred organizations while the page is scraped all the time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from google.protobuf.message import DecodeError

from exporter.pb import billing_pb2 as pb
from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator, configuration, fleet
from exporter.simulator.injection import Injected
from exporter.simulator.scenarios import SCENARIOS, Kind
from support.process import Exporter, Series, exporter, get, parse, samples

pytestmark = pytest.mark.alone

ORGANIZATIONS = 100
INTERVAL, MAX_AGE = 2.0, 8.0
SLACK = 3.0  # seconds that a page may be behind on a busy machine
AT_ONCE = 6  # faults
PARSED = 10  # pages of which one is read by the client library too: it takes four times as long
# Faults that would leave nothing to see of the others come seldom, and for a moment.
TOTAL = {name for name, scenario in SCENARIOS.items() if scenario.kind is Kind.CONNECTION}

MONEY = {
    "viam_billing_usage_subtotal_usd": "usage",
    "viam_billing_outstanding_balance_usd": "invoices",
}
TOO_LARGE = 1e12  # US dollars; a timestamp is less
RISING = (
    "viam_billing_usage_spend_usd_total",
    "viam_billing_usage_corrections_usd_total",
    "viam_billing_collector_last_attempt_timestamp_seconds",
    "viam_billing_collector_last_success_timestamp_seconds",
    "viam_billing_collector_last_change_timestamp_seconds",
)


class Journal:
    """Every amount that the server ever sent, by organization and metric."""

    def __init__(self) -> None:
        self.sent: defaultdict[tuple[str, str], set[float]] = defaultdict(set)

    def note(self, method: str, org_id: str, message: bytes, _wall: float) -> None:
        """Keep what an answer says."""
        try:
            if method == "GetCurrentMonthUsage":
                usage = pb.GetCurrentMonthUsageResponse.FromString(message)
                self.sent[org_id, "viam_billing_usage_subtotal_usd"].add(usage.subtotal)
            elif method == "GetInvoicesSummary":
                invoices = pb.GetInvoicesSummaryResponse.FromString(message)
                balance = invoices.outstanding_balance
                self.sent[org_id, "viam_billing_outstanding_balance_usd"].add(balance)
        except DecodeError:
            pass


class Watch:
    """Checks every page against what was sent and against the pages before."""

    def __init__(self, journal: Journal) -> None:
        self.pages = 0
        self._journal = journal
        self._last: dict[Any, float] = {}

    def look(self, page: Series) -> None:
        """Check a page. Whoever read it has found it without duplicates."""
        now = time.time()
        self.pages += 1
        success = {}
        for (name, labels), value in page.items():
            if name == "viam_billing_collector_last_success_timestamp_seconds":
                one = dict(labels)
                success[one["org_id"], one["collector"]] = value
        for (name, labels), value in page.items():
            org_id = dict(labels).get("org_id", "")
            if name in MONEY:
                sent = self._journal.sent[org_id, name]
                assert value in sent, f"{name} of {org_id} was never {value}"
                age = now - success[org_id, MONEY[name]]
                assert age <= MAX_AGE + SLACK, f"{name} of {org_id} is {age:.1f} s old"
            if name in RISING:
                assert value < TOO_LARGE, f"{name} of {org_id} took in what nobody owes"
                assert value >= self._last.get((name, labels), 0.0), f"{name} of {org_id} fell"
                self._last[name, labels] = value


def resources(page: Series) -> tuple[float, float]:
    """Return resident memory in bytes, and open files."""
    values = {name: value for (name, _), value in page.items()}
    return values["process_resident_memory_bytes"], values["process_open_fds"]


async def soak(folder: Path, seconds: float, rng: Random) -> None:
    """Rehearse for a while."""
    journal = Journal()
    accounts = fleet(ORGANIZATIONS)
    simulator = Simulator(
        accounts,
        SimulatedClock(SystemClock(), speed=2000.0),
        rng=Random(rng.getrandbits(32)),
        on_answer=journal.note,
    )
    port = await simulator.start(front=True)
    settings = yaml.safe_load(configuration(accounts, f"127.0.0.1:{port}"))
    settings["api"]["timeout"] = "2s"
    settings["poll"] = {"interval": f"{INTERVAL:g}s", "max_age": f"{MAX_AGE:g}s"}
    file = folder / "exporter.yml"
    file.write_text(yaml.safe_dump(settings))
    arguments = [f"--config.file={file}", f"--storage.path={folder / 'state'}"]
    started: asyncio.Future[Exporter] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    keeper = asyncio.create_task(asyncio.to_thread(_keep, arguments, started, done))
    try:
        await _rehearse(await started, simulator, Watch(journal), seconds, rng)
    finally:
        done.set()
        await keeper
        await simulator.stop()


def _keep(arguments: list[str], started: asyncio.Future[Exporter], done: asyncio.Event) -> None:
    """Run the process in a thread of its own, because starting and stopping it blocks."""
    loop = started.get_loop()
    with exporter(*arguments) as it:
        loop.call_soon_threadsafe(started.set_result, it)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result()


async def _scrape(it: Exporter, number: int) -> Series:
    answer = await asyncio.to_thread(get, it.port, "/metrics")
    assert answer.status == 200
    return await asyncio.to_thread(samples if number % PARSED else parse, answer.text)


async def _rehearse(
    it: Exporter, simulator: Simulator, watch: Watch, seconds: float, rng: Random
) -> None:
    injected: list[Injected] = []
    names = [name for name in SCENARIOS if name not in TOTAL]
    levels: list[tuple[float, float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(injected) >= AT_ONCE or (injected and rng.random() < 0.3):
            injected.pop(rng.randrange(len(injected))).clear()
        elif rng.random() < 0.1:
            moment = simulator.inject(f"{rng.choice(sorted(TOTAL))}:until=1s")
            injected.append(moment)
        else:
            where = rng.choice([f"organization={rng.randrange(1, 101)}", "share=0.2", "every=7"])
            injected.append(simulator.inject(f"{rng.choice(names)}:{where}"))
        if rng.random() < 0.05:
            it.process.send(signal.SIGHUP)
        if rng.random() < 0.05:
            simulator.revoke_tokens()
        page = await _scrape(it, watch.pages)
        watch.look(page)
        levels.append(resources(page))
    for fault in injected:
        fault.clear()
    assert watch.pages > seconds / 5
    _check_level(levels)
    await _recover(it, watch)


def _check_level(levels: list[tuple[float, float]]) -> None:
    """Memory and open files are no more at the end than after the first third."""
    third = len(levels) // 3
    memory, files = zip(*levels, strict=True)
    assert max(memory[-third:]) <= max(memory[third : 2 * third]) * 1.2 + 20e6
    assert max(files[-third:]) <= max(files[:third]) + 20


async def _recover(it: Exporter, watch: Watch) -> None:
    """All are up again: within two intervals or a minute, whichever is longer."""
    async with asyncio.timeout(90):
        while True:
            page = await _scrape(it, watch.pages)
            watch.look(page)
            up = [value for (name, _), value in page.items() if name == "viam_billing_up"]
            if up == [1.0] * ORGANIZATIONS:
                return


@pytest.mark.timeout(400)
def test_a_minute_of_faults(tmp_path: Path) -> None:
    """Every page is whole and true, nothing leaks, and all recovers by itself."""
    asyncio.run(soak(tmp_path, 60.0, Random(3)))


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_hours_of_faults(tmp_path: Path) -> None:
    """The same for SOAK_HOURS, two if it is not set, with other faults each time."""
    hours = float(os.environ.get("SOAK_HOURS", "2"))
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201 - to repeat what failed
    asyncio.run(soak(tmp_path, hours * 3600, Random(seed)))
