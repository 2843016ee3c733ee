"""The exporters of a world, in virtual time, and what Prometheus would scrape of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TextIO

from exporter.config import Config, InvoicesConfig
from exporter.model import ApiKey, Secret
from exporter.polling import intake
from exporter.polling.sharding import Shard
from support.quarter.world import HOUR, AccountsReader, Life, World
from support.reader import config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

JOB: Final = "viam-billing"


def write(world: World, file: TextIO, folder: Path) -> None:
    """Write all scrapes of a world as OpenMetrics with timestamps, in the order of time.

    `folder` is for what the exporters store.
    """

    async def everything() -> None:
        async with asyncio.TaskGroup() as tasks:
            for ordinal in range(world.shards):
                shard = Shard(ordinal, world.shards)
                tasks.create_task(_exporter(world, shard, file, folder / f"{ordinal}"))

    with unhurried_clock_checks():
        run(everything())
    file.write("# EOF\n")


@contextmanager
def unhurried_clock_checks() -> Iterator[None]:
    """Let the exporter trust the wall clock: looking for jumps would take half of the time here."""
    before, intake.CLOCK_CHECK = intake.CLOCK_CHECK, HOUR
    try:
        yield
    finally:
        intake.CLOCK_CHECK = before


def _grid(world: World) -> Iterator[float]:
    """Yield the times of scrapes, Unix seconds."""
    now = world.start
    while now < world.end:
        now += world.coarse if now < world.fine_from else world.fine
        yield now


async def _exporter(world: World, shard: Shard, file: TextIO, folder: Path) -> None:
    """Live all lives of a shard's exporter, and write what is scraped of it."""
    clock = VirtualClock()
    clock.offset = world.start
    scrape = Scrape(file, f"viam-billing-exporter-{shard.ordinal}:8426")
    times = _grid(world)
    now = next(times)
    for life in world.lives:
        while now < life.starts:  # nobody answers
            await asyncio.sleep(now - clock.time())
            scrape.failed(now)
            now = next(times)
        await asyncio.sleep(life.starts - clock.time())
        reader = world.reader(world, clock.time, shard.ordinal)
        part = shard.part_of(_configuration(world, life.interval))
        async with _process(part, shard, life, folder, reader, clock) as rig:
            while now < life.ends:
                await asyncio.sleep(now - clock.time())
                await rig.publisher.publish()
                scrape.succeeded(now, rig.page(), life.starts)
                now = next(times, math.inf)


@asynccontextmanager
async def _process(  # noqa: PLR0913 - what it is given is the world it lives in
    part: Config,
    shard: Shard,
    life: Life,
    folder: Path,
    reader: AccountsReader,
    clock: VirtualClock,
) -> AsyncIterator[Rig]:
    async with Rig.stored(folder, part, reader, clock) as rig:
        reader.telemetry = rig.telemetry
        if shard.total > 1:
            rig.telemetry.sharded(shard.ordinal, shard.total)
        rig.telemetry.reloaded(life.starts)
        rig.telemetry.refreshed(successful=True, complete=life.starts)
        rig.telemetry.discovered(0)  # which are listed all the same
        async with rig.running(publishing=False):
            await asyncio.sleep(10)  # everything was polled once
            yield rig


def _configuration(world: World, interval: float) -> Config:
    organizations = (
        organization(
            account.id,
            name=account.name,
            api_key=ApiKey(account.api_key_id, secret=Secret(account.api_key)),
            interval=interval,
            max_age=4 * interval,
            budget_usd=account.budget_usd,
            labels={"team": account.team} if account.team else {},
        )
        for account in world.accounts
    )
    return config(*organizations, invoices=InvoicesConfig(detail="all", max_per_organization=6))


class Scrape:
    """Writes what Prometheus would keep of the scrapes of one target."""

    def __init__(self, file: TextIO, instance: str) -> None:
        self._file = file
        self._target = f'job="{JOB}",instance="{instance}"'
        self._series: dict[str, str] = {}  # with the target's labels, by how the page has them

    def failed(self, now: float) -> None:
        """Note that nobody answered."""
        self._file.write(f"up{{{self._target}}} 0 {now:.0f}\n")

    def succeeded(self, now: float, page: str, started: float) -> None:
        """Take a page. What it says of its process is not of a simulated one, but for the age."""
        lines = [f"up{{{self._target}}} 1 {now:.0f}\n"]
        for line in page.splitlines():
            if line.startswith(("#", "python_")):
                continue
            series, value = line.rsplit(" ", 1)
            if series == "process_start_time_seconds":
                value = f"{started}"
            lines.append(f"{self._labelled(series)} {value} {now:.0f}\n")
        samples = len(lines) - 1
        lines.append(f"scrape_samples_scraped{{{self._target}}} {samples} {now:.0f}\n")
        lines.append(f"scrape_duration_seconds{{{self._target}}} 0.004 {now:.0f}\n")
        self._file.writelines(lines)

    def _labelled(self, series: str) -> str:
        known = self._series.get(series)
        if known is None:
            name, brace, labels = series.partition("{")
            known = f"{name}{{{self._target}{',' if brace else ''}{labels or '}'}"
            self._series[series] = known
        return known
