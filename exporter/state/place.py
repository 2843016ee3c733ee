"""The storage's folder: ours alone, and noticed when it is another one than it was."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

FILE: Final = "exporter.db"
LOG: Final = f"{FILE}-wal"  # SQLite's, beside it
LOCK: Final = "lock"
MAGIC: Final = b"SQLite format 3\0"  # what a database begins with
LOG_MAGIC: Final = b"\x37\x7f\x06"  # what its log begins with
OURS: Final = {FILE, LOG, LOCK}
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class StorageError(Exception):
    """Why nothing can be stored, in one line for people."""


class LockedError(StorageError):
    """The folder is in use by another process."""


class FileSystem:
    """What not every file system can do, or not always. All of it raises OSError."""

    def lock(self, descriptor: int) -> None:
        """Lock an open file against other processes, or raise BlockingIOError."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lock_range(self, descriptor: int) -> None:
        """Lock it as SQLite does, which some file systems cannot do that can lock a whole file."""
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close_to_others(self, folder: Path) -> None:
        """Let the owner in only."""
        folder.chmod(0o700)

    def rename(self, file: Path, to: Path) -> None:
        """Give a file another name."""
        file.rename(to)

    def free(self, folder: Path) -> int:
        """Return how many bytes there is room for."""
        return shutil.disk_usage(folder).free


class Place:
    """A folder that is made when it is not there, and locked against every other process.

    What its file system cannot do is told once, and done without.
    """

    def __init__(self, folder: Path, system: FileSystem) -> None:
        self.folder = folder
        self.system = system
        self.file = folder / FILE
        self.has_locks = True  # such as SQLite needs
        self._told: set[str] = set()
        self._locked: int | None = None  # the descriptor of the lock
        self._made: int | None = None  # that of the database's file
        self._log: os.stat_result | None = None  # SQLite's write-ahead log, as it was last written

    def take(self) -> None:
        """Make the folder for its owner only, and lock it, unless that is done.

        Raises LockedError, and StorageError if the folder cannot be used.
        """
        if self._locked is not None:
            return
        try:
            self._prepare()
            self._locked = os.open(self.folder / LOCK, _OPEN, 0o600)
            self._lock(self._locked)
        except OSError as error:
            self.release()
            raise StorageError(
                f"cannot use the storage folder {self.folder}: {error.strerror}"
            ) from error
        except LockedError:
            self.release()
            raise

    def make_file(self) -> None:
        """Make the database's file, if it is not there, and know it again. Raises OSError."""
        self.leave_file()
        # SQLite would make it with whatever the umask leaves.
        self._made = os.open(self.file, _OPEN, 0o600)

    def leave_file(self) -> None:
        """Know the file no more. The database is closed by then, for this takes its locks away."""
        if self._made is not None:
            os.close(self._made)
            self._made = None
        self._log = None

    def has_log(self) -> bool:
        """Tell whether there is a write-ahead log, which SQLite removes when it is closed."""
        try:
            return self._log_file.stat().st_size > 0
        except OSError:
            return False

    def size(self) -> int:
        """Return how many bytes the database and its log take. Raises OSError."""
        return self.file.stat().st_size + (self._log_file.stat().st_size if self.has_log() else 0)

    def note_log(self) -> None:
        """Know the write-ahead log again, in which most of what is stored is for a while."""
        try:
            self._log = self._log_file.stat()
        except OSError:
            self._log = None

    def is_written_over(self) -> bool:
        """Tell whether what is in the file is no database any more. Raises OSError."""
        return self._made is None or os.pread(self._made, len(MAGIC), 0) != MAGIC

    def is_ours(self) -> bool:
        """Tell whether lock and file are still those that were opened."""
        if self._locked is None or self._made is None:
            return False
        try:
            return (
                os.path.samestat(os.fstat(self._locked), (self.folder / LOCK).stat())
                and os.path.samestat(os.fstat(self._made), self.file.stat())
                and self._has_log()
            )
        except OSError:  # gone, or of a share that was remounted
            return False

    def _has_log(self) -> bool:
        """Tell whether the log is what it was. While the database is open, it never shrinks."""
        if self._log is None:
            return True
        now = self._log_file.stat()
        if not os.path.samestat(self._log, now) or now.st_size < self._log.st_size:
            return False
        with self._log_file.open("rb") as log_file:
            return now.st_size == 0 or log_file.read(len(LOG_MAGIC)) == LOG_MAGIC

    def new_file(self) -> Path:
        """Make another file beside it, for its owner only, with a name that nothing has."""
        aside = self._new_name()
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return aside

    def set_aside(self) -> Path:
        """Give the database another name, and return it; it is closed by then. Raises OSError."""
        aside = self._new_name()
        for suffix in ("", "-wal", "-shm"):
            part = self.folder / f"{FILE}{suffix}"
            if part.exists():
                self.system.rename(part, Path(f"{aside}{suffix}"))
        return aside

    def has_room_for(self, file: Path) -> bool:
        """Tell whether there is room for what is in a file, in another. Raises OSError."""
        # One that is not written in the order of its rows is a quarter larger.
        return self.system.free(self.folder) > 1.5 * file.stat().st_size

    def uri(self, file: Path) -> str:
        """Return how SQLite opens a file in the folder."""
        # Where there are no locks, SQLite has to do without, too.
        return f"{file.absolute().as_uri()}{'' if self.has_locks else '?vfs=unix-none'}"

    def _new_name(self) -> Path:
        number = 1
        while (aside := self.folder / f"{FILE}.set-aside-{number}").exists():
            number += 1
        return aside

    @property
    def _log_file(self) -> Path:
        return self.folder / LOG

    def release(self) -> None:
        """Let others have the folder. The database is closed by then."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None

    def _prepare(self) -> None:
        """Make the folder for its owner only; warn of one that others can enter."""
        try:
            self.folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            found = self.folder.stat()
            if not found.st_mode & 0o077:
                return
            ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX
            if ours and {path.name for path in self.folder.iterdir()} <= OURS:
                try:
                    self.system.close_to_others(self.folder)
                except OSError as error:
                    #: Its file system has no modes. It holds bills: keep others out.
                    self._tell("cannot restrict access to the storage folder", error)
            elif "others" not in self._told:
                self._told.add("others")
                #: It holds bills. Its mode was left alone, because the folder was there before:
                #: `chmod 0700`.
                log.warning("other users can enter the storage folder", folder=str(self.folder))

    def _lock(self, descriptor: int) -> None:
        try:
            self.system.lock(descriptor)
        except BlockingIOError as error:
            raise LockedError(
                #: Two exporters would overwrite each other's counters. It has waited for five
                #: seconds.
                f"the storage folder {self.folder} is in use by another process: "
                "give each its own --storage.path"
            ) from error
        except OSError as error:  # as on some network shares
            self.has_locks = False
            self._tell(
                #: Its file system has no locks. The exporter continues without one.
                "cannot lock the storage folder: make sure that no other process uses it",
                error,
            )
            return
        try:
            self.system.lock_range(descriptor)
            self.has_locks = True
        except OSError as error:
            self.has_locks = False
            #: Its file system locks only whole files. Stop the exporter before you open its
            #: database.
            self._tell("cannot lock the database: make sure that no other program opens it", error)

    def _tell(self, event: str, error: OSError) -> None:
        if event not in self._told:
            self._told.add(event)
            log.warning(event, folder=str(self.folder), reason=error.strerror)
