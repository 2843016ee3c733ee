"""Who may import whom: import-linter refuses what its contracts are there to refuse.

In a copy of the package every room gets a module that imports all that is forbidden somewhere, and
so do the package itself and a room that nobody has heard of.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
LAYERS: Final = "Rooms import one way"
ENTRY_POINTS: Final = {
    f"exporter.{name}" for name in ("start", "cli", "app", "demo", "tool", "process")
}
# What only these may import.
ALLOWED: Final = {
    "grpc": {"exporter.api", "exporter.simulator"},
    "prometheus_client": {"exporter.metrics.telemetry"},
    "os": ENTRY_POINTS,
    "time": ENTRY_POINTS,
    "signal": ENTRY_POINTS,
    "exporter.process": ENTRY_POINTS,
    "exporter.rules": {"exporter.rules", "exporter.tool"},
    "promql_parser": {"exporter.rules", "exporter.tool"},
    "random": ENTRY_POINTS | {"exporter.simulator"},
}
TOP: Final = "exporter.start"  # no room stands above it
IMPORTS: Final = "".join(f"import {module}\n" for module in (*ALLOWED, TOP))


def packages() -> list[str]:
    """Return the package, its rooms, and theirs."""
    files = (ROOT / "exporter").rglob("__init__.py")
    return sorted(".".join(file.parent.relative_to(ROOT).parts) for file in files)


ROOMS: Final = [name for name in packages() if name != "exporter"]


def copy(folder: Path) -> Path:
    """Copy what import-linter reads."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "exporter", folder / "exporter", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as `make check` does."""
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        cwd=folder,
        env={"COLUMNS": "200"},  # it breaks longer lines
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return what import-linter has to say of strays everywhere, by contract."""
    folder = copy(tmp_path_factory.mktemp("strays"))
    (folder / "exporter" / "annexe").mkdir()
    (folder / "exporter" / "annexe" / "__init__.py").touch()
    for package in (*packages(), "exporter.annexe"):
        (folder / package.replace(".", "/") / "stray.py").write_text(IMPORTS)
    run = lint(folder)
    assert run.returncode == 1, run.stdout + run.stderr
    _, *parts = re.split(r"^(.+)\n-+\n", run.stdout, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def refused(text: str, module: str) -> set[str]:
    """Return what a module may not import, by a part of the report."""
    return set(re.findall(rf"^- +{re.escape(module)} -> (\S+) \(l\.", text, re.MULTILINE))


def test_the_package_as_it_is_is_accepted(tmp_path: Path) -> None:
    """Else what follows would be refused for another reason."""
    run = lint(copy(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_contract_refuses_something(report: Mapping[str, str]) -> None:
    """There is none that cannot be broken, or whose rule is not in the table above."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    names = [contract["name"] for contract in contracts["contracts"]]
    assert [name for name in names if "stray" not in report.get(name, "")] == []


@pytest.mark.parametrize("package", ["exporter", "exporter.annexe", *ROOMS])
def test_a_new_module_may_import_only_what_its_room_may(
    package: str, report: Mapping[str, str]
) -> None:
    """In each room there is, in one there is not yet, and beside them."""
    others = "".join(text for name, text in report.items() if name != LAYERS)
    module = f"{package}.stray"
    rooms = {package.rsplit(".", n)[0] for n in range(package.count("."))}
    assert refused(others, module) == {name for name, to in ALLOWED.items() if not to & rooms}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_may_import_what_stands_above_it(room: str, report: Mapping[str, str]) -> None:
    """The command line, which stands above them all."""
    assert TOP in refused(report[LAYERS], f"{room}.stray")


def test_a_new_room_or_module_has_to_say_where_it_stands(report: Mapping[str, str]) -> None:
    """Those that no layer names are refused."""
    unnamed = re.findall(r"^- (exporter\.\w+)$", report[LAYERS], re.MULTILINE)
    assert unnamed == ["exporter.annexe", "exporter.stray"]
