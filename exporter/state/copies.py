"""A copy of a storage for commands that only read, made while no exporter uses it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from exporter.state.place import FILE, LOCK, LOG, LockedError, StorageError
from exporter.state.storage import Storage


@contextmanager
def copied(folder: Path) -> Iterator[Storage]:
    """Give a storage with what is in a folder, which is neither written to nor kept locked.

    Raises LockedError if an exporter uses the folder, and StorageError if there is no storage.
    """
    with TemporaryDirectory(prefix="viam-billing-") as temporary:
        copy = Path(temporary)
        try:
            _copy(folder, copy)
        except BlockingIOError as error:
            raise LockedError(
                f"the storage folder {folder} is in use by another process"
            ) from error
        except FileNotFoundError as error:
            raise StorageError(f"there is no storage in {folder}") from error
        except OSError as error:
            raise StorageError(f"cannot read the storage in {folder}: {error.strerror}") from error
        with closing(Storage(copy)) as storage:
            yield storage


def _copy(folder: Path, to: Path) -> None:
    """Raises OSError."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):  # a folder that nothing but a database was put into
            _lock(stack.enter_context((folder / LOCK).open("rb")))
        shutil.copyfile(folder / FILE, to / FILE)
        with suppress(FileNotFoundError):  # there is none after a good end
            shutil.copyfile(folder / LOG, to / LOG)


def _lock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a share without locks, which nobody could have locked
