"""What an exporter that is stopped has stored of its organizations: as it would start with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    ApiKey,
    Clock,
    FoundOrganization,
    InvoiceDetail,
    Organization,
)
from exporter.polling.answers import COLLECTOR
from exporter.polling.intake import Intake
from exporter.state import listing
from exporter.state.archive import Archive
from exporter.state.storage import Storage, Stored
from exporter.state.store import Store
from exporter.tool.api_answers import DayLine, OrganizationLine, WholeOrganization, read
from exporter.web.api import organizations
from exporter.web.api.documents import encoded
from exporter.web.summary import PageContext, Summary


class KnownLedgers:
    """The ledgers of organizations, by what this process knows of them."""

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock

    @classmethod
    async def of(
        cls, storage: Storage, stored: Stored, configured: Iterable[Organization], clock: Clock
    ) -> KnownLedgers:
        """Return those of a storage. What is not configured has the API's name, or its id."""
        there = {
            org_id: Organization(org_id, name, ApiKey(""), 0.0, math.inf)
            for org_id, name in _names(stored).items()
        }
        # It is read as it is, however long the exporter has been stopped.
        there |= {each.id: replace(each, max_age=math.inf) for each in configured}
        saved = {
            org_id: each
            for org_id, each in stored.organizations.items()
            if each.spend is not None and each.spend.ledger is not None
        }
        store, detail = Store(), InvoiceDetail("none", 0)
        intake = Intake(store, Telemetry("", ""), clock, detail, saved)
        await intake.configure({each: there[each] for each in saved}, COLLECTOR, detail)
        return cls(store, Archive(store, storage), clock)

    def organizations(self) -> Sequence[FoundOrganization]:
        """Return the organizations that have one."""
        states = self._store.states()
        return [FoundOrganization(each.organization.id, each.organization.name) for each in states]

    async def line(self, org_id: str) -> OrganizationLine:
        """Return one of them in a line. It must be there."""
        line: OrganizationLine = read(
            OrganizationLine, encoded(organizations.line(self._summary(org_id)))
        )
        return line

    async def whole(self, org_id: str) -> WholeOrganization:
        """Return one of them, with what its bill is made of. It must be there.

        Raises StorageError.
        """
        ended = await self._archive.closed_answers(org_id)
        whole: WholeOrganization = read(
            WholeOrganization, organizations.whole(self._summary(org_id), ended)
        )
        return whole

    async def days(self, org_id: str) -> Sequence[DayLine]:
        """Return the days of one of them, the oldest first. Raises StorageError."""
        state = self._store.get(org_id)
        ledger = None if state is None or state.spend is None else state.spend.ledger
        if ledger is None:
            return []
        days = await self._archive.days(org_id, 0, ledger.windows.answered)
        found = (listing.with_periods(number, days[number]) for number in sorted(days))
        return [DayLine.model_validate(each) for each in found]

    def _summary(self, org_id: str) -> Summary:
        state = self._store.get(org_id)
        assert state is not None  # noqa: S101 - for mypy
        now = PageContext(self._clock.time(), self._clock.monotonic(), lambda _unit: None)
        return Summary(state, now)


def _names(stored: Stored) -> Mapping[str, str]:
    names = {org_id: org_id for org_id in stored.organizations}
    return names | {each.id: each.name for found in stored.found.values() for each in found}
