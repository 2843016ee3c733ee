"""What survives a restart: the last good answers, the spend counters, the requests of the day.

An SQLite database in a folder of its own; docs/adr/0010-storage.md says why. Every function
here blocks and belongs in a thread. What is damaged is set aside, never guessed at.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import structlog

from exporter.model import FoundOrganization, SavedAnswer, SavedOrganization, Spend, Tally

log = structlog.get_logger(__name__)

FILE: Final = "exporter.db"
LOCK: Final = "lock"
OURS: Final = {FILE, f"{FILE}-wal", LOCK}
APPLICATION_ID: Final = 0x76626578  # "vbex": tells our file from any other SQLite file
# Python reads the error text and the schema of a damaged file as UTF-8, which they need not be.
DAMAGE: Final = (sqlite3.Error, UnicodeDecodeError)

# What each version of the file has beyond the one before, from version 1 on.
SCHEMA: Final = (
    """
CREATE TABLE answer (
    org_id TEXT, collector TEXT, message BLOB, received REAL, changed REAL,
    checksum INTEGER, PRIMARY KEY (org_id, collector)
) WITHOUT ROWID;
CREATE TABLE spend (org_id TEXT PRIMARY KEY, counters TEXT, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE requests (day TEXT PRIMARY KEY, reserved INTEGER) WITHOUT ROWID;
""",
    """
CREATE TABLE found (
    api_key_id TEXT, org_id TEXT, name TEXT, checksum INTEGER, PRIMARY KEY (api_key_id, org_id)
) WITHOUT ROWID;
""",
)
VERSION: Final = len(SCHEMA)  # a file with a higher one was written by a newer release


class StorageError(Exception):
    """Why nothing can be stored, in one line for people."""


class LockedError(StorageError):
    """The folder is in use by another process."""


class Reservation(NamedTuple):
    """Requests that may be made."""

    day: str  # that they are of, as 2026-11-23
    granted: int
    reserved: int  # of the whole day's, with these


class Storage:
    """An open storage folder, locked against every other process."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder and open the database, or a new one if the old one cannot be used.

        A database that cannot be opened now, as on a full disk, is tried again at each use.
        Raises LockedError, and StorageError if the folder itself cannot be used.
        """
        self._folder = folder
        self._turn = threading.Lock()  # the database is used by several threads, one at a time
        self._database: sqlite3.Connection | None = None
        self._closed = False
        try:
            _prepare(folder)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"cannot use the storage folder {folder}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise LockedError(
                f"the storage folder {folder} is in use by another process: "
                "give each its own --storage.path"
            ) from error
        try:
            self._open()
        except StorageError as error:
            log.error("the stored state cannot be read now, later it may", reason=str(error))

    def close(self) -> None:
        """Close the database and release the folder. What is still asked of it then fails."""
        with self._turn:
            self._closed = True
            if self._database is not None:
                self._database.close()
            os.close(self._lock)

    # --- Organizations ---

    def load(self) -> Mapping[str, SavedOrganization]:
        """Return what is stored, by organization id; rows that are damaged are left out."""
        answers: dict[str, dict[str, SavedAnswer]] = {}
        spends: dict[str, Spend] = {}
        damaged = 0
        with self._using() as database:
            for org_id, collector, *values, checksum in database.execute("SELECT * FROM answer"):
                if checksum == _checksum(org_id, collector, *values):
                    answers.setdefault(org_id, {})[collector] = SavedAnswer(*values)
                else:
                    damaged += 1
            for org_id, counters, checksum in database.execute("SELECT * FROM spend"):
                if checksum == _checksum(org_id, counters):
                    spends[org_id] = _spend(json.loads(counters))
                else:
                    damaged += 1
        if damaged:
            log.warning("damaged rows in storage are ignored", file=str(self._file), rows=damaged)
        return {
            org_id: SavedOrganization(org_id, answers.get(org_id, {}), spends.get(org_id))
            for org_id in answers.keys() | spends.keys()
        }

    def save(
        self,
        organizations: Iterable[SavedOrganization],
        removed: Iterable[str],
        found: Mapping[str, Iterable[FoundOrganization]] | None = None,
    ) -> None:
        """Forget some organizations, then replace what is stored of others: all or nothing.

        And replace what discovery found, if given. On disk when it returns. Raises StorageError.
        """
        answers, spends = [], []
        for saved in organizations:
            for collector, answer in saved.answers.items():
                row = (
                    saved.org_id,
                    collector,
                    answer.message,
                    answer.received,
                    answer.changed,
                )
                answers.append((*row, _checksum(*row)))
            if saved.spend is not None:
                counters = json.dumps(_plain(saved.spend))
                spends.append((saved.org_id, counters, _checksum(saved.org_id, counters)))
        gone = [(org_id,) for org_id in removed]
        with self._using() as database, database:
            database.executemany("DELETE FROM answer WHERE org_id = ?", gone)
            database.executemany("DELETE FROM spend WHERE org_id = ?", gone)
            database.executemany("REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)", answers)
            database.executemany("REPLACE INTO spend VALUES (?, ?, ?)", spends)
            if found is not None:
                rows = [(key, *each) for key, listed in found.items() for each in listed]
                database.execute("DELETE FROM found")
                database.executemany(
                    "INSERT INTO found VALUES (?, ?, ?, ?)",
                    [(*row, _checksum(*row)) for row in rows],
                )

    def load_found(self) -> Mapping[str, tuple[FoundOrganization, ...]]:
        """Return what discovery found, by the id of the key, in the order of ids.

        Rows that are damaged are left out.
        """
        found: dict[str, list[FoundOrganization]] = {}
        with self._using() as database:
            rows = database.execute("SELECT * FROM found ORDER BY api_key_id, org_id")
            for *values, checksum in rows:
                if checksum == _checksum(*values):
                    key_id, org_id, name = values
                    found.setdefault(key_id, []).append(FoundOrganization(org_id, name))
        return {key_id: tuple(organizations) for key_id, organizations in found.items()}

    # --- Requests ---

    def reserve(self, day: str, requests: int, limit: int) -> Reservation:
        """Reserve up to so many requests of a UTC day, of which there are `limit`.

        Reserved requests count as made, whatever becomes of the process. Raises StorageError.
        """
        with self._using() as database, database:
            row = database.execute("SELECT day, reserved FROM requests").fetchone()
            if row is not None and row[0] > day:
                day = row[0]  # the wall clock was set back: no day comes twice
            reserved: int = row[1] if row is not None and row[0] == day else 0
            granted = max(0, min(requests, limit - reserved))
            if granted:
                database.execute("DELETE FROM requests")
                database.execute("INSERT INTO requests VALUES (?, ?)", (day, reserved + granted))
        return Reservation(day, granted, reserved + granted)

    # --- The file ---

    @property
    def _file(self) -> Path:
        return self._folder / FILE

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give the database, opened anew if the last use found it damaged."""
        with self._turn:
            if self._closed:  # a thread that came too late: the file is good
                raise StorageError(f"{self._file} is closed")
            try:
                if self._database is None:
                    self._open()
                yield cast("sqlite3.Connection", self._database)
            except DAMAGE as error:
                if not isinstance(error, sqlite3.OperationalError):
                    self._set_aside(f"it is damaged ({error})")
                raise StorageError(f"cannot use {self._file}: {error}") from error

    def _open(self) -> None:
        """Open the database, or set aside what is there and make a new one."""
        try:
            reason = None
            try:
                self._database = self._connect()
                reason = _foreign(self._database)
                if reason is None:
                    _extend(self._database)
            except sqlite3.OperationalError:
                raise  # the disk, not the content
            except DAMAGE as error:
                reason = f"it is damaged ({error})"
            if reason is not None:
                self._set_aside(reason)
                self._database = self._connect()
        except (*DAMAGE, OSError) as error:
            if self._database is not None:
                self._database.close()
                self._database = None
            raise StorageError(f"cannot use {self._file}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        # SQLite would make it with whatever the umask leaves.
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # One thread at a time uses it, but not always the same.
        database = sqlite3.connect(self._file, timeout=0, check_same_thread=False)
        try:
            # Exclusive: no other process, hence no shared memory file. Full: what is
            # committed survives a power cut.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                _extend(database)
        except DAMAGE:
            database.close()
            raise
        return database

    def _set_aside(self, reason: str) -> None:
        """Rename the database, so that nothing of it is lost and a new one can begin."""
        if self._database is not None:
            self._database.close()
            self._database = None
        number = 1
        while (aside := self._folder / f"{FILE}.set-aside-{number}").exists():
            number += 1
        for suffix in ("", "-wal", "-shm"):
            part = self._folder / f"{FILE}{suffix}"
            if part.exists():
                part.rename(f"{aside}{suffix}")
        log.warning(
            "the stored state cannot be used, starting without it",
            file=str(self._file),
            reason=reason,
            set_aside_as=str(aside),
        )


def _prepare(folder: Path) -> None:
    """Make the folder for its owner only; warn of one that others can enter."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        mode = folder.stat().st_mode
        ours = folder.stat().st_uid == os.geteuid() and not mode & stat.S_ISVTX
        if mode & 0o077 and ours and {path.name for path in folder.iterdir()} <= OURS:
            folder.chmod(0o700)
        elif mode & 0o077:
            log.warning("others can enter the storage folder", folder=str(folder))


def _foreign(database: sqlite3.Connection) -> str | None:
    """Return why a database is none that this release can use, or None."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        return "it is the database of another program"
    if version > VERSION:
        return f"it was written by a newer release (version {version}, this one knows {VERSION})"
    tables = database.execute("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    made = "".join(SCHEMA[: max(0, version)]).split(";")[:-1]
    if [sql for (sql,) in tables] != [sql.strip() for sql in made]:
        return "it is damaged (its tables are not as they were made)"
    (check,) = database.execute("PRAGMA quick_check(1)").fetchone()
    return None if check == "ok" else f"it is damaged ({check})"


def _extend(database: sqlite3.Connection) -> None:
    """Give a database that is new, or was written by an older release, what it lacks."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    database.executescript(
        f"BEGIN; {''.join(SCHEMA[version:])} PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _checksum(*values: Any) -> int:
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def _plain(spend: Spend) -> Any:
    def tally(one: Tally) -> Any:
        return [one.spend, one.corrections, one.baseline]

    return {
        "period_start": spend.period_start,
        "month_to_date": tally(spend.month_to_date),
        "by_resource": {name: tally(one) for name, one in sorted(spend.by_resource.items())},
    }


def _spend(plain: Any) -> Spend:
    return Spend(
        plain["period_start"],
        Tally(*plain["month_to_date"]),
        {name: Tally(*one) for name, one in plain["by_resource"].items()},
    )
