"""Rules and dashboards are in git once: a new clone says how to get them into the chart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from support.chart_values import VARIATIONS
from support.kubernetes import CHART, KUBECTL, NAME, RELEASE, TOOLS, helm, kustomized, rendered
from support.packages import git, names, repository
from support.process import ROOT

BOTH: Final = VARIATIONS["rules and dashboards"]
KUSTOMIZE: Final = Path("deploy", "kubernetes")
OVERLAY: Final = KUSTOMIZE / "overlays" / "prometheus-operator"
COMMAND: Final = ("make", "helm")
SAID: Final = {
    part: f"{part}.enabled: run `{' '.join(COMMAND)}` first, at the top of the checkout: "
    f"it puts the {what} into the chart"
    for part, what in (("prometheusRule", "rules"), ("dashboards", "dashboards"))
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new clone."""
    return repository(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def made(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one in which the command was typed."""
    clone = tmp_path_factory.mktemp("made") / "clone"
    shutil.copytree(bare, clone)
    # What the command would set up first: here the environment of this test, and its tools.
    for name, folder in ((".venv", Path(sys.prefix)), (".tools", TOOLS)):
        (clone / name).mkdir()
        for each in folder.iterdir():
            (clone / name / each.name).symlink_to(each)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    subprocess.run(COMMAND, cwd=clone, env=environ, check=True, capture_output=True)
    return clone


def chart(clone: Path) -> Path:
    """Return the chart of a clone."""
    return clone / CHART.relative_to(ROOT)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prometheusRule": {"enabled": True}}, [SAID["prometheusRule"]]),
        ({"dashboards": {"enabled": True}}, [SAID["dashboards"]]),
        (BOTH, list(SAID.values())),
    ],
    ids=["rules", "dashboards", "both"],
)
def test_a_new_clone_says_what_to_type(bare: Path, values: dict[str, Any], said: list[str]) -> None:
    """Without rules nobody would be told of anything: to leave them out in silence is no way."""
    done = helm("template", RELEASE[0], chart(bare), *RELEASE[1:], values=values)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("  ")] == [
        f"  - {line}" for line in said
    ]


def test_a_new_clone_does_all_else(bare: Path) -> None:
    """By default there are neither rules nor dashboards, and nothing has to be made."""
    assert rendered({}, chart(bare)) == rendered({})
    assert helm("lint", "--strict", chart(bare)).returncode == 0
    for folder in ("base", "overlays/sharded"):
        assert kustomized(bare / KUSTOMIZE / folder)


def test_a_new_clone_s_overlay_says_what_to_type(bare: Path) -> None:
    """There are no words of ours but in the name of the file that kubectl looks for."""
    done = subprocess.run(
        [KUBECTL, "kustomize", bare / OVERLAY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "made-by-make-helm/prometheusrule.yaml" in done.stderr
    assert "no such file or directory" in done.stderr


def test_a_new_clone_passes_the_check(bare: Path) -> None:
    """Which `make check` is to do before anybody has typed `make helm`."""
    done = subprocess.run(
        [sys.executable, "-m", "generate", "--check"],
        cwd=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_after_the_command_there_is_everything(made: Path) -> None:
    """Rules and dashboards by Helm and by kubectl; and git is shown no file more."""
    assert rendered(BOTH, chart(made)) == rendered(BOTH)
    assert kustomized(made / OVERLAY) == kustomized(ROOT / OVERLAY)
    assert git(made, "status", "--porcelain") == ""


def test_a_package_brings_them_along(made: Path, tmp_path: Path) -> None:
    """Who installs it needs no checkout."""
    assert helm("package", chart(made), f"--destination={tmp_path}").returncode == 0
    (package,) = tmp_path.iterdir()
    sources = [*ROOT.glob("deploy/prometheus/rules/*.yml"), *ROOT.glob("grafana/dashboards/*.json")]
    packed = {name for name in names(package) if "/files/" in name}
    assert packed == {f"{NAME}/files/{file.parent.name}/{file.name}" for file in sources}
    assert rendered(BOTH, package) == rendered(BOTH)


def test_copies_out_of_date_are_found(made: Path) -> None:
    """They would be packaged as they are."""
    copy = chart(made) / "files" / "rules" / "viam-billing.rules.yml"
    before = copy.read_text()
    copy.write_text("groups: []\n")
    done = subprocess.run(
        [sys.executable, "-m", "generate", "--check", "chart"],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
    )
    copy.write_text(before)
    assert done.returncode == 1
    assert f"{copy.relative_to(made)} is not up to date: make helm\n" in done.stderr
