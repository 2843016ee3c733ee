"""Which version this is, as the installed distribution says, and which program, to the byte."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from hashlib import blake2b
from importlib import metadata, resources
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "viam-billing-exporter"
UNKNOWN: Final = "unknown"  # as the metric's label says it


@dataclass(frozen=True, slots=True)
class Version:
    """A release number and the revision of the source it was built from."""

    number: str
    revision: str

    def of(self, program: str) -> str:
        """Return the line that a program's `--version` prints."""
        known = f" (revision {self.revision})" if self.revision != UNKNOWN else ""
        return f"{program} {self.number}{known}"

    def __str__(self) -> str:
        return self.of(DISTRIBUTION)


def version() -> Version:
    """Return the version of the installed distribution.

    The revision is written into the package when it is built (hatch_build.py); a checkout
    that is run in place has none.
    """
    file = resources.files("exporter").joinpath("REVISION")
    revision = file.read_text(encoding="ascii").strip() if file.is_file() else UNKNOWN
    return Version(metadata.version(DISTRIBUTION), revision)


def program(package: Path | None = None) -> bytes | None:
    """Return what tells the code that runs from any other; None if it cannot be read. Blocks.

    All of the package, Python, and what the package requires: one that is left out could one day
    have a part in what is remembered by it.
    """
    made = blake2b(sys.version.encode(), digest_size=16)
    folder = package or Path(__file__).parents[1]
    files = sorted(folder.rglob("*.py"))
    if not files:
        return None
    for file in files:
        content = file.read_bytes()
        made.update(f"{file.relative_to(folder)} {len(content)} ".encode() + content)
    for requirement in metadata.requires(DISTRIBUTION) or ():
        name = re.split(r"[^\w.-]", requirement)[0]
        try:
            made.update(f"{name} {metadata.version(name)} ".encode())
        except metadata.PackageNotFoundError:  # of an extra
            continue
    return made.digest()
