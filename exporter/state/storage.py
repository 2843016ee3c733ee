"""What survives a restart: the last good answers, the spend counters, the requests of the day.

An SQLite database in a folder of its own; docs/adr/0010-storage.md says why. Every function
here blocks and belongs in a thread. What is damaged is set aside, never guessed at.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeGuard, TypeVar, cast

import structlog

from exporter.base.file_threads import FileThreads
from exporter.model import (
    ClosedPeriods,
    FoundOrganization,
    Ledger,
    SavedAnswer,
    SavedOrganization,
    Spend,
)
from exporter.state import rows
from exporter.state.ledger import IN_MEMORY, STORED, changed, day_of
from exporter.state.messages import unpacked
from exporter.state.place import FILE, FileSystem, LockedError, Place, StorageError
from exporter.state.schema import extend, foreign

__all__ = ["FILE", "LockedError", "Storage", "StorageError"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

DEADLINE: Final = 10.0  # seconds that anything may take; to read all of it, twice as many
LOCKED: Final = 5.0  # seconds for another process to let go of the folder
LOOK: Final = 0.1  # seconds between two looks
FILE_SYSTEM: Final = FileSystem()
PLACES: Final = 4  # threads: one that writes, one that reserves requests, one that closes
# Python reads the error text and the schema of a damaged file as UTF-8, which they need not be.
DAMAGE: Final = (sqlite3.Error, UnicodeDecodeError)

COUNT: Final = """
SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM spend) + (SELECT count(*) FROM found)
    + (SELECT count(*) FROM closed)
"""
# Days that may be there: a clock that was ahead left some that are to come.
MOST_DAYS: Final = STORED + 1 + IN_MEMORY
FORGET_DAYS: Final = """
DELETE FROM day WHERE org_id = ?1
AND day < (SELECT day FROM day WHERE org_id = ?1 ORDER BY day DESC LIMIT 1 OFFSET ?2)
"""
FORGET_CLOSED: Final = """
DELETE FROM closed WHERE org_id = ?1 AND ended <
(SELECT ended FROM closed WHERE org_id = ?1 ORDER BY ended DESC LIMIT 1 OFFSET ?2)
"""
FORGET_ANSWERS: Final = """
DELETE FROM closed_answer WHERE org_id = ?1
AND ended < (SELECT min(ended) FROM closed WHERE org_id = ?1)
"""
DEPART: Final = """
INSERT OR REPLACE INTO departed
SELECT ?1, max(day) FROM day WHERE org_id = ?1 HAVING max(day) IS NOT NULL
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

    async def read_when_free(self) -> Stored:
        """Read in a thread, as soon as no other process has the folder.

        A command that copies it lets go soon. Another exporter does not: raises LockedError after
        five seconds, and StorageError.
        """
        loop = asyncio.get_running_loop()
        until, told = loop.time() + LOCKED, False
        while True:
            try:
                return await self.in_thread(self.read)
            except LockedError:
                if loop.time() >= until:
                    raise
            if not told:
                told = True
                log.info("another process has the storage: waiting for it", seconds=LOCKED)
            await asyncio.sleep(LOOK)

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
        heads: dict[str, rows.Head | None] = {}
        closed: dict[str, ClosedPeriods] = {}
        found: dict[str, list[FoundOrganization]] = {}
        with self._using() as database:
            good = 0
            for answer in filter(None, map(rows.answer, database.execute(rows.ANSWERS))):
                good += 1
                answers.setdefault(answer[0], {})[answer[1]] = answer[2]
            for org_id, period in filter(None, map(rows.closed, database.execute(rows.CLOSED))):
                good += 1
                closed[org_id] = closed.get(org_id, ClosedPeriods()).plus(period)
            for spend in filter(None, map(rows.spend, database.execute(rows.SPENDS))):
                good += 1
                spends[spend[0]], heads[spend[0]] = spend[1:]
            for key, organization in filter(None, map(rows.found, database.execute(rows.FOUND))):
                good += 1
                found.setdefault(key, []).append(organization)
            (there,) = database.execute(COUNT).fetchone()
            for org_id, each in spends.items():
                usage = answers.get(org_id, {}).get("usage")
                spends[org_id] = replace(
                    each,
                    ledger=_ledger(database, org_id, heads[org_id], usage),
                    closed=closed.get(org_id, ClosedPeriods()),
                )
            _forget_departed(database, [head for head in heads.values() if head is not None])
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

    def days(self, org_id: str, first: int, until: int) -> Mapping[int, bytes]:
        """Return the rows of an organization's days, by number. Raises StorageError."""
        with self._using() as database:
            return rows.days(org_id, database.execute(rows.DAYS_BETWEEN, (org_id, first, until)))

    def closed_answer(self, org_id: str, ended: float) -> bytes | None:
        """Return the last good usage answer of a period that ended then, as a serialized message.

        None if there is none. Raises StorageError.
        """
        with self._using() as database:
            row = database.execute(rows.CLOSED_ANSWER, (org_id, ended)).fetchone()
        if row is None or row[1] != rows.checksum(org_id, ended, row[0]):
            return None
        return cast("bytes", row[0])

    def save(
        self,
        organizations: Iterable[SavedOrganization],
        removed: Iterable[str],
        found: Mapping[str, Iterable[FoundOrganization]] | None = None,
        *,
        before: Mapping[str, SavedOrganization] = MappingProxyType({}),
        opening: int | None = None,
    ) -> None:
        """Forget some organizations, then replace what is stored of others: all or nothing.

        And replace what discovery found, if given. Days and closed periods are added to those that
        are there, and stay when their organization leaves. `before` is what is there as it is, and
        needs no writing. On disk when it returns. Raises UnreadError if the database is not the
        one of that opening, and StorageError.
        """
        organizations = list(organizations)
        gone = set(removed)
        kept = {org_id: saved for org_id, saved in before.items() if org_id not in gone}
        spends, days, outgrown, closed, messages = _spend_rows(organizations, kept)
        with self._using() as database, database:
            if opening is not None and opening != self._opening:
                raise UnreadError(f"{self._file} is another one: it has to be read first")
            # Of those that are replaced, too: a collector may have been turned off.
            replaced = [(saved.org_id,) for saved in organizations]
            leaving = [(org_id,) for org_id in gone]
            database.executemany("DELETE FROM answer WHERE org_id = ?", [*leaving, *replaced])
            database.executemany("DELETE FROM spend WHERE org_id = ?", leaving)
            database.executemany(DEPART, leaving)
            database.executemany("DELETE FROM departed WHERE org_id = ?", [s[:1] for s in spends])
            database.executemany(
                "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?)", _answer_rows(organizations)
            )
            database.executemany("REPLACE INTO spend VALUES (?, ?, ?)", spends)
            database.executemany("REPLACE INTO day VALUES (?, ?, ?, ?)", days)
            database.executemany(FORGET_DAYS, outgrown)
            database.executemany("REPLACE INTO closed VALUES (?, ?, ?, ?, ?, ?)", closed)
            database.executemany("REPLACE INTO closed_answer VALUES (?, ?, ?, ?)", messages)
            database.executemany(
                FORGET_CLOSED, [(each[0], ClosedPeriods.KEPT - 1) for each in closed]
            )
            database.executemany(FORGET_ANSWERS, [each[:1] for each in closed])
            if found is not None:
                listing = [(key, *each) for key, listed in found.items() for each in listed]
                database.execute("DELETE FROM found")
                database.executemany(
                    "INSERT INTO found VALUES (?, ?, ?, ?)",
                    [(*row, rows.checksum(*row)) for row in listing],
                )

    def add(
        self, saved: SavedOrganization, days: Mapping[int, bytes], answers: Mapping[float, bytes]
    ) -> None:
        """Store an organization with more days than are in memory. Raises StorageError.

        `answers` are those that periods ended with, as serialized messages, by the periods' ends.
        """
        org_id = saved.org_id
        older = [(org_id, n, row, rows.day_checksum(org_id, n, row)) for n, row in days.items()]
        ended = [(org_id, end, message) for end, message in answers.items()]
        with self._using() as database, database:
            database.executemany("REPLACE INTO day VALUES (?, ?, ?, ?)", older)
            database.executemany(
                "INSERT OR IGNORE INTO closed_answer VALUES (?, ?, ?, ?)",
                [(*each, rows.checksum(*each)) for each in ended],
            )
        self.save([saved], [])

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
                reason = foreign(self._database)
                if reason is None:
                    extend(self._database)
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
                extend(database)
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


def _forget_departed(database: sqlite3.Connection, heads: Iterable[rows.Head]) -> None:
    """Forget the days of organizations that left so long ago that none of theirs would be kept."""
    newest = max((head.windows.answered for head in heads), default=0)
    with database:
        for table in ("day", "closed", "closed_answer", "departed"):
            database.execute(
                f"DELETE FROM {table} WHERE org_id IN "  # noqa: S608 - it is all our own
                "(SELECT org_id FROM departed WHERE day < ?)",
                (newest - STORED,),
            )


def _ledger(
    database: sqlite3.Connection, org_id: str, head: rows.Head | None, usage: SavedAnswer | None
) -> Ledger | None:
    """Return the days of an organization that growth can still be spread over, and their windows.

    `usage` is the last good answer, whoever stored it.
    """
    if head is not None:
        answered = head.windows.answered
    else:
        (last,) = database.execute(rows.LAST_DAY, (org_id,)).fetchone()
        if last is None:
            return None
        answered = last if usage is None else max(last, day_of(usage.received))
    found = rows.days(org_id, database.execute(rows.DAYS, (org_id, answered)))
    return rows.ledger(head, found) if head is not None else rows.interrupted(found, answered)


class _SpendRows(NamedTuple):
    """What there is to write of counters, days and closed periods."""

    spends: list[tuple[Any, ...]]
    days: list[tuple[Any, ...]]
    outgrown: list[tuple[Any, ...]]  # organizations that may have more days than are kept
    closed: list[tuple[Any, ...]]
    messages: list[tuple[Any, ...]]


def _spend_rows(
    organizations: Iterable[SavedOrganization], before: Mapping[str, SavedOrganization]
) -> _SpendRows:
    """Return the rows that are not there as they are."""
    found = _SpendRows([], [], [], [], [])
    for saved in organizations:
        org_id, spend = saved.org_id, saved.spend
        known = before[org_id].spend if org_id in before else None
        if spend is None or spend is known:
            continue
        counters = rows.counters(spend)
        found.spends.append((org_id, counters, rows.checksum(org_id, counters)))
        there = None if known is None else known.ledger
        days = changed(spend.ledger, there)
        found.days.extend(
            (org_id, number, row, rows.day_checksum(org_id, number, row))
            for number, row in days.items()
        )
        if days and (there is None or there.windows.answered not in days):  # a new day
            found.outgrown.append((org_id, MOST_DAYS - 1))
        if known is None or spend.closed.packed != known.closed.packed:
            new = {*spend.closed} - {*(() if known is None else known.closed)}
            values = [(org_id, *period) for period in new]
            found.closed.extend((*each, rows.checksum(*each)) for each in values)
            last, message = spend.closed.last, spend.closed.message
            if last is not None and message is not None:
                key = (org_id, last.end, unpacked(message))
                found.messages.append((*key, rows.checksum(*key)))
    return found


def _answer_rows(organizations: Iterable[SavedOrganization]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of what is to be stored, one at a time: messages can be long."""
    for saved in organizations:
        for collector, answer in saved.answers.items():
            message = unpacked(answer.message)
            row = (saved.org_id, collector, message, answer.received, answer.changed)
            yield (*row, rows.checksum(*row))
