"""What is to be written of organizations: rows that are not there as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from exporter.model import SavedOrganization
from exporter.state import rows
from exporter.state.ledger import changed
from exporter.state.messages import unpacked

Row = tuple[Any, ...]


class SpendRows(NamedTuple):
    """What there is to write of counters, days and closed periods."""

    spends: list[Row]
    days: list[Row]
    outgrown: list[Row]  # organizations that may have more days than are kept
    closed: list[Row]
    messages: list[Row]
    outlooks: list[Row]


def spend_rows(
    organizations: Iterable[SavedOrganization], before: Mapping[str, SavedOrganization]
) -> SpendRows:
    """Return what is not there as it is; `before` is what is there."""
    found = SpendRows([], [], [], [], [], [])
    for saved in organizations:
        org_id, spend = saved.org_id, saved.spend
        known = before[org_id].spend if org_id in before else None
        if spend is None or spend is known:
            continue
        counters = rows.counters(spend)
        found.spends.append((org_id, counters, rows.checksum(org_id, counters)))
        there = None if known is None else known.ledger
        days = changed(spend.ledger, there)
        found.days.extend(day_row(org_id, number, row) for number, row in days.items())
        if days and (there is None or there.windows.answered not in days):  # a new day
            found.outgrown.append((org_id,))
        if (kept := spend.outlook) is not None and (known is None or known.outlook is not kept):
            found.outlooks.append((org_id, kept, rows.outlook_checksum(org_id, kept)))
        if known is None or spend.closed.packed != known.closed.packed:
            new = {*spend.closed} - {*(() if known is None else known.closed)}
            values = [(org_id, *period) for period in new]
            found.closed.extend((*each, rows.checksum(*each)) for each in values)
            last, message = spend.closed.last, spend.closed.message
            if last is not None and message is not None:
                key = (org_id, last.end, unpacked(message))
                found.messages.append((*key, rows.checksum(*key)))
    return found


def answer_rows(organizations: Iterable[SavedOrganization]) -> Iterator[Row]:
    """Yield the rows of answers, one at a time: messages can be long."""
    for saved in organizations:
        for collector, answer in saved.answers.items():
            message = unpacked(answer.message)
            row = (saved.org_id, collector, message, answer.received, answer.changed)
            yield (*row, rows.checksum(*row))


def day_row(org_id: str, number: int, row: bytes) -> Row:
    """Return the row of a day, with its checksum."""
    return org_id, number, row, rows.day_checksum(org_id, number, row)
