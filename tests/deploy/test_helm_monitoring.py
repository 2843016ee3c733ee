"""How Prometheus and Grafana get to know of the pods: monitors, dashboards."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml

from support import dashboards
from support.chart_values import MATRIX, VARIATIONS
from support.documents import fenced
from support.kubernetes import (
    OPERATOR,
    Manifest,
    exporter,
    manifests,
    of,
    one,
)
from support.operator_schema import require_known
from support.process import ROOT

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
    require_known(manifests(MATRIX[name]))


def test_nothing_scrapes_the_pods_unless_it_is_asked_for() -> None:
    """By a monitor; nor by annotations, which a Prometheus beside the operator may look for."""
    found = manifests({})
    assert not [each for each in found if each["apiVersion"] == OPERATOR]
    template = one(found, "StatefulSet")["spec"]["template"]["metadata"]
    assert not [key for key in template["annotations"] if key.startswith("prometheus.io/")]


@pytest.mark.parametrize("by", MONITORS)
def test_pods_are_found_by_the_monitor_that_is_asked_for(by: str) -> None:
    """And by no other: two would be two targets, and every sum twice as high."""
    found = manifests({by: {"enabled": True}})
    assert {each["kind"] for each in found if each["apiVersion"] == OPERATOR} == {MONITORS[by]}


@pytest.mark.parametrize("by", MONITORS)
def test_a_monitor_finds_the_pods(by: str) -> None:
    """By labels that the Service, or the pod, has; by a port of that name; at the metrics' path."""
    values = {by: {"enabled": True}, "web": {"routePrefix": "/viam", "telemetryPath": "/bills"}}
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
    found = manifests({by: {"enabled": True, "relabelings": [{"action": "keep"}]}})
    job, instance, more = endpoint(one(found, MONITORS[by]))["relabelings"]
    assert job == {"targetLabel": "job", "replacement": "viam-billing"}
    assert instance["sourceLabels"] == ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"]
    assert instance["targetLabel"] == "instance"
    assert more == {"action": "keep"}


@pytest.mark.parametrize("by", MONITORS)
def test_a_monitor_has_what_is_asked_for(by: str) -> None:
    """In another namespace it still looks for the pods in that of the release."""
    values = {
        "enabled": True,
        "namespace": "prometheus",
        "additionalLabels": {"release": "kube-prometheus-stack"},
        "interval": "2m",
        "scrapeTimeout": "20s",
        "scheme": "https",
        "tlsConfig": {"insecureSkipVerify": True},
        "sampleLimit": 3_000_000,
        "podTargetLabels": ["tier"],
        "metricRelabelings": [{"action": "labeldrop", "regex": "org_name"}],
    }
    monitor = one(manifests({by: values}), MONITORS[by])
    assert monitor["metadata"]["namespace"] == "prometheus"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["monitoring"]}
    for key in ("sampleLimit", "podTargetLabels"):
        assert monitor["spec"][key] == values[key]
    for key in ("interval", "scrapeTimeout", "scheme", "tlsConfig", "metricRelabelings"):
        assert endpoint(monitor)[key] == values[key]
    plain = one(manifests({by: {"enabled": True}}), MONITORS[by])
    assert plain["metadata"]["namespace"] == "monitoring"
    assert not plain["spec"].keys() & {"namespaceSelector", "sampleLimit", "podTargetLabels"}


@pytest.mark.parametrize("by", MONITORS)
def test_a_monitor_asks_by_the_scheme_that_the_exporter_has(by: str) -> None:
    """Unless something between them has another one."""
    web = {"existingSecret": "web", "tls": True}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "http"),
        ({"web": web}, "https"),
        ({"web": web, by: {"scheme": "http"}}, "http"),
    )
    for values, scheme in cases:
        monitor = one(
            manifests(values | {by: values.get(by, {}) | {"enabled": True}}), MONITORS[by]
        )
        assert endpoint(monitor)["scheme"] == scheme


def test_kube_prometheus_stack_selects_all_that_the_page_on_connecting_asks_for() -> None:
    """By the label of its own release, and its Grafana's sidecar by the one it looks for."""
    values = yaml.safe_load(fenced(ROOT / "docs/connect.md", "kube-prometheus-stack", "yaml"))
    found = manifests(values)
    require_known(found)
    objects = [each for each in found if each["apiVersion"] == OPERATOR]
    assert {each["kind"] for each in objects} == {"PrometheusRule", "ServiceMonitor"}
    for each in objects:
        assert each["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    boards = [
        each
        for each in of(found, "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    assert len(boards) == len(dashboards.FILES)


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
    found = [each for each in of(manifests({"dashboards": values}), "ConfigMap") if named(each)]
    for each in found:
        assert each["metadata"]["namespace"] == "grafana"
        assert each["metadata"]["labels"]["dashboards"] == "yes"
        assert "grafana_dashboard" not in each["metadata"]["labels"]
        assert each["metadata"]["annotations"] == {"grafana_folder": "Billing"}
    assert len(found) == len(dashboards.FILES)


def named(board: Manifest) -> bool:
    """Tell whether a ConfigMap is a dashboard's."""
    return "-dashboard-" in board["metadata"]["name"]


def test_grafana_s_operator_finds_each_dashboard() -> None:
    """In the ConfigMap beside it, by its name and its key, for the instances that are named."""
    found = manifests(VARIATIONS["for Grafana's operator"])
    boards = {
        (each["metadata"]["name"], key)
        for each in of(found, "ConfigMap")
        if named(each)
        for key in each["data"]
    }
    made = list(of(found, "GrafanaDashboard"))
    refs = [each["spec"]["configMapRef"] for each in made]
    assert {(ref["name"], ref["key"]) for ref in refs} == boards
    assert len(made) == len(dashboards.FILES)
    for each in made:
        assert each["metadata"]["namespace"] == "grafana"
        assert each["spec"]["instanceSelector"] == {"matchLabels": {"team": "finance"}}
        assert each["spec"]["folder"] == "Bills"
        assert each["spec"]["allowCrossNamespaceImport"] is True
