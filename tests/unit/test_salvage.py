"""What goes on of a storage whose file is damaged: all that can still be read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import (
    ClosedPeriod,
    ClosedPeriods,
    FoundOrganization,
    SavedAnswer,
    SavedOrganization,
    Spend,
    Tally,
)
from exporter.state.day_rows import Day, Entry, Moved, packed
from exporter.state.ledger import IN_MEMORY, between, rebuilt
from exporter.state.place import FILE, FileSystem
from exporter.state.storage import Storage, StorageError
from support.history import process
from support.meter import DAY, Meter
from support.virtual import run

PAGE: Final = 4096
FIRST, LAST = 20_000, 20_399  # days
ORG_IDS: Final = [f"o{number}" for number in range(5)]
FOUND: Final = {"key": (FoundOrganization("o1", "One"),)}
SET_ASIDE: Final = "stored data cannot be used: the file was set aside"
GOES_ON: Final = "recovered readable data from the file that was set aside"
NOT_TAKEN: Final = "older days were not recovered from the file that was set aside"

Days = Mapping[int, bytes]


def days_of(org_id: str) -> Days:
    """Return the rows of four hundred days, each like no other."""
    found = {}
    for number in range(FIRST, LAST + 1):
        usd = number + ORG_IDS.index(org_id) / 10
        moved = {name: Moved(usd, 0.0) for name in ("per_machine", "trigger_notification")}
        found[number] = packed(Day(0.0, (Entry(FIRST * DAY, usd, 0.0, 0.0, moved),)))
    return found


def periods() -> ClosedPeriods:
    """Return a year of periods that ended."""
    closed = ClosedPeriods()
    for month in range(1, 13):
        end = (FIRST + 30 * month) * DAY
        closed = closed.plus(ClosedPeriod(end - 30 * DAY, end, month + 0.5, end - 60))
    return closed


def message_of(org_id: str, end: float) -> bytes:
    """Return what a period ended with."""
    return f"{org_id} {end}".encode() * 100


def organization(org_id: str) -> SavedOrganization:
    """Return an organization that was counted to the last of its days."""
    ledger = rebuilt(days_of(org_id), LAST)
    spend = Spend(FIRST * DAY, Tally(7.0, 0.5, 9.0), {}, closed=periods(), ledger=ledger)
    answer = SavedAnswer(b"usage of " + org_id.encode(), LAST * DAY, LAST * DAY)
    return SavedOrganization(org_id, {"usage": answer}, spend)


WHOLE: Final = {org_id: organization(org_id) for org_id in ORG_IDS}


def _content() -> bytes:
    """Return the file of a storage with all of it."""
    with TemporaryDirectory() as folder:
        with closing(Storage(Path(folder))) as storage:
            for org_id, saved in WHOLE.items():
                messages = {each.end: message_of(org_id, each.end) for each in periods()}
                storage.add(saved, days_of(org_id), messages)
            storage.save([], [], FOUND)
            storage.reserve("2026-11-23", 70, limit=100)
        return (Path(folder) / FILE).read_bytes()


CONTENT: Final = _content()
PAGES: Final = len(CONTENT) // PAGE
LEAF: Final = 0x0A  # what a page begins with that has nothing but rows


def page_of(content: bytes, what: bytes) -> int:
    """Return the number of the page that has it, from 0 on."""
    return content.index(what) // PAGE


def damaged(folder: Path, *pages: int, content: bytes = CONTENT) -> Path:
    """Put a file into the folder of which these pages were written over."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = bytearray(content)
    for page in pages:
        found[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    (folder / FILE).write_bytes(found)
    return folder


def vacuumed(folder: Path) -> bytes:
    """Return the file without what SQLite has left behind in it, as of rows that were moved."""
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.execute("VACUUM")
    return (folder / FILE).read_bytes()


class Process:
    """What a process that starts finds, and what it has after a while."""

    def __init__(self, folder: Path, system: FileSystem | None = None) -> None:
        with capture_logs() as logs, closing(Storage(folder, system=system or FileSystem())) as it:
            self.stored = it.read()
            for _ in range(2):  # a page that is met only now is left out from then on
                with suppress(StorageError):
                    self._look(it)
            self._look(it)
            self.granted = it.reserve("2026-11-23", 100, limit=100).granted
            it.save([SavedOrganization("new", {}, None)], [], opening=it.read().opening)
        self.told = [each["event"] for each in logs if each["log_level"] == "warning"]

    def _look(self, storage: Storage) -> None:
        while storage.is_recovering:
            storage.recover()
        self.days = {org_id: storage.days(org_id, 0, 100_000) for org_id in ORG_IDS}
        self.messages = {
            (org_id, each.end): storage.closed_answer(org_id, each.end)
            for org_id in ORG_IDS
            for each in periods()
        }

    def lost(self) -> dict[str, set[int]]:
        """Return the days that are missing, of those organizations that lack some."""
        missing = {org_id: days_of(org_id).keys() - self.days[org_id].keys() for org_id in ORG_IDS}
        return {org_id: days for org_id, days in missing.items() if days}


def counted(organizations: Mapping[str, SavedOrganization]) -> dict[str, Spend]:
    """Return the counters, without the days."""
    return {
        org_id: replace(saved.spend, ledger=None)
        for org_id, saved in organizations.items()
        if saved.spend is not None
    }


def test_what_is_whole_is_read_as_it_is(tmp_path: Path) -> None:
    """Nothing is set aside."""
    found = Process(damaged(tmp_path / "s"))
    assert (found.stored.organizations, found.lost(), found.told) == (WHOLE, {}, [])
    assert found.granted == 30


@pytest.mark.parametrize(
    ("number", "is_met"), [(FIRST + 200, False), (LAST - IN_MEMORY, True), (LAST, True)]
)
def test_a_damaged_page_of_days_costs_the_days_on_it(
    tmp_path: Path, number: int, *, is_met: bool
) -> None:
    """Whether a start meets it or not. The counters go on, and so does all else."""
    page = page_of(CONTENT, days_of("o2")[number])
    found = Process(damaged(tmp_path / "s", page))
    assert found.told == [SET_ASIDE, GOES_ON]
    assert counted(found.stored.organizations) == counted(WHOLE)
    lost = found.lost()
    assert number in lost["o2"]
    assert sum(map(len, lost.values())) < PAGE // len(days_of("o2")[number]) + 1
    assert found.stored.found == FOUND
    assert found.stored.complete != is_met, "what was damaged may have known more"
    assert found.granted == 30
    assert None not in found.messages.values()
    for org_id, days in lost.items():
        spend = found.stored.organizations[org_id].spend
        assert spend is not None
        assert spend.ledger is not None
        shown = between(spend.ledger, 0, LAST)
        assert all(shown[each].is_unknown for each in days if each in shown), "and not 0"


def test_damaged_counters_leave_the_days_and_the_reverse(tmp_path: Path) -> None:
    """One table is no reason to do without the others."""
    found = Process(damaged(tmp_path / "s", page_of(CONTENT, b'{"period_start"')))
    assert counted(found.stored.organizations) == {}
    assert found.lost() == {}
    assert found.stored.organizations["o1"].answers == WHOLE["o1"].answers
    assert found.granted == 30
    assert None not in found.messages.values()


@given(st.sets(st.integers(0, PAGES - 1), min_size=1, max_size=4))
@settings(max_examples=30)
def test_whatever_is_damaged_what_goes_on_is_what_was_there(pages: set[int]) -> None:
    """Or less of it, and it can be written to."""
    with TemporaryDirectory() as folder:
        found = Process(damaged(Path(folder), *pages))
    organizations = found.stored.organizations
    assert all(saved.answers in ({}, WHOLE[o].answers) for o, saved in organizations.items())
    ended = {(each.end, each.usage) for each in periods()}
    for org_id, spend in counted(organizations).items():
        assert {(each.end, each.usage) for each in spend.closed} <= ended
        assert replace(spend, closed=periods()) == counted(WHOLE)[org_id]
    for org_id in ORG_IDS:
        assert found.days[org_id].items() <= days_of(org_id).items()
    for (org_id, end), message in found.messages.items():
        assert message in {None, message_of(org_id, end)}
    if len(pages) == 1 and CONTENT[min(pages) * PAGE] == LEAF:
        assert sum(map(len, found.lost().values())) <= PAGE // 60


@given(st.integers(1, len(CONTENT) - 1))
@settings(max_examples=20)
def test_a_file_that_lost_its_end_goes_on_with_its_beginning(size: int) -> None:
    """What comes out went in."""
    with TemporaryDirectory() as folder:
        found = Process(damaged(Path(folder), content=CONTENT[:size]))
    for org_id in ORG_IDS:
        assert found.days[org_id].items() <= days_of(org_id).items()
    if size > len(CONTENT) * 0.9:
        assert sum(map(len, found.days.values())) > 1000


def test_without_room_older_days_stay_in_the_file_and_that_is_told(tmp_path: Path) -> None:
    """What a start needs is taken over all the same."""

    class Full(FileSystem):
        def free(self, folder: Path) -> int:
            assert folder.is_dir()
            return len(CONTENT)

    page = page_of(CONTENT, days_of("o2")[LAST])
    found = Process(damaged(tmp_path / "s", page), Full())
    assert found.told == [SET_ASIDE, GOES_ON, NOT_TAKEN]
    assert found.stored.organizations["o1"] == WHOLE["o1"]
    assert min(found.days["o1"]) > FIRST + 200
    assert len((tmp_path / "s" / f"{FILE}.set-aside-1").read_bytes()) == len(CONTENT)


def test_a_disk_that_fills_up_meanwhile_is_not_filled_again_and_again(tmp_path: Path) -> None:
    """What was taken over stays, the rest is in the file, as the log says."""
    folder = damaged(tmp_path / "s", page_of(CONTENT, days_of("o2")[LAST]))
    with closing(Storage(folder)) as storage:
        stored = storage.read()
        database = storage._database._connection
        assert database is not None
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        with capture_logs() as logs, pytest.raises(StorageError, match="full"):
            storage.recover()
        assert [each["event"] for each in logs] == [NOT_TAKEN]
        assert not storage.is_recovering
        assert storage.read().organizations == stored.organizations


def test_an_end_before_all_is_taken_over_is_told(tmp_path: Path) -> None:
    """What is missing is in the file, and a command can add it."""
    folder = damaged(tmp_path / "s", page_of(CONTENT, days_of("o2")[LAST]))
    with capture_logs() as logs, closing(Storage(folder)) as storage:
        storage.read()
    assert [each["event"] for each in logs] == [SET_ASIDE, GOES_ON, NOT_TAKEN]
    assert logs[-1]["set_aside_as"] == str(folder / f"{FILE}.set-aside-1")


def test_damage_that_is_met_while_it_runs_costs_the_days_on_the_page(tmp_path: Path) -> None:
    """Nobody needs the page but who asks for old days. The next write goes to another file.

    Which has everything else: the counters, the days in memory and older ones.
    """
    meter, folder = Meter(), tmp_path / "s"

    async def scenario() -> None:
        async with process(meter, folder) as first:
            await first.run(220)
            days, spend = await first.days(), first.spend
        content = await asyncio.to_thread(vacuumed, folder)
        old = min(days) + 90
        page = page_of(content, b"o1" + old.to_bytes(2) + packed(days[old]))
        await asyncio.to_thread(damaged, folder, page, content=content)
        async with process(meter, folder) as second:
            assert second.spend == spend
            with pytest.raises(StorageError, match="malformed"):
                await second.days()
            await second.run(2)
            after, closed = await second.days(), second.closed
            grown = second.spend.month_to_date
        async with process(meter, folder) as third:
            assert (await third.days(), third.closed) == (after, closed)
            assert third.spend.month_to_date == grown
        assert grown.spend == pytest.approx(spend.month_to_date.spend + 2 * 30.0)
        past = {number: day for number, day in days.items() if number < max(days)}
        unknown = {number for number in past if after[number].is_unknown}
        assert 0 < len(unknown) < PAGE // 40
        assert unknown == {*range(min(unknown), max(unknown) + 1)}
        assert all(after[number] == day for number, day in past.items() if number not in unknown)

    with capture_logs() as logs:
        run(scenario())
    assert [e["event"] for e in logs if e["log_level"] == "warning"] == [SET_ASIDE, GOES_ON]
