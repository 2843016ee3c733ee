"""The wheel where people install it: by the README's commands, and for type checkers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.documents import commands_of
from support.packages import build, pins, repository
from support.process import get, running, until

COMMANDS = ("viam-billing-exporter", "viam-billing")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose dist/ has what people install; `make dist` has a test of its own."""
    clone = repository(tmp_path_factory.mktemp("clone"))
    build(clone, "wheel")
    lock = clone / "requirements" / "runtime.txt"
    (clone / "dist" / "requirements.txt").write_bytes(lock.read_bytes())
    return clone


# --- As the README says ---


def follow(typed: str, release: Path, folder: Path, **environ: str) -> str:
    """Run commands of the README in a folder in place of /opt; returns what the last one prints."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "sudo").chmod(0o755)
    *lines, last = typed.replace("/opt/", f"{folder}/opt/").splitlines()
    assert lines.pop(0) == "make dist"
    assert last.endswith("viam-billing-exporter --version")
    path = f"{programs}:{os.environ['PATH']}:{folder}/bin"
    variables = {**os.environ, "PATH": path, **environ}
    for line in lines:
        subprocess.run(["sh", "-c", line], cwd=release, env=variables, check=True)
    return subprocess.run(
        ["sh", "-c", last], cwd=folder, env=variables, check=True, capture_output=True, text=True
    ).stdout


def serve(command: Path) -> None:
    """Run an installed exporter until it shows metrics of bills."""
    with running(command, "--demo", "--web.listen-address=127.0.0.1:0") as process:
        port = int(process.stdout.wait_for(r"http://localhost:(\d+)/")[1])
        until(lambda: "\nviam_billing_up{" in get(port, "/metrics").text, "bills are shown")


def commands(word: str) -> str:
    """Return the README's way to install that has a word in it."""
    (found,) = (block for block in commands_of("docs/install.md", __file__) if word in block.text)
    return found.text


def test_into_an_environment_of_its_own(release: Path, tmp_path: Path) -> None:
    """Every dependency by version and hash."""
    assert "--require-hashes" in commands("/opt/")
    line = follow(commands("/opt/"), release, tmp_path)
    assert re.fullmatch(r"viam-billing-exporter \S+ \(revision [0-9a-f]{40}\)\n", line)
    (environment,) = (tmp_path / "opt").iterdir()
    serve(environment / "bin" / "viam-billing-exporter")


def test_with_pipx(release: Path, tmp_path: Path) -> None:
    """Debian's. Both commands are there, and nothing else is."""
    # What the index has newer than we know is not tested here.
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(pins()))
    line = follow(
        commands("pipx"),
        release,
        tmp_path,
        PIPX_HOME=str(tmp_path / "pipx"),
        PIPX_BIN_DIR=str(tmp_path / "bin"),
        PIP_CONSTRAINT=str(constraints),
    )
    assert {path.name for path in (tmp_path / "bin").iterdir()} == set(COMMANDS)
    for name in COMMANDS:
        said = subprocess.run(
            [tmp_path / "bin" / name, "--version"], check=True, capture_output=True
        )
        assert said.stdout.decode() == line.replace(COMMANDS[0], name)
    serve(tmp_path / "bin" / COMMANDS[0])


# --- Types ---

# A line for each: right, or wrong in a way that only the package's own types can tell.
PROGRAM: Mapping[str, str | None] = {
    "from exporter.process.version import Version, version": None,
    "number: str = version().number": None,
    "wrong: int = version().number": "assignment",
    "Version(number=1, revision='')": "arg-type",
    "version().name": "attr-defined",
}


def test_programs_that_use_it_are_checked_against_its_types(release: Path, tmp_path: Path) -> None:
    """They arrive with the wheel: mypy finds what is wrong with a program, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    (wheel,) = (release / "dist").glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", python)
    subprocess.run([*pip, "install", "--no-deps", wheel], check=True, capture_output=True)
    (tmp_path / "client.py").write_text("\n".join(PROGRAM))
    flags = ("--strict", "--no-incremental", "--config-file=", f"--python-executable={python}")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "client.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^client\.py:(\d+): error: .*\[([a-z-]+)\]$", checked.stdout, re.MULTILINE)
    wrong = [(str(n), code) for n, code in enumerate(PROGRAM.values(), 1) if code]
    assert found == wrong, checked.stdout + checked.stderr
