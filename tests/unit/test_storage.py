"""What survives a restart, and what a bad disk or a bad file does."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import (
    ClosedPeriod,
    ClosedPeriods,
    SavedAnswer,
    SavedOrganization,
    Spend,
    Tally,
)
from exporter.state import rows
from exporter.state.day_rows import records
from exporter.state.ledger import IN_MEMORY, STORED, between, note
from exporter.state.messages import packed
from exporter.state.rows import MAX_TIME
from exporter.state.schema import APPLICATION_ID, VERSION
from exporter.state.spend import Change, Step, unchanged
from exporter.state.storage import FILE, LockedError, Reservation, Storage, StorageError

ANSWER = SavedAnswer(b"message", 1_000.5, 900.25)
SPEND = Spend(5.0, Tally(1.5, 0.1, 7.0), {"per_machine": Tally(0.1, 0.2, None)})
ACME = SavedOrganization("acme", {"usage": ANSWER, "invoices": ANSWER}, SPEND)
BOLT = SavedOrganization("bolt", {"usage": ANSWER}, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "state"


def stored(folder: Path) -> dict[str, SavedOrganization]:
    """Return what a new process finds."""
    storage = Storage(folder)
    found = dict(storage.read().organizations)
    storage.close()
    return found


def store(folder: Path, *organizations: SavedOrganization) -> None:
    """Store as one process, and end."""
    storage = Storage(folder)
    storage.save(organizations, [])
    storage.close()


FIRST = 20_000 * 86_400.0


def with_days(days: float, kept: int = IN_MEMORY) -> Spend:
    """Return counters with so many days, and a period that has ended."""
    closed = ClosedPeriods().plus(ClosedPeriod(None, FIRST, 12.5, FIRST - 60.0), b"usage")
    spend = replace(SPEND, period_start=FIRST, closed=closed)
    until = FIRST + days * 86_400.0
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
    assert storage.days("acme", 20_001, 30_000) == dict([*records(spend.ledger.days)][1:])
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
def test_days_go_on_when_an_older_release_ran_meanwhile(folder: Path, head: object) -> None:
    """It counts and keeps no days: those since the last that is kept are unknown, others stay."""
    spend = with_days(2.5)
    answer = SavedAnswer(b"", FIRST + 5 * 86_400.0, 1.0)
    store(folder, SavedOrganization("acme", {"usage": answer}, spend))
    with closing(sqlite3.connect(folder / FILE)) as database:
        (text,) = database.execute("SELECT counters FROM spend").fetchone()
    text = json.dumps(json.loads(text) | {"ledger": head})
    damage(folder, "UPDATE spend SET counters = ?, checksum = ?", text, rows.checksum("acme", text))
    again = stored(folder)["acme"].spend
    assert again is not None
    assert again.ledger is not None
    assert again.ledger.windows.answered == 20_005
    unknown = {n for n, day in between(again.ledger, 0, 30_000).items() if day.is_unknown}
    assert unknown == {20_002, 20_003, 20_004, 20_005}
    assert again.closed == spend.closed


def test_the_release_before_reads_what_is_stored(folder: Path) -> None:
    """It checks for its own tables, and finds the period that ended last under its name."""
    store(folder, SavedOrganization("acme", {"usage": ANSWER}, with_days(2.5)))
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
            ledger=note(spend.ledger, step, FIRST + (number + 0.5) * 86_400, STORED),
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


def test_days_stay_when_an_organization_leaves_until_all_would_be_too_old(folder: Path) -> None:
    """They can follow it to another shard; a mistake in the configuration costs none."""
    spend = with_days(2.5)
    storage = Storage(folder)
    storage.save([SavedOrganization("acme", {}, spend), SavedOrganization("bolt", {}, spend)], [])
    storage.save([], ["acme"])
    storage.read()
    assert len(storage.days("acme", 0, 100_000)) == 3
    later = FIRST + (3.5 + STORED) * 86_400
    spend = replace(spend, ledger=note(spend.ledger, unchanged(spend), later, STORED))
    storage.save([SavedOrganization("bolt", {}, spend)], [])
    storage.read()
    assert storage.days("acme", 0, 100_000) == {}
    assert storage.closed_answer("acme", FIRST) is None
    assert storage.closed_answer("bolt", FIRST) == b"usage"
    storage.close()


def test_what_is_stored_comes_back(folder: Path) -> None:
    """To the bit, and only what was stored."""
    assert stored(folder) == {}
    store(folder, ACME, BOLT)
    assert stored(folder) == {"acme": ACME, "bolt": BOLT}


def test_a_change_replaces_one_organization_and_another_is_forgotten(folder: Path) -> None:
    """The rest is left as it is."""
    store(folder, ACME, BOLT)
    changed = SavedOrganization("bolt", {"usage": SavedAnswer(b"new", 2.0, 2.0)}, SPEND)
    storage = Storage(folder)
    storage.save([changed], ["acme"])
    storage.close()
    assert stored(folder) == {"bolt": changed}


def test_an_answer_that_is_no_longer_kept_is_gone(folder: Path) -> None:
    """As that of a collector that was turned off: at a restart it would be back."""
    store(folder, ACME, BOLT)
    less = SavedOrganization(ACME.org_id, {}, ACME.spend)
    storage = Storage(folder)
    storage.save([less], [])
    storage.close()
    assert stored(folder) == {ACME.org_id: less, BOLT.org_id: BOLT}


@given(
    st.text(),
    st.binary(),
    st.floats(0.0, MAX_TIME, exclude_max=True),
    st.floats(0.0, allow_infinity=False, allow_nan=False),
)
def test_any_id_message_and_amount_comes_back(
    org_id: str, message: bytes, received: float, amount: float
) -> None:
    """Whatever it is made of."""
    spend = Spend(None, Tally(amount, 0.0, amount), {org_id: Tally(amount)})
    saved = SavedOrganization(org_id, {"usage": SavedAnswer(packed(message), received, 0.0)}, spend)
    with TemporaryDirectory() as folder:
        store(Path(folder), saved)
        assert stored(Path(folder)) == {org_id: saved}


def _database() -> bytes:
    """Return a database with some organizations, as a file."""
    with TemporaryDirectory() as folder:
        store(Path(folder), *(SavedOrganization(f"o{n}", ACME.answers, SPEND) for n in range(9)))
        return (Path(folder) / FILE).read_bytes()


DATABASE = _database()


@given(
    st.lists(st.tuples(st.integers(0, len(DATABASE) - 1), st.integers(0, 255)), max_size=20),
    st.integers(0, len(DATABASE)),
    st.binary(max_size=50),
)
@settings(max_examples=150, deadline=None)
def test_no_damage_gives_anything_but_good_rows_or_its_own_error(
    flips: list[tuple[int, int]], size: int, tail: bytes
) -> None:
    """Bytes flipped, the end cut off, rubbish behind it: what comes out went in, or less of it."""
    content = bytearray(DATABASE)
    for offset, byte in flips:
        content[offset] = byte
    with TemporaryDirectory() as folder, capture_logs():
        (Path(folder) / FILE).write_bytes(bytes(content[: size or None]) + tail)
        try:
            found = stored(Path(folder))
        except StorageError:
            return
    for org_id, saved in found.items():
        assert org_id in {f"o{n}" for n in range(9)}
        assert saved.spend is None or saved.spend == SPEND
        assert all(answer == ANSWER for answer in saved.answers.values())


def test_only_the_owner_can_read_it(folder: Path) -> None:
    """The folder is 0700 and each file in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        storage = Storage(folder)
        storage.save([ACME], [])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        storage.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3


def test_a_folder_of_ours_that_is_open_is_closed_and_one_of_others_is_left_alone(
    folder: Path, tmp_path: Path
) -> None:
    """What holds other files is somebody else's to decide about: there is a warning."""
    folder.mkdir(mode=0o755)
    stored(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "file").touch()
    with capture_logs() as logs:
        stored(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert [entry["event"] for entry in logs] == ["others can enter the storage folder"]


def test_a_second_process_is_refused(folder: Path) -> None:
    """Two would overwrite each other's counters."""
    first = Storage(folder)
    first.read()
    second = Storage(folder)
    with pytest.raises(LockedError, match=r"in use by another process: give each its own"):
        second.read()
    first.close()
    assert second.read().organizations == {}, "it is free"
    second.close()


@pytest.mark.parametrize("size", [0, 100, 4096, 100_000])
def test_a_damaged_file_is_set_aside(folder: Path, size: int) -> None:
    """With a warning, and nothing of it is lost; an empty one is just new."""
    folder.mkdir()
    (folder / FILE).write_bytes(b"\xa5" * size)
    with capture_logs() as logs:
        assert stored(folder) == {}
    aside = folder / f"{FILE}.set-aside-1"
    if size:
        assert aside.read_bytes() == b"\xa5" * size
        (entry,) = (e for e in logs if e["log_level"] == "warning")
        assert "damaged" in entry["reason"]
        assert entry["set_aside_as"] == str(aside)
    store(folder, ACME)
    assert stored(folder) == {"acme": ACME}


def test_a_truncated_file_is_set_aside(folder: Path) -> None:
    """As after a disk that lost its end."""
    store(folder, *(SavedOrganization(f"o{n}", {"usage": ANSWER}, SPEND) for n in range(500)))
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    assert stored(folder) == {}
    assert (folder / f"{FILE}.set-aside-1").exists()


def test_a_row_with_a_flipped_bit_is_left_out(folder: Path) -> None:
    """SQLite does not notice it; the checksum does, and the other rows are good."""
    store(folder, ACME, BOLT)
    database = sqlite3.connect(folder / FILE)
    with database:
        database.execute("UPDATE answer SET message = 'x' WHERE org_id = 'bolt'")
        database.execute("UPDATE spend SET counters = replace(counters, '1.5', '2.5')")
    database.close()
    with capture_logs() as logs:
        found = stored(folder)
    assert found == {"acme": SavedOrganization("acme", ACME.answers, None)}
    assert [entry["rows"] for entry in logs] == [2]


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [
        (f"user_version = {VERSION + 1}", "newer release"),
        (f"application_id = {APPLICATION_ID + 1}", "another program"),
    ],
)
def test_a_newer_or_foreign_file_is_set_aside(folder: Path, pragma: str, reason: str) -> None:
    """It is kept for the program that can read it."""
    store(folder, ACME)
    database = sqlite3.connect(folder / FILE)
    database.execute(f"PRAGMA {pragma}")
    database.close()
    with capture_logs() as logs:
        assert stored(folder) == {}
    assert reason in logs[0]["reason"]
    assert (folder / f"{FILE}.set-aside-1").exists()


def test_whoever_comes_after_the_end_damages_nothing(folder: Path) -> None:
    """A thread that was still waiting when the process stopped gets an error; the file is good."""
    storage = Storage(folder)
    storage.save([ACME], [])
    storage.close()
    for late in (storage.read, lambda: storage.reserve("2026-11-23", 1, limit=1)):
        with pytest.raises(StorageError, match="is closed"):
            late()
    assert stored(folder) == {"acme": ACME}
    assert not list(folder.glob("*set-aside*"))


def test_what_is_set_aside_is_never_overwritten(folder: Path) -> None:
    """Each has a number of its own."""
    for number in (1, 2, 3):
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(b"x" * number * 1000)
        stored(folder)
        assert (folder / f"{FILE}.set-aside-{number}").stat().st_size == number * 1000


def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    """A file in its place, for instance."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot use the storage folder"):
        Storage(tmp_path / "file" / "state").read()


def test_a_full_disk_fails_the_write_and_nothing_else(folder: Path) -> None:
    """What was stored stays, and writing works again when there is room."""
    storage = Storage(folder)
    storage.save([ACME], [])
    database = storage._database
    assert database is not None
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    answer = SavedAnswer(packed(b"x" * 1_000_000), 1.0, 1.0)
    large = SavedOrganization("bolt", {"usage": answer}, None)
    with pytest.raises(StorageError, match="full"):
        storage.save([large], ["acme"])
    assert dict(storage.read().organizations) == {"acme": ACME}
    database.execute("PRAGMA max_page_count = 1000000")
    storage.save([large], ["acme"])
    assert dict(storage.read().organizations) == {"bolt": large}
    storage.close()


def test_requests_are_reserved_up_to_the_limit_of_the_day(folder: Path) -> None:
    """By all processes that use the folder, one after another; a new day begins anew."""
    today, tomorrow = "2026-11-23", "2026-11-24"
    storage = Storage(folder)
    assert storage.reserve(today, 60, limit=100) == Reservation(today, 60, 60)
    storage.close()
    storage = Storage(folder)
    assert storage.reserve(today, 0, limit=100) == Reservation(today, 0, 60)
    assert storage.reserve(today, 60, limit=100) == Reservation(today, 40, 100)
    assert storage.reserve(today, 60, limit=100) == Reservation(today, 0, 100)
    assert storage.reserve(tomorrow, 60, limit=100) == Reservation(tomorrow, 60, 60)
    assert storage.reserve(tomorrow, 60, limit=50) == Reservation(tomorrow, 0, 60)
    storage.close()


def test_no_day_comes_twice(folder: Path) -> None:
    """Not even to a process that was started after the clock was set back."""
    storage = Storage(folder)
    storage.reserve("2026-11-24", 70, limit=100)
    storage.close()
    storage = Storage(folder)
    assert storage.reserve("2026-11-23", 70, limit=100) == Reservation("2026-11-24", 30, 100)
    storage.close()


def test_a_day_further_ahead_than_tomorrow_is_void(folder: Path) -> None:
    """The clock stood wrong; what was made on the right day before it leapt still counts."""
    storage = Storage(folder)
    assert storage.reserve("2026-11-23", 70, limit=100).granted == 70
    assert storage.reserve("2099-01-01", 60, limit=100).granted == 60
    assert storage.reserve("2099-01-01", 60, limit=100).granted == 40
    storage.close()
    storage = Storage(folder)
    assert storage.reserve("2026-11-23", 70, limit=100) == Reservation("2026-11-23", 30, 100)
    assert storage.reserve("1970-01-01", 70, limit=100) == Reservation("1970-01-01", 70, 70)
    storage.close()
    storage = Storage(folder)
    assert storage.reserve("2026-11-23", 70, limit=100).granted == 0, "a clock that came up late"
    assert storage.reserve("2026-11-24", 70, limit=100).granted == 70
    storage.close()


@pytest.mark.parametrize(
    ("day", "reserved"),
    [
        ("zzzz", 1),
        ("9999-99-99", 1),
        ("2026-11-23", -50),
        ("2026-11-23", "many"),
        ("2026-11-23", 1.5),
        (b"2026-11-23", 1),
        ("2026-11-23" + "0" * 100, 1),
    ],
)
def test_a_damaged_count_of_requests_is_none(folder: Path, day: object, reserved: object) -> None:
    """It neither stops requests for ever nor allows more of them."""
    stored(folder)
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute("INSERT INTO requests VALUES (?, ?)", (day, reserved))
    storage = Storage(folder)
    assert storage.reserve("2026-11-23", 60, limit=100) == Reservation("2026-11-23", 60, 60)
    assert storage.reserve("2026-11-23", 60, limit=100) == Reservation("2026-11-23", 40, 100)
    storage.close()
