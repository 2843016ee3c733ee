"""The days of an organization as a line of text, to be carried to another storage.

Whatever takes part in them goes along: the counters that they go on from, the last good answer
about usage, what closed periods came to, and what the forecast has learned. There is no key in it
and nothing personal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ConfigDict

from exporter.model import ClosedPeriods, SavedAnswer, SavedOrganization, Spend
from exporter.pb import billing_pb2 as pb
from exporter.state import day_rows, ledger, rows
from exporter.state.messages import unpacked
from exporter.state.storage import Storage

FORMAT: Final = "viam-billing-ledger/1"
EVER: Final = rows.MAX_NUMBER - 1


@dataclass(frozen=True, slots=True)
class Carried:
    """An organization's days, and what takes part in them."""

    org_id: str
    spend: Spend  # with closed periods; its ledger has the days that are in memory
    usage: SavedAnswer | None
    days: Mapping[int, bytes]  # all rows, by number
    answers: Mapping[
        float, bytes
    ]  # serialized, by the end of the period that they were the last of


def taken(storage: Storage, saved: SavedOrganization) -> Carried | None:
    """Return what is to be carried of an organization; None if it has no days.

    Raises StorageError.
    """
    if saved.spend is None or saved.spend.ledger is None:
        return None
    ends = [period.end for period in saved.spend.closed]
    found = {end: storage.closed_answer(saved.org_id, end) for end in ends}
    return Carried(
        saved.org_id,
        saved.spend,
        saved.answers.get("usage"),
        storage.days(saved.org_id, 0, EVER),
        {end: message for end, message in found.items() if message is not None},
    )


def line(carried: Carried) -> str:
    """Return it as JSON in one line."""
    usage = carried.usage
    return _Line(
        format=FORMAT,
        org_id=carried.org_id,
        counters=rows.counters(carried.spend),
        usage=None if usage is None else (unpacked(usage.message), usage.received, usage.changed),
        days=dict(carried.days),
        closed=[(p.start, p.end, p.usage, p.seen) for p in carried.spend.closed],
        answers=[*carried.answers.items()],
        outlook=carried.spend.outlook,
    ).model_dump_json()


def read(text: str) -> Carried:
    """Return what a line has. Raises ValueError if it is not as it was written."""
    try:
        return _carried(_Line.model_validate_json(text))
    except ValueError:  # pydantic's own is one
        raise ValueError("not in the format of viam-billing ledger export") from None


class _Line(BaseModel):
    """What a line has; bytes are in base64, and what they mean is checked as in the storage."""

    model_config = ConfigDict(
        strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    format: Literal["viam-billing-ledger/1"]
    org_id: str
    counters: str
    usage: tuple[bytes, float, float] | None
    days: dict[int, bytes]
    closed: list[tuple[float | None, float, float, float]]
    answers: list[tuple[float, bytes]]
    outlook: bytes | None = None


def _carried(found: _Line) -> Carried:
    org_id, key = found.org_id, found.org_id.encode()
    checksum = rows.checksum(org_id, found.counters)
    counters = rows.spend((key, found.counters.encode(), checksum))
    if counters is None:
        raise ValueError
    _, spend, head = counters
    days = found.days
    if found.outlook is not None and len(found.outlook) > rows.MAX_OUTLOOK:
        raise ValueError
    if head is None or head.windows.answered not in days or not 0 <= min(days) <= max(days) <= EVER:
        raise ValueError
    for row in days.values():
        day_rows.unpacked(row)
    usage = None
    if found.usage is not None:
        values = (org_id, "usage", *found.usage)
        usage = rows.answer((key, b"usage", *found.usage, rows.checksum(*values)))
        if usage is None:
            raise ValueError
    closed = ClosedPeriods()
    for period in found.closed:
        ended = rows.closed((key, *period, rows.checksum(org_id, *period)))
        if ended is None:
            raise ValueError
        closed = closed.plus(ended[1])
    for message in (*dict(found.answers).values(), *(found.usage or ())[:1]):
        _check(message)
    spend = replace(
        spend,
        closed=closed,
        ledger=ledger.rebuilt(days, head.windows.answered),
        outlook=found.outlook,
    )
    return Carried(org_id, spend, usage and usage[2], days, dict(found.answers))


def _check(message: bytes) -> None:
    """Raise ValueError if it is no usage answer."""
    if len(message) > rows.MAX_MESSAGE:
        raise ValueError
    try:
        pb.GetCurrentMonthUsageResponse.FromString(message)
    except DecodeError as error:
        raise ValueError from error


# --- Where it comes to --------------------------------------------------------------------


def added(storage: Storage, carried: Carried, there: SavedOrganization | None) -> int:
    """Add what is carried to a storage. Return how many days were new. Raises StorageError.

    `there` is what is stored of the organization. Where it is counted already, what is there stays
    as it is, and only days before it are added.
    """
    if there is None or there.spend is None:
        answers = {} if carried.usage is None else {"usage": carried.usage}
        saved = SavedOrganization(carried.org_id, answers, carried.spend)
        storage.add(saved, carried.days, carried.answers)
        return len(carried.days)
    own = storage.days(carried.org_id, 0, EVER)
    first = min(own, default=EVER)
    new = {number: row for number, row in carried.days.items() if number < first}
    answered = carried.spend.ledger.windows.answered if carried.spend.ledger is not None else None
    if answered in new:
        new[answered] = _ended(new[answered], answered, carried.usage)
    spend = there.spend
    if spend.ledger is not None:
        spend = replace(spend, ledger=ledger.rebuilt({**new, **own}, spend.ledger.windows.answered))
    closed = _both(carried.spend.closed, spend.closed)
    saved = replace(there, spend=replace(spend, closed=closed))
    storage.add(saved, new, carried.answers)
    return len(new)


def _ended(row: bytes, number: int, usage: SavedAnswer | None) -> bytes:
    """Return the row of the day of the last good answer, after which nothing is known of it."""
    day = day_rows.unpacked(row)
    seen = number * day_rows.DAY if usage is None else usage.received
    left = min(max(0.0, (number + 1) * day_rows.DAY - seen), day_rows.DAY)
    return day_rows.packed(day._replace(unknown=min(day.unknown + left, day_rows.DAY)))


def _both(carried: ClosedPeriods, own: ClosedPeriods) -> ClosedPeriods:
    """Return the closed periods of both: of what is carried, those before what is there."""
    first = min((period.end for period in own), default=math.inf)
    periods = ClosedPeriods()
    for period in (*(each for each in carried if each.end < first), *own):
        periods = periods.plus(period)
    return periods
