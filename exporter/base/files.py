"""Finds and reads files whose names somebody wrote into a configuration or a command line."""

from __future__ import annotations

import argparse
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

LET_IT_READ: Final = (
    "the user who runs this must own it (mode 0600) or be in its group (mode 0640), and be able to "
    "enter its folder"
)


class IrregularError(OSError):
    """A FIFO, a device, a socket or a folder: to wait for it could last for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file", str(path))


def named(text: str) -> Path:
    """Return the path of a name, in which `~` at the start is the home folder.

    Raises ValueError with the rule if there is no such folder.
    """
    if text != "~" and not text.startswith("~/"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("must not begin with ~: this user has no home folder") from None


def path_argument(text: str) -> Path:
    """Return the path that an argument of a command names, as `named` does."""
    if not text:  # else it would be the working folder
        raise argparse.ArgumentTypeError("must not be empty")
    try:
        return named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def optional_path_argument(text: str) -> Path | None:
    """Return the path that an argument names, or None if that is empty, which turns it off."""
    return path_argument(text) if text else None


def absolute(path: Path) -> Path:
    """Return a path that begins at the root. Raises ValueError with the rule if it cannot be."""
    try:
        return path.absolute()
    except OSError as error:
        raise ValueError(
            f"must begin with /, since the working folder cannot be used: {error.strerror}"
        ) from None


def require_regular(path: Path) -> None:
    """Raise ValueError with the rule for what is no regular file: it could not be read again.

    Raises OSError if it is not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("must name a regular file")


def content(path: Path, at_most: int = -1) -> bytes:
    """Return what is in a regular file, or so many bytes of it. Raises OSError.

    It never waits for somebody to write.
    """
    with opened(path) as stream:
        return stream.read(at_most) or b""  # None if it would have to wait, as some of /proc would


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Have a regular file open while inside. Raises OSError."""
    # Before it is opened, for that alone makes some devices act; and then what was opened.
    if not stat.S_ISREG(path.stat().st_mode):
        raise IrregularError(path)
    with open(_descriptor(path), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise IrregularError(path)
        yield stream


def _descriptor(path: Path) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NONBLOCK)
    except BlockingIOError:
        return os.open(path, flags)  # another has a lease on it: it is to be had when that ends


def reason(error: OSError, path: Path) -> str:
    """Return why a file cannot be read, and how to mend it.

    Its name may be a secret in the wrong place, but the name of a folder that exists is none.
    """
    if isinstance(error, PermissionError):
        return f"{error.strerror}: {LET_IT_READ}"
    if isinstance(error, FileNotFoundError) and path.is_absolute():
        folder = next(each for each in path.parents if each.is_dir())
        return f"{error.strerror} in {folder.resolve()}"
    return str(error.strerror)


def read(path: Path, at_most: int, too_large: str) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises ValueError with the rule that it breaks: `too_large` is the one for its size.
    """
    try:
        found = content(path, at_most + 1)
    except IrregularError:
        raise ValueError("must name a regular file") from None
    except OSError as error:
        raise ValueError(f"must name a file that can be read: {reason(error, path)}") from None
    if len(found) > at_most:
        raise ValueError(too_large)
    return found
