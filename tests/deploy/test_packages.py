"""The wheel and the sdist: the same from everywhere, complete, and true about themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_string
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from readme_renderer import markdown

import hatch_build
from support.packages import (
    PROJECT,
    PYTHONS,
    build,
    git,
    names,
    repository,
    text,
    tracked,
    unpack,
)
from support.process import ROOT

NAME = f"viam_billing_exporter-{PROJECT['version']}"
GRAFANA = ("grafana/dashboards", "grafana/provisioning")  # a wheel has them in the package
Packages = Mapping[str, Path]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of one commit with the files of this one."""
    return repository(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def built(clone: Path) -> Packages:
    """Return its packages."""
    return build(clone)


def test_who_builds_it_makes_no_difference(clone: Path, built: Packages, tmp_path: Path) -> None:
    """Another folder, umask, locale, time zone, age of the files: the same bytes."""
    now = int(time.time())
    other = repository(tmp_path / "another folder" / "deeper", clone, umask=0o077, mtime=now)
    again = build(
        other,
        TZ="Asia/Kathmandu",
        LC_ALL="POSIX",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONHASHSEED="7",
    )
    for target, package in built.items():
        assert again[target].name == package.name
        assert again[target].read_bytes() == package.read_bytes(), target


def test_the_sdist_makes_the_same_wheel(built: Packages, tmp_path: Path) -> None:
    """Without git: it brings the revision along."""
    unpacked = unpack(built["sdist"], tmp_path)
    assert build(unpacked, "wheel")["wheel"].read_bytes() == built["wheel"].read_bytes()


def test_files_are_as_old_as_the_builder_says(clone: Path, tmp_path: Path) -> None:
    """By SOURCE_DATE_EPOCH, as distributions set it."""
    moment = datetime(2025, 6, 20, 12, tzinfo=UTC)
    copy = shutil.copytree(clone, tmp_path / "copy", ignore=shutil.ignore_patterns("dist"))
    packages = build(copy, SOURCE_DATE_EPOCH=str(int(moment.timestamp())))
    with zipfile.ZipFile(packages["wheel"]) as wheel:
        assert {info.date_time for info in wheel.infolist()} == {moment.timetuple()[:6]}
    with tarfile.open(packages["sdist"]) as sdist:
        assert {info.mtime for info in sdist} == {moment.timestamp()}


def test_the_wheel_is_the_package(built: Packages) -> None:
    """What git knows of it, revision and runbook, and what installers read: no more, no less.

    A new file that fails here waits for `git add`, or does not belong there.
    """
    read = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    described = [f"{NAME}.dist-info/{name}" for name in read]
    added = ("exporter/REVISION", "exporter/rules/runbook.md")
    grafana = (f"exporter/{name}" for name in tracked(ROOT, *GRAFANA))
    expected = [*tracked(ROOT, "exporter"), *grafana, *added, *described]
    assert names(built["wheel"]) == sorted(expected)


def test_the_sdist_is_what_the_wheel_is_made_of(built: Packages) -> None:
    """And the sources of the generated code; no test, no document but the runbook."""
    made_of = (
        "docs/runbooks",
        "exporter",
        *GRAFANA,
        "protos",
        "hatch_build.py",
        "pyproject.toml",
        ".gitignore",
    )
    told = ("CHANGELOG.md", "LICENSE", "README.md")
    expected = [*tracked(ROOT, *made_of, *told), "exporter/REVISION", "PKG-INFO"]
    assert names(built["sdist"]) == sorted(f"{NAME}/{name}" for name in expected)


def test_nothing_that_lies_about_gets_in(clone: Path, built: Packages, tmp_path: Path) -> None:
    """What git ignores, wherever it is; nor, outside of the package, what it does not know."""
    copy = shutil.copytree(clone, tmp_path / "copy", ignore=shutil.ignore_patterns("dist"))
    # Not caches of Python and its tools, which hatchling leaves out whatever git says.
    ignored = ("exporter/a.egg-info/a.py", "protos/.hypothesis/a", "build/a.py")
    unknown = ("notes.md", "notes/exporter/a.py", "notes/protos/a.proto", "tests/unit/test_more.py")
    for name in ignored + unknown:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    assert set(git(copy, "ls-files", "--others", "--exclude-standard").split()) == set(unknown)
    for target, package in build(copy).items():
        assert names(package) == names(built[target]), target


def test_the_metadata_keeps_the_standard(built: Packages) -> None:
    """Each field valid in itself, and taken from pyproject.toml."""
    metadata = Metadata.from_email(text(built["wheel"], "/METADATA"))
    assert metadata.name == PROJECT["name"]
    assert str(metadata.version) == PROJECT["version"]
    assert metadata.license_expression == PROJECT["license"]
    assert metadata.license_files == PROJECT["license-files"]
    assert str(metadata.requires_python) == PROJECT["requires-python"]
    assert len(metadata.requires_dist or ()) == len(PROJECT["dependencies"])
    # Whoever says it twice may contradict themselves: the licence is in one field.
    assert not [line for line in metadata.classifiers or () if line.startswith("License")]
    licence = text(built["wheel"], ".dist-info/licenses/LICENSE")
    assert licence == (ROOT / "LICENSE").read_text()


def test_the_readme_shows_on_a_package_index(built: Packages) -> None:
    """It is in the metadata, and the renderer of indexes takes all of it."""
    message = message_from_string(text(built["wheel"], "/METADATA"))
    assert message["Description-Content-Type"] == "text/markdown"
    readme = (ROOT / "README.md").read_text()
    description = message.get_payload()
    assert isinstance(description, str)
    assert description.strip() == readme.strip()
    shown = markdown.render(description)
    assert shown
    for heading in re.findall(r"^##? (.*)$", readme, re.MULTILINE):
        assert re.search(rf"<h[12][^>]*>{re.escape(heading)}<", shown), heading


def test_the_wheel_runs_on_every_machine(built: Packages) -> None:
    """It is pure Python, and of the kind that installers take without building."""
    assert built["wheel"].name.endswith("-py3-none-any.whl")
    assert "Root-Is-Purelib: true" in text(built["wheel"], "/WHEEL")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    "version", [*(pytest.param(old, marks=pytest.mark.slow) for old in PYTHONS[:-1]), PYTHONS[-1]]
)
def test_every_dependency_has_a_wheel(version: str, machine: str, tmp_path: Path) -> None:
    """Of those that are pinned, for each Python: nothing has to be compiled."""
    platforms = [f"--platform={tag}_{machine}" for tag in ("manylinux_2_28", "manylinux2014")]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
            *("--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"),
            *(f"--target={tmp_path}", f"--python-version={version}", *platforms),
            f"--requirement={ROOT / 'requirements' / 'runtime.txt'}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


# --- The revision ---


def test_the_revision_is_the_commit(clone: Path, built: Packages) -> None:
    """In the wheel, and again in the one that the sdist makes."""
    commit = git(clone, "rev-parse", "HEAD").strip()
    assert text(built["wheel"], "exporter/REVISION") == f"{commit}\n"
    assert hatch_build.revision(clone, {}) == commit


def test_a_changed_checkout_says_so(clone: Path, tmp_path: Path) -> None:
    """Be it a change, a file that is not committed, or one that is gone; not what is ignored."""
    commit = git(clone, "rev-parse", "HEAD").strip()
    copy = shutil.copytree(clone, tmp_path / "copy")
    (copy / "exporter" / "__pycache__").mkdir()
    (copy / "exporter" / "__pycache__" / "cli.pyc").touch()
    assert hatch_build.revision(copy, {}) == commit
    git(copy, "config", "status.showUntrackedFiles", "no")
    module = copy / "exporter" / "cli.py"
    before = module.read_bytes()
    changes: tuple[Callable[[], object], ...] = (
        lambda: module.write_bytes(before + b"# more\n"),
        (copy / "exporter" / "more.py").touch,
        (copy / "README.md").unlink,
    )
    for change in changes:
        change()
        assert hatch_build.revision(copy, {}) == f"{commit}-dirty"
        git(copy, "checkout", "--quiet", ".")
        git(copy, "clean", "--quiet", "--force")
        assert hatch_build.revision(copy, {}) == commit
    module.write_bytes(before + b"# more\n")
    assert text(build(copy, "wheel")["wheel"], "exporter/REVISION") == f"{commit}-dirty\n"


def test_no_other_repository_s_commit_is_taken(clone: Path, tmp_path: Path) -> None:
    """Of a folder that lies in one; nor is any where there is none, or no git."""
    assert hatch_build.revision(clone / "exporter", {}) is None
    assert hatch_build.revision(tmp_path, {}) is None


def test_the_builder_may_say_the_revision(clone: Path) -> None:
    """Who builds where git is not, as in a container."""
    assert hatch_build.revision(clone, {"SOURCE_REVISION": "1234abcd"}) == "1234abcd"
