"""Manifests for those without Helm, as kubectl makes them; and how a Prometheus finds the pods."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.config import load
from exporter.metrics.catalog import LABEL_NAMES
from support import dashboards
from support.kubernetes import (
    KUBERNETES,
    exporter,
    flags,
    kustomized,
    manifests,
    of,
    one,
    pod,
    require_valid,
)
from support.operator_schema import require_known
from support.pod_security import violations
from support.process import ROOT

BASE: Final = KUBERNETES / "base"
SHARDED: Final = KUBERNETES / "overlays" / "sharded"
WITH_OPERATOR: Final = KUBERNETES / "overlays" / "prometheus-operator"
FOLDERS: Final = (BASE, SHARDED, WITH_OPERATOR)
PARTS: Final = ("components", "transformers")
SCRAPE: Final = ROOT / "deploy" / "prometheus" / "scrape" / "kubernetes.yml"

of_each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_every_folder_is_tried() -> None:
    """All that can be applied; components and transformers only go with one of them."""
    there = {file.parent for file in KUBERNETES.rglob("kustomization.yaml")}
    parts = {each for kind in PARTS for each in (KUBERNETES / kind).iterdir()}
    assert there - parts == set(FOLDERS)


@of_each_folder
def test_kubernetes_takes_the_manifests(folder: Path) -> None:
    """The oldest and the newest; the operator its own; and pods are restricted."""
    found = kustomized(folder)
    require_valid(found)
    assert not list(violations(pod(found)))
    require_known(found)


@of_each_folder
def test_nothing_of_helm_is_left(folder: Path) -> None:
    """Nor a namespace, which is for whoever applies it to say."""
    for each in kustomized(folder):
        assert "namespace" not in each["metadata"]
        text = str([each["metadata"], each.get("spec", {}).get("template", {}).get("metadata")])
        assert "helm" not in text.lower()
        assert "checksum" not in text


def as_base(part: Any) -> Any:
    """Return what the chart makes for the release of the tests as if it were that of the base."""
    text = json.dumps(part).replace("bills-viam-billing-exporter", "viam-billing-exporter")
    return json.loads(text.replace('"bills"', '"viam-billing-exporter"'))


def test_the_base_is_the_chart() -> None:
    """With its default values: the same pods, but for where the configuration is from."""
    theirs, ours = pod(manifests({})), pod(kustomized(BASE))
    names = [spec["volumes"][1]["configMap"].pop("name") for spec in (theirs, ours)]
    account = [spec.pop("serviceAccountName") for spec in (theirs, ours)]
    assert names[1].startswith("viam-billing-exporter-")
    assert account[0].endswith(account[1])
    assert as_base(theirs) == ours


def test_the_configuration_is_one(tmp_path: Path) -> None:
    """For the exporter, with a key file where the Secret will be."""
    (made,) = (each for each in of(kustomized(BASE), "ConfigMap") if "exporter.yml" in each["data"])
    for name in ("api-key-id", "api-key"):
        (tmp_path / name).write_text("a-key")
    text = made["data"]["exporter.yml"].replace("/etc/viam-billing/keys", str(tmp_path))
    file = tmp_path / "exporter.yml"
    file.write_text(text)
    assert load(file, {}, LABEL_NAMES).discovery.enabled


def test_shards_are_as_many_as_pods() -> None:
    """One number says both."""
    found = kustomized(SHARDED)
    replicas = one(found, "StatefulSet")["spec"]["replicas"]
    assert flags(found)["--total-shards"] == str(replicas)
    assert replicas > 1
    assert flags(kustomized(BASE)) == flags(found) | {"--total-shards": "1"}


def test_with_the_operator_there_are_monitor_rules_and_dashboards() -> None:
    """Those of the chart."""
    found = kustomized(WITH_OPERATOR)
    chart = manifests({"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}})
    for kind in ("PodMonitor", "PrometheusRule"):
        theirs = [each["spec"] for each in of(chart, kind)]
        ours = [each["spec"] for each in of(found, kind)]
        assert as_base(theirs) == ours
    boards = {
        name: text
        for each in of(found, "ConfigMap")
        if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        for name, text in each["data"].items()
    }
    assert boards == {file.name: file.read_text() for file in dashboards.FILES}


def discovered(job: Any, pods: list[dict[str, str]], folder: Path) -> list[dict[str, str]]:
    """Return the labels of the targets that Prometheus makes of pods; none for one it drops.

    Debian's promtool is built without Kubernetes: it is told what would have been found there.
    """
    job = {key: value for key, value in job.items() if key != "kubernetes_sd_configs"}
    found = [{"targets": [each["__address__"]], "labels": each} for each in pods]
    file = folder / "prometheus.yml"
    file.write_text(json.dumps({"scrape_configs": [{**job, "static_configs": found}]}))
    command = ["promtool", "check", "service-discovery", "--timeout=1s", file, job["job_name"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    targets = json.loads(done.stdout)
    assert not [each for each in targets if each.get("error")]
    return [each["labels"] for each in targets]


@pytest.mark.usefixtures("stack")
def test_a_prometheus_without_the_operator_finds_the_pods(tmp_path: Path) -> None:
    """By a label of the pods of the base; ports and pods that are others' it drops."""
    (job,) = yaml.safe_load(SCRAPE.read_text())["scrape_configs"]
    ((way,),) = (job["kubernetes_sd_configs"],)
    assert way.keys() == {"role", "selectors"}
    (selector,) = way["selectors"]
    label, _, value = selector["label"].partition("=")
    template = one(kustomized(BASE), "StatefulSet")["spec"]["template"]
    assert template["metadata"]["labels"][label] == value
    assert way["role"] == selector["role"] == "pod"

    def meta(port: str, phase: str, **annotations: str) -> dict[str, str]:
        return {
            "__address__": "10.0.0.1:8426",
            "__meta_kubernetes_namespace": "monitoring",
            "__meta_kubernetes_pod_name": "viam-billing-exporter-0",
            "__meta_kubernetes_pod_container_port_name": port,
            "__meta_kubernetes_pod_phase": phase,
            **{f"__meta_kubernetes_pod_annotation_{k}": text for k, text in annotations.items()},
        }

    (port,) = exporter(kustomized(BASE))["ports"]
    good = meta(port["name"], "Running")
    said = {"prometheus_io_path": "/viam/bills", "prometheus_io_scheme": "https"}
    elsewhere = meta(port["name"], "Running", **said)
    pods = [good, elsewhere, meta("other", "Running"), meta(port["name"], "Failed")]
    # In any order.
    kept = filter(None, discovered(job, pods, tmp_path))
    first, second = sorted(kept, key=lambda labels: labels["__scheme__"])
    assert (first["__scheme__"], first["__metrics_path__"]) == ("http", "/metrics")
    assert (second["__scheme__"], second["__metrics_path__"]) == ("https", "/viam/bills")
    assert first["job"] == "viam-billing"
    assert first["instance"] == "monitoring/viam-billing-exporter-0"
