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
from support.kubelet import container
from support.kubernetes import (
    CHART,
    HELM,
    KUBECTL,
    KUBERNETES,
    exporter,
    kustomized,
    manifests,
    objects,
    of,
    require_valid,
)
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
                yield shlex.split(line)


def example(page: Path) -> Any:
    """Return the only YAML that a page shows."""
    (block,) = (each for each in blocks(page) if each.language == "yaml")
    return yaml.safe_load(block.text)


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
    start = container(manifests({}), tmp_path / "pod", secrets, "bills-0")
    check = [*start.command, "--config.check"]
    done = subprocess.run(
        check, env=dict(start.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_values_of_the_page_work(tmp_path: Path) -> None:
    """They name the organizations that are exported, each with its key, and no other."""
    found = manifests(example(CHART / "README.md"))
    require_valid(found)
    secrets = {"viam-billing-exporter-keys": {"acme": "a-key"}}
    start = container(found, tmp_path, secrets, "bills-0")
    check = [*start.command, "--config.check"]
    done = subprocess.run(
        check, env=dict(start.environ), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "the configuration is valid: 1 organization\n")


def test_the_kustomization_of_the_page_works(tmp_path: Path) -> None:
    """Another configuration makes other pods, by its name, of an image that is where it says."""
    document = example(KUBERNETES / "README.md")
    # Relative, for kubectl takes no other.
    checkout = Path(os.path.relpath(ROOT, tmp_path))
    resources = [str(checkout / each.removeprefix("../")) for each in document["resources"]]
    (tmp_path / "exporter.yml").write_text("poll: {interval: 5m}\n")
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({**document, "resources": resources})
    )
    found = kustomized(tmp_path)
    require_valid(found)
    (made,) = of(found, "ConfigMap")
    (before,) = of(kustomized(KUBERNETES / "base"), "ConfigMap")
    assert made["data"]["exporter.yml"] == "poll: {interval: 5m}\n"
    assert made["metadata"]["name"] != before["metadata"]["name"]
    assert made["metadata"]["name"] in str(exporter(found)) + str(list(of(found, "StatefulSet")))
    assert exporter(found)["image"].startswith("REGISTRY/viam-billing-exporter:")
    assert {each["metadata"]["namespace"] for each in found} == {"monitoring"}
