"""What `make dist` makes, as its page says. It takes a minute, so tests share it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.documents import commands_of
from support.packages import repository
from support.process import ROOT

HELD: Final = ROOT / "build" / "held"  # wheels of other Pythons are fetched once


def built(factory: pytest.TempPathFactory, pattern: str) -> Path:
    """Return the file of the release whose name has a pattern."""
    (found,) = (released(factory) / "dist").glob(pattern)
    return found


def released(factory: pytest.TempPathFactory) -> Path:
    """Return a repository with a release in dist/, as a page says to make it.

    Tests in several processes share it.
    """
    shared = Path(factory.getbasetemp())
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "release.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "release").exists():
            make(repository(shared / "unfinished")).rename(shared / "release")
    return shared / "release"


def make(clone: Path, *, umask: int = 0o022, **environ: str) -> Path:
    """Follow the page in a repository, as somebody with these settings; returns it."""
    # The environment is the one that runs this test, and set up.
    (clone / ".venv").mkdir()
    (clone / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (clone / ".venv" / ".done").touch()
    (block,) = commands_of("docs/releasing.md", "tests/deploy/test_downloads.py")
    done = subprocess.run(
        ["sh", "-e", "-c", block.text],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "MAKEFLAGS": f"HELD={HELD}", **environ},
        check=False,
        capture_output=True,
        text=True,
        umask=umask,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return clone
