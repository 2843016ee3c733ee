"""The chart as Helm takes it: linted, rendered, packaged, and valid for Kubernetes."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from support.chart_values import CASES, GOLDEN, MATRIX, VARIATIONS, paths
from support.kubernetes import (
    CHART,
    NAME,
    NEWEST,
    OLDEST,
    RELEASE,
    helm,
    manifests,
    rendered,
    require_valid,
)


def test_the_linter_finds_nothing() -> None:
    """Strictly, with few values and with many; an icon is not worth the picture."""
    for name in ("default", "complete"):
        done = helm("lint", "--strict", CHART, values=CASES[name])
        found = [line for line in done.stdout.splitlines() if line.startswith("[")]
        assert (done.returncode, found) == (0, ["[INFO] Chart.yaml: icon is recommended"])


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"default"}))
def test_manifests_are_as_expected(name: str, update_golden: bool) -> None:  # noqa: FBT001
    """All of them, to be reviewed as a diff; the default ones are in deploy/kubernetes/base."""
    expected = GOLDEN / name / "manifests.yml"
    text = rendered(CASES[name])
    if update_golden:
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_takes_the_manifests(name: str) -> None:
    """The oldest that the chart is for and the newest, and neither knows a key too many."""
    found = manifests(MATRIX[name])
    require_valid(found)
    names = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(names) == len(set(names))


def test_a_manifest_that_is_wrong_is_found() -> None:
    """Else the test above would show nothing: the schemas are strict."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"port": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="'port' was unexpected"):
        require_valid([service])


def test_an_older_kubernetes_is_refused() -> None:
    """Before anything is installed; the oldest and the newest are not."""
    older = f"1.{int(OLDEST.partition('.')[2]) - 1}"
    for version, code in ((older, 1), (OLDEST, 0), (NEWEST, 0)):
        done = helm("template", RELEASE[0], CHART, f"--kube-version={version}")
        assert done.returncode == code, done.stderr
        assert ("incompatible with Kubernetes" in done.stderr) == bool(code)


def test_every_value_is_used() -> None:
    """A value that does nothing would be a promise."""
    files = (CHART / "templates").iterdir()
    named = set(re.findall(r"\.Values\.([\w.]+)", "".join(file.read_text() for file in files)))
    for path in paths(yaml.safe_load((CHART / "values.yaml").read_text())):
        parts = path.split(".")
        assert named & {".".join(parts[: end + 1]) for end in range(len(parts))}, path


def test_a_package_gives_the_same(tmp_path: Path) -> None:
    """With rules and dashboards in it, and nothing that only a checkout needs."""
    done = helm("package", CHART, f"--destination={tmp_path}")
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.iterdir()
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    assert package.name == f"{NAME}-{version}.tgz"
    values = VARIATIONS["rules and dashboards"]
    assert rendered(values, package) == rendered(values)
    with tarfile.open(package) as archive:
        packed = {Path(name).relative_to(NAME) for name in archive.getnames()}
    there = {path.relative_to(CHART) for path in CHART.rglob("*") if path.is_file()}
    assert packed == there


def test_a_release_gets_notes() -> None:
    """Which say how to see whether it works, for each way to install it."""
    for values, words in (
        (CASES["default"], "kubectl create secret generic viam-billing-exporter-keys"),
        (CASES["demo"], "simulated"),
        (CASES["sharded"], "3 pods"),
    ):
        done = helm("install", "--dry-run=client", RELEASE[0], CHART, *RELEASE[1:], values=values)
        assert words in done.stdout.partition("NOTES:")[2], done.stdout + done.stderr
