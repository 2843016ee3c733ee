"""Makes the answers of the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar

from exporter.base import plain
from exporter.model import Clock, OrganizationState
from exporter.polling.sharding import Shard
from exporter.state import listing
from exporter.state.archive import Archive
from exporter.state.ledger import day_of
from exporter.state.place import StorageError
from exporter.state.store import Store
from exporter.web.api import asked, cursor, organizations
from exporter.web.api.asked import Query
from exporter.web.api.documents import encoded, object_of
from exporter.web.api.turns import in_turns
from exporter.web.negotiation import prefers_csv
from exporter.web.refusals import Refusal
from exporter.web.summary import PageContext, Summary

T = TypeVar("T")

JSON: Final = "application/json"
CSV: Final = "text/csv; charset=utf-8; header=present"
LOOKED_AT: Final = 2000  # organizations at once, to find those of a page
NOBODY: Final = "no organization with this id is polled here"


class Document(NamedTuple):
    """An answer."""

    body: bytes
    content_type: str = JSON


class Api:
    """Answers what programs ask; `context` gives what answers are made with beside the store."""

    def __init__(
        self,
        store: Store,
        archive: Archive,
        clock: Clock,
        shard: Shard,
        context: Callable[[], PageContext],
    ) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock
        self._shard = shard
        self._context = context

    async def organizations(self, query: Query) -> Document:
        """Return a page of organizations, by id. Raises Refusal."""
        page = asked.Page.of(query)
        org_ids, more = await self._after(page)
        found = [state for each in org_ids if (state := self._store.get(each)) is not None]
        context = self._context()
        lines = (encoded(organizations.line(Summary(state, context))) for state in found)
        made = [each async for each in self._in_turns(lines)]
        head = {
            "generated_at": plain.moment(context.time),
            "shard": {"ordinal": self._shard.ordinal, "total": self._shard.total},
            "next_cursor": cursor.written(org_ids[-1]) if more else None,
        }
        return Document(object_of(head, organizations=made) + b"\n")

    async def organization(self, part: str, query: Query) -> Document:
        """Return an organization with what its bill is made of. Raises Refusal."""
        org_id, query = asked.whose(part, query)
        asked.nothing(query)
        summary = Summary(self._state(org_id), self._context())
        try:
            ended, unread = await self._archive.closed_answers(org_id), None
        except StorageError as error:
            ended = self._archive.closed_in_memory(org_id)
            unread = _unreadable("answers of past periods", error)
        made = await asyncio.to_thread(organizations.whole, summary, ended, unread)
        return Document(made + b"\n")

    async def days(self, part: str, query: Query, accept: str) -> Document:
        """Return the days of an organization, as JSON or CSV. Raises Refusal."""
        org_id, query = asked.whose(part, query)
        now = self._clock.time()
        wanted = asked.Days.of(query, day_of(now))
        state = self._state(org_id)
        try:
            days = await self._archive.days(org_id, wanted.first, wanted.last)
        except StorageError as error:
            message = _unreadable("days", error)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": "10"}) from error
        plain_days = (listing.with_periods(number, days[number]) for number in sorted(days))
        listed = [each async for each in self._in_turns(plain_days)]
        form = wanted.form or ("csv" if prefers_csv(accept) else "json")
        if form == "csv":
            lines = [each async for each in self._in_turns(listing.csv_lines(listed))]
            return Document("".join(lines).encode(), CSV)
        head = {
            "org_id": org_id,
            "org_name": state.organization.name,
            "generated_at": plain.moment(now),
        }
        made = [each async for each in self._in_turns(map(encoded, listed))]
        return Document(object_of(head, days=made) + b"\n")

    def _state(self, org_id: str) -> OrganizationState:
        state = self._store.get(org_id)
        if state is None:
            raise Refusal(HTTPStatus.NOT_FOUND, NOBODY)
        return state

    async def _after(self, page: asked.Page) -> tuple[list[str], bool]:
        """Return the ids of a page in order, and whether there are more behind them."""
        found: list[str] = []
        states = self._store.states()
        parts = (states[at : at + LOOKED_AT] for at in range(0, len(states), LOOKED_AT))
        async for part in self._in_turns(parts):
            org_ids = [state.organization.id for state in part]
            found = sorted([*found, *(each for each in org_ids if each > page.after)])
            found = found[: page.limit + 1]
        return found[: page.limit], len(found) > page.limit

    def _in_turns(self, items: Iterable[T]) -> AsyncIterator[T]:
        return in_turns(items, self._clock.monotonic)


def _unreadable(what: str, error: StorageError) -> str:
    #: The request was answered with 503. Ask again.
    return f"cannot read {what} from storage: {error}"
