"""Organizations in pages: by id, from a cursor on, while others come and go and wait for a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.state.store import Store
from exporter.web.api import Api, asked, cursor
from exporter.web.api.turns import SLICE, in_turns
from exporter.web.refusals import Refusal
from support.answers import api_of, checked
from support.reader import organization
from support.status import CONTEXT, state
from support.virtual import VirtualClock, run

# What ids are made of: printable, and never empty.
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


async def ids_of(api: Api, query: dict[str, str]) -> tuple[list[str], str | None]:
    """Return the ids of a page, and the cursor of the next one."""
    found = checked("Organizations", (await api.organizations(query.items())).body)
    return [each["org_id"] for each in found["organizations"]], found["next_cursor"]


def refused(**query: str) -> tuple[int, str]:
    """Return the status and the words of a query that is refused."""

    async def ask() -> Refusal:
        with pytest.raises(Refusal) as caught:
            await api_of(state()).organizations(query.items())
        return caught.value

    refusal = run(ask())
    return refusal.status, refusal.message


def test_a_page_has_five_hundred_at_most_and_the_shard() -> None:
    """In the order of their ids, whatever that of their coming."""

    async def main() -> None:
        store = Store()
        for number in reversed(range(501)):
            store.put(state(organization(f"o{number:03}", max_age=3600.0)))
        shard = Shard(1, 3)
        api = Api(store, Archive(store), VirtualClock(), shard, lambda: CONTEXT)
        found = checked("Organizations", (await api.organizations(())).body)
        assert found["shard"] == {"ordinal": 1, "total": 3}
        assert found["generated_at"] == "2026-11-23T12:00:00Z"
        listed = [each["org_id"] for each in found["organizations"]]
        assert listed == [f"o{number:03}" for number in range(500)]
        rest, end = await ids_of(api, {"cursor": found["next_cursor"]})
        assert (rest, end) == (["o500"], None)

    run(main())


def test_a_fleet_of_nobody_is_an_empty_page() -> None:
    """And the last one."""

    async def main() -> None:
        assert await ids_of(api_of(), {}) == ([], None)

    run(main())


@given(st.sets(IDS, min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=60)
def test_pages_list_each_organization_once(ids: set[str], limit: int) -> None:
    """Whatever the ids, and however many are on a page; the last one says that it is."""

    async def main() -> None:
        api = api_of(*(state(organization(each, max_age=3600.0)) for each in ids))
        listed: list[str] = []
        query = {"limit": str(limit)}
        while True:
            some, end = await ids_of(api, query)
            listed += some
            if end is None:
                break
            assert len(some) == limit
            query["cursor"] = end
        assert listed == sorted(ids)

    run(main())


@given(
    st.sets(IDS, min_size=3, max_size=12),
    st.data(),
)
@settings(max_examples=60)
def test_those_that_stay_are_listed_once_while_others_come_and_go(
    ids: set[str], data: st.DataObject
) -> None:
    """Also if it is the one that the cursor names that left."""

    async def main() -> None:
        store = Store()
        for each in ids:
            store.put(state(organization(each, max_age=3600.0)))
        api = Api(store, Archive(store), VirtualClock(), Shard(), lambda: CONTEXT)
        stayed = set(ids)
        listed, end = await ids_of(api, {"limit": "1"})
        while end is not None:
            coming = data.draw(IDS)
            leaving = data.draw(st.sampled_from(sorted(store.org_ids())))
            store.put(state(organization(coming, max_age=3600.0)))
            store.leave(leaving, None)
            stayed -= {leaving}
            some, end = await ids_of(api, {"limit": "1", "cursor": end})
            listed += some
        assert listed == sorted(set(listed))
        assert stayed <= set(listed)

    run(main())


@given(IDS)
def test_a_cursor_is_read_as_it_was_written(org_id: str) -> None:
    """And goes into an address as it is."""
    text = cursor.written(org_id)
    assert cursor.read(text) == org_id
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text())
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Or a slip would read as another page; what is taken is what would be written."""
    try:
        org_id = cursor.read(text)
    except ValueError:
        return
    assert cursor.written(org_id) == text


@pytest.mark.parametrize("text", ["", "=", "YQ==", "Y", "YR", "/w", "_w", "é", "Y Q", "YQ\n"])
def test_a_bad_cursor_says_what_is_allowed(text: str) -> None:
    """With status 400; an empty one is no first page, or a loop would never end."""
    assert refused(cursor=text) == (400, "cursor must be the next_cursor of an earlier answer")


@pytest.mark.parametrize("text", ["", "0", "501", "-1", "1.0", "x", "９", "0x10", " 1", "9999999"])  # noqa: RUF001 - digits of other scripts
def test_a_bad_limit_says_what_is_allowed(text: str) -> None:
    """With status 400."""
    assert refused(limit=text) == (400, "limit must be a whole number from 1 to 500")


def test_another_parameter_or_one_twice_is_refused() -> None:
    """A slip that went unnoticed would be a wrong number somewhere."""
    allowed = (400, "this takes only limit, cursor, each once")
    assert refused(limits="5") == allowed
    assert refused(id="o1") == allowed
    with pytest.raises(Refusal, match="each once"):
        asked.Page.of([("limit", "5"), ("limit", "6")])


class Ticking:
    """A clock on which each look takes a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0

    def time(self) -> float:
        """Return Unix seconds."""
        return self.monotonic()

    def monotonic(self) -> float:
        """Return seconds, later than before."""
        self._now += self._seconds
        return self._now


async def turns_during(work: Any) -> int:
    """Return how often others had their turn while something was done."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await work
    task.cancel()
    return turns


def test_work_is_done_in_slices() -> None:
    """As soon as one has taken its time, others get their turn."""

    async def use(items: Sequence[int], seconds: float) -> None:
        assert [each async for each in in_turns(items, Ticking(seconds).monotonic)] == [*items]

    async def main() -> None:
        assert await turns_during(use(range(100), 2 * SLICE)) >= 90
        some = await turns_during(use(range(100), SLICE / 10))
        assert 5 <= some <= 15
        assert await turns_during(use(range(100), 0.0)) <= 2

    asyncio.run(main())


def test_a_page_is_made_in_slices() -> None:
    """Others get their turn between the organizations of one."""

    async def main() -> None:
        store = Store()
        for number in range(50):
            store.put(state(organization(f"o{number}", max_age=3600.0)))
        api = Api(store, Archive(store), Ticking(2 * SLICE), Shard(), lambda: CONTEXT)
        assert await turns_during(api.organizations(())) >= 50

    asyncio.run(main())
