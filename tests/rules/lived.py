"""Pages of real exporters over days of virtual time, as what Prometheus has of them.

Time begins with 0 at a midnight, as it does for promtool; only the exporters live in 2026.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum
from pathlib import Path
from typing import Final

from exporter.pb import billing_pb2 as pb
from rules.harness import ACME, DAY, FIRST, MINUTE, Pages, Values
from support.quarter.scrapes import unhurried_clock_checks
from support.reader import OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

MIDNIGHT: Final = datetime(2026, 10, 20, tzinfo=UTC).timestamp()
SCRAPED: Final = 5 * MINUTE
POLLED: Final = 30 * MINUTE
SETTLED: Final = 20.0  # seconds until an exporter has polled once
MONTH: Final = 30 * DAY

Span = tuple[float, float]  # from one moment to another, in seconds from the beginning


def during(moment: float, spans: Sequence[Span]) -> bool:
    """Tell whether a moment is in one of the spans."""
    return any(start <= moment < end for start, end in spans)


@dataclass(frozen=True)
class Bill:
    """What an organization spends: the ledger that a test keeps, and what the API says of it."""

    spent: Callable[[float], float]  # in all, up to a moment
    starts: Sequence[float] = (-10 * DAY,)  # of its periods
    away: Sequence[Span] = ()  # when the API answers nobody
    behind: Sequence[Span] = ()  # when it answers of the period before, as it ended
    odd: Sequence[Span] = ()  # when something is wrong with its answers:
    wrong: Callable[[pb.GetCurrentMonthUsageResponse], object] = bool

    def answer(self, now: float) -> pb.GetCurrentMonthUsageResponse | None:
        """Return what the API says at a moment; None if it is away."""
        if during(now, self.away):
            return None
        begun = [start for start in self.starts if start <= now]
        start, end = begun[-1], next((s for s in self.starts if s > now), begun[-1] + MONTH)
        if during(now, self.behind):
            now = end = start
            start = begun[-2]
        usd = self.spent(now) - self.spent(start)
        answer = pb.GetCurrentMonthUsageResponse(subtotal=usd)
        answer.start_date.FromMilliseconds(round((MIDNIGHT + start) * 1000))
        answer.end_date.FromMilliseconds(round((MIDNIGHT + end) * 1000))
        costs = answer.resource_usage_costs_by_source.add().resource_usage_costs
        costs.total_with_discount = usd
        costs.usage_costs.add(resource_type=1, cost=usd)
        if during(now, self.odd):
            self.wrong(answer)
        return answer


@dataclass(frozen=True)
class Life:
    """A process of an exporter."""

    starts: float = 0
    ends: float = 1000 * DAY
    instance: str = FIRST["instance"]
    storage: str | None = None  # the name of its folder
    org_name: str = ACME["org_name"]
    interval: float = POLLED  # between polls; answers stay on the page for four of it


@dataclass(frozen=True)
class Lived:
    """What Prometheus has, and when good answers came, of which it may not have seen all."""

    pages: Pages
    answered: Sequence[float]

    def seen(self, bill: Bill, until: float, unscraped: Sequence[Span] = ()) -> float:
        """Return what was spent between the first good answer and the last one before a moment.

        What was spent between the last answer of a period and its end is in none. Nor is it in
        those that Prometheus was away for, if that is given: they are not said again, in parts.
        """
        first, last = self.answered[0], max(a for a in self.answered if a < until)
        ended = [start for start in bill.starts if first < start <= last]
        scraped = [a for a in self.answered if not during(a, unscraped)]
        before = [max(a for a in scraped if a < end) for end in ended]
        unseen = fsum(bill.spent(end) - bill.spent(a) for end, a in zip(ended, before, strict=True))
        return bill.spent(last) - bill.spent(first) - unseen


class _Api(FakeReader):
    """Answers what the bill says."""

    def __init__(self, bill: Bill, clock: VirtualClock, answered: list[float]) -> None:
        super().__init__()
        self._bill, self._clock, self._answered = bill, clock, answered

    async def read(self, *what: object) -> bytes:
        now = self._clock.time() - MIDNIGHT
        self.answers[USAGE] = self._bill.answer(now) or OUTAGE
        if not during(now, [*self._bill.away, *self._bill.behind, *self._bill.odd]):
            insort(self._answered, now)
        return await super().read(*what)  # type: ignore[arg-type] # as it was called


def live(
    folder: Path, days: int, bill: Bill, *lives: Life, unscraped: Sequence[Span] = ()
) -> Lived:
    """Return what became of exporters in so many days, and of a Prometheus that may be away.

    Lives of one instance follow upon each other. Folders of storage are made in `folder`.
    """
    steps = days * DAY // SCRAPED
    scrapes, answered = Scrapes(steps, unscraped), list[float]()
    by_instance: defaultdict[str, list[Life]] = defaultdict(list)
    for life in lives or (Life(),):
        by_instance[life.instance].append(life)

    async def everything() -> None:
        async with asyncio.TaskGroup() as tasks:
            for instance, its in by_instance.items():
                tasks.create_task(_instance(instance, its, folder, bill, scrapes, answered))

    with unhurried_clock_checks():
        run(everything())
    return Lived(Pages(steps, SCRAPED, input=scrapes.series()), answered)


async def _instance(  # noqa: PLR0913 - what it is given is the world it lives in
    instance: str,
    lives: Sequence[Life],
    folder: Path,
    bill: Bill,
    scrapes: Scrapes,
    answered: list[float],
) -> None:
    """Live the lives of an instance, and scrape it throughout."""
    clock = VirtualClock()
    clock.offset = MIDNIGHT
    step = 0
    for life in lives:
        while step < scrapes.steps and step * SCRAPED < life.starts + SETTLED:
            scrapes.take(step, instance, None)
            step += 1
        await asyncio.sleep(max(0.0, life.starts - clock.monotonic()))
        polls = 0
        api = _Api(bill, clock, answered)
        async with _process(life, folder, api, clock) as rig:
            while step < scrapes.steps and step * SCRAPED < life.ends:
                await asyncio.sleep(step * SCRAPED - clock.monotonic())
                if len(rig.reader.calls) != polls:  # else the page is the same
                    polls = len(rig.reader.calls)
                    await rig.publisher.publish()
                scrapes.take(step, instance, rig.page())
                step += 1
    while step < scrapes.steps:
        scrapes.take(step, instance, None)
        step += 1


@asynccontextmanager
async def _process(
    life: Life, folder: Path, api: FakeReader, clock: VirtualClock
) -> AsyncIterator[Rig]:
    acme = organization(
        ACME["org_id"], name=life.org_name, interval=life.interval, max_age=4 * life.interval
    )
    made = config(acme, collectors=("usage",))
    async with AsyncExitStack() as stack:
        if life.storage:
            rig = await stack.enter_async_context(
                Rig.stored(folder / life.storage, made, api, clock)
            )
        else:
            rig = Rig(made, api, clock=clock)
        rig.telemetry.reloaded(clock.time())
        await stack.enter_async_context(rig.running(publishing=False))
        yield rig


class Scrapes:
    """What was scraped of all instances, in promtool's notation."""

    def __init__(
        self, steps: int, unscraped: Sequence[Span] = (), *, begun: float = MIDNIGHT
    ) -> None:
        """`begun` is when promtool's time begins, in Unix seconds."""
        self.steps = steps
        self._begun = begun
        self._unscraped = unscraped
        self._values: defaultdict[str, dict[int, str]] = defaultdict(dict)

    def take(self, step: int, instance: str, page: str | None) -> None:
        """Note a page, or that there was none, unless Prometheus is away."""
        if during(step * SCRAPED, self._unscraped):
            return
        target = f'job="{FIRST["job"]}",instance="{instance}"'
        self._values[f"up{{{target}}}"][step] = "0" if page is None else "1"
        found = {} if page is None else dict(_samples(page, target, self._begun))
        for series, values in self._values.items():
            if target in series and not series.startswith("up{") and series not in found:
                values[step] = "stale"
        for series, value in found.items():
            self._values[series][step] = value

    def series(self) -> dict[str, Values]:
        """Return the values of each series."""
        return {series: _written(values, self.steps) for series, values in self._values.items()}


def _samples(page: str, target: str, begun: float) -> Mapping[str, str]:
    """Return the samples of a page that rules may look at; moments count from the beginning."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("viam_billing_") or "duration_seconds" in line:
            continue
        series, value = line.rsplit(" ", 1)
        name, _, labels = series.partition("{")
        if name.endswith("_timestamp_seconds"):
            value = repr(float(value) - begun)
        found[f"{name}{{{target}{',' if labels else ''}{labels or '}'}"] = value
    return found


def _written(values: Mapping[int, str], steps: int) -> Values:
    text = " ".join(values.get(step, "_") for step in range(steps))
    return lambda _: text


def even(per_day: float) -> Callable[[float], float]:
    """Return what somebody has spent who spends the same each day."""
    return lambda moment: per_day * moment / DAY


def with_events(
    spent: Callable[[float], float], *events: tuple[float, float]
) -> Callable[[float], float]:
    """Return the same with amounts at moments: a fee, or a credit below 0."""
    return lambda moment: spent(moment) + sum(usd for at, usd in events if at <= moment)
