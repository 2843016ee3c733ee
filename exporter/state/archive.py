"""All days of the ledger that are kept: the recent ones in memory, older ones in the storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from exporter.model import ClosedPeriods
from exporter.state import ledger
from exporter.state.day_rows import UNKNOWN, Day, sound
from exporter.state.ledger import IN_MEMORY, STORED, last_counted
from exporter.state.messages import unpacked
from exporter.state.store import Store

if TYPE_CHECKING:  # or SQLite would be there without a storage
    from exporter.state.storage import Storage


class Archive:
    """Reads what is kept of an organization beyond what the gauges show."""

    def __init__(self, store: Store, storage: Storage | None = None) -> None:
        self._store = store
        self._storage = storage

    @property
    def kept(self) -> int:
        """How many days there are at most, beside the current one."""
        return IN_MEMORY if self._storage is None else STORED

    @property
    def is_stored(self) -> bool:
        """Whether they survive a restart."""
        return self._storage is not None

    async def days(self, org_id: str, first: int, until: int) -> Mapping[int, Day]:
        """Return the days of an organization from `first` to `until`, in order, as they are known.

        Both are numbered from 1970 on. Days between the oldest one that is kept and the last good
        answer that could be counted are all there, unknown ones too; others are not. Raises
        StorageError.
        """
        state = self._store.get(org_id)
        spend = None if state is None else state.spend
        found = None if spend is None else spend.ledger
        if spend is None or found is None:
            return {}
        until = min(until, last_counted(spend))
        recent = ledger.between(found, 0, until)
        begun, answered = next(iter(recent), until + 1), found.windows.answered
        first = max(first, answered - STORED)
        if self._storage is None or first >= begun:
            return {number: day for number, day in recent.items() if number >= first}
        older = await self._storage.in_thread(_stored, self._storage, org_id, first, begun - 1)
        oldest = min(older, default=begun)
        return {number: older.get(number, UNKNOWN) for number in range(oldest, begun)} | recent

    async def closed_answers(self, org_id: str) -> Mapping[float, bytes]:
        """Return the last good usage answers of periods that have ended, by when each ended.

        They are serialized messages; one that is not kept is missing. Raises StorageError.
        """
        found: Mapping[float, bytes] = {}
        closed = self._closed(org_id)
        if self._storage is not None and closed.last is not None:
            ends = [period.end for period in closed]
            found = await self._storage.in_thread(_answers, self._storage, org_id, ends)
        return {**found, **self.closed_in_memory(org_id)}

    def closed_in_memory(self, org_id: str) -> Mapping[float, bytes]:
        """Return as much of `closed_answers` as is there without the storage."""
        closed = self._closed(org_id)
        if closed.last is None or closed.message is None:
            return {}
        return {closed.last.end: unpacked(closed.message)}

    def _closed(self, org_id: str) -> ClosedPeriods:
        state = self._store.get(org_id)
        return ClosedPeriods() if state is None or state.spend is None else state.spend.closed


def _answers(storage: Storage, org_id: str, ends: Iterable[float]) -> Mapping[float, bytes]:
    every = ((end, storage.closed_answer(org_id, end)) for end in ends)
    return {end: message for end, message in every if message is not None}


def _stored(storage: Storage, org_id: str, first: int, until: int) -> Mapping[int, Day]:
    """Return days of the storage. Blocks: of four hundred, reading each takes many milliseconds."""
    return {number: sound(row) for number, row in storage.days(org_id, first, until).items()}
