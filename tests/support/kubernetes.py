"""Manifests: rendered by the real Helm and kubectl, judged by the schemas of Kubernetes."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml

from support.process import ROOT

TOOLS: Final = ROOT / ".tools"  # `make .tools/.done` sets it up
HELM: Final = TOOLS / "helm"
KUBECTL: Final = TOOLS / "kubectl"
CHART: Final = ROOT / "deploy" / "helm" / "viam-billing-exporter"
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
NAME: Final = CHART.name
RELEASE: Final = ("bills", "--namespace=monitoring")

# The oldest that the chart is for, and the newest that there are schemas of.
OLDEST: Final = re.findall(
    r"[0-9]+\.[0-9]+", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
)[0]
NEWEST: Final = kubernetes_validate.latest_version()
# Kubernetes has no schemas of objects of others: support/operator_schema.py has.
OPERATOR: Final = "monitoring.coreos.com/v1"
GRAFANA_OPERATOR: Final = "grafana.integreatly.org/v1beta1"

HOOK: Final = "helm.sh/hook"
Manifest = Mapping[str, Any]
Values = Mapping[str, Any]


def helm(*arguments: str | Path, values: Values | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm, with values as if they were in a file."""
    given = () if values is None else ("--values=-",)
    return subprocess.run(
        [HELM, *arguments, *given],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(values: Values, chart: Path = CHART) -> str:
    """Return what Helm installs of the chart with these values. Fails if it refuses them."""
    return _rendered(json.dumps(values), chart, "--skip-tests")


def hooks(values: Values) -> list[Manifest]:
    """Return what `helm test` makes besides."""
    found = objects(_rendered(json.dumps(values), CHART))
    return [each for each in found if each["metadata"].get("annotations", {}).get(HOOK) == "test"]


@cache
def _rendered(values: str, chart: Path, *options: str) -> str:
    done = helm("template", RELEASE[0], chart, *RELEASE[1:], *options, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(values: Values) -> str:
    """Return what Helm says of values that it refuses."""
    done = helm("template", RELEASE[0], CHART, *RELEASE[1:], values=values)
    assert done.returncode != 0, done.stdout
    return done.stderr


def manifests(values: Values) -> list[Manifest]:
    """Return the objects that the chart makes of values."""
    return objects(rendered(values))


def kustomized(folder: Path) -> list[Manifest]:
    """Return the objects that a folder makes for `kubectl apply -k`."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return objects(done.stdout)


class _Strict(yaml.CSafeLoader):
    """Takes no key twice, as kustomize and Flux do not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML has it
        keys = Counter(key.value for key, _ in node.value)
        twice = [key for key, count in keys.items() if count > 1]
        assert not twice, f"line {node.start_mark.line + 1}: {', '.join(twice)} appears twice"
        return super().construct_mapping(node, deep)


def objects(text: str) -> list[Manifest]:
    """Return the objects of a stream of YAML. Fails for a key that appears twice."""
    return [each for each in yaml.load_all(text, Loader=_Strict) if each]


def one(found: Iterable[Manifest], kind: str) -> Any:
    """Return the only object of a kind."""
    (only,) = of(found, kind)
    return only


def of(found: Iterable[Manifest], kind: str) -> Iterator[Any]:
    """Yield the objects of a kind."""
    return (each for each in found if each["kind"] == kind)


def pod(found: Iterable[Manifest]) -> Any:
    """Return the spec of the pods."""
    return one(found, "StatefulSet")["spec"]["template"]["spec"]


def exporter(found: Iterable[Manifest]) -> Any:
    """Return the exporter's container."""
    (container,) = (each for each in pod(found)["containers"] if each["name"] == "exporter")
    return container


def arguments(found: Iterable[Manifest]) -> list[str]:
    """Return the exporter's arguments with the variables of its pod in their places."""
    main = exporter(found)
    known = {each["name"]: str(each["value"]) for each in main["env"] if "value" in each}
    return [re.sub(r"\$\((\w+)\)", lambda name: known[name[1]], each) for each in main["args"]]


def flags(found: Iterable[Manifest]) -> dict[str, str]:
    """Return the exporter's flags with their values."""
    parts = (argument.partition("=") for argument in arguments(found))
    return {flag: value for flag, _, value in parts}


def require_valid(found: Iterable[Manifest]) -> None:
    """Fail for an object that a version of Kubernetes would not take, or not all keys of."""
    for each in found:
        if each["apiVersion"] not in (OPERATOR, GRAFANA_OPERATOR):
            for version in (OLDEST, NEWEST):
                _require_valid(json.dumps(each, sort_keys=True), version)


@cache
def _require_valid(manifest: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)
