"""Asks the billing API, on schedule, and publishes what it says. The only writer of the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import structlog
from google.protobuf.message import DecodeError

from exporter import render
from exporter.billing import BillingError, BillingReader
from exporter.catalog import COLLECTORS, Collector, InvoiceDetail, apply
from exporter.config import Config
from exporter.model import (
    Answer,
    Cause,
    Clock,
    CollectorState,
    Failure,
    Organization,
    OrganizationState,
)
from exporter.schedule import Alarms, Schedule, Unit
from exporter.store import Store
from exporter.telemetry import Telemetry

log = structlog.get_logger(__name__)

COLLECTOR = {collector.name: collector for collector in COLLECTORS}
DUE_DATE_RESOLUTION = 1.0  # seconds between two looks at what fell due


def make_answer(  # noqa: PLR0913 - a pure function gets all it needs
    collector: Collector[Any, Any],
    organization: Organization,
    raw: bytes,
    detail: InvoiceDetail,
    now: float,
    monotonic: float,
) -> Answer:
    """Return what a collector makes of an answer that came at `now`. Raises BillingError."""
    try:
        message = collector.message.FromString(raw)
    except DecodeError as error:
        raise BillingError(
            Cause.INVALID_ANSWER, "INVALID_ANSWER", f"the answer to {collector.rpc} does not parse"
        ) from error
    view = collector.view(message, now, detail)
    withheld: Counter[str] = Counter()
    fragments = []
    for spec in collector.specs:
        family, refused = apply(spec, organization, view)
        fragments.append(render.fragment(family))
        withheld += refused
    return Answer(
        raw=raw,
        fragments=tuple(fragments),
        withheld=dict(withheld),
        unknown_enums=dict(view.unknown_enums),
        received=now,
        received_monotonic=monotonic,
        changed=now,
        period_end=view.period_end,
        next_change=view.next_change,
        billing_tier=view.billing_tier,
    )


class Poller:
    """Polls every enabled collector of every organization on its own, within one concurrency."""

    def __init__(self, store: Store, telemetry: Telemetry, clock: Clock) -> None:
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._schedule = Schedule()
        self._polls: dict[Unit, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._due_dates: Alarms[Unit] = Alarms()  # by the wall clock
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
        organizations = {organization.id: organization for organization in config.organizations}
        for unit, task in self._polls.items():
            state = self._store.get(unit.org_id)
            if new_reader or not state or state.organization != organizations.get(unit.org_id):
                task.cancel()
        for state in self._store:
            if state.organization.id not in organizations:
                self._store.remove(state.organization.id)
        for organization in organizations.values():
            self._adopt(organization, config.collectors)
        self._schedule.replace(
            {
                Unit(organization.id, collector): organization.interval
                for organization in organizations.values()
                for collector in config.collectors
            },
            self._clock.monotonic(),
        )
        self._wake.set()

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
            await self._ask(unit)
        except asyncio.CancelledError:
            self._schedule.give_back(unit, self._clock.monotonic())
            raise
        else:
            self._schedule.done(unit, self._clock.monotonic())
        finally:
            del self._polls[unit]
            self._wake.set()

    async def _ask(self, unit: Unit) -> None:
        """Poll once and publish what came of it."""
        collector = COLLECTOR[unit.collector]
        organization = self._state(unit).organization
        started = self._clock.monotonic()
        failure = None
        answer = None
        try:
            raw = await self._reader.read(collector.rpc, organization.id, organization.api_key)
            answer = self._take_in(unit, raw)
        except BillingError as error:
            failure = error.failure
        before = self._state(unit).collectors[unit.collector]
        self._publish(
            unit,
            CollectorState(
                answer=answer or before.answer,
                attempted=self._clock.time(),
                duration=self._clock.monotonic() - started,
                failure=failure,
            ),
        )
        _log_change(organization, unit, before, failure)

    def _take_in(self, unit: Unit, raw: bytes) -> Answer:
        """Return a good answer, compared with the one before. Raises BillingError."""
        state = self._state(unit)
        now, monotonic = self._clock.time(), self._clock.monotonic()
        before = state.collectors[unit.collector].answer
        if before is not None:
            before = self._at(unit, before, now)  # else a due date passing looks like a change
        if before is not None and before.raw == raw:
            answer = replace(before, received=now, received_monotonic=monotonic)
        else:
            answer = make_answer(
                COLLECTOR[unit.collector], state.organization, raw, self._detail, now, monotonic
            )
            if before is not None and before.fragments == answer.fragments:
                answer = replace(answer, changed=before.changed)
            self._note_due_date(unit, answer)
        self._telemetry.withheld(answer.withheld)
        self._telemetry.unknown_enums(answer.unknown_enums)
        return answer

    # --- Changes without a poll ---

    def _at(self, unit: Unit, answer: Answer, now: float) -> Answer:
        """Return an answer as it reads at another moment, when due dates may have passed."""
        if answer.next_change is None or now < answer.next_change:
            return answer
        return self._again(unit, answer, now)

    def _again(self, unit: Unit, answer: Answer, now: float) -> Answer:
        """Return what is made now of an answer that came before."""
        again = make_answer(
            COLLECTOR[unit.collector],
            self._state(unit).organization,
            answer.raw,
            self._detail,
            now,
            answer.received_monotonic,
        )
        return replace(again, received=answer.received, changed=answer.changed)

    async def _watch_due_dates(self) -> None:
        """Show invoices as overdue when their due date passes.

        Looks at the wall clock again and again instead of sleeping until a date, because the
        wall clock can be set.
        """
        while True:
            now = self._clock.time()
            for unit in self._due_dates.take(now):
                self._refresh(unit, now)
            await asyncio.sleep(DUE_DATE_RESOLUTION)

    def _refresh(self, unit: Unit, now: float) -> None:
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

    # --- The store ---

    def _adopt(self, organization: Organization, collectors: Iterable[str]) -> None:
        """Publish an organization under a new configuration, with what is known of it."""
        before = self._store.get(organization.id)
        known = before.collectors if before else {}
        state = OrganizationState(
            organization, {name: known.get(name, CollectorState()) for name in collectors}
        )
        self._store.put(state)
        for name, collector in state.collectors.items():
            if collector.answer is not None:
                # The name, and which invoices are shown, may be others than before.
                unit = Unit(organization.id, name)
                answer = self._again(unit, collector.answer, self._clock.time())
                self._note_due_date(unit, answer)
                self._publish(unit, replace(collector, answer=answer))

    def _state(self, unit: Unit) -> OrganizationState:
        # It is there: polls of an organization that is removed are cancelled with it.
        return cast("OrganizationState", self._store.get(unit.org_id))

    def _publish(self, unit: Unit, collector: CollectorState) -> None:
        state = self._state(unit)
        collectors = {**state.collectors, unit.collector: collector}
        self._store.put(OrganizationState(state.organization, collectors))


def _log_change(
    organization: Organization, unit: Unit, before: CollectorState, failure: Failure | None
) -> None:
    """Log a poll that ended otherwise than the one before, and no other."""
    where = log.bind(org=unit.org_id, org_name=organization.name, collector=unit.collector)
    if failure is not None:
        if before.failure is None or before.failure.cause is not failure.cause:
            where.warning(
                "poll failed", cause=failure.cause, code=failure.code, reason=failure.message
            )
    elif before.failure is not None:
        where.info("poll succeeds again", failed_with=before.failure.cause)
