"""Keeps the storage in step with the store. Its failures cost persistence and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import structlog

from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    FoundOrganization,
    OrganizationState,
    SavedAnswer,
    SavedOrganization,
    Spend,
)
from exporter.state.storage import Storage, StorageError, Stored, UnreadError
from exporter.state.store import Store

log = structlog.get_logger(__name__)

Found = Mapping[str, Sequence[FoundOrganization]]
# Takes in what was stored, and returns whose counters had begun without it.
Restore = Callable[[Stored], Awaitable[Collection[str]]]

AT_ONCE = 1000  # organizations in a transaction: each has a deadline
PAUSE = 1.0  # seconds between two writes, in which changes are gathered


class Saver:
    """Writes what changed, once a second at most. What could not be written is tried again."""

    def __init__(
        self,
        storage: Storage,
        store: Store,
        telemetry: Telemetry,
        stored: Stored | None,
        restore: Restore,
    ) -> None:
        """Make a saver for a storage in which there is `stored` so far.

        None if it could not be read: before anything is written, it is, and handed to `restore`.
        So it is when the database was lost meanwhile, and another one is there.
        """
        self._storage = storage
        self._store = store
        self._changes = store.subscribe()
        self._telemetry = telemetry
        self._restore = restore
        self._successful = stored is not None
        self._opening = 0  # of the database; none has this number
        self._saved: dict[str, SavedOrganization] = {}
        self._saved_found: Found = {}
        self._unsaved: set[str] = set()
        if stored is not None:
            self._know(stored)
        # To be saved with the next change of the store; None until all that is known was restored.
        self._found: Found | None = None

    def _know(self, stored: Stored) -> None:
        """Take this for what is there."""
        self._opening = stored.opening
        self._saved = dict(stored.organizations)
        self._saved_found = stored.found
        self._unsaved |= self._saved.keys()  # to forget those that are not configured any more

    def keep(self, found: Found) -> None:
        """Save this of discovery, with the next change of the store, and begin to save at all."""
        self._found = found

    async def run(self) -> None:
        """Save whenever something changed, until cancelled."""
        while True:
            if not self._unsaved and self._opening and not self._storage.is_recovering:
                await self._changes.wait()
            await self.save()
            await asyncio.sleep(PAUSE)

    async def save(self) -> None:
        """Write what changed since the last time; nothing before `keep` was called."""
        if self._found is None:
            return
        try:
            if not self._opening:
                await self._read()
            try:
                await self._write()
            except UnreadError:
                await self._read()
                await self._write()
            if self._storage.is_recovering:
                await self._storage.in_thread(self._storage.recover)
            size = await self._storage.in_thread(self._storage.size)
        except StorageError as error:
            self._note(str(error))
        else:
            self._note(None, size)

    async def _read(self) -> None:
        """Learn what is there, and let whatever is not known better go on from it."""
        before = self._saved
        stored = await self._storage.in_thread(self._storage.read)
        begun = await self._restore(stored)
        # What this process wrote itself is no loss, and days that were damaged are written again.
        if any(_counted(stored.organizations[o]) != _counted(before.get(o)) for o in begun):
            await self._storage.in_thread(self._storage.copy_aside)
        self._know(stored)
        self._unsaved |= self._store.org_ids()

    async def _write(self) -> None:
        self._unsaved |= self._changes.take()
        await self._write_some(set(islice(self._unsaved, AT_ONCE)))
        while self._unsaved:
            await self._write_some(set(islice(self._unsaved, AT_ONCE)))

    async def _write_some(self, org_ids: set[str]) -> None:
        kept = {org_id: self._kept(org_id) for org_id in org_ids}
        # Most polls change no more than when a failure was last seen, which is not kept.
        other_ids = [org_id for org_id in kept if kept[org_id] != self._saved.get(org_id)]
        changed = [saved for org_id in other_ids if (saved := kept[org_id]) is not None]
        removed = [org_id for org_id in other_ids if self._store.get(org_id) is None]
        found = self._found
        other = found if found != self._saved_found else None
        if changed or removed or other is not None:
            before = {org_id: self._saved[org_id] for org_id in other_ids if org_id in self._saved}
            save = partial(self._storage.save, before=before, opening=self._opening)
            await self._storage.in_thread(save, changed, removed, other)
        self._unsaved -= org_ids
        if other is not None:
            self._saved_found = other
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

    def _note(self, error: str | None, size: int | None = None) -> None:
        """Say in metrics how the last write went, and in the log when that changes."""
        self._telemetry.stored(error, size)
        if error is not None and self._successful:
            #: The disk is full, read-only or broken, as `reason` says. It tries again every second,
            #: and logs `writing to storage again`.
            log.error("cannot write to storage: a restart would lose recent data", reason=error)
        elif error is None and not self._successful:
            log.info("writing to storage again")
        self._successful = error is None


def _counted(saved: SavedOrganization | None) -> Spend | None:
    """Return the counters of an organization, without the days."""
    if saved is None or saved.spend is None:
        return None
    return replace(saved.spend, ledger=None)


def _saved(state: OrganizationState) -> SavedOrganization:
    answers = {
        name: SavedAnswer(
            collector.answer.message,
            collector.answer.received,
            collector.answer.changed,
            collector.answer.reading,
        )
        for name, collector in state.collectors.items()
        if collector.answer is not None
    }
    return SavedOrganization(state.organization.id, answers, state.spend)
