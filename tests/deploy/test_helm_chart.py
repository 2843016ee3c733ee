"""The chart as Helm takes it: linted, rendered, packaged, and valid for Kubernetes."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import kubernetes_validate
import pytest
import yaml

from support.chart_values import CASES, CI, GOLDEN, MATRIX, VARIATIONS, paths
from support.kubernetes import (
    CHART,
    NAME,
    NEWEST,
    OLDEST,
    RELEASE,
    helm,
    kustomized,
    manifests,
    rendered,
    require_valid,
)
from support.operator_schema import require_known


def test_the_linter_finds_nothing() -> None:
    """Strictly, with few values, with many, and with those for a cluster."""
    for name in ("default", "complete", *CI):
        done = helm("lint", "--strict", CHART, values=MATRIX[name])
        found = [line for line in done.stdout.splitlines() if line.startswith("[")]
        assert (done.returncode, found) == (0, []), done.stdout


def test_a_picture_goes_with_it() -> None:
    """Whole in the address of it, as there is nowhere else that it could be fetched from."""
    icon = yaml.safe_load((CHART / "Chart.yaml").read_text())["icon"]
    kind, _, picture = unquote(icon).partition(",")
    assert kind == "data:image/svg+xml"
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own


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


def test_kustomize_takes_the_manifests(tmp_path: Path) -> None:
    """As Flux and Argo CD have it patch them; it refuses a key that appears twice."""
    for number, values in enumerate(MATRIX.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "all.yaml").write_text(rendered(values))
        kustomization = {"resources": ["all.yaml"], "nameSuffix": f"-{number}"}
        (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    every = {"resources": [str(number) for number in range(len(MATRIX))]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(every))
    found = kustomized(tmp_path)
    assert len(found) == sum(len(manifests(values)) for values in MATRIX.values())
    require_known(found)


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
    files = (file for file in (CHART / "templates").rglob("*") if file.is_file())
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
    assert there - packed == {
        Path(".helmignore"),
        *(path.relative_to(CHART) for path in (CHART / "ci").iterdir()),
    }
    assert packed <= there


@pytest.mark.parametrize("name", ["README.md", "values.yaml", "values.schema.json", "Chart.yaml"])
def test_who_has_a_package_is_not_sent_to_a_checkout(name: str) -> None:
    """What a package brings along names no file of the repository, but in comments of Markdown."""
    text = re.sub(r"<!--.*?-->", "", (CHART / name).read_text(), flags=re.DOTALL)
    assert re.findall(r"\S*(?:\.\./|deploy/|docs/|tests/)\S*", text) == []


def test_a_release_gets_notes() -> None:
    """Which say what to type next, and what the policy has to know, for each way to install it."""
    for values, words in (
        (CASES["default"], "kubectl create secret generic viam-billing-exporter-keys"),
        (CASES["default"], "helm test bills --namespace monitoring"),
        (CASES["default"], "networkPolicy.extraEgress"),
        (CASES["default"], "set serviceMonitor.enabled"),
        (CASES["demo"], "simulated"),
        (CASES["sharded"], "3 pods"),
        (VARIATIONS["an ingress"], "must include the pods of your ingress controller"),
    ):
        notes = noted(values)
        assert words in notes, notes
    assert "create secret" not in noted(VARIATIONS["keys from a volume"])
    assert "networkPolicy" not in noted(VARIATIONS["no policy"])
    assert "serviceMonitor" not in noted(CASES["sharded"])


def noted(values: Mapping[str, Any]) -> str:
    """Return what is printed after an installation."""
    done = helm("install", "--dry-run=client", RELEASE[0], CHART, *RELEASE[1:], values=values)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "deploy/" not in notes
    return notes
