"""What survives a restart, and what a bad disk or a bad file does."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import (
    SavedAnswer,
    SavedOrganization,
    Spend,
    Tally,
)
from exporter.state.messages import packed
from exporter.state.rows import MAX_TIME
from exporter.state.schema import APPLICATION_ID, VERSION
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
    assert [entry["event"] for entry in logs] == ["other users can enter the storage folder"]


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


def test_a_truncated_file_is_set_aside_and_its_beginning_goes_on(folder: Path) -> None:
    """As after a disk that lost its end."""
    whole = {f"o{n}": SavedOrganization(f"o{n}", {"usage": ANSWER}, SPEND) for n in range(500)}
    store(folder, *whole.values())
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    with capture_logs() as logs:
        found = stored(folder)
    assert found
    assert all(saved.answers == whole[org_id].answers for org_id, saved in found.items())
    assert all(saved.spend is None or saved.spend == SPEND for saved in found.values())
    assert (folder / f"{FILE}.set-aside-1").exists()
    assert [each["event"] for each in logs[:2]] == [
        "stored data cannot be used: the file was set aside",
        "recovered readable data from the file that was set aside",
    ]


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
    database = storage._database._connection
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
