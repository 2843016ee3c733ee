"""All days of the ledger that are kept: the recent ones in memory, older ones in the storage."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.state import ledger
from exporter.state.ledger import Day
from exporter.state.store import Store


class Archive:
    """Reads days, for whoever asks for more than the gauges show."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def days(self, org_id: str, first: int, last: int) -> Mapping[int, Day]:
        """Return the days of an organization from `first` to `last`, in order, as they are known.

        Both are numbered from 1970 on. Days between the oldest one that is kept and the last good
        answer are all there, unknown ones too; others are not. Raises StorageError.
        """
        state = self._store.get(org_id)
        found = state.spend.ledger if state is not None and state.spend is not None else None
        return {} if found is None else ledger.between(found, first, last)
