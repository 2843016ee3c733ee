"""Keeps the storage in step with the store. Its failures cost persistence and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from exporter.model import OrganizationState, SavedAnswer, SavedOrganization
from exporter.storage import Storage, StorageError
from exporter.store import Store
from exporter.telemetry import Telemetry

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
    ) -> None:
        """Make a saver for a storage in which there is `saved` so far."""
        self._storage = storage
        self._store = store
        self._changes = store.subscribe()
        self._telemetry = telemetry
        self._successful = True
        self._saved = dict(saved)
        self._unsaved = set(saved)  # to forget those that are not configured any more

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
        states = {org_id: self._store.get(org_id) for org_id in self._unsaved}
        organizations = [_saved(state) for state in states.values() if state is not None]
        # Most polls change no more than when a failure was last seen, which is not kept.
        changed = [saved for saved in organizations if self._saved.get(saved.org_id) != saved]
        removed = [org_id for org_id, state in states.items() if state is None]
        try:
            if changed or removed:
                await asyncio.to_thread(self._storage.save, changed, removed)
        except StorageError as error:
            self._note(str(error))
            return
        self._note(None)
        self._unsaved.clear()
        self._saved |= {saved.org_id: saved for saved in changed}
        for org_id in removed:
            self._saved.pop(org_id, None)

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
