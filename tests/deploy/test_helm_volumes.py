"""The volumes of the pods, and what of them and of their set an upgrade may not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.chart_values import CASES, GOLDEN, VARIATIONS
from support.kubernetes import CHART, NAME, exporter, helm, manifests, objects, one, pod, rendered

# What Kubernetes refuses to change of a StatefulSet, as the first version of the chart had it.
FIRST: Final = yaml.safe_load((GOLDEN.parent / "helm_fixed.yml").read_text())
# What it adds itself to a template of a claim.
ADDED: Final = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}


def fixed(found: Any) -> dict[str, Any]:
    """Return what of a StatefulSet cannot be changed, as Kubernetes keeps it."""
    spec = one(found, "StatefulSet")["spec"]
    kept = {key: spec[key] for key in ("serviceName", "podManagementPolicy", "selector")}
    claims = [ADDED | each for each in spec["volumeClaimTemplates"]]
    return kept | {"volumeClaimTemplates": claims}


@pytest.mark.parametrize("values", [{}, {"replicas": 5, "commonLabels": {"a": "b"}}], ids=str)
def test_an_upgrade_from_the_first_version_changes_nothing_that_is_fixed(
    values: dict[str, Any],
) -> None:
    """Or Kubernetes would refuse it. The file is never written anew."""
    assert fixed(manifests(values)) == FIRST


def test_the_next_version_changes_nothing_that_is_fixed(tmp_path: Path) -> None:
    """No version is among it, nor what may be set later."""
    options = ("--version=9.9.9", "--app-version=9.9.9", f"--destination={tmp_path}")
    assert helm("package", CHART, *options).returncode == 0
    newer = objects(
        rendered({"replicas": 5, "commonLabels": {"a": "b"}}, tmp_path / f"{NAME}-9.9.9.tgz")
    )
    assert one(newer, "StatefulSet")["metadata"]["labels"]["app.kubernetes.io/version"] == "9.9.9"
    assert exporter(newer)["image"].endswith(":9.9.9")
    assert fixed(newer) == fixed(manifests({}))


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, None),
        ({"storageClassName": "fast"}, "fast"),
        ({"storageClassName": "-"}, ""),
    ],
    ids=["the cluster's", "another", "none"],
)
def test_the_class_of_storage_is_the_one_that_is_named(
    given: dict[str, Any], made: str | None
) -> None:
    """None and an empty one are two things to Kubernetes."""
    (claim,) = one(manifests({"persistence": given}), "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"].get("storageClassName") == made


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("a claim that exists", {"persistentVolumeClaim": {"claimName": "bills"}}),
        ("no storage", {"emptyDir": {}}),
    ],
)
def test_another_volume_takes_the_place_of_the_claims(name: str, volume: dict[str, Any]) -> None:
    """Where the exporter stores is the same."""
    found = manifests(VARIATIONS[name])
    spec = one(found, "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in spec
    assert "persistentVolumeClaimRetentionPolicy" not in spec
    (storage,) = (each for each in pod(found)["volumes"] if each["name"] == "storage")
    assert storage == {"name": "storage"} | volume
    assert exporter(found)["args"] == exporter(manifests({}))["args"]


def test_keys_that_come_from_elsewhere_take_no_secret() -> None:
    """Neither is one mounted, nor is it made."""
    for name in ("keys from a volume", "keys from an injector"):
        found = manifests(VARIATIONS[name])
        assert not [each for each in pod(found)["volumes"] if "secret" in each]
        assert "Secret" not in {each["kind"] for each in found}
    assert "Secret" in {each["kind"] for each in manifests(CASES["secured"])}
