"""A machine that refuses files or threads: commands and the exporter end with one line of words."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.process import EXPORTER, PATIENCE, TOOL
from support.standing import ENVIRON, Service, standing

pytestmark = pytest.mark.alone

NOWHERE = """
api: {address: "127.0.0.1:1", tls: false}
credentials: {api_key_id: a, api_key: b}
organizations: [{id: x}]
"""
COMMANDS = {
    "usage": (*TOOL, "usage"),
    "invoices": (*TOOL, "invoices"),
    "pdf": (*TOOL, "pdf", "--all"),
    "backfill": (*TOOL, "backfill"),
    "backfill from an exporter": (*TOOL, "backfill", "--exporter=http://127.0.0.1:1"),
    "usage from an exporter": (*TOOL, "usage", "--exporter=http://127.0.0.1:1"),
    "check": (*TOOL, "check", "--connect"),
    "simulate": (*TOOL, "simulate", "--listen-address=127.0.0.1:0"),
    "the exporter": (*EXPORTER, "--web.listen-address=127.0.0.1:0"),
    "its demo": (*EXPORTER, "--demo", "--web.listen-address=127.0.0.1:0"),
}
GIB = 1 << 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all tests here."""
    with standing(tmp_path_factory.mktemp("room")) as it:
        yield it


def limited(
    command: tuple[str, ...], limits: Mapping[int, int], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command with limits."""

    def limit() -> None:
        for what, most in limits.items():
            resource.setrlimit(what, (most, most))

    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **ENVIRON},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("files", [6, 12, 24])
def test_few_descriptors_are_told_in_a_line(name: str, files: int, tmp_path: Path) -> None:
    """Before gRPC finds out, which would end the process with a signal."""
    (tmp_path / "exporter.yml").write_text(NOWHERE)
    done = limited(COMMANDS[name], {resource.RLIMIT_NOFILE: files}, tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        "cannot open 32 files at once: Too many open files. Allow more: see ulimit -n"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_threads_that_are_refused_are_told_in_a_line(name: str, tmp_path: Path) -> None:
    """As a limit of processes refuses them; here, so many stacks have no room in memory."""
    (tmp_path / "exporter.yml").write_text(NOWHERE)
    limits = {resource.RLIMIT_STACK: GIB, resource.RLIMIT_AS: 4 * GIB}
    done = limited(COMMANDS[name], limits, tmp_path)
    assert done.returncode == 1
    assert "cannot start 16 threads at once. Allow more: see ulimit -u" in done.stderr
    assert "Traceback" not in done.stderr


def test_descriptors_that_just_suffice_cost_files_and_no_more(
    service: Service, tmp_path: Path
) -> None:
    """What cannot be opened is a failure of that invoice, with its reason."""
    command = (*TOOL, "pdf", "--all", service.flag)
    done = limited(command, {resource.RLIMIT_NOFILE: 40}, tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if done.stderr else 0)
    assert all(line.endswith(": Too many open files") for line in done.stderr.splitlines())
    assert " downloaded, 0 already there, " in done.stdout
