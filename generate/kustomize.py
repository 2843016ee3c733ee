"""The manifests for kustomize, from what the chart renders, and what it makes of dashboards."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from generate.steps import ROOT, Step

COMMAND: Final = "make helm"
HELM: Final = ROOT / ".tools" / "helm"
CHART: Final = ROOT / "deploy" / "helm" / "viam-billing-exporter"
BASE: Final = ROOT / "deploy" / "kubernetes" / "base"
OPERATOR: Final = ROOT / "deploy" / "kubernetes" / "components" / "prometheus-operator"
# kubectl shows this name to who has not made it.
MADE: Final = OPERATOR / "made-by-make-helm"
GRAFANA: Final = ROOT / "grafana"
NAME: Final = CHART.name  # of the release and, because it holds the chart's, of all objects
NOTE: Final = "# Generated from deploy/helm by `make helm`.\n"
SOURCE: Final = re.compile(r"^---\n# Source: [^\n]*/templates/([a-z]+\.yaml)\n", re.MULTILINE)
# What is of Helm, or for whoever applies it to say.
HELMS: Final = re.compile(
    r"^ +(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm|namespace: default"
    r"|checksum/config: .*)\n",
    re.MULTILINE,
)

KUSTOMIZATION: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
"""


def rendered(*options: str) -> dict[str, str]:
    """Return what the chart renders by template, without what is Helm's."""
    command = [str(HELM), "template", NAME, str(CHART), "--skip-tests", *options]
    # What helm has to say goes where it is read.
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    parts = SOURCE.split(HELMS.sub("", done.stdout))[1:]
    files: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        files[name] = f"{files[name]}---\n{text}" if name in files else NOTE + text
    return files


def base() -> Mapping[Path, str]:
    """Return the files of the base: the chart with its default values.

    The configuration becomes a file, so that a kustomization can give another one, and its pods
    are replaced then.
    """
    files = rendered()
    config = yaml.safe_load(files.pop("configmap.yaml"))
    files["exporter.yml"] = NOTE + config["data"]["exporter.yml"]
    generator = {
        "name": NAME,
        "files": ["exporter.yml"],
        "options": {"labels": config["metadata"]["labels"]},
    }
    manifests = sorted(name for name in files if name.endswith(".yaml"))
    files["kustomization.yaml"] = _kustomization(
        resources=manifests, configMapGenerator=[generator]
    )
    return {BASE / name: text for name, text in files.items()}


def monitor() -> Mapping[Path, str]:
    """Return what tells the Prometheus Operator of the pods."""
    name = "podmonitor.yaml"
    return {OPERATOR / name: rendered("--set=podMonitor.enabled=true")[name]}


def rules() -> Mapping[Path, str]:
    """Return what brings it the rules. Git ignores it, as it does the chart's copy of them."""
    name = "prometheusrule.yaml"
    return {MADE / name: rendered("--set=prometheusRule.enabled=true")[name]}


def dashboards() -> Mapping[Path, str]:
    """Return a kustomization that makes a ConfigMap of each dashboard, for Grafana's sidecar."""
    generators = [
        {
            "name": f"viam-billing-dashboard-{file.stem.removeprefix('viam-billing-')}",
            "files": [str(file.relative_to(GRAFANA))],
        }
        for file in sorted(GRAFANA.glob("dashboards/*.json"))
    ]
    options = {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}}
    text = _kustomization(configMapGenerator=generators, generatorOptions=options)
    return {GRAFANA / "kustomization.yaml": text}


def _kustomization(**parts: object) -> str:
    return NOTE + KUSTOMIZATION + yaml.safe_dump(parts, sort_keys=False)


STEPS: Final = (
    Step(COMMAND, dashboards),
    Step(COMMAND, lambda: {**base(), **monitor()}, [BASE], program=HELM),
    Step(COMMAND, rules, [MADE], ignored=True, program=HELM),
)
