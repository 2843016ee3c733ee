"""Takes in what polls bring, and keeps the store true between them. The store's only writer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import structlog

from exporter.api.billing import BRIEF, BillingError
from exporter.base import timing
from exporter.base.timing import Deadlines
from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    Answer,
    Cause,
    Clock,
    CollectorState,
    Failure,
    Forecast,
    InvoiceDetail,
    Moment,
    Organization,
    OrganizationState,
    SavedAnswer,
    SavedOrganization,
    Spend,
)
from exporter.polling import answers
from exporter.polling.answers import COLLECTOR, USAGE
from exporter.polling.schedule import Unit
from exporter.state import history, messages
from exporter.state.history import NEWS, NO_NEWS, PastPoll
from exporter.state.ledger import IN_MEMORY
from exporter.state.spend import restored
from exporter.state.store import Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

DUE_DATE_RESOLUTION = 1.0  # seconds by which a due date may be shown late
# A long answer may have thousands of due dates, one after another, and is read whole for each: it
# rests for so many times as long as that took.
REST = 100.0
CLOCK_CHECK = 30.0  # seconds after which a wall clock that was set is noticed
UNCHANGED = 1000  # organizations that are looked at before others get their turn
# For how long the spend counters of an organization that left are kept, in seconds: one that a
# mistake in the configuration, or in an answer, made leave goes on where it was.
KEEP_SPEND = 86_400.0
# Seconds by which what is stored may be ahead of the wall clock, which may have been set back. What
# is further ahead came while the clock stood wrong, and would not age until then.
MAX_AHEAD = 86_400.0


async def _give_way() -> None:
    await asyncio.sleep(0)


class Intake:
    """Turns answers, failures, due dates and reloads into what is known of each organization."""

    def __init__(  # noqa: PLR0913 - all of it comes from the composition root
        self,
        store: Store,
        telemetry: Telemetry,
        clock: Clock,
        detail: InvoiceDetail,
        saved: Mapping[str, SavedOrganization] | None = None,
        *,
        complete: bool = True,
        kept_days: int = IN_MEMORY,
        share: Callable[[], Awaitable[object]] = _give_way,
    ) -> None:
        """`saved` is what a process before this one knew: all of it if it is `complete`.

        `kept_days` is how many days of the ledger are kept in all, in the storage too. `share` lets
        others have their turn before an answer is taken in.
        """
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._detail = detail
        self._saved = saved or {}
        self._complete = complete
        self._kept_days = kept_days
        self._share = share
        self._due_dates: Deadlines[Unit] = Deadlines()  # by the wall clock
        self._due_date_noted = asyncio.Event()
        self._left: Deadlines[str] = Deadlines()  # until when spend is kept, by the monotonic clock
        self._told: dict[Unit, set[Cause]] = {}  # why it has failed since it last succeeded
        self._long = asyncio.Lock()  # answers that are not brief are read one after another
        # By always the same thread: each has a heap of its own, which keeps what was once needed.
        self._reader = ThreadPoolExecutor(1, "long-answers")

    # --- Configuration ---

    async def configure(
        self,
        organizations: Mapping[str, Organization],
        collectors: Collection[str],
        detail: InvoiceDetail,
    ) -> None:
        """Know these organizations from now on.

        Those that stay keep their data, new ones get what was saved. One that is unchanged costs
        nothing; between two that are not, others get their turn, for a large fleet takes seconds.
        Until this returns, no poll of a new organization or collector may end.
        """
        same_detail = detail == self._detail
        self._detail = detail
        for org_id, saved in self._saved.items():
            if org_id not in organizations and self._store.get(org_id) is None:
                spend = saved.spend and restored(saved.spend, complete=self._complete)
                self._leave(org_id, answers.without(saved.answers.get(USAGE), spend))
        for state in self._store.states():
            if state.organization.id not in organizations:
                self._leave(state.organization.id, answers.forgotten(state))
        for number, organization in enumerate(organizations.values()):
            known = self._store.get(organization.id)
            if known is None:
                await self._restore(organization, collectors)
            elif not (
                same_detail
                and known.organization == organization
                and known.collectors.keys() == set(collectors)
            ):
                await self._adopt(known, organization, collectors)
            elif number % UNCHANGED:
                continue
            await asyncio.sleep(0)
        self._saved = {}

    async def restore(
        self, saved: Mapping[str, SavedOrganization], *, complete: bool = True
    ) -> Collection[str]:
        """Take in what was stored and could not be read at the start.

        Whatever was not polled since goes on from there. Counters that have begun go on as they
        are, because one that leaps to what was stored would count all of it as spend. Returns
        the ids of their organizations.
        """
        begun = []
        for org_id, old in saved.items():
            while True:
                before, detail = self._store.get(org_id), self._detail
                found = await self._stored_answers(before, old)
                state = self._store.get(org_id)
                same = (state and state.organization) == (before and before.organization)
                if same and detail is self._detail:  # else a reload has changed how it reads
                    break
            left = self._store.left(org_id)
            own = left if state is None else state.spend
            if own is not None and old.spend is not None and own != old.spend:
                begun.append(org_id)
            spend = old.spend and restored(old.spend, complete=complete)
            if state is not None:
                if USAGE not in found:
                    spend = answers.without(old.answers.get(USAGE), spend)
                self._fill(state, found, spend)
            elif left is None and spend is not None:
                self._leave(org_id, answers.without(old.answers.get(USAGE), spend))
        return begun

    async def _stored_answers(
        self, state: OrganizationState | None, old: SavedOrganization
    ) -> Mapping[str, Answer]:
        """Return what was stored of the collectors of which nothing is known."""
        found: dict[str, Answer] = {}
        if state is None:
            return found
        for name, known in state.collectors.items():
            if known.answer is None and name in old.answers:
                answer = await self._restored(state.organization, name, old.answers[name])
                if answer is not None:
                    found[name] = answer
        return found

    def _fill(
        self,
        state: OrganizationState,
        found: Mapping[str, Answer],
        spend: Spend | None,
    ) -> None:
        """Record what was stored of an organization in place of what is not known by now."""
        collectors = dict(state.collectors)
        for name, answer in found.items():
            known = collectors.get(name)
            if known is not None and known.answer is None:
                attempted = known.attempted or answer.received
                collectors[name] = known._replace(answer=answer, attempted=attempted)
        spend = state.spend or spend
        if spend is not state.spend or collectors != state.collectors:
            self._store.put(
                state._replace(
                    collectors=collectors,
                    spend=spend,
                    forecast=_forecast(state.organization, collectors, spend),
                )
            )

    def _leave(self, org_id: str, spend: Spend | None) -> None:
        for name in COLLECTOR:
            self._told.pop(Unit(org_id, name), None)
        self._store.leave(org_id, spend)
        self._left.set(org_id, self._clock.monotonic() + KEEP_SPEND)

    async def _restore(self, organization: Organization, collectors: Iterable[str]) -> None:
        """Record an organization that is new, with what was known of it before."""
        self._left.discard(organization.id)
        saved = self._saved.get(organization.id)
        old = saved.answers if saved else {}
        spend = None
        if saved is not None and saved.spend is not None:
            spend = restored(saved.spend, complete=self._complete)
        known = {
            name: CollectorState(answer=answer, attempted=answer.received)
            for name in collectors
            if name in old and (answer := await self._restored(organization, name, old[name]))
        }
        states = {name: known.get(name, CollectorState()) for name in collectors}
        if USAGE not in known:
            spend = answers.without(old.get(USAGE), spend)
        spend = spend or self._store.left(organization.id)
        forecast = _forecast(organization, states, spend)
        self._store.put(OrganizationState(organization, states, spend, forecast))

    async def _restored(
        self, organization: Organization, collector: str, saved: SavedAnswer
    ) -> Answer | None:
        now = self._now()
        if max(saved.received, saved.changed) > now.time + MAX_AHEAD:
            log.warning(
                #: Check the clock. The answer is polled again.
                "ignoring a stored answer dated in the future",
                org=organization.id,
                collector=collector,
            )
            return None
        try:
            answer = await self._in_turn(
                messages.size(saved.message),
                answers.restored,
                COLLECTOR[collector],
                organization,
                saved,
                self._detail,
                now,
            )
        except BillingError:
            log.warning(
                #: It is polled again.
                "ignoring a stored answer that cannot be parsed",
                org=organization.id,
                collector=collector,
            )
            return None
        self._note_due_date(Unit(organization.id, collector), answer)
        return answer

    async def _adopt(
        self, known: OrganizationState, organization: Organization, collectors: Iterable[str]
    ) -> None:
        """Record an organization again: its name, or which invoices are shown, may have changed."""
        while True:
            now = self._now()
            states = {}
            for name in collectors:
                state = known.collectors.get(name, CollectorState())
                if state.answer is not None:
                    answer = await self._in_turn(
                        messages.size(state.answer.message),
                        answers.refreshed,
                        organization,
                        name,
                        state.answer,
                        self._detail,
                        now,
                    )
                    state = state._replace(answer=answer)
                states[name] = state
            before, known = known, self._known(organization.id)
            if known is before:  # else a poll has ended meanwhile
                break
        for name, state in states.items():
            if state.answer is not None:
                self._note_due_date(Unit(organization.id, name), state.answer)
        spend = known.spend if USAGE in states else answers.forgotten(known)
        self._store.put(
            known._replace(
                organization=organization,
                collectors=states,
                spend=spend,
                forecast=_forecast(organization, states, spend),
            )
        )

    # --- Polls ---

    async def succeed(self, unit: Unit, raw: bytes, duration: float) -> None:
        """Record an answer that came now, after `duration` seconds. Raises BillingError."""
        await self._share()
        now = self._now()
        while True:
            read, detail = self._known(unit.org_id), self._detail
            before = read.collectors[unit.collector].answer
            size = max(len(raw), 0 if before is None else messages.size(before.message))
            taken = await self._in_turn(
                size, answers.taken_in, read, unit, raw, detail, now, self._kept_days
            )
            state = self._known(unit.org_id)
            # Else a reload has changed meanwhile which invoices are shown, or the budget, or
            # storage that was read late has brought what the answer has to go on from.
            if (
                detail is self._detail
                and state.organization is read.organization
                and state.spend is read.spend
                and state.collectors[unit.collector].answer is before
            ):
                break
        answer = taken.answer
        self._note_due_date(unit, answer)
        self._telemetry.withheld(answer.reading.withheld)
        self._telemetry.unknown_enums(answer.reading.unknown_enums)
        outcome = NEWS if answer.changed == now.time else NO_NEWS
        past = state.collectors[unit.collector].history
        after = CollectorState(
            answer,
            polled=True,
            attempted=now.time,
            duration=duration,
            history=history.add(past, PastPoll(now.time, duration, outcome)),
        )
        is_counted = taken.spend is not state.spend
        if unit.collector == USAGE:
            state = state._replace(spend=taken.spend, forecast=taken.forecast)
        self._polled(state, unit, after, is_counted=is_counted)

    def fail(
        self, unit: Unit, failure: Failure, duration: float, held_until: float | None = None
    ) -> None:
        """Record that a poll failed now, after `duration` seconds. Data stays as it was."""
        state = self._known(unit.org_id)
        before, now = state.collectors[unit.collector], self._clock.time()
        after = before._replace(
            polled=True,
            attempted=now,
            duration=duration,
            failure=failure,
            failing_since=now if before.failing_since is None else before.failing_since,
            held_until=held_until,
            history=history.add(before.history, PastPoll(now, duration, failure.cause)),
        )
        self._polled(state, unit, after)

    def hold(self, unit: Unit, until: float | None) -> None:
        """Record until when the server's own delay keeps a poll waiting, in Unix seconds."""
        state = self._known(unit.org_id)
        collector = state.collectors[unit.collector]
        if collector.held_until != until:
            self._put(state, unit, collector._replace(held_until=until))

    def _polled(
        self,
        state: OrganizationState,
        unit: Unit,
        after: CollectorState,
        *,
        is_counted: bool = False,
    ) -> None:
        before = state.collectors[unit.collector]
        failing = before.failure is not None or after.failure is not None
        confirms = (
            before.polled
            and not failing
            and not is_counted
            and before.answer is not None
            and after.answer is not None
            and before.answer.reading is after.answer.reading
        )
        self._put(state, unit, after, confirms=confirms)
        if failing:
            self._log_change(state, unit, before.failure, after.failure)

    def _log_change(
        self, state: OrganizationState, unit: Unit, before: Failure | None, after: Failure | None
    ) -> None:
        """Log a poll that ended otherwise than the one before, and no other."""
        name = state.organization.name
        where = log.bind(org=unit.org_id, org_name=name, collector=unit.collector)
        if after is not None:
            told = self._told.setdefault(unit, set())
            if after.cause not in told:  # causes may take turns
                told.add(after.cause)
                where.warning(
                    #: `reason` says why: [below](#why-a-poll-failed). It is logged again only for
                    #: another cause.
                    "poll failed",
                    cause=after.cause,
                    code=after.code,
                    reason=after.message,
                )
        elif before is not None:
            self._told.pop(unit, None)
            where.info("poll succeeded again", failed_with=before.cause)

    # --- Time ---

    async def watch(self) -> None:
        """Show invoices as overdue when their due date passes, until cancelled; forget who left.

        Looks at the wall clock now and then instead of sleeping until a date, because the wall
        clock can be set.
        """
        while True:
            while (org_id := self._left.take(self._clock.monotonic())) is not None:
                self._store.leave(org_id, None)
            while (unit := self._due_dates.take(self._clock.time())) is not None:
                began = self._clock.monotonic()
                await self._refresh(unit)
                rested = self._clock.time() + REST * (self._clock.monotonic() - began)
                if (due := self._due_dates.get(unit)) is not None and due < rested:
                    self._due_dates.set(unit, rested)
                await asyncio.sleep(0)  # many invoices may be due at one moment
            self._due_date_noted.clear()
            until = max(self._due_dates.next() - self._clock.time(), DUE_DATE_RESOLUTION)
            await timing.wait(self._due_date_noted, min(until, CLOCK_CHECK))

    async def _refresh(self, unit: Unit) -> None:
        before = self._answer(unit)
        if before is None:
            return
        organization = self._known(unit.org_id).organization
        answer = await self._in_turn(
            messages.size(before.message),
            answers.at,
            organization,
            unit,
            before,
            self._detail,
            self._now(),
        )
        if self._answer(unit) is not before:
            return  # a poll or a reload was faster
        self._note_due_date(unit, answer)
        if answer is not before:
            state = self._known(unit.org_id)
            collector = state.collectors[unit.collector]._replace(answer=answer)
            self._put(state, unit, collector)

    def _answer(self, unit: Unit) -> Answer | None:
        state = self._store.get(unit.org_id)
        collector = state.collectors.get(unit.collector) if state else None
        return collector.answer if collector else None

    def _note_due_date(self, unit: Unit, answer: Answer) -> None:
        due = answer.reading.next_change
        if due is None:
            self._due_dates.discard(unit)
        elif due != self._due_dates.get(unit):
            self._due_dates.set(unit, due)
            self._due_date_noted.set()

    # --- Helpers ---

    async def _in_turn(self, size: int, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function makes of an answer of so many bytes.

        One that is not brief would stop the event loop: it goes to a thread, and the next one only
        when it is done, for each takes many times its size meanwhile.
        """
        if size <= BRIEF:
            return function(*arguments)
        async with self._long:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reader, partial(function, *arguments))

    def _now(self) -> Moment:
        return Moment(self._clock.time(), self._clock.monotonic())

    def _known(self, org_id: str) -> OrganizationState:
        # It is there: polls of an organization that is removed are cancelled with it.
        return cast("OrganizationState", self._store.get(org_id))

    def _put(
        self,
        state: OrganizationState,
        unit: Unit,
        collector: CollectorState,
        *,
        confirms: bool = False,
    ) -> None:
        collectors = {**state.collectors, unit.collector: collector}
        # Not `_replace`, which takes three times as long: it is made at every poll.
        after = OrganizationState(state.organization, collectors, state.spend, state.forecast)
        self._store.put(after, confirms=confirms)


def _forecast(
    organization: Organization, collectors: Mapping[str, CollectorState], spend: Spend | None
) -> Forecast | None:
    """Return the forecast of the last good answer about usage."""
    usage = collectors.get(USAGE)
    if usage is None or usage.answer is None:
        return None
    return answers.forecast(organization, usage.answer, spend)
