"""What rows of any shape, odd file systems, and a folder that goes away do to the storage."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from errno import ENOLCK, EPERM, EROFS
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import FoundOrganization, SavedAnswer, SavedOrganization, Spend, Tally
from exporter.state import rows
from exporter.state.messages import packed
from exporter.state.place import FILE, FileSystem
from exporter.state.storage import Storage, StorageError, Stored, UnreadError

SPEND = Spend(5.0, Tally(1.5, 0.1, 7.0), {"per_machine": Tally(0.1, 0.2, None)})
ACME = SavedOrganization("acme", {"usage": SavedAnswer(b"message", 1_000.5, 900.25)}, SPEND)
FOUND = {"key": (FoundOrganization("acme", "Acme"),)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a storage with something in it."""
    with closing(Storage(tmp_path / "state")) as storage:
        storage.save([ACME], [], FOUND)
    return tmp_path / "state"


def read(folder: Path) -> Stored:
    """Return what a new process finds."""
    with closing(Storage(folder)) as storage:
        return storage.read()


def insert(folder: Path, table: str, *values: Any) -> None:
    """Add a row whose checksum is right."""
    checksum = zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))
    marks = ", ".join("?" for _ in range(len(values) + 1))
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(f"INSERT INTO {table} VALUES ({marks})", (*values, checksum))  # noqa: S608


def counters(**other: Any) -> str:
    """Return spend counters as JSON, with some of it replaced."""
    plain = {"period_start": 5.0, "month_to_date": [1.0, 0.0, 7.0], "by_resource": {}}
    return json.dumps({**plain, **other})


HUGE = 200 * 1024 * 1024
DAMAGED: list[tuple[Any, ...]] = [
    ("answer", "bolt", "usage", "text", 1.0, 1.0),
    ("answer", "bolt", "usage", 5, 1.0, 1.0),
    ("answer", "bolt", "usage", b"", "yesterday", 1.0),
    ("answer", "bolt", "usage", b"", 1.0, None),
    ("answer", "bolt", "usage", b"", float("inf"), 1.0),
    ("answer", "bolt", "usage", b"", 1.0, 1e300),
    ("answer", "bolt", "usage", b"", -1.0, 1.0),
    ("answer", b"bolt", "usage", b"", 1.0, 1.0),
    ("answer", "bolt", b"\xff", b"", 1.0, 1.0),
    ("answer", "b" * 5000, "usage", b"", 1.0, 1.0),
    ("answer", "b\0" + "b" * 5000, "usage", b"", 1.0, 1.0),
    ("answer", "bolt", "usage", bytes(rows.MAX_MESSAGE + 1), 1.0, 1.0),
    ("spend", "bolt", "[]"),
    ("spend", "bolt", "null"),
    ("spend", "bolt", "{}"),
    ("spend", "bolt", "no JSON"),
    ("spend", "bolt", "[" * 100_000),
    ("spend", "bolt", b"{}"),
    ("spend", "bolt", counters(period_start="today")),
    ("spend", "bolt", counters(period_start=True)),
    ("spend", "bolt", counters(period_start=float("nan"))),
    ("spend", "bolt", counters(month_to_date=[1.0, 0.0])),
    ("spend", "bolt", counters(month_to_date=[1.0, 0.0, 0.0, 0.0])),
    ("spend", "bolt", counters(month_to_date=["1", 0.0, 7.0])),
    ("spend", "bolt", counters(month_to_date=[float("inf"), 0.0, 7.0])),
    ("spend", "bolt", counters(month_to_date=[-1.0, 0.0, 7.0])),
    ("spend", "bolt", counters(month_to_date=[1.0, 0.0, 10**400])),
    ("spend", "bolt", counters(month_to_date=7.0)),
    ("spend", "bolt", counters(by_resource=[])),
    ("spend", "bolt", counters(by_resource={"\ud800": [0, 0, 0]})),
    ("spend", "bolt", counters(by_resource={"a": None})),
    ("spend", "bolt", counters(by_resource={f"{n}": [0, 0, 0] for n in range(2000)})),
    ("found", "other", "bolt", b"Bolt"),
    ("found", "other", "b" * 5000, "Bolt"),
    ("found", "other", b"bolt", "Bolt"),
]


@pytest.mark.parametrize("row", DAMAGED, ids=range(len(DAMAGED)))
def test_a_row_of_a_wrong_shape_is_left_out(folder: Path, row: tuple[Any, ...]) -> None:
    """Though its checksum is right; it is told as damaged, and the others are good."""
    insert(folder, *row)
    with capture_logs() as logs:
        stored = read(folder)
    assert stored[:2] == ({"acme": ACME}, FOUND)
    assert [(each["event"], each["rows"]) for each in logs] == [
        ("ignoring damaged rows in storage", 1)
    ]


@pytest.mark.parametrize("kind", ["BLOB", "TEXT"])
def test_a_huge_row_is_not_loaded(folder: Path, kind: str) -> None:
    """Its size is looked at where it is: two hundred megabytes never get into this process."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(
            "INSERT INTO answer VALUES ('b', 'usage', zeroblob(?), 1.0, 1.0, 0)", (HUGE,)
        )
        if kind == "TEXT":
            database.execute("UPDATE answer SET message = CAST(message AS TEXT) WHERE org_id = 'b'")
    with capture_logs() as logs:
        assert read(folder).organizations == {"acme": ACME}
    assert [each["rows"] for each in logs] == [1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_counters_of_any_shape_are_good_or_none(
    started: object, month: object, by_resource: object
) -> None:
    """Whatever is stored with a right checksum."""
    text = json.dumps({"period_start": started, "month_to_date": month, "by_resource": by_resource})
    row = (b"bolt", text.encode(), rows.checksum("bolt", text))
    found = rows.spend(row)
    assert found is None or json.loads(rows.counters(found[1])) == json.loads(text)


# --- What the file system cannot do ---


def test_only_a_lock_that_is_held_means_another_process(folder: Path) -> None:
    """A file system without locks is told once, and the storage goes on without."""

    class Unlockable(FileSystem):
        def lock(self, descriptor: int) -> None:
            raise OSError(ENOLCK, f"no locks for {descriptor}")

    with capture_logs() as logs, closing(Storage(folder, system=Unlockable())) as storage:
        assert storage.read().organizations == {"acme": ACME}
        storage.save([], ["acme"])
        (folder / "lock").unlink()  # it takes the folder again, and does not say it twice
        assert storage.read().organizations == {}
    told = [each["event"] for each in logs if "lock" in each["event"]]
    assert told == ["cannot lock the storage folder: make sure that no other process uses it"]
    with (folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="in use by another process"):
            read(folder)


def test_a_file_system_that_locks_only_whole_files_keeps_other_exporters_out(folder: Path) -> None:
    """SQLite, which locks parts of files, goes on without locks."""

    class WholeFiles(FileSystem):
        def lock_range(self, descriptor: int) -> None:
            raise OSError(ENOLCK, f"no locks for {descriptor}")

    with capture_logs() as logs, closing(Storage(folder, system=WholeFiles())) as storage:
        assert storage.read().organizations == {"acme": ACME}
        storage.save([], ["acme"])
        with pytest.raises(StorageError, match="in use by another process"):
            read(folder)
        with closing(sqlite3.connect(folder / FILE)) as other:  # SQLite has no lock on it
            assert other.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    told = [each["event"] for each in logs if "lock" in each["event"]]
    assert told == ["cannot lock the database: make sure that no other program opens it"]


def test_a_mode_that_cannot_be_set_is_told_and_nothing_more(folder: Path) -> None:
    """As on mounted volumes whose files all belong to everybody."""

    class Fixed(FileSystem):
        def close_to_others(self, folder: Path) -> None:
            raise PermissionError(EPERM, f"not {folder}")

    folder.chmod(0o755)
    with capture_logs() as logs, closing(Storage(folder, system=Fixed())) as storage:
        assert storage.read().organizations == {"acme": ACME}
        storage.save([], ["acme"])
    assert [each["event"] for each in logs] == ["cannot restrict access to the storage folder"]


# --- What happens to it while it is open ---


def removed(folder: Path) -> None:
    """Remove the folder and all that is in it."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def moved(folder: Path) -> None:
    """Give the folder another name."""
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder: Path) -> None:
    """Put another folder in its place, in which there is nothing."""
    moved(folder)
    folder.mkdir()


def file_removed(folder: Path) -> None:
    """Remove the database only."""
    (folder / FILE).unlink()


def lock_removed(folder: Path) -> None:
    """Remove the lock only, so that another process could take the folder."""
    (folder / "lock").unlink()


def log_removed(folder: Path) -> None:
    """Remove what SQLite has written ahead."""
    (folder / f"{FILE}-wal").unlink()


def log_replaced(folder: Path) -> None:
    """Put another file in its place."""
    log_removed(folder)
    (folder / f"{FILE}-wal").write_bytes(bytes(100_000))


def log_cut(folder: Path) -> None:
    """Empty it."""
    (folder / f"{FILE}-wal").write_bytes(b"")


def log_written_over(folder: Path) -> None:
    """Write something else over its beginning."""
    with (folder / f"{FILE}-wal").open("r+b") as log:
        log.write(b"\xa5" * 64)


@pytest.mark.parametrize("happen", [log_removed, log_replaced, log_cut, log_written_over])
def test_a_log_that_goes_away_is_noticed_at_the_next_write(
    folder: Path, happen: Callable[[Path], None]
) -> None:
    """It has most of what was stored of late: a crash would lose it, though all seemed well."""
    with closing(Storage(folder)) as storage:
        opening = storage.read().opening
        storage.save([ACME], [], opening=opening)
        happen(folder)
        with capture_logs() as logs, pytest.raises(UnreadError):
            storage.save([ACME], [], opening=opening)
        assert logs[0]["event"] == "storage was removed, moved or replaced: recreating it"
        stored = storage.read()
        storage.save([ACME], [], opening=stored.opening)
    assert read(folder).organizations == {"acme": ACME}


def test_tables_of_others_are_left_alone(folder: Path) -> None:
    """As those that ANALYZE makes. But a trigger would change what is written."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.executescript("ANALYZE; CREATE TABLE notes (text); CREATE INDEX i ON notes (text)")
    with capture_logs() as logs:
        assert read(folder).organizations == {"acme": ACME}
    assert logs == []
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON spend BEGIN DELETE FROM spend; END")
    with capture_logs() as logs:
        assert read(folder).organizations == {"acme": ACME}
    assert logs[0]["reason"] == "it has triggers, which change what is written"
    assert read(folder).organizations == {"acme": ACME}


@pytest.mark.parametrize("happen", [removed, moved, replaced, file_removed])
def test_a_folder_that_goes_away_is_made_again(
    folder: Path, happen: Callable[[Path], None]
) -> None:
    """It is noticed at the next write, which says that all has to be written again."""
    with closing(Storage(folder)) as storage:
        opening = storage.read().opening
        storage.reserve("2026-11-23", 60, limit=100)
        happen(folder)
        with capture_logs() as logs, pytest.raises(UnreadError):
            storage.save([ACME], [], opening=opening)
        assert [each["event"] for each in logs] == [
            "storage was removed, moved or replaced: recreating it"
        ]
        stored = storage.read()
        assert stored.organizations == {}
        storage.save([ACME], [], opening=stored.opening)
        granted = storage.reserve("2026-11-23", 60, limit=100).granted
        assert granted == 40, "the requests of the day are not forgotten"
    assert read(folder).organizations == {"acme": ACME}


def test_a_lock_that_goes_away_is_taken_again(folder: Path) -> None:
    """Or two processes would have the folder."""
    with closing(Storage(folder)) as storage:
        storage.read()
        lock_removed(folder)
        storage.read()
        with pytest.raises(StorageError, match="in use by another process"):
            read(folder)


def test_what_took_its_place_loses_nothing(folder: Path, tmp_path: Path) -> None:
    """A database that was put there is read, with what of it was not yet in its file."""
    other = tmp_path / "other"
    bolt = SavedOrganization("bolt", {}, SPEND)
    with closing(Storage(folder)) as storage, closing(Storage(other)) as second:
        storage.read()
        second.save([bolt], [])
        moved(folder)
        folder.mkdir()
        for path in other.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        assert storage.read().organizations == {"bolt": bolt}
        for _ in range(3):  # again when a first one was not waited for
            storage.copy_aside()
    assert len(list(folder.glob("*set-aside*"))) == 1
    with closing(sqlite3.connect(folder / f"{FILE}.set-aside-1")) as copy:
        assert copy.execute("SELECT org_id FROM spend").fetchall() == [("bolt",)]


@pytest.mark.parametrize("content", [b"", b"\xa5" * 100_000])
def test_a_file_that_is_written_over_while_it_is_open_is_set_aside(
    folder: Path, content: bytes
) -> None:
    """Though SQLite remembers all of a small one, and would notice at the next start only."""
    with closing(Storage(folder)) as storage:
        opening = storage.read().opening
        (folder / FILE).write_bytes(content)
        with capture_logs() as logs, pytest.raises(UnreadError):
            storage.save([ACME], [], opening=opening)
        assert [each["reason"] for each in logs] == ["it is damaged (it was overwritten)"]
        stored = storage.read()
        assert stored.organizations == {}
        storage.save([ACME], [], opening=stored.opening)
    assert read(folder).organizations == {"acme": ACME}


def test_damage_that_cannot_be_set_aside_costs_persistence_only(folder: Path) -> None:
    """As on a disk that became read-only: each use fails with its own error, and can again."""

    class ReadOnly(FileSystem):
        mended = False

        def rename(self, file: Path, to: Path) -> None:
            if not self.mended:
                raise OSError(EROFS, "it is read-only")
            super().rename(file, to)

    large = SavedAnswer(
        packed(b"x" * rows.MAX_MESSAGE), 1.0, 1.0
    )  # more than SQLite keeps in memory
    with closing(Storage(folder)) as storage:
        storage.save([SavedOrganization("bolt", {"usage": large, "invoices": large}, None)], [])
    system = ReadOnly()
    with closing(Storage(folder, system=system)) as storage:
        assert storage.read().organizations.keys() == {"acme", "bolt"}
        (folder / FILE).write_bytes(b"\xa5" * (folder / FILE).stat().st_size)
        for _ in range(3):
            with pytest.raises(StorageError, match="cannot be set aside: it is read-only"):
                storage.read()
        system.mended = True
        with capture_logs():
            assert storage.read().organizations == {}


def test_whatever_is_raised_while_it_is_used_is_its_own_error(folder: Path) -> None:
    """So that no bug in storing ends what polls and serves."""

    async def use(storage: Storage) -> None:
        with pytest.raises(StorageError, match="AttributeError"):
            await storage.in_thread(storage.save, [None], [])
        assert (await storage.in_thread(storage.read)).organizations == {"acme": ACME}

    with closing(Storage(folder)) as storage:
        asyncio.run(use(storage))
