"""Labels, annotations and variables that several values give: each once, and whose counts."""

from __future__ import annotations

from typing import Any

import pytest

from support.chart_values import VARIATIONS
from support.kubernetes import Manifest, manifests, of, one, pod

SEVERAL = VARIATIONS["labels and annotations under several headings"]


def labels(found: Manifest) -> Any:
    """Return the labels of an object."""
    return found["metadata"]["labels"]


def test_a_label_of_one_object_counts_more_than_that_of_all() -> None:
    """Each appears once: `objects` fails for a key that comes twice."""
    found = manifests(SEVERAL)
    workload = one(found, "StatefulSet")
    assert labels(workload)["release"] == "all"
    assert labels(workload["spec"]["template"])["release"] == "pods"
    assert labels(one(found, "ServiceMonitor"))["release"] == "monitor"
    assert {labels(each)["release"] for each in of(found, "PrometheusRule")} == {"rules"}
    boards = [each for each in of(found, "ConfigMap") if "dashboard" in each["metadata"]["name"]]
    assert {labels(each)["release"] for each in boards} == {"boards"}
    assert {labels(each)["app.kubernetes.io/version"] for each in found} == {"mine"}


def test_annotations_of_pods_count_more_than_the_chart_s() -> None:
    """The checksum of the configuration stays beside them."""
    template = one(manifests(SEVERAL), "StatefulSet")["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "other"
    assert len(annotations["checksum/config"]) == 64


@pytest.mark.parametrize("value", ["commonLabels", "podLabels"])
def test_labels_that_select_cannot_be_changed(value: str) -> None:
    """Or the StatefulSet would have no pods, and an upgrade would be refused."""
    mine = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/instance": "mine"}
    workload = one(manifests({value: mine}), "StatefulSet")
    wanted = workload["spec"]["selector"]["matchLabels"]
    assert wanted == one(manifests({}), "StatefulSet")["spec"]["selector"]["matchLabels"]
    for each in (workload, workload["spec"]["template"]):
        assert labels(each).items() >= wanted.items()


def test_a_constraint_keeps_the_selector_that_it_has() -> None:
    """Another one gets that of the release."""
    given = VARIATIONS["spread by another selector"]
    constraints = pod(manifests(given))["topologySpreadConstraints"]
    assert constraints == given["topologySpreadConstraints"]
    own = one(manifests({}), "StatefulSet")["spec"]["selector"]
    assert [each["labelSelector"] for each in pod(manifests({}))["topologySpreadConstraints"]] == [
        own,
        own,
    ]


def test_other_manifests_may_name_the_release() -> None:
    """They are templates."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "{{ .Release.Name }}-more", "namespace": "{{ .Release.Namespace }}"},
    }
    more = one(manifests({"extraManifests": [manifest]}), "Secret")
    assert more["metadata"] == {"name": "bills-more", "namespace": "monitoring"}
