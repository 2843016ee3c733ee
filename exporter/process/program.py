"""Which program this is, to the byte."""

from __future__ import annotations

import re
import sys
from hashlib import blake2b
from importlib import metadata
from pathlib import Path

from exporter.process.version import DISTRIBUTION


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
