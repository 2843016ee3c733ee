"""Keeps the storage in step with the store. Its failures cost persistence and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from exporter.metrics.telemetry import Telemetry
from exporter.model import FoundOrganization, OrganizationState, SavedAnswer, SavedOrganization
from exporter.state.storage import Storage, StorageError
from exporter.state.store import Store

log = structlog.get_logger(__name__)

PAUSE = 1.0  # seconds between two writes, in which changes are gathered


class Saver:
    """Writes what changed, once a second at most. What could not be written is tried again."""

    def __init__(
        self,
        storage: Storage,
        store: Store,
        telemetry: Telemetry,
        saved: Mapping[str, SavedOrganization],
        found: Mapping[str, Sequence[FoundOrganization]],
    ) -> None:
        """Make a saver for a storage in which there are `saved` and `found` so far."""
        self._storage = storage
        self._store = store
        self._changes = store.subscribe()
        self._telemetry = telemetry
        self._successful = True
        self._saved = dict(saved)
        self._saved_found = found
        self._found = found  # to be saved with the next change of the store
        self._unsaved = set(saved)  # to forget those that are not configured any more

    def keep(self, found: Mapping[str, Sequence[FoundOrganization]]) -> None:
        """Save this of discovery, with the next change of the store."""
        self._found = found

    async def run(self) -> None:
        """Save whenever something changed, until cancelled."""
        while True:
            if not self._unsaved:
                await self._changes.wait()
            await self.save()
            await asyncio.sleep(PAUSE)

    async def save(self) -> None:
        """Write what changed since the last time."""
        self._unsaved |= self._changes.take()
        kept = {org_id: self._kept(org_id) for org_id in self._unsaved}
        # Most polls change no more than when a failure was last seen, which is not kept.
        other_ids = [org_id for org_id in kept if kept[org_id] != self._saved.get(org_id)]
        changed = [saved for org_id in other_ids if (saved := kept[org_id]) is not None]
        removed = [org_id for org_id in other_ids if self._store.get(org_id) is None]
        found = self._found
        other = found if found != self._saved_found else None
        try:
            if changed or removed or other is not None:
                await asyncio.to_thread(self._storage.save, changed, removed, other)
        except StorageError as error:
            self._note(str(error))
            return
        self._note(None)
        self._unsaved.clear()
        self._saved_found = found
        for org_id in removed:
            self._saved.pop(org_id, None)
        self._saved |= {saved.org_id: saved for saved in changed}

    def _kept(self, org_id: str) -> SavedOrganization | None:
        """Return what is to be there of an organization; None if nothing is."""
        state = self._store.get(org_id)
        if state is not None:
            return _saved(state)
        spend = self._store.left(org_id)
        return None if spend is None else SavedOrganization(org_id, {}, spend)

    def _note(self, error: str | None) -> None:
        """Say in a metric whether the last write succeeded, and in the log when that changes."""
        self._telemetry.stored(successful=error is None)
        if error is not None and self._successful:
            log.error("cannot store: a restart would lose what is polled now", reason=error)
        elif error is None and not self._successful:
            log.info("storing again")
        self._successful = error is None


def _saved(state: OrganizationState) -> SavedOrganization:
    answers = {
        name: SavedAnswer(
            collector.answer.message,
            collector.answer.received,
            collector.answer.changed,
        )
        for name, collector in state.collectors.items()
        if collector.answer is not None
    }
    return SavedOrganization(state.organization.id, answers, state.spend)
