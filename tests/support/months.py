"""Months of an organization as an exporter has lived through them, for what is told of a month."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from google.protobuf.message import Message

from exporter.metrics.catalog import COLLECTORS
from exporter.model import CollectorState, Moment, Organization, OrganizationState
from exporter.pb import billing_pb2 as pb
from exporter.polling import answers
from exporter.polling.answers import USAGE
from exporter.polling.schedule import Unit
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.state.day_rows import UNKNOWN, Day
from exporter.state.ledger import between
from exporter.state.messages import unpacked
from exporter.state.store import Store
from exporter.tool.api_answers import DayLine, DaysAnswer, WholeOrganization, read
from exporter.web.api import Api
from support.reader import organization
from support.status import ALL, CONTEXT, DAY
from support.virtual import START, VirtualClock, run

NOW: Final = START  # 2026-11-23T12:00:00Z
HOUR: Final = 3600.0
EVERY: Final = 6 * HOUR  # between two polls
KEPT: Final = 400  # days

# What a day costs before discounts, by source type, tier and resource type.
Costs = Mapping[tuple[str, str, str], float]
Spending = Callable[[datetime], Costs]
ACME: Final = organization("acme", name="Acme Robotics", max_age=3600.0, interval=EVERY)


class Lived(NamedTuple):
    """An organization at NOW, and what its storage would have."""

    state: OrganizationState
    days: Mapping[int, Day]
    ended: Mapping[float, bytes]  # the last answers of periods that have ended, by their ends

    def told(self) -> tuple[WholeOrganization, Sequence[DayLine]]:
        """Return what the API says of it."""

        async def ask() -> tuple[WholeOrganization, Sequence[DayLine]]:
            store = Store()
            store.put(self.state)
            api = Api(store, archive(self)(store), VirtualClock(), Shard(), lambda: CONTEXT)
            org_id = self.state.organization.id
            whole = await api.organization(org_id, ())
            days = await api.days(org_id, (), "")
            return read(WholeOrganization, whole.body), read(DaysAnswer, days.body).days

        return run(ask())


def archive(*every: Lived) -> type[Archive]:
    """Return what reads the days of these organizations, and how their periods ended."""
    found = {each.state.organization.id: each for each in every}

    class Kept(Archive):
        async def days(self, org_id: str, first: int, until: int) -> Mapping[int, Day]:
            days = found[org_id].days
            return {number: day for number, day in days.items() if first <= number <= until}

        async def closed_answers(self, org_id: str) -> Mapping[float, bytes]:
            return found[org_id].ended

    return Kept


def lived(  # noqa: PLR0913 - a life has many sides
    spending: Spending,
    since: datetime,
    *messages: Message,
    who: Organization = ACME,
    until: float = NOW,
    off: Collection[tuple[float, float]] = (),
    credits_: Mapping[float, float] | None = None,
    discount: float = 0.1,
    subtotal: float | None = None,
) -> Lived:
    """Return an organization that was polled from a moment on.

    `off` are stretches without an answer, and `credits_` what the bill falls by at moments, in Unix
    seconds. `messages` are the last answers of other collectors.
    """
    state = OrganizationState(who, {each.name: CollectorState() for each in COLLECTORS})
    days: dict[int, Day] = {}
    ended: dict[float, bytes] = {}
    moments = [since.timestamp()]
    while moments[-1] + EVERY <= until:
        moments.append(moments[-1] + EVERY)
    for at in (*moments, until):
        if any(start <= at < end for start, end in off):
            continue
        answer = _bill(spending, at, credits_ or {}, discount, subtotal)
        if (at - moments[0]) % DAY < EVERY and state.spend and state.spend.ledger:
            days |= between(state.spend.ledger, 0, 10**6)
        before = state.spend.period_end if state.spend else None
        if before is not None and at >= before:
            kept = state.collectors[USAGE].answer
            assert kept is not None
            ended[before] = unpacked(kept.message)
        state = _taken(state, USAGE, answer, at)
    if state.spend and state.spend.ledger:
        days |= between(state.spend.ledger, 0, 10**6)
    for message in messages:
        name = next(each.name for each in COLLECTORS if isinstance(message, each.message))
        state = _taken(state, name, message, until)
    first, last = min(days), max(days)
    return Lived(state, {n: days.get(n, UNKNOWN) for n in range(first, last + 1)}, ended)


def _taken(state: OrganizationState, name: str, message: Message, at: float) -> OrganizationState:
    now = Moment(at, CONTEXT.monotonic - (CONTEXT.time - at))
    unit = Unit(state.organization.id, name)
    raw = message.SerializeToString()
    taken = answers.taken_in(state, unit, raw, ALL, now, KEPT)
    known = CollectorState(taken.answer, polled=True, attempted=at, duration=0.25)
    return state._replace(
        collectors={**state.collectors, name: known},
        spend=taken.spend or state.spend,
        forecast=taken.forecast if name == USAGE else state.forecast,
    )


def month_of(at: float) -> tuple[datetime, datetime]:
    """Return when the calendar month of a moment began, and when it ends."""
    when = datetime.fromtimestamp(at, UTC)
    start = datetime(when.year, when.month, 1, tzinfo=UTC)
    length = calendar.monthrange(when.year, when.month)[1]
    return start, datetime.fromtimestamp(start.timestamp() + length * DAY, UTC)


def _bill(
    spending: Spending,
    at: float,
    credits_: Mapping[float, float],
    discount: float,
    subtotal: float | None,
) -> pb.GetCurrentMonthUsageResponse:
    start, end = month_of(at)
    costs: dict[tuple[str, str, str], float] = {}
    day = start.timestamp()
    while day < at:
        share = min(1.0, (at - day) / DAY)
        for key, usd in spending(datetime.fromtimestamp(day, UTC)).items():
            costs[key] = costs.get(key, 0.0) + usd * share
        day += DAY
    answer = pb.GetCurrentMonthUsageResponse()
    answer.start_date.FromSeconds(int(start.timestamp()))
    answer.end_date.FromSeconds(int(end.timestamp()))
    fallen = sum(usd for when, usd in credits_.items() if start.timestamp() <= when <= at)
    for number, source in enumerate(sorted({key[:2] for key in costs})):
        kind, tier = source
        found = answer.resource_usage_costs_by_source.add(
            source_type=f"SOURCE_TYPE_{kind.upper()}", tier_name=tier
        )
        bill = found.resource_usage_costs
        own = {key: usd for key, usd in costs.items() if key[:2] == source}
        for (_, _, name), usd in sorted(own.items()):
            bill.usage_costs.add(resource_type=f"USAGE_COST_TYPE_{name.upper()}", cost=usd)
        bill.total_without_discount = sum(own.values())
        bill.discount = discount * bill.total_without_discount + (fallen if number == 0 else 0.0)
        bill.total_with_discount = bill.total_without_discount - bill.discount
    net = sum(
        each.resource_usage_costs.total_with_discount
        for each in answer.resource_usage_costs_by_source
    )
    answer.subtotal = net if subtotal is None else subtotal
    return answer
