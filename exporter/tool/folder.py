"""A folder that files appear in when they are whole, and not before.

Everything is done relative to open folders, and no symbolic link below the one that the user
named is followed: nothing is written elsewhere.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from exporter.tool.errors import CommandError, complain

PART: Final = ".viam-billing-part-"  # what names of files begin with that are not whole
PRIVATE: Final = 0o700  # the mode of what only its owner may read; files have no x
PUBLIC: Final = 0o777  # of what others may read, too, as the umask says
EXECUTE: Final = 0o111
UNSYNCED: Final = "may lose new files if the power fails"
# Of a file, any other error may mean that what was written is lost.
UNSUPPORTED: Final = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class BusyError(OSError):
    """Another process writes to the folder."""


class NewFile:
    """A file that is being written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Append to it. Raises OSError."""
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]


class FileSystem:
    """What not every file system can do. All of it raises OSError."""

    def lock(self, folder: int) -> None:
        """Lock a folder against other processes, or raise BlockingIOError."""
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def set_mode(self, file: int, mode: int) -> None:
        """Say who may do what with a file."""
        os.fchmod(file, mode)

    def sync(self, file: int) -> None:
        """Return when a file, or the names in a folder, are on the disk."""
        os.fsync(file)


FILE_SYSTEM: Final = FileSystem()


class Folder:
    """A folder, and those below it. All methods raise OSError."""

    def __init__(
        self, descriptor: int, mode: int, system: FileSystem, tell: Callable[[str], None]
    ) -> None:
        self._descriptor = descriptor
        self._mode = mode
        self._system = system
        self._tell = tell
        self._told: set[str] = set()
        self._swept: set[tuple[str, ...]] = set()

    @classmethod
    @contextmanager
    def locked(
        cls,
        path: Path,
        tell: Callable[[str], None],
        system: FileSystem = FILE_SYSTEM,
        mode: int = PRIVATE,
    ) -> Iterator[Folder]:
        """Make the folder if it is not there, and have it for this process alone while inside.

        `mode` is PRIVATE or PUBLIC, for it and what is made in it. What its file system cannot do
        is told once, and done without. Raises BusyError if another process has the folder.
        """
        try:
            path.mkdir(mode, parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder") from None
        except RecursionError:
            raise OSError(errno.ENAMETOOLONG, "it is nested in too many folders") from None
        descriptor = os.open(path, _OPEN_FOLDER)
        try:
            folder = cls(descriptor, mode, system, tell)
            try:
                with folder._done_without("cannot be locked: let no other command write to it"):
                    system.lock(descriptor)
            except BlockingIOError as error:
                raise BusyError from error
            yield folder
        finally:
            os.close(descriptor)

    def has(self, parts: Sequence[str]) -> bool:
        """Tell whether there is a file of that name, with something in it.

        Raises OSError if it is anything else that must not be replaced.
        """
        try:
            with self._below(parts[:-1], make=False) as folder:
                found = os.stat(_encoded(parts[-1]), dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode):
            raise FileExistsError(errno.EEXIST, "what has its name is not a file")
        return found.st_size > 0

    @contextmanager
    def new(self, parts: Sequence[str]) -> Iterator[NewFile]:
        """Write a file while inside; it appears when that ends well, whole and on the disk.

        If not, nothing is left of it. What a run before left that was killed is removed.
        """
        name = _encoded(parts[-1])
        with self._below(parts[:-1], make=True) as folder:
            self._sweep(tuple(parts[:-1]), folder)
            partial, descriptor = _create(folder, self._mode & ~EXECUTE)
            try:
                try:
                    if self._mode == PRIVATE:
                        with self._done_without("has files whose mode cannot be set"):
                            # Whatever the umask takes away.
                            self._system.set_mode(descriptor, PRIVATE & ~EXECUTE)
                    yield NewFile(descriptor)
                    with self._done_without(UNSYNCED, only=UNSUPPORTED):
                        self._system.sync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=folder)
                raise
            self._sync(folder)

    @contextmanager
    def _below(self, folders: Sequence[str], *, make: bool) -> Iterator[int]:
        """Have a folder below this one open while inside."""
        descriptor = os.dup(self._descriptor)
        try:
            for name in map(_encoded, folders):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, self._mode, dir_fd=descriptor)
                        self._sync(descriptor)
                below = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _sync(self, folder: int) -> None:
        """Have the names in a folder on the disk; the files themselves are there already."""
        with self._done_without(UNSYNCED):
            self._system.sync(folder)

    @contextmanager
    def _done_without(self, what: str, only: Collection[int] | None = None) -> Iterator[None]:
        """Go on when the file system cannot do what only makes things safer."""
        try:
            yield
        except BlockingIOError:
            raise
        except OSError as error:
            if only is not None and error.errno not in only:
                raise
            if what not in self._told:
                self._told.add(what)
                self._tell(f"{what} ({error.strerror})")

    def _sweep(self, folders: tuple[str, ...], descriptor: int) -> None:
        """Remove what is not whole, once a run: the lock says that nobody writes it any more."""
        if folders not in self._swept:
            self._swept.add(folders)
            for name in os.listdir(descriptor):
                if name.startswith(PART):
                    # What is no file, or not ours, is in nobody's way.
                    with suppress(OSError):
                        os.unlink(name, dir_fd=descriptor)


@contextmanager
def prepared(path: Path, mode: int) -> Iterator[Folder]:
    """Have the folder that a user named, as `Folder.locked` does, and tell the user what it lacks.

    Raises CommandError if it cannot be had.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(
                Folder.locked(path, lambda what: complain(f"{path} {what}"), mode=mode)
            )
        except BusyError as error:
            raise CommandError(f"{path}: another command writes to it") from error
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        yield folder


def _create(folder: int, mode: int) -> tuple[str, int]:
    """Make a file to write to, of a name that nothing has yet, and open it."""
    partial = PART + secrets.token_hex(8)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return partial, os.open(partial, flags, mode, dir_fd=folder)


def _encoded(name: str) -> bytes:
    """Return a name as the disk has it: in UTF-8, whatever the locale says."""
    return name.encode()
