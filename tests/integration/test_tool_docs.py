"""The pages of docs/commands show what the commands say: their examples are run and compared.

`pytest --update-golden tests/integration/test_tool_docs.py` writes the output anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from exporter.tool import focus, names
from exporter.tool.command import COMMANDS
from support.process import PATIENCE, ROOT
from support.simulated import NOON
from support.standing import ENVIRON, Service, standing

FOLDER = ROOT / "docs" / "commands"
BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
PAGES = [page for page in sorted(FOLDER.glob("*.md")) if BLOCK.search(page.read_text())]
SERVICE = re.compile(r"^<!-- service: (.*) -->$", re.MULTILINE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all pages."""
    with standing(tmp_path_factory.mktemp("service")) as it:
        yield it


def environment(folder: Path) -> Mapping[str, str]:
    """Return an environment in which `viam-billing` is the command at NOON."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "viam-billing"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m support.standing run {NOON} "$@"\n')
    program.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", **ENVIRON}


def rerun(block: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Return a block with the output of its commands made anew."""
    made = ""
    for line in block.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                ["sh", "-c", line.removeprefix("$ ")],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=PATIENCE,
                check=False,
            )
            # Downloads end in any order, and root is warned of: neither is the same everywhere.
            lines = [each for each in done.stdout.splitlines() if "running as root" not in each]
            if lines and lines[0].startswith("downloaded "):
                lines[:-1] = sorted(lines[:-1])
            made += "\n".join([line, *lines]) + "\n"
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_say_what_the_commands_say(
    page: Path, service: Service, tmp_path: Path, *, update_golden: bool
) -> None:
    """Each command of a page, run in turn, prints what stands below it."""
    text = page.read_text()
    environ = environment(tmp_path)
    (tmp_path / "exporter.yml").write_bytes(service.file.read_bytes())
    (tmp_path / "exporter.yml").chmod(0o600)
    with service.failing(*" ".join(SERVICE.findall(text)).split()):
        made = BLOCK.sub(lambda match: rerun(match[0], tmp_path, environ), text)
    if update_golden:
        page.write_text(made)
        text = made
    assert made == text


def test_every_command_has_a_page() -> None:
    """And is in the list of them."""
    index = (FOLDER / "README.md").read_text()
    for command in COMMANDS:
        assert f"| [{command}](" in index
        assert (FOLDER / f"{command}.md").exists() or command == "simulate"


def test_what_a_template_stands_for_is_documented() -> None:
    """Every field of --name-template."""
    text = (FOLDER / "pdf.md").read_text()
    assert re.findall(r"^\| `\{(\w+)\}` \|", text, re.MULTILINE) == list(names.FIELDS)
    assert f"`{names.DEFAULT_TEMPLATE}`" in text


def test_the_version_of_focus_is_documented() -> None:
    """With the columns that stay empty."""
    text = (FOLDER / "usage.md").read_text()
    assert f"**{focus.VERSION}**" in text
    assert all(column in focus.COLUMNS for column in ("PricingQuantity", "ChargeClass"))
