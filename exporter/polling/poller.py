"""Asks the billing API, on schedule."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, cast

from exporter.api.billing import BillingError, BillingReader, TokenNeeded
from exporter.api.retries import LONGEST_DELAY, retry_after
from exporter.api.tokens import LOGIN_PLACE
from exporter.base import timing
from exporter.config import Config
from exporter.metrics.catalog import COLLECTORS
from exporter.model import Clock, Organization
from exporter.polling.intake import Intake
from exporter.polling.logins import Logins, Poll
from exporter.polling.long_answers import LongAnswers
from exporter.polling.schedule import Schedule, Unit
from exporter.state.store import Store

RPC = {collector.name: collector.rpc for collector in COLLECTORS}

# A refusal slows polls down, but after its cause is gone the next success must come within two
# intervals or a minute, whichever is longer.
SLOWEST_INTERVALS = 1.9
SLOWEST_SECONDS = 55.0
DAY = 86_400.0
AT_ONCE = 3000  # units that are scheduled before others get their turn
# The share of a daily ceiling that polls are spread over; authentication and retries need some.
POLLS_SHARE = 0.8


class Progress(NamedTuple):
    """Polls since the start. One that is tried again counts once."""

    succeeded: int
    failed: int
    under_way: int


class Poller:
    """Polls every enabled collector of every organization on its own, within one concurrency."""

    def __init__(  # noqa: PLR0913 - all of it comes from the composition root
        self,
        config: Config,
        reader: BillingReader,
        *,
        store: Store,
        intake: Intake,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """Poll nothing until `start`. `random` gives numbers in [0, 1)."""
        self._config = config
        self._reader = reader
        self._store = store
        self._intake = intake
        self._clock = clock
        self._random = random
        self._organizations: Mapping[str, Organization] = {}
        self._schedule = Schedule()
        self._polls: dict[asyncio.Task[None], Poll | None] = {}  # by who makes it
        # Until when the server's own delay holds polls back, on the monotonic clock.
        self._held: dict[Unit, float] = {}
        self._failures: Counter[Unit] = Counter()  # in a row
        self._wake = asyncio.Event()
        self._logins = Logins(self._schedule, self._fail, self._wake)
        self._long = LongAnswers()
        self._succeeded = self._failed = 0  # polls

    @property
    def _concurrency(self) -> int:
        return self._config.api.max_concurrency

    @property
    def progress(self) -> Progress:
        """How many polls there were."""
        under_way = sum([poll is not None for poll in [*self._polls.values()]])
        return Progress(self._succeeded, self._failed, under_way + self._logins.waiting)

    @property
    def next_due(self) -> float:
        """When the next poll is to begin, on the monotonic clock; infinity if none waits."""
        return self._schedule.next_due()

    def next_poll(self, unit: Unit) -> float | None:
        """Return when a unit is polled next, on the monotonic clock; None while it is polled."""
        return self._schedule.due(unit)

    async def configure(self, config: Config, reader: BillingReader) -> None:
        """Poll what a configuration says, instead of what was polled before.

        Organizations that stay keep their data and their turn. Polls under way that the
        change concerns are dropped and started again. Not reentrant.
        """
        self._config, self._reader = config, reader
        await self._apply_configuration()

    async def start(self) -> None:
        """Restore what was saved, and have polls due from now on."""
        await self._apply_configuration()

    async def _apply_configuration(self) -> None:
        config, reader = self._config, self._reader
        # In the order of the page: organizations that are polled in a row share a block of it,
        # which is then made once for all of them.
        organizations = {each.id: each for each in sorted(_paced(config), key=_id)}
        intervals = {
            Unit(organization.id, collector): organization.interval
            for organization in organizations.values()
            for collector in config.collectors
        }
        await asyncio.sleep(0)  # each part of this takes long for a large fleet
        # First what leaves, then what is known of the others, then what comes: nothing is polled
        # before there is a place for its answer, nor after.
        self._organizations = organizations
        now = self._clock.monotonic()
        self._schedule.replace({u: i for u, i in intervals.items() if u in self._schedule}, now)

        def is_concerned(poll: Poll) -> bool:
            return not (
                poll.unit in intervals
                and poll.organization == self._organizations[poll.unit.org_id]
                and poll.reader is reader
            )

        for worker, poll in self._polls.items():
            if poll is not None and is_concerned(poll):
                worker.cancel()
        self._logins.give_up(is_concerned, now)
        self._held = {unit: until for unit, until in self._held.items() if unit in intervals}
        await self._intake.configure(self._organizations, config.collectors, config.invoice_detail)
        await asyncio.sleep(0)
        self._long.keep(intervals.keys())
        self._failures = Counter(
            {unit: n for unit, n in self._failures.items() if unit in intervals}
        )
        scarce = config.api.max_requests_per_day is not None
        first = self._first_turns() if scarce else {}
        every = iter(intervals.items())
        while some := dict(islice(every, AT_ONCE)):
            self._schedule.put(some, self._clock.monotonic(), first)
            await asyncio.sleep(0)
        for unit, until in self._held.items():  # whatever their new intervals are
            if self._schedule.due(unit) is not None:
                self._schedule.move(unit, until)
        self._wake.set()

    def ask_now(self) -> None:
        """Make the polls at once that wait because the server asked for it: it is asked once."""
        for unit in self._held:
            self._schedule.move(unit, self._clock.monotonic())
        self._held.clear()
        self._wake.set()

    def _first_turns(self) -> Mapping[Unit, float]:
        """Return when what was restored is to be polled first, if requests are scarce."""
        return {
            Unit(state.organization.id, name): collector.answer.received_monotonic
            + state.organization.interval
            for state in self._store.states()
            for name, collector in state.collectors.items()
            if collector.answer is not None
        }

    async def run(self) -> None:
        """Poll until cancelled. An exception that is no BillingError is a bug, and is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._intake.watch())
            while True:
                self._wake.clear()
                while len(self._polls) < self._concurrency and (poll := self._next()):
                    worker = tasks.create_task(self._work(poll, tasks))
                    self._polls[worker] = poll
                    worker.add_done_callback(self._leave)
                due = math.inf  # a worker that ends wakes this loop
                if len(self._polls) < self._concurrency:
                    due = self._schedule.next_due()
                await timing.wait(self._wake, due - self._clock.monotonic())

    def _next(self) -> Poll | None:
        """Return a poll that is due."""
        now = self._clock.monotonic()
        due = self._schedule.next_due()
        unit = self._schedule.take(now)
        if unit is None:
            return None
        return self._logins.take(unit) or Poll(
            unit, self._organizations[unit.org_id], self._reader, due, now
        )

    async def _work(self, poll: Poll | None, tasks: asyncio.TaskGroup) -> None:
        """Make polls, one after another, while any is due: a task for each costs more."""
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        while poll is not None:
            login = await self._make(poll, tasks)
            self._polls[worker] = None
            if login is not None:
                few = self._logins.are_few
                await asyncio.wait([login], timeout=LOGIN_PLACE if few else None)
            if len(self._polls) > self._concurrency:  # which a reload has lowered
                return
            poll = self._polls[worker] = self._next()

    def _leave(self, worker: asyncio.Task[None]) -> None:
        """Let a poll that was given up be due at once. A worker may end before it begins."""
        poll = self._polls.pop(worker)
        if poll is not None:
            self._schedule.give_back(poll.unit, self._clock.monotonic())
        self._wake.set()

    async def _make(self, poll: Poll, tasks: asyncio.TaskGroup) -> asyncio.Task[None] | None:
        """Make a poll, or have it wait for a login, which is returned if it is begun for this."""
        unit, organization, reader = poll.unit, poll.organization, poll.reader
        try:
            queued = self._clock.monotonic()
            async with self._long.turn(unit):
                waited = self._clock.monotonic() - queued
                if poll.again is not None:
                    raw = await poll.again()
                else:
                    rpc = RPC[unit.collector]
                    raw = await reader.read_at_once(rpc, unit.org_id, organization.api_key)
                now = self._clock.monotonic()
                self._long.note(unit, raw)
                await self._intake.succeed(unit, raw, now - poll.begun - waited)
        except TokenNeeded as needed:
            return self._logins.wait(poll, needed, tasks)
        except BillingError as error:
            self._fail(poll, error)
        else:
            self._succeeded += 1
            self._failures.pop(unit, None)
            self._held.pop(unit, None)
            self._schedule.done(unit, now)
        return None

    def _fail(self, poll: Poll, error: BillingError) -> None:
        """Schedule a retry, or record the failure and wait for the next turn."""
        unit, interval = poll.unit, poll.organization.interval
        now = self._clock.monotonic()
        self._failures[unit] += 1
        failures = self._failures[unit]
        asked_for = min(error.retry_after or 0.0, LONGEST_DELAY)
        retry = retry_after(error, failures, self._random, patience=interval)
        if retry is not None:
            self._schedule.give_back(unit, now + min(retry, LONGEST_DELAY))
            self._intake.hold(unit, self._hold(unit, now, asked_for))
            return
        wait = asked_for
        if not error.transient:
            slowest = max(SLOWEST_INTERVALS * interval, SLOWEST_SECONDS)
            wait = max(wait, min(interval * 2 ** min(failures - 1, 16), slowest), error.pause)
        self._failed += 1
        self._schedule.done(unit, now, earliest=now + wait)
        until = self._hold(unit, now, asked_for)
        self._intake.fail(unit, error.failure, now - poll.begun, until)

    def _hold(self, unit: Unit, now: float, asked_for: float) -> float | None:
        """Return until when the server's own delay keeps a unit waiting, in Unix seconds."""
        due = self._schedule.due(unit)
        if due is None or not asked_for or due > now + asked_for:  # its turn would come later still
            self._held.pop(unit, None)
            return None
        self._held[unit] = due
        return self._clock.time() + (due - now)


def _id(organization: Organization) -> str:
    return organization.id


def _paced(config: Config) -> Iterable[Organization]:
    """Return the organizations at the pace that a daily ceiling leaves them."""
    limit = config.api.max_requests_per_day
    if limit is None:
        return config.organizations
    rounds = math.fsum(DAY / organization.interval for organization in config.organizations)
    slower = max(1.0, rounds * len(config.collectors) / (limit * POLLS_SHARE))
    return [
        replace(
            organization,
            interval=organization.interval * slower,
            max_age=organization.max_age * slower,
        )
        for organization in config.organizations
    ]
