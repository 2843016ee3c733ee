"""A folder that files appear in when they are whole, and not before.

Everything is done relative to open folders, and no symbolic link below the one that the user
named is followed: nothing is written elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PART: Final = ".viam-billing-part-"  # what names of files begin with that are not whole
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class BusyError(OSError):
    """Another process downloads into the folder."""


class NewFile:
    """A file that is being written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Append to it. Raises OSError."""
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]


class Folder:
    """A folder, and those below it. All methods raise OSError."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._swept: set[tuple[str, ...]] = set()

    @classmethod
    @contextmanager
    def locked(cls, path: Path) -> Iterator[Folder]:
        """Make the folder if it is not there, and have it for this process alone while inside.

        Raises BusyError if another one has it.
        """
        path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(path, _OPEN_FOLDER)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError from error
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    def has(self, parts: Sequence[str]) -> bool:
        """Tell whether there is something of that name, whatever it is."""
        try:
            with self._below(parts[:-1], make=False) as folder:
                os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def new(self, parts: Sequence[str]) -> Iterator[NewFile]:
        """Write a file while inside; it appears when that ends well, whole and on the disk.

        If not, nothing is left of it. What a run before left that was killed is removed.
        """
        name = parts[-1]
        partial = PART + hashlib.sha256(name.encode()).hexdigest()[:16]  # never too long a name
        with self._below(parts[:-1], make=True) as folder:
            self._sweep(tuple(parts[:-1]), folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(partial, flags, FILE_MODE, dir_fd=folder)
            try:
                try:
                    os.fchmod(descriptor, FILE_MODE)  # whatever the umask takes away
                    yield NewFile(descriptor)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=folder)
                raise

    @contextmanager
    def _below(self, folders: Sequence[str], *, make: bool) -> Iterator[int]:
        """Have a folder below this one open while inside."""
        descriptor = os.dup(self._descriptor)
        try:
            for name in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, FOLDER_MODE, dir_fd=descriptor)
                        os.fsync(descriptor)
                below = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _sweep(self, folders: tuple[str, ...], descriptor: int) -> None:
        """Remove what is not whole, once a run: the lock says that nobody writes it any more."""
        if folders not in self._swept:
            self._swept.add(folders)
            for name in os.listdir(descriptor):
                if name.startswith(PART):
                    os.unlink(name, dir_fd=descriptor)
