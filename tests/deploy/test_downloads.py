"""What `make dist` makes: complete, the same for everybody, and what each file is said to be."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Final

import pytest

from support import release
from support.documents import commands_of
from support.packages import git, repository
from support.process import ROOT, get, running, until

# It is built first, twice in one case.
pytestmark = pytest.mark.timeout(900)

VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMMANDS: Final = ("viam-billing-exporter", "viam-billing")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the files of a release."""
    return release.released(tmp_path_factory) / "dist"


def sums(dist: Path) -> dict[str, str]:
    """Return the checksum of each file of a release by its name."""
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def test_a_release_is_what_its_page_says(dist: Path) -> None:
    """A file for each row, each with a checksum that is right, and nothing else is changed."""
    page = (ROOT / "docs" / "releasing.md").read_text()
    rows = re.findall(r"^\| `([^` ]+)` \|", page, re.MULTILINE)
    described = {row.replace("VERSION", VERSION) for row in rows}
    assert {path.name for path in dist.iterdir()} == described
    assert set(sums(dist)) == described - {"SHA256SUMS"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=dist, check=True)
    assert git(dist.parent, "status", "--porcelain") == ""


def test_who_makes_a_release_makes_no_difference(dist: Path, tmp_path: Path) -> None:
    """Another folder, umask, locale, time zone, age of the files: the same bytes in each file.

    What the last release has left there is gone.
    """
    again = repository(
        tmp_path / "another folder", dist.parent, umask=0o077, mtime=int(time.time())
    )
    (again / "dist").mkdir()
    (again / "dist" / "of-the-last-release.whl").touch()
    release.make(again, umask=0o077, TZ="Asia/Kathmandu", LC_ALL="POSIX", PYTHONHASHSEED="7")
    assert sums(again / "dist") == sums(dist)


# --- The single file ---


@pytest.fixture(scope="module")
def single(dist: Path) -> Path:
    """Return it."""
    (found,) = dist.glob("*.pyz")
    return found


def test_the_single_file_runs_both_commands(single: Path, tmp_path: Path) -> None:
    """As its page says: itself the exporter, by a link the other; each says its own name."""
    (block,) = commands_of("docs/install.md", __file__)
    (tmp_path / single.name).symlink_to(single)
    done = subprocess.run(
        ["sh", "-euc", block.text],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [rf"{name} {VERSION} \(revision [0-9a-f]{{40}}\)\n" for name in COMMANDS]
    assert re.fullmatch("".join(lines), done.stdout)
    assert done.stderr == ""


def test_the_single_file_shows_the_demo_as_the_readme_says(single: Path, tmp_path: Path) -> None:
    """Nothing is installed before. It stops as any daemon does."""
    (block,) = commands_of("README.md", __file__)
    (tmp_path / single.name).symlink_to(single)
    python, file, *flags = shlex.split(block.text, comments=True)
    flags += ["--web.listen-address=127.0.0.1:0"]
    home = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with running(python, tmp_path / file, *flags, environ=home) as process:
        port = int(process.stdout.wait_for(r"http://localhost:(\d+)/")[1])
        until(lambda: "\nviam_billing_up{" in get(port, "/metrics").text, "bills are shown")
    assert not re.search("level=(warning|error|critical)|Traceback", process.stderr.text)


# How a Python says for what its libraries are: one that is too old, and one of another C library.
OTHERS: Final = (".cpython-310-x86_64-linux-gnu.so", ".cpython-311-x86_64-linux-musl.so")


@pytest.mark.parametrize("suffix", OTHERS)
def test_another_python_is_told_which_ones_will_do(
    single: Path, tmp_path: Path, suffix: str
) -> None:
    """Those that the file has libraries for, and how to start it then."""
    code = f"""
import importlib.machinery, runpy, sys
importlib.machinery.EXTENSION_SUFFIXES[0] = {suffix!r}
sys.argv = [{str(single)!r}, "--version"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code],
        env={"HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is for CPython 3.11, 3.12, 3.13 or 3.14 on Linux with glibc on x86-64" in done.stderr
    assert suffix in done.stderr
    assert f"python3.14 {single} ..." in done.stderr


# --- The Debian package ---


@pytest.fixture(scope="module")
def package(dist: Path) -> Path:
    """Return it."""
    (found,) = dist.glob("*.deb")
    return found


def test_lintian_finds_no_error_in_the_debian_package(package: Path) -> None:
    """Those that it is told to pass over have a reason beside them in deploy/debian."""
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error", package],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
