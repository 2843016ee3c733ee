"""Asks the billing API, on schedule, and publishes what it says. The only writer of the store."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import cast

import structlog

from exporter import answers
from exporter.answers import Moment
from exporter.billing import BillingError, BillingReader
from exporter.catalog import COLLECTORS, InvoiceDetail
from exporter.config import Config
from exporter.extract import Usage
from exporter.model import (
    Answer,
    Clock,
    CollectorState,
    Organization,
    OrganizationState,
    SavedOrganization,
    Spend,
)
from exporter.schedule import Alarms, Schedule, Unit
from exporter.spend import advance
from exporter.store import Store
from exporter.telemetry import Telemetry

log = structlog.get_logger(__name__)

COLLECTOR = {collector.name: collector for collector in COLLECTORS}
DUE_DATE_RESOLUTION = 1.0  # seconds by which a due date may be shown late
CLOCK_CHECK = 30.0  # seconds after which a wall clock that was set is noticed


MAX_RETRIES = 2  # of one poll, while the failure is transient
RETRY_BASE = 1.0  # seconds; doubles with each retry
RETRY_DELAY_LIMIT = 24 * 3600.0  # seconds; a server that asks for more is asked again all the same
# A refusal slows polls down, but after its cause is gone the next success must come within two
# intervals or a minute, whichever is longer.
SLOWEST_INTERVALS = 1.9
SLOWEST_SECONDS = 55.0
DAY = 86_400.0
# The share of a daily ceiling that polls are spread over; authentication and retries need some.
POLLS_SHARE = 0.8


class Poller:
    """Polls every enabled collector of every organization on its own, within one concurrency."""

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        clock: Clock,
        random: Callable[[], float],
        saved: Mapping[str, SavedOrganization] | None = None,
    ) -> None:
        """Make a poller that polls nothing yet.

        `random` gives numbers in [0, 1); `saved` is what a process before this one knew.
        """
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._saved = dict(saved or {})
        self._schedule = Schedule()
        self._polls: dict[Unit, asyncio.Task[None]] = {}
        self._failures: Counter[Unit] = Counter()  # in a row
        self._wake = asyncio.Event()
        self._due_dates: Alarms[Unit] = Alarms()  # by the wall clock
        self._due_date_noted = asyncio.Event()
        self._reader: BillingReader
        self._concurrency: int
        self._detail: InvoiceDetail

    def configure(self, config: Config, reader: BillingReader) -> None:
        """Poll what a configuration says, instead of what was polled before.

        Organizations that stay keep their data and their turn. Polls under way that the
        change concerns are given up and made anew.
        """
        new_reader = reader is not getattr(self, "_reader", reader)
        self._reader = reader
        self._concurrency = config.api.max_concurrency
        self._detail = InvoiceDetail(config.invoices.detail, config.invoices.max_per_organization)
        organizations = {organization.id: organization for organization in _paced(config)}
        for unit, task in self._polls.items():
            state = self._store.get(unit.org_id)
            if new_reader or not state or state.organization != organizations.get(unit.org_id):
                task.cancel()
        for state in self._store:
            if state.organization.id not in organizations:
                self._store.remove(state.organization.id)
        for organization in organizations.values():
            self._adopt(organization, config.collectors)
        self._saved.clear()
        self._failures = Counter(
            {unit: n for unit, n in self._failures.items() if unit.org_id in organizations}
        )
        now = self._clock.monotonic()
        intervals = {
            Unit(organization.id, collector): organization.interval
            for organization in organizations.values()
            for collector in config.collectors
        }
        spare = config.api.max_requests_per_day is not None
        self._schedule.replace(intervals, now, self._first_turns() if spare else {})
        self._wake.set()

    def _first_turns(self) -> Mapping[Unit, float]:
        """Return when what was restored is to be polled first, if requests are scarce."""
        return {
            Unit(state.organization.id, name): collector.answer.received_monotonic
            + state.organization.interval
            for state in self._store
            for name, collector in state.collectors.items()
            if collector.answer is not None
        }

    async def run(self) -> None:
        """Poll until cancelled. An exception that is no BillingError is a bug, and is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_due_dates())
            while True:
                self._wake.clear()
                delay = None  # a poll that ends wakes this loop
                while len(self._polls) < self._concurrency:
                    now = self._clock.monotonic()
                    unit = self._schedule.take(now)
                    if unit is None:
                        due = self._schedule.next_due()
                        delay = None if due is None else due - now
                        break
                    self._polls[unit] = tasks.create_task(self._poll(unit))
                try:
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _poll(self, unit: Unit) -> None:
        try:
            error = await self._ask(unit)
        except asyncio.CancelledError:
            self._schedule.give_back(unit, self._clock.monotonic())
            raise
        else:
            self._schedule_next(unit, error)
        finally:
            del self._polls[unit]
            self._wake.set()

    def _schedule_next(self, unit: Unit, error: BillingError | None) -> None:
        now = self._clock.monotonic()
        if error is None:
            self._schedule.done(unit, now)
            return
        failures = self._failures[unit]
        wait = min(error.retry_after or 0.0, RETRY_DELAY_LIMIT)
        if self._may_retry(unit, error):
            backoff = self._random() * RETRY_BASE * 2 ** (failures - 1)
            self._schedule.give_back(unit, now + max(backoff, wait))
        else:
            if not error.transient:
                interval = self._state(unit).organization.interval
                slowest = max(SLOWEST_INTERVALS * interval, SLOWEST_SECONDS)
                wait = max(wait, min(interval * 2 ** min(failures - 1, 16), slowest))
            self._schedule.done(unit, now, earliest=now + wait)

    def _may_retry(self, unit: Unit, error: BillingError) -> bool:
        """Tell whether the poll goes on after a failure, instead of ending with it."""
        interval = self._state(unit).organization.interval
        return (
            error.transient
            and self._failures[unit] <= MAX_RETRIES
            and (error.retry_after or 0.0) < interval
        )

    async def _ask(self, unit: Unit) -> BillingError | None:
        """Ask once, publish what came of it unless it is retried, and return what failed."""
        organization = self._state(unit).organization
        rpc = COLLECTOR[unit.collector].rpc
        started = self._clock.monotonic()
        failure: BillingError | None = None
        taken: tuple[Answer, Spend | None] | None = None
        try:
            raw = await self._reader.read(rpc, organization.id, organization.api_key)
            taken = self._take_in(unit, raw)
            self._failures.pop(unit, None)
        except BillingError as error:
            self._failures[unit] += 1
            if self._may_retry(unit, error):
                return error
            failure = error
        state = self._state(unit)
        before = state.collectors[unit.collector]
        answer, spend = taken or (before.answer, state.spend)
        after = CollectorState(
            answer=answer,
            polled=True,
            attempted=self._clock.time(),
            duration=self._clock.monotonic() - started,
            failure=failure.failure if failure else None,
        )
        self._publish(unit, after, spend)
        _log_change(organization, unit, before, after)
        return failure

    def _take_in(self, unit: Unit, raw: bytes) -> tuple[Answer, Spend | None]:
        """Return a good answer, compared with the one before, and what it means for spend."""
        state = self._state(unit)
        now = self._now()
        before = state.collectors[unit.collector].answer
        spend = state.spend
        if before is not None:
            before = self._at(unit, before, now)  # else a due date passing looks like a change
        if before is not None and before.digest == answers.digest(raw):
            answer = replace(before, received=now.time, received_monotonic=now.monotonic)
        else:
            collector = COLLECTOR[unit.collector]
            answer, view = answers.take_in(collector, state.organization, raw, self._detail, now)
            if before is not None and before.fragments == answer.fragments:
                answer = replace(answer, changed=before.changed)
            if isinstance(view, Usage):
                spend = advance(spend, view)
            self._note_due_date(unit, answer)
        self._telemetry.withheld(answer.withheld)
        self._telemetry.unknown_enums(answer.unknown_enums)
        return answer, spend

    def _now(self) -> Moment:
        return Moment(self._clock.time(), self._clock.monotonic())

    # --- Changes without a poll ---

    def _at(self, unit: Unit, answer: Answer, now: Moment) -> Answer:
        """Return an answer as it reads at another moment, when due dates may have passed."""
        if answer.next_change is None or now.time < answer.next_change:
            return answer
        return self._again(unit, answer, now)

    def _again(self, unit: Unit, answer: Answer, now: Moment) -> Answer:
        """Return what is made now of an answer that came before."""
        again, _ = answers.take_in(
            COLLECTOR[unit.collector],
            self._state(unit).organization,
            answer.message,
            self._detail,
            now,
        )
        return replace(
            again,
            digest=answer.digest,
            message=answer.message,
            received=answer.received,
            received_monotonic=answer.received_monotonic,
            changed=answer.changed,
        )

    async def _watch_due_dates(self) -> None:
        """Show invoices as overdue when their due date passes.

        Looks at the wall clock now and then instead of sleeping until a date, because the wall
        clock can be set.
        """
        while True:
            now = self._now()
            for unit in self._due_dates.take(now.time):
                self._refresh(unit, now)
            self._due_date_noted.clear()
            wait = max(self._due_dates.next() - now.time, DUE_DATE_RESOLUTION)
            try:
                async with asyncio.timeout(min(wait, CLOCK_CHECK)):
                    await self._due_date_noted.wait()
            except TimeoutError:
                pass

    def _refresh(self, unit: Unit, now: Moment) -> None:
        state = self._store.get(unit.org_id)
        collector = state.collectors.get(unit.collector) if state else None
        if collector is None or collector.answer is None:
            return
        answer = self._at(unit, collector.answer, now)
        self._note_due_date(unit, answer)
        if answer is not collector.answer:
            self._publish(unit, replace(collector, answer=answer))

    def _note_due_date(self, unit: Unit, answer: Answer) -> None:
        if answer.next_change is not None:
            self._due_dates.ask(unit, answer.next_change)
            self._due_date_noted.set()

    # --- The store ---

    def _adopt(self, organization: Organization, collectors: Iterable[str]) -> None:
        """Publish an organization under a new configuration, with what is known of it."""
        before = self._store.get(organization.id)
        if before is None:
            self._store.put(self._restored(organization, collectors))
            return
        known = before.collectors
        state = OrganizationState(
            organization,
            {name: known.get(name, CollectorState()) for name in collectors},
            before.spend,
        )
        self._store.put(state)
        for name, collector in state.collectors.items():
            if collector.answer is not None:
                # The name, and which invoices are shown, may be others than before.
                unit = Unit(organization.id, name)
                answer = self._again(unit, collector.answer, self._now())
                self._note_due_date(unit, answer)
                self._publish(unit, replace(collector, answer=answer))

    def _restored(self, organization: Organization, collectors: Iterable[str]) -> OrganizationState:
        """Return what a process before this one knew of an organization, with its timestamps."""
        saved = self._saved.get(organization.id)
        states = {}
        for name in collectors:
            state = CollectorState()
            if saved is not None and (old := saved.answers.get(name)) is not None:
                try:
                    answer = answers.restore(
                        COLLECTOR[name], organization, old, self._detail, self._now()
                    )
                except BillingError:
                    log.warning("a stored answer does not parse", org=organization.id)
                else:
                    state = CollectorState(answer=answer, attempted=answer.received)
                    self._note_due_date(Unit(organization.id, name), answer)
            states[name] = state
        return OrganizationState(organization, states, saved.spend if saved else None)

    def _state(self, unit: Unit) -> OrganizationState:
        # It is there: polls of an organization that is removed are cancelled with it.
        return cast("OrganizationState", self._store.get(unit.org_id))

    def _publish(self, unit: Unit, collector: CollectorState, spend: Spend | None = None) -> None:
        state = self._state(unit)
        collectors = {**state.collectors, unit.collector: collector}
        self._store.put(OrganizationState(state.organization, collectors, spend or state.spend))


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


def _log_change(
    organization: Organization, unit: Unit, before: CollectorState, after: CollectorState
) -> None:
    """Log a poll that ended otherwise than the one before, and no other."""
    where = log.bind(org=unit.org_id, org_name=organization.name, collector=unit.collector)
    failure = after.failure
    if failure is not None:
        if before.failure is None or before.failure.cause is not failure.cause:
            where.warning(
                "poll failed", cause=failure.cause, code=failure.code, reason=failure.message
            )
    elif before.failure is not None:
        where.info("poll succeeds again", failed_with=before.failure.cause)
