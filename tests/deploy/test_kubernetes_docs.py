"""What the pages about Helm and kustomize show works, as far as it does without a cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.documents import blocks
from support.kubelet import checked, container
from support.kubernetes import (
    CHART,
    HELM,
    KUBECTL,
    KUBERNETES,
    Manifest,
    exporter,
    flags,
    kustomized,
    manifests,
    objects,
    of,
    one,
    pod,
    require_valid,
)
from support.operator_schema import require_known
from support.process import ROOT

PAGES: Final = (CHART / "README.md", KUBERNETES / "README.md")
TOOLS: Final = {"helm": HELM, "kubectl": KUBECTL}
# What can be asked for without a cluster: what would be sent there.
DRY: Final = {
    ("helm", "install"): ("--dry-run=client",),
    ("kubectl", "create"): ("--dry-run=client", "--output=yaml"),
}


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands of a page, as words."""
    for block in blocks(page):
        if block.is_commands:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield [str(CHART) if word == "CHART" else word for word in shlex.split(line)]


def examples(page: Path) -> list[Any]:
    """Return the YAML that a page shows."""
    return [yaml.safe_load(each.text) for each in blocks(page) if each.language == "yaml"]


# The last is for Prometheus, from deploy/prometheus/scrape.
*VALUES, _ = examples(CHART / "README.md")
# One that names an image and a configuration, one with more pods, and one for an operator's label.
KUSTOMIZATION, SHARDED, LABELLED = examples(KUBERNETES / "README.md")


def applied(document: Any, folder: Path) -> list[Manifest]:
    """Return the objects that a kustomization of the page makes, in a folder of one's own."""
    # Relative, for kubectl takes no other.
    checkout = Path(os.path.relpath(ROOT, folder))
    there = {
        key: [str(checkout / each.removeprefix("../")) for each in document[key]]
        for key in ("resources", "components", "transformers")
        if key in document
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**document, **there}))
    return kustomized(folder)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_make_what_the_pods_wait_for(page: Path, tmp_path: Path) -> None:
    """The Secret that the page makes has the name, the entries and the key that a pod needs."""
    (tmp_path / "FILE").write_text("a-key\n")
    tried, secrets = set(), {}
    for program, verb, *words in commands(page):
        if (program, verb) not in DRY:
            continue
        folder = tmp_path if program == "kubectl" else ROOT
        done = subprocess.run(
            [TOOLS[program], verb, *words, *DRY[program, verb]],
            cwd=folder,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        tried.add(program)
        if program == "kubectl":
            (secret,) = objects(done.stdout)
            secrets[secret["metadata"]["name"]] = dict.fromkeys(secret["data"], "a-key")
    assert "kubectl" in tried
    assert ("helm" in tried) == (page.parent == CHART)
    checked(container(manifests({}), tmp_path / "pod", secrets, "bills-0"))


@pytest.mark.parametrize("values", VALUES, ids=",".join)
def test_all_values_of_the_page_can_be_installed(values: Any) -> None:
    """Kubernetes takes what comes of them, and so do the operators."""
    found = manifests(values)
    require_valid(found)
    require_known(found)


def test_the_values_with_a_configuration_are_taken_by_the_exporter(tmp_path: Path) -> None:
    """They name the organizations that are exported, each with its key, and no other."""
    secrets = {"viam-billing-exporter-keys": {"acme": "a-key"}}
    start = container(manifests(VALUES[0]), tmp_path, secrets, "bills-0")
    assert checked(start) == "the configuration is valid: 1 organization\n"


@pytest.mark.parametrize(
    ("values", "folder"),
    [(VALUES[1], "etc/viam-billing/keys"), (VALUES[2], "vault/secrets")],
    ids=["a volume", "an injector"],
)
def test_keys_need_no_secret(values: Any, folder: str, tmp_path: Path) -> None:
    """They are where the page says, and the pod names no Secret that it would wait for."""
    found = manifests(values)
    assert "secret" not in {kind for volume in pod(found)["volumes"] for kind in volume}
    start = container(found, tmp_path, {}, "bills-0")
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("api-key-id", "api-key"):
        (tmp_path / folder / name).write_text("a-key\n")
    assert checked(start).startswith("the configuration is valid")


def test_the_kustomization_of_the_page_works(tmp_path: Path) -> None:
    """Another configuration makes other pods, by its name, of an image that is where it says."""
    (tmp_path / "exporter.yml").write_text("poll: {interval: 5m}\n")
    found = applied(KUSTOMIZATION, tmp_path)
    require_valid(found)
    (made,) = of(found, "ConfigMap")
    (before,) = of(kustomized(KUBERNETES / "base"), "ConfigMap")
    assert made["data"]["exporter.yml"] == "poll: {interval: 5m}\n"
    assert made["metadata"]["name"] != before["metadata"]["name"]
    assert made["metadata"]["name"] in str(exporter(found)) + str(list(of(found, "StatefulSet")))
    assert exporter(found)["image"].startswith("REGISTRY/viam-billing-exporter:")
    assert {each["metadata"]["namespace"] for each in found} == {"monitoring"}


@pytest.mark.parametrize("resource", ["base", "overlays/sharded"])
def test_a_kustomization_of_one_s_own_has_one_number_of_shards(
    resource: str, tmp_path: Path
) -> None:
    """Whatever the number below it was, pods and `--total-shards` follow the one that is set."""
    document = SHARDED | {"resources": [f"../deploy/kubernetes/{resource}"]}
    found = applied(document, tmp_path)
    require_valid(found)
    assert one(found, "StatefulSet")["spec"]["replicas"] == document["replicas"][0]["count"]
    assert flags(found)["--total-shards"] == str(document["replicas"][0]["count"])


def test_a_number_of_shards_that_is_not_passed_on_stops_the_pods_it_adds(tmp_path: Path) -> None:
    """Those beyond the old number say what is wrong; the others go on with all organizations."""
    document = SHARDED | {"resources": ["../deploy/kubernetes/overlays/sharded"]}
    del document["transformers"]
    found = applied(document, tmp_path)
    keys = {"viam-billing-exporter-keys": dict.fromkeys(("api-key-id", "api-key"), "a-key")}
    last = document["replicas"][0]["count"] - 1
    start = container(found, tmp_path / "pod", keys, f"viam-billing-exporter-{last}")
    done = subprocess.run(
        start.command, env=dict(start.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "is out of range: with --total-shards=3, shards are 0 to 2" in done.stderr


def test_an_operator_that_selects_by_label_finds_everything(tmp_path: Path) -> None:
    """What it looks for has the label of the page; what selects pods has not changed for it."""
    found = applied(LABELLED, tmp_path)
    require_known(found)
    labels = LABELLED["labels"][0]["pairs"]
    wanted = [each for each in found if each["kind"] in ("PodMonitor", "PrometheusRule")]
    assert {each["kind"] for each in wanted} == {"PodMonitor", "PrometheusRule"}
    for each in wanted:
        assert each["metadata"]["labels"].items() >= labels.items()
    base = one(kustomized(KUBERNETES / "base"), "StatefulSet")["spec"]
    spec = one(found, "StatefulSet")["spec"]
    assert spec["selector"] == base["selector"]
    assert spec["volumeClaimTemplates"] == base["volumeClaimTemplates"]
    assert spec["template"]["metadata"]["labels"] == base["template"]["metadata"]["labels"]
