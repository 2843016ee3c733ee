"""What commands load: each module takes time at every start, and memory for as long as it runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.process import EXPORTER, PYTHON, TOOL

# Python names modules on standard error as it loads them.
TELLING = {"PYTHONPROFILEIMPORTTIME": "1"}
# What any command line needs that takes signals and has help.
ANY_HELP = """
from __future__ import annotations
import argparse, collections.abc, contextlib, errno, importlib, io, signal
argparse.ArgumentParser().parse_args(["--help"])
"""


def loaded(stderr: str) -> set[str]:
    """Return the modules that a process has loaded."""
    return set(re.findall(r"^import time: .*\| +(\S+)$", stderr, re.MULTILINE))


def loaded_by(*command: str | Path) -> set[str]:
    """Return the modules that a command loads from its start to its end."""
    ended = subprocess.run(command, capture_output=True, check=True, text=True, env=TELLING)
    return loaded(ended.stderr)


@pytest.mark.parametrize("flag", ["--help", "--version"])
@pytest.mark.parametrize("command", [EXPORTER, TOOL], ids=["exporter", "tool"])
def test_help_and_version_load_nothing_but_flags(command: tuple[Path], flag: str) -> None:
    """No package, and of the standard library what argparse needs: they answer at once."""
    names = loaded_by(*command, flag)
    assert "argparse" in names
    ours = {name for name in names if name.partition(".")[0] == "exporter"}
    assert names - ours - loaded_by(PYTHON, "-c", ANY_HELP) == set()
