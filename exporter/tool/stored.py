"""The ledgers that an exporter which is stopped has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.model import ApiKey, FoundOrganization, Organization, OrganizationState
from exporter.state import listing
from exporter.state.archive import Archive
from exporter.state.storage import Storage, Stored
from exporter.state.store import Store
from exporter.tool.api_answers import DayLine


class StoredLedgers:
    """The ledgers of organizations, as a storage has them."""

    def __init__(self, storage: Storage, stored: Stored, names: Mapping[str, str]) -> None:
        """`names` are those that are configured, by id; others are as the API has them, or ids."""
        names = {**_found(stored), **names}
        self._store = Store()
        self._archive = Archive(self._store, storage)
        for org_id, saved in stored.organizations.items():
            if saved.spend is not None and saved.spend.ledger is not None:
                name = names.get(org_id, org_id)
                organization = Organization(org_id, name, ApiKey(""), 0.0, 0.0)
                self._store.put(OrganizationState(organization, {}, saved.spend))

    def organizations(self) -> Sequence[FoundOrganization]:
        """Return the organizations that have one."""
        organizations = [state.organization for state in self._store.states()]
        return [FoundOrganization(each.id, each.name) for each in organizations]

    async def days(self, org_id: str) -> Sequence[DayLine]:
        """Return the days of one of them, the oldest first. Raises StorageError."""
        state = self._store.get(org_id)
        ledger = None if state is None or state.spend is None else state.spend.ledger
        if ledger is None:
            return []
        days = await self._archive.days(org_id, 0, ledger.windows.answered)
        return [DayLine.model_validate(each) for each in listing.plain_days(days)]


def _found(stored: Stored) -> Mapping[str, str]:
    return {each.id: each.name for found in stored.found.values() for each in found}
