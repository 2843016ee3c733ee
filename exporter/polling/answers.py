"""From the bytes of an answer to what is kept of it, and to counters, days and the forecast."""

from __future__ import annotations

import hashlib
import math
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from exporter.api.billing import decoded
from exporter.forecast import ahead
from exporter.metrics import fragments, render
from exporter.metrics.catalog import COLLECTORS, Collector
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import View, shorten
from exporter.metrics.report import MONTH_TO_DATE
from exporter.model import (
    Answer,
    Forecast,
    InvoiceDetail,
    Moment,
    Organization,
    OrganizationState,
    Reading,
    SavedAnswer,
    Spend,
)
from exporter.polling.schedule import Unit
from exporter.state.ledger import is_noted, note
from exporter.state.messages import packed, squeezed, unpacked
from exporter.state.spend import advance, after_a_kill, is_settled, unchanged, without_answer

USAGE = "usage"
COLLECTOR = {collector.name: collector for collector in COLLECTORS}
AT_ONCE = 2047  # bytes
# Seconds after midnight over which the daily work of the forecast is spread, one organization after
# another. Polls that are further apart are spread over more time by themselves.
SPREAD = 600.0


def digest(raw: bytes) -> bytes:
    """Return what tells an answer from another."""
    made = hashlib.blake2b(digest_size=16)
    # Above this hashlib releases the interpreter lock; getting it back can take milliseconds.
    for start in range(0, len(raw), AT_ONCE):
        made.update(raw[start : start + AT_ONCE])
    return made.digest()


def take_in(  # noqa: PLR0913 - all that it is made from
    collector: Collector[Any, Any],
    organization: Organization,
    raw: bytes,
    told: bytes,
    detail: InvoiceDetail,
    now: Moment,
) -> tuple[Answer, View]:
    """Return what is kept of an answer that came now, and what it means. Raises BillingError.

    `told` is its digest.
    """
    answered = decoded(collector.rpc, collector.message, raw)
    view = collector.view(answered, now.time, detail)
    kept = packed(shorten(collector.keep(answered)).SerializeToString())
    reading = _reading(collector, organization, view, kept, detail, now.time)
    return Answer(told, kept, reading, now.time, now.monotonic, now.time), view


def _reading(  # noqa: PLR0913 - all that it is made from
    collector: Collector[Any, Any],
    organization: Organization,
    view: View,
    message: bytes,
    detail: InvoiceDetail,
    now: float,
) -> Reading:
    """Return what is made at a moment of a message, of which there is a view."""
    lines = render.lines(collector.specs, organization, view)
    return Reading(
        made_from=made_from(collector.name, organization, message, detail),
        as_of=now,
        next_change=view.next_change,
        fragments=fragments.packed(lines.texts),
        withheld=lines.withheld,
        unknown_enums=view.unknown_enums,
        period_end=view.period_end,
        billing_tier=view.billing_tier,
        figures=lines.figures,
    )


def made_from(
    collector: str, organization: Organization, message: bytes, detail: InvoiceDetail
) -> bytes:
    """Return what tells all that a reading is made from, but the program and the time, from else.

    Nothing else of an organization may be in its lines; tests/unit/test_readings.py looks.
    """
    about = repr((collector, organization.id, organization.name, _told(detail)))
    return digest(about.encode("utf-8", "surrogatepass") + b"\0" + message)


@lru_cache(maxsize=2)  # a data class takes longer than all the rest
def _told(detail: InvoiceDetail) -> str:
    return repr(detail)


def reread(
    collector: Collector[Any, Any],
    organization: Organization,
    old: Answer | SavedAnswer,
    detail: InvoiceDetail,
    now: Moment,
) -> Answer:
    """Return what is made now of an answer that came before: times stay what they were.

    Its digest is unknown: one that is stored would confirm guesses of what is personal. Raises
    BillingError.
    """
    message = decoded(collector.rpc, collector.message, unpacked(old.message))
    view = collector.view(message, now.time, detail)
    return _aged(old, _reading(collector, organization, view, old.message, detail, now.time), now)


def restored(
    collector: Collector[Any, Any],
    organization: Organization,
    old: SavedAnswer,
    detail: InvoiceDetail,
    now: Moment,
) -> Answer:
    """Return a stored answer, read again unless its reading would come out the same.

    Raises BillingError.
    """
    reading = old.reading
    if (
        reading is None
        or not reading.as_of <= now.time < (reading.next_change or math.inf)
        or reading.made_from != made_from(collector.name, organization, old.message, detail)
    ):
        return reread(collector, organization, old, detail, now)
    return _aged(old, reading, now)


def _aged(old: Answer | SavedAnswer, reading: Reading, now: Moment) -> Answer:
    # A wall clock that was set back makes nothing younger than now.
    age = max(0.0, now.time - old.received)
    return Answer(b"", old.message, reading, old.received, now.monotonic - age, old.changed)


class Taken(NamedTuple):
    """A good answer, and what it makes of the counters, the days and the forecast."""

    answer: Answer
    spend: Spend | None
    forecast: Forecast | None


def taken_in(  # noqa: PLR0913 - as many as there are to run in a thread
    state: OrganizationState,
    unit: Unit,
    raw: bytes,
    detail: InvoiceDetail,
    now: Moment,
    kept_days: int,
) -> Taken:
    """Return a good answer, compared with the one before."""
    spend, told = state.spend, digest(raw)
    collector, before = COLLECTOR[unit.collector], state.collectors[unit.collector].answer
    if before is not None:
        before = at(state.organization, unit, before, detail, now)
        counted = spend if unit.collector == USAGE else None
        settled = counted is None or is_settled(counted, before.received, now.time)
        if settled and (before.digest == told or _is_restored(collector, before, raw)):
            answer = before.again(now, told)
            if counted is not None and not is_noted(counted.ledger, now.time):
                ledger = note(counted.ledger, unchanged(counted), now.time, kept_days)
                spend = replace(counted, ledger=ledger)
            return _looking_ahead(state, unit, answer, spend)
    answer, view = take_in(collector, state.organization, raw, told, detail, now)
    if before is not None and before.reading.fragments == answer.reading.fragments:
        answer = answer._replace(changed=before.changed)
    if isinstance(view, Usage):
        spend = _counted(spend, view, before, now.time, kept_days)
    return _looking_ahead(state, unit, answer, spend)


def _is_restored(collector: Collector[Any, Any], before: Answer, raw: bytes) -> bool:
    """Tell whether an answer says what one said that was stored, whose digest is not known.

    Then what was made of that one is kept: a fleet that starts again need not make it twice, nor
    hold both until the new one is stored. Raises BillingError.
    """
    if before.digest:
        return False
    message = collector.keep(decoded(collector.rpc, collector.message, raw))
    return bool(shorten(message).SerializeToString() == unpacked(before.message))


def _looking_ahead(
    state: OrganizationState, unit: Unit, answer: Answer, spend: Spend | None
) -> Taken:
    """Return what a good answer makes, with the forecast if it is about usage."""
    organization, before = state.organization, state.forecast
    if unit.collector != USAGE or spend is None:
        return Taken(answer, spend, before)
    if state.spend is not None and state.spend.is_behind:
        spend = after_a_kill(state.spend, spend)
    wait = SPREAD * _place(organization.id) if organization.interval < SPREAD else 0.0
    spend = ahead.look_ahead(spend, answer.received, before, wait)
    return Taken(answer, spend, forecast(organization, answer, spend, before))


def forecast(
    organization: Organization, answer: Answer, spend: Spend | None, before: Forecast | None = None
) -> Forecast | None:
    """Return the forecast after a good answer about usage, which counters have taken in.

    `before` is that of the answer before, if the budget was the same then.
    """
    month_to_date = answer.reading.figures.get(MONTH_TO_DATE)
    return ahead.forecast(spend, answer.received, month_to_date, organization.budget_usd, before)


def _place(org_id: str) -> float:
    """Return a place between 0 and 1 that is the organization's own."""
    return zlib.crc32(org_id.encode()) / 2**32


def _counted(
    spend: Spend | None, view: Usage, before: Answer | None, now: float, kept_days: int
) -> Spend:
    """Return the counters, the days and the closed periods after a good answer."""
    step = advance(spend, view, now, None if before is None else before.received)
    after = step.spend
    closed, held = after.closed, None
    if spend is not None and (closed is not spend.closed or not step.counts):
        # An answer that did not count may be of another period.
        held = spend.held if spend.paused is not None else before and squeezed(before.message)
    if spend is not None and closed is not spend.closed:
        closed, held = replace(closed, message=held), None
    ledger = note(after.ledger, step, now, kept_days)
    return replace(after, ledger=ledger, closed=closed, held=held)


def forgotten(state: OrganizationState) -> Spend | None:
    """Return the counters of an organization whose answers are forgotten."""
    usage = state.collectors.get(USAGE)
    return without(None if usage is None else usage.answer, state.spend)


def without(answer: Answer | SavedAnswer | None, spend: Spend | None) -> Spend | None:
    """Return counters without the answer that they last counted: they say themselves when it came.

    Growth is spread over the time since then when they go on.
    """
    if spend is None or answer is None:
        return spend
    return without_answer(spend, answer.received, squeezed(answer.message))


def at(
    organization: Organization, unit: Unit, answer: Answer, detail: InvoiceDetail, now: Moment
) -> Answer:
    """Return an answer as it reads at another moment, when due dates may have passed."""
    if now.time < (answer.reading.next_change or math.inf):
        return answer
    return refreshed(organization, unit.collector, answer, detail, now)


def refreshed(
    organization: Organization, collector: str, answer: Answer, detail: InvoiceDetail, now: Moment
) -> Answer:
    """Return what is made now of an answer that came before."""
    again = reread(COLLECTOR[collector], organization, answer, detail, now)
    return again._replace(digest=answer.digest, received_monotonic=answer.received_monotonic)
