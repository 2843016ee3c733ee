"""The manifests for kustomize, from what the chart renders."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import yaml

CHART: Final = Path(__file__).resolve().parents[1] / "viam-billing-exporter"
NAME: Final = CHART.name  # of the release and, because it holds the chart's, of all objects
NOTE: Final = "# Generated from deploy/helm by `make helm`.\n"
SOURCE: Final = re.compile(r"^---\n# Source: [^\n]*/templates/([a-z]+\.yaml)\n", re.MULTILINE)
# What is of Helm, or for whoever applies it to say.
HELMS: Final = re.compile(
    r"^ +(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm|namespace: default"
    r"|checksum/config: .*)\n",
    re.MULTILINE,
)
OPERATOR: Final = {"podmonitor.yaml", "prometheusrule.yaml"}

KUSTOMIZATION: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
"""


def rendered(helm: Path, *options: str) -> Mapping[str, str]:
    """Return what the chart renders by template, without what is Helm's."""
    command = [str(helm), "template", NAME, str(CHART), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    parts = SOURCE.split(HELMS.sub("", done.stdout))[1:]
    files: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        files[name] = f"{files[name]}---\n{text}" if name in files else NOTE + text
    return files


def base(helm: Path) -> Mapping[str, str]:
    """Return the files of the base: the chart with its default values.

    The configuration becomes a file, so that a kustomization can give another one, and its pods
    are made anew then.
    """
    files = dict(rendered(helm))
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
    return files


def operator(helm: Path) -> Mapping[str, str]:
    """Return what the Prometheus Operator takes."""
    options = ("--set=scrape.by=podMonitor", "--set=prometheusRule.enabled=true")
    return {name: text for name, text in rendered(helm, *options).items() if name in OPERATOR}


def dashboards(files: Iterable[Path]) -> str:
    """Return a kustomization that makes a ConfigMap of each dashboard, for Grafana's sidecar."""
    generators = [
        {
            "name": f"viam-billing-dashboard-{file.stem.removeprefix('viam-billing-')}",
            "files": [f"{file.parent.name}/{file.name}"],
        }
        for file in sorted(files)
    ]
    options = {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}}
    return _kustomization(configMapGenerator=generators, generatorOptions=options)


def _kustomization(**parts: object) -> str:
    return NOTE + KUSTOMIZATION + yaml.safe_dump(parts, sort_keys=False)
