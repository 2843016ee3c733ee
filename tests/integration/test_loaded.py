"""What commands load: each module takes time at every start, and memory for as long as it runs."""

from __future__ import annotations

import re
import subprocess
from http import HTTPStatus
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


def test_a_running_exporter_has_no_part_that_only_people_and_the_demo_use(tmp_path: Path) -> None:
    """What draws in a terminal, what simulates; and what makes pages once one is asked for."""
    file = tmp_path / "exporter.yml"
    file.touch(0o600)
    file.write_text(CONFIGURATION)
    with exporter(f"--config.file={file}", environ=TELLING) as it:
        it.wait_until_ready()
        it.scrape()
        modules = loaded(it.process.stderr.text)
        assert {"exporter.web.routes", "grpc", "structlog"} <= modules
        people = {"rich.console", "exporter.tool"}
        assert modules & (people | {"exporter.demo", "exporter.simulator"}) == set()
        assert "jinja2" not in modules
        assert get(it.port, "/").status == HTTPStatus.OK
        assert "jinja2" in loaded(it.process.stderr.text)
