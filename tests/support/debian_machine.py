"""A Debian that has booted, where packages are installed: a copy of one of `support.debian`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.booted import Machine, boot
from support.debian import debian

UNITS: Final = "usr/lib/systemd/system"


@contextmanager
def debian_machine(suite: str, root: Path) -> Iterator[Machine]:
    """Boot it in an empty folder while inside. It has no units but targets."""
    subprocess.run(["cp", "--archive", f"{debian(suite)}/.", root], check=True)
    for unit in (root / UNITS).iterdir():
        if unit.is_dir() and not unit.is_symlink():
            shutil.rmtree(unit)
        elif unit.suffix != ".target":
            unit.unlink()
    with boot(root, {}) as machine:
        yield machine
