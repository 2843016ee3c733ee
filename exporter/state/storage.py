"""What survives a restart: the last good answers, the spend counters, the requests of the day.

An SQLite database in a folder of its own; docs/adr/0010-storage.md says why. Every function
here blocks and belongs in a thread. What is damaged is set aside, never guessed at.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, cast

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
from exporter.state import queries, readings, rows
from exporter.state.database import Database, SetAsideError
from exporter.state.ledger import STORED, day_of, rows_of
from exporter.state.place import FILE, FileSystem, LockedError, Place, StorageError
from exporter.state.writes import answer_rows, day_row, spend_rows

__all__ = ["FILE", "LockedError", "Storage", "StorageError"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

DEADLINE: Final = 10.0  # seconds that anything may take; to read all of it, twice as many
LOCKED: Final = 5.0  # seconds for another process to let go of the folder
LOOK: Final = 0.1  # seconds between two looks
FILE_SYSTEM: Final = FileSystem()
PLACES: Final = 4  # threads: one that writes, one that reserves requests, one that closes


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
    complete: bool = True  # else the process that wrote it was killed, and may have known more


class Storage:
    """A storage folder, which is locked against every other process when it is used first.

    What cannot be opened now, as on a full disk or a share that is not there yet, is tried again
    at each use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        deadline: float = DEADLINE,
        system: FileSystem = FILE_SYSTEM,
        program: bytes | None = None,
    ) -> None:
        """Nothing is opened yet. `deadline` is for what is done in threads, in seconds.

        `program` tells the one that makes readings from all others: what they made is not read.
        Without it, no readings are read or written.
        """
        self._database = Database(Place(folder, system))
        self._threads = FileThreads(PLACES)
        self._deadline = deadline
        self._program = program
        self._reserved: tuple[str, int] | None = None  # day and requests, of this process

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a method in a thread. Raises StorageError, also if the file system hangs."""
        deadline = self._deadline * (2 if function == self.read else 1)
        try:
            return await self._threads.run(deadline, None, function, *args)
        except TimeoutError as error:
            raise StorageError(f"{self._database.file} does not answer: {error}") from None
        except StorageError:
            raise
        except Exception as error:  # what it stores is not worth the process
            file = self._database.file
            raise StorageError(f"cannot use {file}: {type(error).__name__}") from error

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
                log.info("waiting for another process to release the storage", seconds=LOCKED)
            await asyncio.sleep(LOOK)

    def size(self) -> int:
        """Return how many bytes it takes. Raises StorageError, by way of `in_thread`."""
        return self._database.size()

    def close(self) -> None:
        """Close the database and release the folder. What is still asked of it then fails."""
        self._database.close()

    # --- Organizations ---

    def read(self) -> Stored:
        """Return what is stored; rows that are damaged are left out. Raises StorageError."""
        try:
            return self._read()
        except SetAsideError:  # what can be read of it is in another database now
            return self._read()

    def _read(self) -> Stored:
        answers: dict[str, dict[str, SavedAnswer]] = {}
        spends: dict[str, Spend] = {}
        heads: dict[str, rows.Head | None] = {}
        closed: dict[str, ClosedPeriods] = {}
        outlooks: dict[str, bytes] = {}
        found: dict[str, list[FoundOrganization]] = {}
        with self._database.use() as database:
            good = 0
            stored = database.execute(queries.ANSWERS, (self._program,))
            for answer in filter(None, map(readings.answer, stored)):
                good += 1
                answers.setdefault(answer[0], {})[answer[1]] = answer[2]
            for org_id, period in filter(None, map(rows.closed, database.execute(queries.CLOSED))):
                good += 1
                closed[org_id] = closed.get(org_id, ClosedPeriods()).plus(period)
            for kept in filter(None, map(rows.outlook, database.execute(queries.OUTLOOKS))):
                good += 1
                outlooks[kept[0]] = kept[1]
            for spend in filter(None, map(rows.spend, database.execute(queries.SPENDS))):
                good += 1
                spends[spend[0]], heads[spend[0]] = spend[1:]
            for key, organization in filter(None, map(rows.found, database.execute(queries.FOUND))):
                good += 1
                found.setdefault(key, []).append(organization)
            (there,) = database.execute(queries.COUNT).fetchone()
            lacking = _Lacking([], [])
            for org_id, each in spends.items():
                usage = answers.get(org_id, {}).get("usage")
                spends[org_id] = replace(
                    each,
                    ledger=_ledger(database, org_id, heads[org_id], usage, lacking),
                    closed=_closed(org_id, closed.get(org_id), each.closed, lacking),
                    outlook=outlooks.get(org_id),
                )
            answered = [head.windows.answered for head in heads.values() if head is not None]
            _tidy(database, lacking, min(answered, default=0))
            opening, complete = self._database.opening, self._database.is_complete
        if there > good:
            count, file = there - good, str(self._database.file)
            #: Check the disk. The answers are polled again; counters of these organizations begin
            #: at 0.
            log.warning("ignoring damaged rows in storage", file=file, rows=count)
        organizations = {
            org_id: SavedOrganization(org_id, answers.get(org_id, {}), spends.get(org_id))
            for org_id in answers.keys() | spends.keys()
        }
        listed = {key: tuple(each) for key, each in found.items()}
        return Stored(organizations, listed, opening, complete)

    def days(self, org_id: str, first: int, until: int) -> Mapping[int, bytes]:
        """Return the rows of an organization's days, by number. Raises StorageError."""
        with self._database.use() as database:
            return rows.days(org_id, database.execute(queries.DAYS_BETWEEN, (org_id, first, until)))

    def closed_answer(self, org_id: str, ended: float) -> bytes | None:
        """Return the last good usage answer of a period that ended then, as a serialized message.

        None if there is none. Raises StorageError.
        """
        with self._database.use() as database:
            row = database.execute(queries.CLOSED_ANSWER, (org_id, ended)).fetchone()
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
        spends, days, outgrown, closed, messages, outlooks = spend_rows(organizations, kept)
        with self._database.use() as database, database:
            if opening is not None and opening != self._database.opening:
                raise UnreadError(f"{self._database.file} was replaced: it has to be read first")
            # Of those that are replaced, too: a collector may have been turned off.
            replaced = [(saved.org_id,) for saved in organizations]
            leaving = [(org_id,) for org_id in gone]
            database.executemany("DELETE FROM answer WHERE org_id = ?", [*leaving, *replaced])
            database.executemany("DELETE FROM spend WHERE org_id = ?", leaving)
            database.executemany("DELETE FROM outlook WHERE org_id = ?", leaving)
            database.executemany(queries.DEPART, leaving)
            database.executemany("DELETE FROM departed WHERE org_id = ?", [s[:1] for s in spends])
            database.executemany("DELETE FROM reading WHERE org_id = ?", [*leaving, *replaced])
            database.executemany(
                "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?)", answer_rows(organizations)
            )
            if self._program is not None:
                database.executemany(
                    "REPLACE INTO reading VALUES (?, ?, ?, ?, ?)",
                    readings.reading_rows(self._program, organizations),
                )
            database.executemany("REPLACE INTO spend VALUES (?, ?, ?)", spends)
            database.executemany("REPLACE INTO outlook VALUES (?, ?, ?)", outlooks)
            database.executemany(queries.REPLACE_DAY, days)
            database.executemany(queries.FORGET_DAYS, [each * 2 for each in outgrown])
            database.executemany(queries.REPLACE_CLOSED, closed)
            database.executemany("REPLACE INTO closed_answer VALUES (?, ?, ?, ?)", messages)
            database.executemany(queries.FORGET_CLOSED, [each[:1] for each in closed])
            database.executemany(queries.FORGET_ANSWERS, [each[:1] for each in closed])
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
        older = [day_row(org_id, number, row) for number, row in days.items()]
        ended = [(org_id, end, message) for end, message in answers.items()]
        with self._database.use() as database, database:
            database.executemany(queries.REPLACE_DAY, older)
            database.executemany(
                "INSERT OR IGNORE INTO closed_answer VALUES (?, ?, ?, ?)",
                [(*each, rows.checksum(*each)) for each in ended],
            )
        self.save([saved], [])

    @property
    def is_recovering(self) -> bool:
        """Whether there are older days of a file that was damaged, for `recover` to take over."""
        return self._database.is_recovering

    def recover(self) -> None:
        """Take over some more of a file that was damaged. Raises StorageError.

        What a start reads is there at once; all else takes seconds for a thousand organizations.
        """
        self._database.recover()

    def mend(self) -> None:
        """Look for damage, and take over all that can be read: for commands, which have time.

        Raises StorageError.
        """
        self._database.mend()

    def copy_aside(self) -> None:
        """Keep what is stored now in a file of its own. Raises StorageError."""
        self._database.copy_aside()

    # --- Requests ---

    def reserve(self, day: str, requests: int, limit: int) -> Reservation:
        """Reserve up to so many requests of a UTC day, of which there are `limit`.

        Reserved requests count as made, whatever becomes of the process. Raises StorageError.
        """
        with self._database.use() as database, database:
            known = rows.requests(database.execute(queries.REQUESTS))
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


class _Lacking(NamedTuple):
    """Rows that are not there as they should be, since an older release wrote last."""

    days: list[tuple[Any, ...]]
    closed: list[tuple[Any, ...]]


def _ledger(
    database: sqlite3.Connection,
    org_id: str,
    head: rows.Head | None,
    usage: SavedAnswer | None,
    lacking: _Lacking,
) -> Ledger | None:
    """Return the days of an organization that growth can still be spread over, and their windows.

    `usage` is the last good answer, whichever release stored it.
    """
    if head is not None:
        answered = head.windows.answered
        return rows.ledger(head, _days(database, org_id, answered))
    last = next(iter(rows.days(org_id, database.execute(queries.LAST_DAYS, (org_id,)))), None)
    if last is None:
        return None
    answered = last if usage is None else day_of(usage.received)
    found = _days(database, org_id, answered)
    ledger = rows.interrupted(found, answered)
    days = rows_of(ledger).items()
    lacking.days.extend(day_row(org_id, n, row) for n, row in days if found.get(n, row) != row)
    return ledger


def _days(database: sqlite3.Connection, org_id: str, answered: int) -> Mapping[int, bytes]:
    return rows.days(org_id, database.execute(queries.DAYS, (org_id, answered) * 2))


def _closed(
    org_id: str, stored: ClosedPeriods | None, counted: ClosedPeriods, lacking: _Lacking
) -> ClosedPeriods:
    """Return the periods that have ended: those stored, and the one that the counters know."""
    periods, last = stored or ClosedPeriods(), counted.last
    if last is None or (periods.last is not None and last.end <= periods.last.end):
        return periods
    lacking.closed.append((org_id, *last, rows.checksum(org_id, *last)))
    return periods.plus(last)


def _tidy(database: sqlite3.Connection, lacking: _Lacking, answered: int) -> None:
    """Write what is lacking, and forget organizations that left long ago.

    `answered` is the day of a last good answer, the earliest of all organizations: one of them may
    have come while the clock stood wrong.
    """
    try:
        with database:
            database.executemany(queries.REPLACE_DAY, lacking.days)
            database.executemany(queries.REPLACE_CLOSED, lacking.closed)
            gone = database.execute(queries.LONG_GONE, (answered - STORED,)).fetchall()
            for statement in queries.FORGET_ALL:
                database.executemany(statement, gone)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_FULL":
            raise  # what is stored can be read all the same
