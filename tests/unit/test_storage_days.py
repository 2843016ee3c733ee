"""Days and closed periods in the storage: kept, forgotten, and left alone by older releases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.model import (
    ClosedPeriod,
    ClosedPeriods,
    SavedAnswer,
    SavedOrganization,
    Spend,
    Tally,
)
from exporter.state import rows
from exporter.state.day_rows import sound
from exporter.state.ledger import IN_MEMORY, STORED, between, note, rows_of
from exporter.state.spend import Change, Step, unchanged
from exporter.state.storage import FILE, Storage, StorageError

SPEND = Spend(5.0, Tally(1.5, 0.1, 7.0), {"per_machine": Tally(0.1, 0.2, None)})
ACME = SavedOrganization("acme", {"usage": SavedAnswer(b"message", 1_000.5, 900.25)}, SPEND)
DAY = 86_400.0
FIRST = 20_000 * DAY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "state"


def stored(folder: Path) -> Mapping[str, SavedOrganization]:
    """Return what a new process finds."""
    with closing(Storage(folder)) as storage:
        return storage.read().organizations


def store(folder: Path, *organizations: SavedOrganization) -> None:
    """Store as one process, and end."""
    with closing(Storage(folder)) as storage:
        storage.save(organizations, [])


def with_days(days: float, kept: int = IN_MEMORY) -> Spend:
    """Return counters with so many days, and a period that has ended."""
    closed = ClosedPeriods().plus(ClosedPeriod(None, FIRST, 12.5, FIRST - 60.0), b"usage")
    spend = replace(SPEND, period_start=FIRST, closed=closed)
    until = FIRST + days * DAY
    moved = {"per_machine": Change(FIRST, 9.0, 0.0), "made up": Change(FIRST, 1.0, 0.0)}
    step = Step(spend, Change(FIRST, 10.0, 1.0), moved, began=FIRST, first=True)
    return replace(spend, ledger=note(None, step, until, kept))


def damage(folder: Path, statement: str, *values: object) -> None:
    """Change what is stored by hand."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(statement, values)


def test_days_are_kept_with_the_counters(folder: Path) -> None:
    """And the periods that ended; what the last of them cost comes when it is asked for."""
    spend = with_days(2.5)
    store(folder, SavedOrganization("acme", {}, spend))
    assert stored(folder)["acme"].spend == spend
    storage = Storage(folder)
    assert storage.closed_answer("acme", FIRST) == b"usage"
    assert storage.closed_answer("acme", FIRST + 1) is None
    assert spend.ledger is not None
    assert storage.days("acme", 20_001, 30_000) == dict([*rows_of(spend.ledger).items()][1:])
    storage.close()


def test_a_damaged_day_costs_no_other_and_no_counter(folder: Path) -> None:
    """It is unknown, and so is what the windows say with it."""
    spend = with_days(2.5)
    store(folder, SavedOrganization("acme", {}, spend))
    for day in 20_001, 20_002:
        damage(folder, "UPDATE day SET entries = x'00' WHERE day = ?", day)
    again = stored(folder)["acme"].spend
    assert again is not None
    assert replace(again, ledger=None) == replace(spend, ledger=None)
    assert again.ledger is not None
    days = between(again.ledger, 0, 30_000)
    assert [days[day].is_unknown for day in (20_000, 20_001, 20_002)] == [False, True, True]
    assert again.ledger.windows.on_it is None


@pytest.mark.parametrize("damaged", [b"", b"\0" * 200, b"x", None, "text", 5])
def test_a_damaged_outlook_costs_nothing_else(folder: Path, damaged: object) -> None:
    """The forecast learns again from the days; the next one is stored in its place."""
    spend = replace(with_days(2.5), outlook=b"learned")
    store(folder, SavedOrganization("acme", {}, spend))
    assert stored(folder)["acme"].spend == spend
    damage(folder, "UPDATE outlook SET kept = ?", damaged)
    assert stored(folder)["acme"].spend == replace(spend, outlook=None)
    again = replace(spend, outlook=b"learned again")
    store(folder, SavedOrganization("acme", {}, again))
    assert stored(folder)["acme"].spend == again


def test_an_outlook_goes_with_the_counters(folder: Path) -> None:
    """When an organization has left for a day, nothing of its forecast is left."""
    store(folder, SavedOrganization("acme", {}, replace(with_days(2.5), outlook=b"learned")))
    with closing(Storage(folder)) as storage:
        storage.save([], ["acme"])
    with closing(sqlite3.connect(folder / FILE)) as database:
        assert database.execute("SELECT * FROM outlook").fetchall() == []


def older_release(folder: Path, head: object = None, **counters: object) -> None:
    """Have an older release write the counters, which knows of no days."""
    with closing(sqlite3.connect(folder / FILE)) as database:
        (text,) = database.execute("SELECT counters FROM spend").fetchone()
    text = json.dumps(json.loads(text) | {"ledger": head} | counters)
    damage(folder, "UPDATE spend SET counters = ?, checksum = ?", text, rows.checksum("acme", text))


@pytest.mark.parametrize(
    "head",
    [
        None,
        {"windows": [1], "older": "1"},
        {"windows": [20_002, None, None, None, None, None, {"\ud800": 1.0}, 0, 0], "older": "1"},
        {"windows": [20_002, -1.0, None, None, None, None, {}, 0, 0], "older": "1"},
        {"windows": [20_002, None, None, None, None, None, {}, 0, 0], "older": "-1"},
        {"windows": [-1, None, None, None, None, None, {}, 0, 0], "older": "1"},
        {"windows": [2.5, None, None, None, None, None, {}, 0, 0], "older": "1"},
    ],
)
@pytest.mark.parametrize("later", [20_002, 20_005, 20_002 + IN_MEMORY + 10])
def test_days_go_on_when_an_older_release_ran_meanwhile(
    folder: Path, head: object, later: int
) -> None:
    """It counts and keeps no days: those since the last that is kept are unknown, others stay.

    And stay unknown: of the last one, a part is stored, and it must not pass for all of it.
    """
    spend = with_days(2.5)
    answer = SavedAnswer(b"", later * DAY, 1.0)
    store(folder, SavedOrganization("acme", {"usage": answer}, spend))
    older_release(folder, head)
    again = stored(folder)["acme"].spend
    assert again is not None
    assert again.ledger is not None
    assert again.ledger.windows.answered == later
    unknown = {n for n, day in between(again.ledger, 0, 30_000).items() if day.is_unknown}
    assert unknown == {*range(20_002, later + 1)}
    assert again.closed == spend.closed
    with closing(Storage(folder)) as storage:
        days = storage.days("acme", 0, 30_000)
    known = {number for number, row in days.items() if not sound(row).is_unknown}
    assert known == {20_000, 20_001}


def test_what_a_period_came_to_while_an_older_release_ran_is_kept(folder: Path) -> None:
    """It keeps the one that ended last with the counters."""
    spend = with_days(2.5)
    store(folder, SavedOrganization("acme", {}, spend))
    end = FIRST + 30 * DAY
    older_release(folder, closed=[33.5, end])
    later = ClosedPeriod(None, end, 33.5, end)
    for _ in range(2):  # also when the counters have forgotten it
        found = stored(folder)["acme"].spend
        assert found is not None
        assert [*found.closed] == [*spend.closed, later]
        older_release(folder, closed=None)


@pytest.mark.parametrize("closed", [7, [1.0], ["x", 1.0], [1.0, -1.0], [True, 1.0], {"a": 1}])
def test_a_period_of_any_shape_is_good_or_none(folder: Path, closed: object) -> None:
    """The counters go on."""
    spend = with_days(2.5)
    store(folder, SavedOrganization("acme", {}, spend))
    older_release(folder, closed=closed)
    found = stored(folder)["acme"].spend
    assert found is not None
    assert (found.closed, found.month_to_date) == (spend.closed, spend.month_to_date)


@pytest.mark.parametrize("number", ["abc", 2.5, 2**40, -1, 20_009, b"\xff"])
def test_a_row_that_is_no_day_stops_nothing(folder: Path, number: object) -> None:
    """Though an older release ran, and the newest day has to be found."""
    spend = with_days(2.5)
    store(folder, SavedOrganization("acme", {}, spend))
    older_release(folder)
    damage(folder, "UPDATE day SET day = ? WHERE day = 20002", number)
    found = stored(folder)["acme"].spend
    assert found is not None
    assert found.ledger is not None
    assert found.ledger.windows.answered == 20_001


def test_days_that_are_all_damaged_are_none(folder: Path) -> None:
    """The counters go on, and the ledger begins anew."""
    store(folder, SavedOrganization("acme", {}, with_days(2.5)))
    older_release(folder)
    damage(folder, "UPDATE day SET checksum = 0")
    found = stored(folder)["acme"].spend
    assert found == replace(with_days(2.5), ledger=None)


def test_the_release_before_reads_what_is_stored(folder: Path) -> None:
    """It checks for its own tables, and finds the period that ended last under its name."""
    store(folder, SavedOrganization("acme", ACME.answers, with_days(2.5)))
    with closing(sqlite3.connect(folder / FILE)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        (text,) = database.execute("SELECT counters FROM spend").fetchone()
    assert json.loads(text)["closed"] == [12.5, FIRST]
    assert {"days", "windows"}.isdisjoint(json.loads(text))


def test_a_file_of_the_release_before_gets_what_it_lacks(folder: Path) -> None:
    """Its counters go on."""
    store(folder, ACME)
    for table in "day", "closed", "closed_answer", "departed":
        damage(folder, f"DROP TABLE {table}")
    assert stored(folder) == {"acme": ACME}
    store(folder, SavedOrganization("acme", {}, with_days(1.5)))
    assert stored(folder)["acme"].spend == with_days(1.5)


def test_as_many_days_and_periods_stay_as_are_kept(folder: Path) -> None:
    """Whatever becomes of those in memory; what is written is what changed."""
    storage = Storage(folder)
    spend, before = with_days(0.5, STORED), None
    for number in range(1, STORED + 80):
        period = ClosedPeriod(FIRST, FIRST + number, 1.0, FIRST)
        step = unchanged(spend)
        spend = replace(
            spend,
            ledger=note(spend.ledger, step, FIRST + (number + 0.5) * DAY, STORED),
            closed=spend.closed.plus(period, b"%d" % number),
        )
        saved = SavedOrganization("acme", {}, spend)
        storage.save([saved], [], before={} if before is None else {"acme": before})
        before = saved
    kept = storage.days("acme", 0, 100_000)
    assert max(kept) == 20_000 + STORED + 79
    assert len(kept) == STORED + 1 + IN_MEMORY
    (periods,) = (
        each.spend and each.spend.closed for each in storage.read().organizations.values()
    )
    assert periods == spend.closed
    assert len([*spend.closed]) == ClosedPeriods.KEPT
    first, last = next(iter(spend.closed)).end, FIRST + STORED + 79
    assert storage.closed_answer("acme", first) == b"%d" % (first - FIRST)
    assert storage.closed_answer("acme", first - 1) is None
    assert storage.closed_answer("acme", last) == b"%d" % (last - FIRST)
    storage.close()


def noted(spend: Spend, days: float) -> Spend:
    """Return counters after another answer, so many days after the first."""
    ledger = note(spend.ledger, unchanged(spend), FIRST + days * DAY, STORED)
    return replace(spend, ledger=ledger)


def departed(folder: Path) -> Storage:
    """Return a storage that one of three organizations has left."""
    storage = Storage(folder)
    spend = with_days(2.5)
    storage.save([SavedOrganization(name, {}, spend) for name in ("acme", "bolt", "cora")], [])
    storage.save([], ["acme"])
    return storage


def test_days_stay_when_an_organization_leaves_until_all_would_be_too_old(folder: Path) -> None:
    """They can follow it to another shard; a mistake in the configuration costs none."""
    with closing(departed(folder)) as storage:
        storage.read()
        assert len(storage.days("acme", 0, 100_000)) == 3
        spend = noted(with_days(2.5), 3.5 + STORED)
        storage.save([SavedOrganization(name, {}, spend) for name in ("bolt", "cora")], [])
        storage.read()
        assert storage.days("acme", 0, 100_000) == {}
        assert storage.closed_answer("acme", FIRST) is None
        assert storage.closed_answer("bolt", FIRST) == b"usage"


def test_a_clock_that_leapt_for_a_while_forgets_nobody(folder: Path) -> None:
    """The day of one organization's last answer does not say what day it is."""
    with closing(departed(folder)) as storage:
        storage.save([SavedOrganization("bolt", {}, noted(with_days(2.5), 30_000.0))], [])
        storage.read()
        assert len(storage.days("acme", 0, 100_000)) == 3


@pytest.mark.parametrize("day", [0, -5, None, "x", 2**60])
def test_when_an_organization_left_its_own_days_say(folder: Path, day: object) -> None:
    """What is noted of it has no checksum."""
    departed(folder).close()
    damage(folder, "UPDATE departed SET day = ?", day)
    with closing(Storage(folder)) as storage:
        storage.read()
        assert len(storage.days("acme", 0, 100_000)) == 3


def test_a_full_disk_keeps_nothing_from_being_read(folder: Path) -> None:
    """Though there is something to write when it is: that is done without."""
    names = [f"o{number}" for number in range(200)]
    store(folder, *(SavedOrganization(name, {}, with_days(2.5)) for name in names))
    damage(folder, "DELETE FROM closed")
    with closing(Storage(folder)) as storage:
        storage.days("acme", 0, 1)
        database = storage._database._connection
        assert database is not None
        database.execute("VACUUM")
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        assert storage.read().organizations.keys() == {*names}
        with pytest.raises(StorageError, match="full"):
            storage.save([SavedOrganization(f"{n}", {}, SPEND) for n in range(500)], [])
