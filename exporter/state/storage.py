"""What survives a restart: the last good answers, the spend counters, the requests of the day.

An SQLite database in a folder of its own; docs/adr/0010-storage.md says why. Every function
here blocks and belongs in a thread. What is damaged is set aside, never guessed at.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeGuard, TypeVar, cast

import structlog

from exporter.base.file_threads import FileThreads
from exporter.model import FoundOrganization, SavedAnswer, SavedOrganization, Spend
from exporter.state import rows
from exporter.state.messages import unpacked
from exporter.state.place import FILE, FileSystem, LockedError, Place, StorageError

__all__ = ["FILE", "LockedError", "Storage", "StorageError"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

DEADLINE: Final = 10.0  # seconds that anything may take; to read all of it, twice as many
FILE_SYSTEM: Final = FileSystem()
PLACES: Final = 4  # threads: one that writes, one that reserves requests, one that closes
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
TABLE: Final = re.compile(r"\s*CREATE TABLE [\"'`\[]?(\w+)", re.IGNORECASE | re.MULTILINE)
VERSION: Final = len(SCHEMA)  # a file with a higher one was written by a newer release
COUNT: Final = """
SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM spend) + (SELECT count(*) FROM found)
"""


class UnreadError(StorageError):
    """What is stored has to be read before anything is written over it."""


class Reservation(NamedTuple):
    """Requests that may be made."""

    day: str  # that they are of, as 2026-11-23
    granted: int
    reserved: int  # of the whole day's, with these


class Stored(NamedTuple):
    """What is stored."""

    organizations: Mapping[str, SavedOrganization]  # by id
    found: Mapping[str, tuple[FoundOrganization, ...]]  # by the id of the key, in order of ids
    opening: int  # of the database that it was read from
    complete: bool = True  # else whoever wrote it was killed, and may have known more


class Storage:
    """A storage folder, which is locked against every other process when it is used first.

    What cannot be opened now, as on a full disk or a share that is not there yet, is tried again
    at each use.
    """

    def __init__(
        self, folder: Path, *, deadline: float = DEADLINE, system: FileSystem = FILE_SYSTEM
    ) -> None:
        """Nothing is opened yet. `deadline` is for what is done in threads, in seconds."""
        self._place = Place(folder, system)
        self._threads = FileThreads(PLACES)
        self._deadline = deadline
        self._turn = threading.Lock()  # the database is used by several threads, one at a time
        self._database: sqlite3.Connection | None = None
        self._opening = 0  # counts the times that the database was opened
        self._complete = True  # what was there when it was opened
        self._copied = 0  # that of which there is a copy
        self._reserved: tuple[str, int] | None = None  # day and requests, of this process
        self._closed = False

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a method in a thread. Raises StorageError, also if the file system hangs."""
        deadline = self._deadline * (2 if function == self.read else 1)
        try:
            return await self._threads.run(deadline, None, function, *args)
        except TimeoutError as error:
            raise StorageError(f"{self._file} does not answer: {error}") from None
        except StorageError:
            raise
        except Exception as error:  # what it stores is not worth the process
            raise StorageError(f"cannot use {self._file}: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the database and release the folder. What is still asked of it then fails."""
        with self._turn:
            self._closed = True
            self._let_go()
            self._place.release()

    # --- Organizations ---

    def read(self) -> Stored:
        """Return what is stored; rows that are damaged are left out. Raises StorageError."""
        answers: dict[str, dict[str, SavedAnswer]] = {}
        spends: dict[str, Spend] = {}
        found: dict[str, list[FoundOrganization]] = {}
        with self._using() as database:
            good = 0
            for answer in filter(None, map(rows.answer, database.execute(rows.ANSWERS))):
                good += 1
                answers.setdefault(answer[0], {})[answer[1]] = answer[2]
            for spend in filter(None, map(rows.spend, database.execute(rows.SPENDS))):
                good += 1
                spends[spend[0]] = spend[1]
            for each in filter(None, map(rows.found, database.execute(rows.FOUND))):
                good += 1
                found.setdefault(each[0], []).append(each[1])
            (there,) = database.execute(COUNT).fetchone()
            opening = self._opening
        if there > good:
            count = there - good
            log.warning("damaged rows in storage are ignored", file=str(self._file), rows=count)
        organizations = {
            org_id: SavedOrganization(org_id, answers.get(org_id, {}), spends.get(org_id))
            for org_id in answers.keys() | spends.keys()
        }
        listed = {key: tuple(each) for key, each in found.items()}
        return Stored(organizations, listed, opening, self._complete)

    def save(
        self,
        organizations: Iterable[SavedOrganization],
        removed: Iterable[str],
        found: Mapping[str, Iterable[FoundOrganization]] | None = None,
        *,
        opening: int | None = None,
    ) -> None:
        """Forget some organizations, then replace what is stored of others: all or nothing.

        And replace what discovery found, if given. On disk when it returns. Raises
        UnreadError if the database is not the one of that opening, and StorageError.
        """
        organizations = list(organizations)
        spends = []
        for saved in organizations:
            if saved.spend is not None:
                counters = rows.counters(saved.spend)
                spends.append((saved.org_id, counters, rows.checksum(saved.org_id, counters)))
        gone = [(org_id,) for org_id in removed]
        with self._using() as database, database:
            if opening is not None and opening != self._opening:
                raise UnreadError(f"{self._file} is another one: it has to be read first")
            # Of those that are replaced, too: a collector may have been turned off.
            replaced = [(saved.org_id,) for saved in organizations]
            database.executemany("DELETE FROM answer WHERE org_id = ?", [*gone, *replaced])
            database.executemany("DELETE FROM spend WHERE org_id = ?", gone)
            database.executemany(
                "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?)", _answer_rows(organizations)
            )
            database.executemany("REPLACE INTO spend VALUES (?, ?, ?)", spends)
            if found is not None:
                listing = [(key, *each) for key, listed in found.items() for each in listed]
                database.execute("DELETE FROM found")
                database.executemany(
                    "INSERT INTO found VALUES (?, ?, ?, ?)",
                    [(*row, rows.checksum(*row)) for row in listing],
                )

    def copy_aside(self) -> None:
        """Keep what is stored now in a file of its own. Raises StorageError."""
        with self._using() as database:
            if self._copied == self._opening:  # by a thread that was not waited for
                return
            aside = self._aside()
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            try:
                with closing(sqlite3.connect(aside)) as copy:
                    database.backup(copy)
            except BaseException:
                aside.unlink()
                raise
            self._copied = self._opening
        log.warning(
            "what is stored is older than the counters of this process, which go on: it is kept",
            file=str(self._file),
            copied_to=str(aside),
        )

    # --- Requests ---

    def reserve(self, day: str, requests: int, limit: int) -> Reservation:
        """Reserve up to so many requests of a UTC day, of which there are `limit`.

        Reserved requests count as made, whatever becomes of the process. Raises StorageError.
        """
        with self._using() as database, database:
            known = rows.requests(database.execute(rows.REQUESTS))
            if self._reserved is not None:  # of a database that was lost since, perhaps
                own_day, own = self._reserved
                known[own_day] = max(own, known.get(own_day, 0))
            # No day comes twice when the wall clock is set back. But a day that is further ahead
            # than tomorrow never was: the clock stood wrong.
            day = max(day, *(each for each in known if each <= rows.day_after(day)), day)
            reserved = known.get(day, 0)
            granted = max(0, min(requests, limit - reserved))
            if granted:
                # What there is on the other side of a leap of the clock is kept: it may leap back.
                nearest = (
                    max((each for each in known if each < rows.day_after(day, -1)), default=day),
                    min((each for each in known if each > day), default=day),
                )
                kept = {each: known[each] for each in nearest if each != day}
                kept[day] = reserved + granted
                database.execute("DELETE FROM requests")
                database.executemany("INSERT INTO requests VALUES (?, ?)", kept.items())
            self._reserved = (day, reserved + granted)
        return Reservation(day, granted, reserved + granted)

    # --- The file ---

    @property
    def _file(self) -> Path:
        return self._place.file

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give the database: opened anew if it is another one, or was damaged at the last use.

        Raises StorageError.
        """
        with self._turn:
            if self._closed:  # a thread that came too late: the file is good
                raise StorageError(f"{self._file} is closed")
            try:
                if self._database is not None and not self._place.is_ours():
                    log.warning(
                        "the storage was removed, moved or replaced: creating it again",
                        file=str(self._file),
                    )
                    self._let_go()
                    self._place.release()
                # SQLite would notice when it needs a page that it does not remember.
                if self._database is not None and self._place.is_written_over():
                    self._set_aside("it is damaged (it was written over)")
                if self._database is None:
                    self._place.take()
                    self._open()
                yield cast("sqlite3.Connection", self._database)
                self._place.note_log()
            except (*DAMAGE, OSError) as error:
                self._failed(error)

    def _failed(self, error: Exception) -> NoReturn:
        """Put away what cannot be used any more, and raise StorageError."""
        if _is_of_the_disk(error):
            # Descriptors of a share that went away stay bad when it comes back.
            if error.sqlite_errorname.startswith("SQLITE_IOERR"):
                self._let_go()
        elif isinstance(error, DAMAGE):
            self._set_aside(f"it is damaged ({_words(error)})")
        raise StorageError(f"cannot use {self._file}: {_words(error)}") from error

    def _let_go(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            database.close()
        self._place.leave_file()

    def _open(self) -> None:
        """Open the database, or set aside what is there and make a new one."""
        reason = None
        try:
            try:
                self._complete = not self._place.has_log()
                self._database = self._connect()
                reason = _foreign(self._database)
                if reason is None:
                    _extend(self._database)
            except DAMAGE as error:
                if _is_of_the_disk(error):
                    raise
                reason = f"it is damaged ({_words(error)})"
            if reason is not None:
                self._set_aside(reason)
                self._database = self._connect()
        except Exception:
            self._let_go()
            raise
        self._opening += 1

    def _connect(self) -> sqlite3.Connection:
        self._place.make_file()
        # One thread at a time uses it, but not always the same. Where there are no locks, SQLite
        # has to do without, too.
        uri = f"{self._file.absolute().as_uri()}{'' if self._place.has_locks else '?vfs=unix-none'}"
        database = sqlite3.connect(uri, uri=True, timeout=0, check_same_thread=False)
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

    def _aside(self) -> Path:
        """Return a name that nothing has."""
        number = 1
        while (aside := self._place.folder / f"{FILE}.set-aside-{number}").exists():
            number += 1
        return aside

    def _set_aside(self, reason: str) -> None:
        """Rename the database, so that nothing of it is lost and a new one can begin.

        Raises StorageError, as of a disk that is read-only by now.
        """
        self._let_go()
        try:
            aside = self._aside()
            for suffix in ("", "-wal", "-shm"):
                part = self._place.folder / f"{FILE}{suffix}"
                if part.exists():
                    self._place.system.rename(part, Path(f"{aside}{suffix}"))
        except OSError as error:
            raise StorageError(
                f"cannot use {self._file}: {reason}, and cannot be set aside: {_words(error)}"
            ) from error
        log.warning(
            "the stored state cannot be used, starting without it",
            file=str(self._file),
            reason=reason,
            set_aside_as=str(aside),
        )


def _is_of_the_disk(error: Exception) -> TypeGuard[sqlite3.OperationalError]:
    """Tell whether SQLite could not read or write, whatever is in the file."""
    # Of text that is no UTF-8, Python itself makes an OperationalError, which has no name.
    return isinstance(error, sqlite3.OperationalError) and hasattr(error, "sqlite_errorname")


def _words(error: Exception) -> str:
    """Return what an error says, unless it could repeat what is stored."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if hasattr(error, "sqlite_errorname") else type(error).__name__


def _foreign(database: sqlite3.Connection) -> str | None:
    """Return why a database is none that this release can use, or None."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        return "it is the database of another program"
    if version > VERSION:
        return f"it was written by a newer release (version {version}, this one knows {VERSION})"
    if database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]:
        return "it has triggers, which change what is written"
    # Others may be there, such as ANALYZE makes, but none that has the name of one of ours.
    tables = database.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")
    there = {sql for (sql,) in tables if sql}
    made = {sql.strip() for sql in "".join(SCHEMA[: max(0, version)]).split(";")[:-1]}
    names = {match[1] for sql in there - made if (match := TABLE.match(sql))}
    if made - there or names & set(TABLE.findall("".join(SCHEMA))):
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


def _answer_rows(organizations: Iterable[SavedOrganization]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of what is to be stored, one at a time: messages can be long."""
    for saved in organizations:
        for collector, answer in saved.answers.items():
            message = unpacked(answer.message)
            row = (saved.org_id, collector, message, answer.received, answer.changed)
            yield (*row, rows.checksum(*row))
