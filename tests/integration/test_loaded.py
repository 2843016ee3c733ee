"""What commands load: each module takes time at every start, and memory for as long as it runs."""

from __future__ import annotations

import re
import subprocess
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.process import EXPORTER, PYTHON, TOOL, exporter, get

# Python names modules on standard error as it loads them.
TELLING = {"PYTHONPROFILEIMPORTTIME": "1"}
# What any command line needs that takes signals and has help.
ANY_HELP = """
from __future__ import annotations
import argparse, collections.abc, contextlib, errno, importlib, io, signal
argparse.ArgumentParser().parse_args(["--help"])
"""
# Nothing answers there, which is as good as an answer.
CONFIGURATION = """
api: {address: "127.0.0.1:1", tls: false}
credentials: {api_key_id: id, api_key: key}
organizations: [{id: one}]
"""
# What takes half a megabyte or more, or brings it along.
UNUSED = {
    "aiohttp.web",
    "bcrypt",
    "exporter.demo",
    "exporter.rules",
    "exporter.simulator",
    "exporter.tool",
    "pydantic",
    "pydantic_core",
    "rich.console",
    "sqlite3",
}
PAGES = {"exporter.web.status", "jinja2"}


def loaded(stderr: str) -> set[str]:
    """Return the modules that a process has loaded."""
    return set(re.findall(r"^import time: .*\| +(\S+)$", stderr, re.MULTILINE))


def loaded_by(*command: str | Path) -> set[str]:
    """Return the modules that a command loads from its start to its end."""
    ended = subprocess.run(command, capture_output=True, check=False, text=True, env=TELLING)
    return loaded(ended.stderr)


@pytest.mark.parametrize("flag", ["--help", "--version", "--no-such-flag"])
@pytest.mark.parametrize("command", [EXPORTER, TOOL], ids=["exporter", "tool"])
def test_what_only_concerns_flags_loads_nothing_else(command: tuple[Path], flag: str) -> None:
    """No package, and of the standard library what argparse needs: they answer at once.

    What finds the flag that was meant is loaded when one is unknown.
    """
    names = loaded_by(*command, flag)
    assert "argparse" in names
    ours = {name for name in names if name.partition(".")[0] == "exporter"}
    similar = {"difflib", "heapq", "_heapq"} if flag == "--no-such-flag" else set()
    assert names - ours - loaded_by(PYTHON, "-c", ANY_HELP) == similar


def test_a_running_exporter_has_loaded_what_it_uses(tmp_path: Path) -> None:
    """Not what the commands, the demo, passwords, patterns, a storage or pages for people need."""
    file = tmp_path / "exporter.yml"
    file.touch(0o600)
    file.write_text(CONFIGURATION)
    with exporter(f"--config.file={file}", environ=TELLING) as it:
        it.wait_until_ready()
        it.scrape()
        names = loaded(it.process.stderr.text)
        assert {"grpc", "structlog", "aiohttp.web_server", "exporter.web.routes"} <= names
        assert names & UNUSED == set()
        assert names & PAGES == set()
        assert get(it.port, "/").status == HTTPStatus.OK
        assert loaded(it.process.stderr.text) >= PAGES


@pytest.mark.parametrize("module", sorted(UNUSED | PAGES))
def test_what_is_not_loaded_is_there(module: str) -> None:
    """Or a typing error in its name would let it come back."""
    assert find_spec(module) is not None
