"""The units for systemd, as files. What they do is tried in test_systemd_service.py."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Final

from exporter.cli import OPEN_FILES
from exporter.flags import DEFAULT_ADDRESS, parser
from exporter.web.sockets import BACKLOG
from support.process import ROOT

FOLDER: Final = ROOT / "deploy" / "systemd"
SERVICE: Final = FOLDER / "viam-billing-exporter.service"
SOCKET: Final = FOLDER / "viam-billing-exporter.socket"
MOST_EXPOSED: Final = 1.5  # of 10


def settings(unit: Path, name: str) -> list[str]:
    """Return the values that a unit gives a setting, with lines that go on joined."""
    text = unit.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_systemd_finds_the_service_hardly_exposed() -> None:
    """By its own count, of which the README says the result."""
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", threshold, SERVICE],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level
    assert float(level[1]) <= MOST_EXPOSED
    assert f"gives it {level[1]}, where 10 is" in (FOLDER / "README.md").read_text()


def test_they_say_where_they_are_documented() -> None:
    """In the manual page, and where the project says that its documentation is, if it does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = project.get("urls", {}).get("Documentation")
    expected = ["man:viam-billing-exporter(1)", *([address] if address else [])]
    for unit in (SERVICE, SOCKET):
        assert settings(unit, "Documentation") == [" ".join(expected)]


def test_the_exporter_takes_the_flags() -> None:
    """With what stands in place of systemd's variables, and with no more in $ARGS."""
    (command,) = settings(SERVICE, "ExecStart")
    program, *flags = shlex.split(command)
    assert Path(program).name == parser().prog
    assert flags.pop() == "$ARGS"
    parsed = parser().parse_args(flags)
    assert parsed.systemd_socket
    assert str(parsed.config_file) == "${CONFIGURATION_DIRECTORY}/exporter.yml"
    assert str(parsed.storage_path) == "${STATE_DIRECTORY}"


def test_it_listens_where_only_this_machine_is_and_as_the_exporter_would() -> None:
    """The port is the one it has by default, and as many connections wait."""
    _, _, port = DEFAULT_ADDRESS.rpartition(":")
    assert settings(SOCKET, "ListenStream") == [f"127.0.0.1:{port}"]
    assert settings(SOCKET, "Backlog") == [str(BACKLOG)]


def test_it_may_open_as_many_files_as_it_asks_for() -> None:
    """The exporter raises the limit itself, as far as it may."""
    assert settings(SERVICE, "LimitNOFILE") == [str(OPEN_FILES)]


def test_the_largest_fleet_that_was_measured_fits_into_its_memory() -> None:
    """With half as much again, or more, to spare."""
    (limit,) = settings(SERVICE, "MemoryMax")
    performance = (ROOT / "docs" / "performance.md").read_text()
    polled = re.search(r"\| the most of all that +\| (\d+) +\|", performance)
    stored = re.search(r"\| the most memory until then, MB +\| +\| (\d+) +\|", performance)
    assert polled
    assert stored
    most = max(int(polled[1]), int(stored[1]))
    assert limit == "1G"
    assert most * 1e6 * 1.5 <= 2**30
    assert f"{most} MB at most" in SERVICE.read_text()
