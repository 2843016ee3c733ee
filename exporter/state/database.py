"""The storage's database: opened at each use if need be, and set aside when it cannot be used.

What can be read of what is set aside is taken over into the next one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn, TypeGuard, cast

import structlog

from exporter.state.place import Place, StorageError
from exporter.state.salvage import DAMAGE, Salvage
from exporter.state.schema import extend, foreign

log = structlog.get_logger(__name__)


class SetAsideError(StorageError):
    """The database was damaged, and the next use has another one."""


class Database:
    """The database in a folder, for several threads: one at a time.

    Every method blocks, and raises StorageError. What cannot be opened now, as on a full disk or a
    share that is not there yet, is tried again at each use.
    """

    def __init__(self, place: Place) -> None:
        """Nothing is opened yet."""
        self.opening = 0  # counts the times that it was opened
        self.is_complete = True  # what was there when it was opened
        self._place = place
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._aside: Path | None = None  # what was set aside, and has not been looked at
        self._salvage: tuple[Salvage, Iterator[None]] | None = None  # what is left of it
        self._copied = 0  # the opening of which there is a copy
        self._closed = False

    @property
    def file(self) -> Path:
        """Where it is."""
        return self._place.file

    def size(self) -> int:
        """Return how many bytes it takes. Raises OSError."""
        return self._place.size()

    def close(self) -> None:
        """Close it and release the folder. What is still asked of it then fails."""
        with self._turn:
            self._closed = True
            self._let_go("it was closed before")
            self._place.release()

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Give the database: reopened if it is another one, or was set aside at the last use."""
        with self._turn:
            if self._closed:  # a thread that came too late: the file is good
                raise StorageError(f"{self.file} is closed")
            try:
                if self._connection is not None and not self._place.is_ours():
                    log.warning(
                        #: All that is known is written again. Find out what changes the folder.
                        "storage was removed, moved or replaced: recreating it",
                        file=str(self.file),
                    )
                    self._let_go()
                    self._place.release()
                # SQLite would notice when it needs a page that it does not remember.
                if self._connection is not None and self._place.is_written_over():
                    self._set_aside("it is damaged (it was overwritten)")
                if self._connection is None:
                    self._place.take()
                    self._open()
                yield cast("sqlite3.Connection", self._connection)
                self._place.note_log()
            except (*DAMAGE, OSError) as error:
                self._failed(error)

    @property
    def is_recovering(self) -> bool:
        """Whether there is more of what was set aside to be taken over."""
        return self._salvage is not None

    def recover(self) -> None:
        """Take over some more of what was set aside."""
        with self.use():
            if self._salvage is None:
                return
            salvage, rest = self._salvage
            try:
                for _ in rest:
                    return
            except sqlite3.Error as error:  # it is not tried again
                self._leave_the_rest(_words(error))
                raise
            self._salvage = None
            salvage.close()
            log.info("recovery from the file that was set aside is complete", rows=salvage.taken)

    def mend(self) -> None:
        """Look at all of it, and if it is damaged, take over all that can be read."""
        try:
            with self.use() as database:
                (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(found)
        except SetAsideError:
            with self.use():
                pass  # another one is there now
        while self.is_recovering:
            self.recover()

    def copy_aside(self) -> None:
        """Keep what is there now in a file of its own."""
        with self.use() as database:
            if self._copied == self.opening:  # by a thread that was not waited for
                return
            aside = self._place.new_file()
            try:
                with closing(sqlite3.connect(aside)) as copy:
                    database.backup(copy)
            except BaseException:
                aside.unlink()
                raise
            self._copied = self.opening
        log.warning(
            #: Storage was late, or another database took its place. `copied_to` has the stored
            #: data.
            "stored data is older than this process's counters, which continue: a copy was kept",
            file=str(self.file),
            copied_to=str(aside),
        )

    def _failed(self, error: Exception) -> NoReturn:
        """Put away what cannot be used any more."""
        failed = StorageError
        if _is_of_the_disk(error):
            # Descriptors of a share that went away stay bad when it comes back.
            if error.sqlite_errorname.startswith("SQLITE_IOERR"):
                self._let_go()
        elif isinstance(error, DAMAGE):
            self._set_aside(f"it is damaged ({_words(error)})")
            failed = SetAsideError
        raise failed(f"cannot use {self.file}: {_words(error)}") from error

    def _leave_the_rest(self, reason: str) -> None:
        """Say where older days are that are not taken over."""
        if self._salvage is not None:
            salvage, _ = self._salvage
            self._salvage = None
            salvage.close()
            log.warning(
                #: Only `set_aside_as` has them. Make room, then [import them](run.md#after-damage).
                "older days were not recovered from the file that was set aside",
                set_aside_as=str(salvage.file),
                reason=reason,
            )

    def _let_go(self, reason: str = "the storage was reopened") -> None:
        self._leave_the_rest(reason)
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
        self._place.leave_file()

    def _open(self) -> None:
        """Open the database, or set aside what is there and make a new one."""
        reason = None
        try:
            try:
                self.is_complete = not self._place.has_log()
                self._connection = self._connect()
                reason = foreign(self._connection)
                if reason is None:
                    extend(self._connection)
            except DAMAGE as error:
                if _is_of_the_disk(error):
                    raise
                reason = f"it is damaged ({_words(error)})"
            if reason is not None:
                self._set_aside(reason)
                self._connection = self._connect()
            if self._aside is not None:
                self._take_over()
        except Exception:
            self._let_go()
            raise
        self.opening += 1

    def _connect(self) -> sqlite3.Connection:
        self._place.make_file()
        # One thread at a time uses it, but not always the same.
        uri = self._place.uri(self.file)
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

    def _set_aside(self, reason: str) -> None:
        """Rename the database, so that nothing of it is lost and a new one can begin.

        Raises StorageError, as of a disk that is read-only by now.
        """
        self._let_go()
        try:
            self._aside = self._place.set_aside()
        except OSError as error:
            raise StorageError(
                f"cannot use {self.file}: {reason}, and cannot be set aside: {_words(error)}"
            ) from error
        log.warning(
            #: `reason` says why, `set_aside_as` where it is: [after damage](run.md#after-damage).
            "stored data cannot be used: the file was set aside",
            file=str(self.file),
            reason=reason,
            set_aside_as=str(self._aside),
        )

    def _take_over(self) -> None:
        """Take over what can be read of what was set aside: now what a start needs, and it once."""
        aside, self._aside = cast("Path", self._aside), None
        connection = cast("sqlite3.Connection", self._connection)
        salvage = Salvage(connection, aside, self._place.uri(aside))
        try:
            salvage.first()
        except sqlite3.Error:
            salvage.close()
            raise
        if not salvage.taken:
            salvage.close()
            return
        self.is_complete = False
        log.warning(
            #: Lost days are unknown, and lost counters begin at 0. Without this line, nothing could
            #: be read.
            "recovered readable data from the file that was set aside",
            set_aside_as=str(aside),
            rows=salvage.taken,
        )
        self._salvage = salvage, salvage.rest()
        if not self._place.has_room_for(aside):
            self._leave_the_rest("there is no room for them")


def _is_of_the_disk(error: Exception) -> TypeGuard[sqlite3.OperationalError]:
    """Tell whether SQLite could not read or write, whatever is in the file."""
    # Of text that is no UTF-8, Python itself makes an OperationalError, which has no name.
    return isinstance(error, sqlite3.OperationalError) and hasattr(error, "sqlite_errorname")


def _words(error: Exception) -> str:
    """Return what an error says, unless it could repeat what is stored."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if hasattr(error, "sqlite_errorname") else type(error).__name__
