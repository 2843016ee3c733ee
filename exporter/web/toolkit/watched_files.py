"""Reads files, and remembers what they were, so that a change is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.base import files

MAX_BYTES = 2_000_000


class Fingerprint(NamedTuple):
    """What changes when a file is written, replaced or pointed elsewhere."""

    modified: int  # nanoseconds
    inode: int
    size: int  # bytes


Fingerprints = Mapping[Path, Fingerprint | None]  # None: a file that is not there


def fingerprints(paths: Iterable[Path]) -> Fingerprints:
    """Look at files as they are now, links followed, as Kubernetes swaps those."""
    return {path: _fingerprint(path) for path in paths}


def _fingerprint(path: Path) -> Fingerprint | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Fingerprint(found.st_mtime_ns, found.st_ino, found.st_size)


class FileReader:
    """Reads files. `seen` has each one's fingerprint from before it was read.

    From before: a change while it is read is then seen as one.
    """

    def __init__(self) -> None:
        self.seen: dict[Path, Fingerprint | None] = {}

    def read(self, path: Path) -> bytes:
        """Return the content of a file. Raises ValueError with the rule that it breaks."""
        self.seen.setdefault(path, _fingerprint(path))
        return files.read(path, MAX_BYTES, "must not be larger than 2 MB")
