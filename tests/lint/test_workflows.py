"""The workflows, forms and settings of the forge, which nothing here can run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
FORGE: Final = ROOT / ".github"
WORKFLOWS: Final = sorted((FORGE / "workflows").glob("*.yml"))
FORMS: Final = sorted((FORGE / "ISSUE_TEMPLATE").glob("*.yml"))
# What a step may start beside make: to get make, and to sign and publish.
PROGRAMS: Final = {"apt-get", "cosign", "echo", "gh", "git", "make"}
PIN: Final = re.compile(r"\s*(?:- )?uses: (?:\$/\S+|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
BASE: Final = re.compile(r"^ARG BASE_IMAGE=\S+/python:3\.(\d+)-slim", re.MULTILINE)

EACH = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)


def jobs(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the jobs of a workflow."""
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(file.read_text())["jobs"]
    return found


def commands(file: Path) -> Iterator[str]:
    """Yield each line that the steps of a workflow run."""
    for job in jobs(file).values():
        for step in job.get("steps", ()):
            yield from step.get("run", "").splitlines()


def targets() -> set[str]:
    """Return the targets that the Makefile explains, which are those that people type."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_forge_s_linter_finds_nothing() -> None:
    """Neither injections nor credentials that stay, nor rights that are not needed.

    Nothing is switched off but one rule for Debian's images: what matters of them comes by apt.
    """
    options = ["--offline", "--no-progress", "--persona=pedantic", "--strict-collection"]
    command: list[str | Path] = [BIN / "zizmor", *options, "--color=never", FORGE]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not [path for path in FORGE.rglob("*") if path.name.startswith("zizmor.")]
    text = "".join(file.read_text() for file in WORKFLOWS)
    ignored = re.findall(r"image: (\w+):.* # zizmor: (ignore\[.*?\])", text)
    assert set(ignored) == {("debian", "ignore[unpinned-images]")}
    assert len(ignored) == text.count("zizmor:")


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-issue-config", [FORGE / "ISSUE_TEMPLATE" / "config.yml"]),
        ("github-issue-forms", [file for file in FORMS if file.stem != "config"]),
        ("renovate", [FORGE / "renovate.json"]),
    ],
)
def test_each_file_keeps_the_schema_of_its_kind(schema: str, files: list[Path]) -> None:
    """A key that the forge does not know would do nothing, and nobody would be told."""
    assert files
    command: list[str | Path] = [BIN / "check-jsonschema", f"--builtin-schema=vendor.{schema}"]
    run = subprocess.run([*command, *files], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@EACH
def test_steps_are_make_targets_that_exist(file: Path) -> None:
    """A workflow has no logic of its own: what it does is done, and tested, on any machine."""
    lines = [re.sub(r"^\w+=\$\((.*)\)$", r"\1", line) for line in commands(file)]
    started = [word.split() for line in lines for word in line.split(" && ")]
    assert {words[0] for words in started} <= PROGRAMS
    called = [words for words in started if words[0] == "make"]
    named = {word for words in called for word in words[1:] if re.fullmatch("[a-z][a-z-]*", word)}
    assert named <= targets()
    assert called


@EACH
def test_nothing_is_put_into_a_command(file: Path) -> None:
    """A name of a branch or a title is text in a variable, not part of a script."""
    assert not [line for line in commands(file) if "${{" in line]


@EACH
def test_each_action_is_pinned_by_commit(file: Path) -> None:
    """And says beside it which version that is, for readers and for Renovate."""
    used = [line for line in file.read_text().splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert used
    assert [line for line in used if not PIN.fullmatch(line)] == []


def test_an_action_has_one_version() -> None:
    """The same in every workflow."""
    text = "".join(file.read_text() for file in WORKFLOWS)
    pins = set(re.findall(r"uses: (\S+)@(\S+ # \S+)", text))
    names = [name for name, _ in pins]
    assert sorted(names) == sorted(set(names))


@EACH
def test_each_job_has_an_end_and_the_rights_that_it_needs(file: Path) -> None:
    """A workflow has none by itself, and no job waits for six hours, which is the default."""
    assert yaml.safe_load(file.read_text())["permissions"] == {}
    for name, job in jobs(file).items():
        assert "permissions" in job, name
        assert "timeout-minutes" in job or "uses" in job, name


def test_every_python_is_checked() -> None:
    """From the oldest that the package allows to the one of the image."""
    (checks,) = (file for file in WORKFLOWS if file.stem == "checks")
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    newest = BASE.search((ROOT / "deploy" / "container" / "Dockerfile").read_text())
    assert newest
    versions = [f"3.{minor}" for minor in range(int(newest[1]) + 1)]
    assert jobs(checks)["check"]["strategy"]["matrix"]["python"] == [
        version for version in versions if SpecifierSet(allowed).contains(version)
    ]


def test_nothing_is_published_unless_all_checks_pass() -> None:
    """And the upload to the index, which cannot be taken back, comes after all that can."""
    release = jobs(FORGE / "workflows" / "release.yml")

    def before(name: str) -> set[str]:
        needs = set(release[name].get("needs", ()))
        return needs.union(*(before(need) for need in needs))

    for name, job in release.items():
        if "write" in job["permissions"].values():
            assert before(name) >= {"checks", "audit", "build"}, name
    assert before("package") >= {"sign", "image", "chart"}
    assert before("publish") == release.keys() - {"publish"}


def test_updates_are_looked_for_in_every_file_of_requirements_and_in_tests() -> None:
    """By itself Renovate knows only a requirements.txt, and skips `tests`, where Helm is pinned."""
    settings = json.loads((FORGE / "renovate.json").read_text())
    (pattern,) = settings["pip_requirements"]["managerFilePatterns"]
    locks = [f"requirements/{file.name}" for file in (ROOT / "requirements").glob("*.txt")]
    assert locks
    assert [lock for lock in locks if not re.search(pattern.strip("/"), lock)] == []
    assert (ROOT / "tests" / "tools" / "package.json").exists()
    assert settings["ignorePresets"] == [":ignoreModulesAndTests"]
    assert "ignorePaths" not in settings
