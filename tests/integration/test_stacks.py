"""The newer Prometheus and Alertmanager: they are newer, and come from Debian or not at all."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from support.process import ROOT
from support.stacks import PROGRAMS, STACKS, on_the_path


def versions(stack: str) -> list[tuple[int, int]]:
    """Return the versions of its programs."""
    with on_the_path(stack):
        runs = [subprocess.check_output([name, "--version"], text=True) for name in PROGRAMS]
    found = [re.findall(r"version (\d+)\.(\d+)", text)[0] for text in runs]
    return [(int(major), int(minor)) for major, minor in found]


def test_the_newer_programs_are_newer() -> None:
    """Each of them: else tests would show the same thing twice."""
    installed, newer = map(versions, STACKS)
    for old, new in zip(installed, newer, strict=True):
        assert old < new


def fetched(folder: Path, *sources: str) -> str:
    """Return what is said when nothing can be fetched, on a machine with these sources."""
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list"; Dir::Etc::SourceParts "/dev/null";'
    )
    done = subprocess.run(
        [ROOT / "tests" / "newer_prometheus.sh", folder / "newer"],
        env={**os.environ, "APT_CONFIG": str(settings), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_machine_without_sources_is_told(tmp_path: Path) -> None:
    """And where sources belong."""
    assert fetched(tmp_path) == (
        "No Prometheus of Debian forky: apt knows no repository. See /etc/apt/sources.list.d.\n"
    )


def test_what_debian_has_not_signed_is_refused(tmp_path: Path) -> None:
    """Even if the machine itself would take it."""
    suite = tmp_path / "mirror" / "dists" / "forky"
    (suite / "main" / "binary-amd64").mkdir(parents=True)
    (suite / "main" / "binary-amd64" / "Packages").touch()
    (suite / "Release").write_text("Suite: forky\nCodename: forky\nComponents: main\n")
    told = fetched(tmp_path, f"deb [trusted=yes] file:{tmp_path}/mirror stable main")
    assert "forky Release' is not signed." in told
    assert told.endswith("forky: no repository that apt knows has it. See above.\n")
