"""How Prometheus and Grafana get to know of the pods: monitors, annotations, rules, dashboards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from exporter.rules.alert import Links
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import load
from rules.harness import FILES
from support import dashboards
from support.chart_values import MATRIX, VARIATIONS
from support.kubernetes import (
    OPERATOR,
    Manifest,
    exporter,
    manifests,
    of,
    one,
)
from support.operator_schema import schema

SETTINGS: Final = load()
MONITORS: Final = {"serviceMonitor": "ServiceMonitor", "podMonitor": "PodMonitor"}
# What an object may have, keys included; client-side apply keeps a copy of it in an annotation,
# and all of those together may have less.
OBJECT, ANNOTATIONS = 1024 * 1024, 256 * 1024


def endpoint(monitor: Manifest) -> Any:
    """Return the only endpoint of a monitor."""
    ((only,),) = (
        part for key, part in monitor["spec"].items() if key.lower().endswith("endpoints")
    )
    return only


@pytest.mark.parametrize("name", MATRIX)
def test_the_operator_takes_its_objects(name: str) -> None:
    """It drops keys that it does not know in silence: none is there that it does not document."""
    for each in manifests(MATRIX[name]):
        if each["apiVersion"] == OPERATOR:
            jsonschema.validate(each, schema(each["kind"]))


@pytest.mark.parametrize("by", [*MONITORS, "annotations", "none"])
def test_pods_are_found_in_one_way_at_most(by: str) -> None:
    """Two would be two targets, and every sum twice as high."""
    found = manifests({"scrape": {"by": by}})
    ways = {each["kind"] for each in found if each["apiVersion"] == OPERATOR}
    template = one(found, "StatefulSet")["spec"]["template"]["metadata"]
    annotated = any(key.startswith("prometheus.io/") for key in template["annotations"])
    assert ways == {MONITORS[by]} if by in MONITORS else not ways
    assert annotated == (by == "annotations")


@pytest.mark.parametrize("by", MONITORS)
def test_a_monitor_finds_the_pods(by: str) -> None:
    """By labels that the Service, or the pod, has; by a port of that name; at the metrics' path."""
    values = {"scrape": {"by": by}, "web": {"routePrefix": "/viam", "telemetryPath": "/bills"}}
    found = manifests(values)
    monitor, service = one(found, MONITORS[by]), one(found, "Service")
    stateful = one(found, "StatefulSet")
    pod = stateful["spec"]["template"]
    target = service if by == "serviceMonitor" else pod
    selected = monitor["spec"]["selector"]["matchLabels"]
    assert selected.items() <= target["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert stateful["spec"]["serviceName"] == service["metadata"]["name"]
    ports = service["spec"]["ports"] if by == "serviceMonitor" else exporter(found)["ports"]
    assert [port["name"] for port in ports] == [endpoint(monitor)["port"]]
    assert endpoint(monitor)["path"] == "/viam/bills"


@pytest.mark.parametrize("by", MONITORS)
def test_targets_are_labelled_as_the_counters_need(by: str) -> None:
    """With the job of other configurations, and an instance that a pod keeps with its name."""
    found = manifests({"scrape": {"by": by, "relabelings": [{"action": "keep"}]}})
    job, instance, more = endpoint(one(found, MONITORS[by]))["relabelings"]
    assert job == {"targetLabel": "job", "replacement": "viam-billing"}
    assert instance["sourceLabels"] == ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"]
    assert instance["targetLabel"] == "instance"
    assert more == {"action": "keep"}


def test_the_rules_are_the_repository_s() -> None:
    """All of them, with Prometheus' own templates as they are, and no link that leads nowhere."""
    found = list(of(manifests(VARIATIONS["rules and dashboards"]), "PrometheusRule"))
    groups = [group for each in found for group in each["spec"]["groups"]]
    ours = [g for text in files(load()).values() for g in yaml.safe_load(text)["groups"]]
    assert sorted(groups, key=str) == sorted(ours, key=str)
    assert any("{{ $labels" in str(group) for group in groups)
    assert len({each["metadata"]["name"] for each in found}) == len(FILES)


@pytest.mark.usefixtures("stack")
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    """As they come out of the objects."""
    for each in of(manifests(VARIATIONS["rules and dashboards"]), "PrometheusRule"):
        (tmp_path / f"{each['metadata']['name']}.yml").write_text(json.dumps(each["spec"]))
    command = [
        "promtool",
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        *map(str, tmp_path.iterdir()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_of_alerts_lead_where_the_values_say() -> None:
    """Each of them, with what comes after the address; and nothing else is changed."""
    values: Mapping[str, Any] = {
        "enabled": True,
        "runbooks": "https://wiki.example.org/bills",
        "dashboards": "https://g.example.org/g/",
    }
    found = of(manifests({"prometheusRule": values}), "PrometheusRule")
    groups = [group for each in found for group in each["spec"]["groups"]]
    links = Links("https://wiki.example.org/bills", "https://g.example.org/g")
    ours = [g for text in files(load(), links).values() for g in yaml.safe_load(text)["groups"]]
    assert sorted(groups, key=str) == sorted(ours, key=str)


def test_the_dashboards_are_the_repository_s() -> None:
    """A ConfigMap each, as Grafana's sidecar looks for it, and none too large."""
    found = [
        each
        for each in of(manifests(VARIATIONS["rules and dashboards"]), "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    made = {name: text for each in found for name, text in each["data"].items()}
    assert made == {file.name: file.read_text() for file in dashboards.FILES}
    assert len(found) == len(made)
    for each in found:
        assert len(json.dumps(each).encode()) < min(OBJECT, ANNOTATIONS)


def test_dashboards_go_where_the_sidecar_looks() -> None:
    """To another namespace, with another label, in a folder."""
    values = {
        "enabled": True,
        "namespace": "grafana",
        "labels": {"grafana_dashboard": None, "dashboards": "yes"},
        "annotations": {"grafana_folder": "Billing"},
    }
    _, *found = of(manifests({"dashboards": values}), "ConfigMap")
    for each in found:
        assert each["metadata"]["namespace"] == "grafana"
        assert each["metadata"]["labels"]["dashboards"] == "yes"
        assert "grafana_dashboard" not in each["metadata"]["labels"]
        assert each["metadata"]["annotations"] == {"grafana_folder": "Billing"}
    assert len(found) == len(dashboards.FILES)
