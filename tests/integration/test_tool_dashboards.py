"""`viam-billing dashboards`: the files for Grafana, as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from support.process import ROOT
from support.standing import command

GRAFANA: Final = ROOT / "grafana"
PROVIDER: Final = "provisioning/dashboards/viam-billing.yml"
DATA_SOURCE: Final = "provisioning/datasources/prometheus.yml"


def run(folder: Path, *arguments: str) -> str:
    """Run the command in a folder, which it must do without a complaint, and return its output."""
    done = command("dashboards", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files of a folder, by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ours() -> dict[str, bytes]:
    """Return what the repository has for Grafana."""
    every = contents(GRAFANA)
    return {name: every[name] for name in every if name.endswith(".json") or "provisioning" in name}


def values(text: bytes) -> Any:
    """Return what YAML says, with the first of its lists taken for the only one."""
    (only,) = next(value for value in yaml.safe_load(text).values() if isinstance(value, list))
    return only


def test_it_writes_what_the_repository_has(tmp_path: Path) -> None:
    """From the package alone: four dashboards, and what makes Grafana load them from there."""
    printed = run(tmp_path, "--dest=made: here", "--prometheus=http://prometheus:9090")
    made, ours_ = contents(tmp_path / "made: here"), ours()
    provider, our_provider = values(made.pop(PROVIDER)), values(ours_.pop(PROVIDER))
    assert provider["options"].pop("path") == str(tmp_path / "made: here" / "dashboards")
    assert our_provider["options"].pop("path").startswith("/var/lib/grafana/")
    assert provider == our_provider
    assert made == ours_
    assert sum(name.endswith(".json") for name in ours()) == 4
    assert [line for line in printed.splitlines() if line.startswith("wrote")] == [
        f"wrote made: here/{name}" for name in sorted(ours())
    ]


def test_a_grafana_that_has_a_data_source_gets_none(tmp_path: Path) -> None:
    """A second one by default would keep it from starting."""
    run(tmp_path)
    assert DATA_SOURCE not in contents(tmp_path / "grafana")
    run(tmp_path, "--prometheus=https://prometheus.example.com/viam")
    source = values(contents(tmp_path / "grafana")[DATA_SOURCE])
    assert source["url"] == "https://prometheus.example.com/viam"
    done = command("dashboards", "--prometheus=prometheus:9090", folder=tmp_path)
    assert done.returncode == 2
    assert "argument --prometheus: must begin with http:// or https://" in done.stderr


def test_dashboards_are_replaced_and_provisioning_is_left_alone(tmp_path: Path) -> None:
    """As after an upgrade: the paths and addresses in provisioning are the user's."""
    run(tmp_path)
    dest = tmp_path / "grafana"
    dashboard = dest / "dashboards" / "viam-billing-fleet.json"
    dashboard.write_text("{}")
    (dest / PROVIDER).write_text("apiVersion: 1\n")
    printed = run(tmp_path)
    assert "wrote grafana/dashboards/viam-billing-fleet.json" in printed
    assert f"left alone grafana/{PROVIDER}, which differs from the new one" in printed
    assert dashboard.read_bytes() == ours()["dashboards/viam-billing-fleet.json"]
    assert (dest / PROVIDER).read_text() == "apiVersion: 1\n"
    provider = values((dest / f"{PROVIDER}.new").read_bytes())
    assert provider["options"]["path"] == str(dest / "dashboards")
