"""What the tests start as a process is the package that they are told to test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import installed
from support.packages import pins
from support.process import PYTHON, ROOT, TOOL, Process, exporter, running
from support.standing import ENVIRON, STANDING

# Else the tests run on the checkout itself.
FROM_THE_WHEEL = installed.folder() != Path(sys.prefix).resolve()


def python(code: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what the Python that has the package prints."""
    run = subprocess.run(
        [PYTHON, "-c", code], env=environ or {}, check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


def package(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of the package that it runs."""
    return Path(python("import exporter; print(exporter.__path__[0])", environ)).resolve()


def seen(process: Process) -> tuple[Path, set[str], str]:
    """Return a process's working directory, the libraries it loaded, and its environment."""
    folder = Path("/proc", str(process._popen.pid))
    libraries = re.findall(r"/\S+\.so$", (folder / "maps").read_text(), re.MULTILINE)
    return (folder / "cwd").readlink(), set(libraries), (folder / "environ").read_text()


def test_the_package_is_the_one_that_is_under_test() -> None:
    """With `--installed` the one in that folder, else the checkout."""
    if FROM_THE_WHEEL:
        assert package().is_relative_to(installed.folder())
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?\n", (package() / "REVISION").read_text())
    else:
        assert package() == ROOT / "exporter"


def test_beside_the_wheel_there_is_what_is_pinned_and_nothing_else() -> None:
    """So nothing that only the tests need is there by accident."""
    code = """
import importlib.metadata, json
print(json.dumps({each.name: each.version for each in importlib.metadata.distributions()}))
"""
    there = {name.lower().replace("_", "-"): v for name, v in json.loads(python(code)).items()}
    pinned = dict(line.split("==") for line in pins())
    assert pinned.items() <= there.items()
    if FROM_THE_WHEEL:
        assert there.keys() == pinned.keys() | {"viam-billing-exporter"}


def under_test(process: Process) -> None:
    """Fail unless a process runs what is under test, and could not find anything else."""
    cwd, libraries, environ = seen(process)
    assert not cwd.is_relative_to(ROOT)
    (grpc,) = (Path(name) for name in libraries if "/cygrpc." in name)
    assert grpc.is_relative_to(installed.folder())
    assert f"{ROOT}\0" not in environ
    assert f"{ROOT}:" not in environ


def test_the_exporter_that_tests_start_is_that_one() -> None:
    """The libraries in its memory are of that environment, and its revision is the package's."""
    with exporter("--demo") as it:
        under_test(it.process)
        file = package() / "REVISION"
        revision = file.read_text().strip() if file.exists() else "unknown"
        assert f'revision="{revision}"' in it.scrape()


def test_the_tool_that_tests_start_is_that_one(tmp_path: Path) -> None:
    """Also where a test calls it with a clock of its own."""
    file = f"--config-out={tmp_path / 'exporter.yml'}"
    with running(*TOOL, "simulate", "--listen-address=127.0.0.1:0", file) as process:
        process.stderr.wait_for("simulating")
        under_test(process)
    assert STANDING[0] == PYTHON
    assert package(ENVIRON) == package()


def test_no_test_starts_the_commands_in_another_way() -> None:
    """As a module of the Python that runs the tests, they would be those of the checkout."""
    module = re.compile(r"-m[\"', ]+exporter\.(cli|tool)\b")
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert [path for path in files if module.search(path.read_text())] == []


@pytest.mark.parametrize("target", ["test", "test-full"])
def test_make_tests_the_wheel(target: str) -> None:
    """Which it builds and installs anew when a file in it has changed, for all tests of it."""
    shown = subprocess.run(
        ["make", "--dry-run", "--what-if=exporter/cli.py", target],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    steps = ("build --target wheel", "--force-reinstall build/wheel/", "--installed=.venv-wheel")
    found = re.findall("|".join(map(re.escape, steps)), shown)
    assert found[: len(steps)] == list(steps)
    runs = re.findall("bin/pytest (.*)", shown)
    assert runs
    assert all(run.startswith("--installed=.venv-") for run in runs)
