"""The newer Prometheus and Alertmanager: they are newer, and come from Debian or not at all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.debian import NEWEST, UnavailableError, bootstrap
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


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, *sources: str) -> str:
    """Return what is said of a new Debian on a machine with these sources."""
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list"; Dir::Etc::SourceParts "/dev/null";'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with pytest.raises(UnavailableError) as caught:
        bootstrap(NEWEST, folder / "debian")
    assert not (folder / "debian").exists()
    return str(caught.value)


def test_a_machine_without_sources_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where sources belong."""
    said = refused(tmp_path, monkeypatch)
    assert said == "apt knows no repository. See /etc/apt/sources.list.d."


def test_what_debian_has_not_signed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the machine itself would take it."""
    suite = tmp_path / "mirror" / "dists" / NEWEST
    (suite / "main" / "binary-amd64").mkdir(parents=True)
    (suite / "main" / "binary-amd64" / "Packages").touch()
    (suite / "Release").write_text(f"Suite: {NEWEST}\nCodename: {NEWEST}\nComponents: main\n")
    source = f"deb [trusted=yes] file:{tmp_path}/mirror stable main"
    said = refused(tmp_path, monkeypatch, source)
    assert said.startswith("no repository that apt knows has it.\n")
    assert "signature" in said
