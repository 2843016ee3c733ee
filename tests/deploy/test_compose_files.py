"""The stack of Docker Compose: what it mounts exists and is valid, and nothing of it is open."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.compose import (
    ACCOUNT,
    FOLDER,
    PROGRAMS,
    STACK,
    Service,
    config,
    joined,
    lay_out,
    mounts,
    write_rules,
)
from support.compose import services as services_of
from support.container import own_flags
from support.documents import commands_of
from support.process import ROOT

SERVICES: Final = services_of()
NAMES: Final = sorted(SERVICES)
BOTH: Final = pytest.mark.parametrize("files", [STACK, ACCOUNT], ids=["demo", "account"])
DEPLOY: Final = ROOT / "deploy"
GRAFANA: Final = SERVICES["grafana"]


def parsed(file: Path) -> Any:
    """Return what a file of YAML says."""
    return yaml.safe_load(file.read_text())


@BOTH
def test_docker_compose_finds_nothing_wrong(files: Sequence[str]) -> None:
    """Debian's, which is older than the `docker compose` of today."""
    run = config(files)
    assert (run.returncode, run.stderr) == (0, "")


@BOTH
def test_every_service_has_the_fewest_rights(files: Sequence[str]) -> None:
    """Whichever of them is broken into, there is nothing to be had but what it is given."""
    for name, service in services_of(files).items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}
        # Ours says so itself: tests/deploy/test_container_image.py.
        assert "build" in service or re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name


@BOTH
def test_only_this_machine_reaches_it(files: Sequence[str]) -> None:
    """Neither bills nor Prometheus are for whoever is on the same network."""
    for name, service in services_of(files).items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), (name, port)


def test_versions_are_pinned() -> None:
    """By a whole version; our own image is built of this checkout."""
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["build"] == {
                "context": str(ROOT),
                "dockerfile": "deploy/container/Dockerfile",
            }
            assert "image" not in service
        else:
            assert re.match(r"docker\.io/[\w./-]+:v?\d+\.\d+\.\d+(@sha256:|$)", service["image"]), (
                name
            )


def test_every_service_is_waited_for_until_it_is_healthy() -> None:
    """Each says how to tell; ours in its image. The one that ends is waited for until it has."""
    for name, service in SERVICES.items():
        assert "healthcheck" in service or "build" in service, name
        for other, how in service.get("depends_on", {}).items():
            ends = SERVICES[other].get("restart") == "no"
            state = "service_completed_successfully" if ends else "service_healthy"
            assert how == {"condition": state}, name


@pytest.mark.parametrize("name", NAMES)
def test_what_is_mounted_exists_and_cannot_be_written(name: str) -> None:
    """Docker makes a folder of what does not exist, and says nothing."""
    volumes = parsed(FOLDER / "compose.yaml")["volumes"]
    for mount in mounts(SERVICES[name]):
        if mount.path is None:
            assert mount.source in volumes
        else:
            assert mount.path.exists(), mount
            assert mount.mode == "ro", mount


@BOTH
def test_the_exporter_stores_in_a_volume_of_its_own(files: Sequence[str]) -> None:
    """Where the image stores without being told; the demo's bills and real ones in two of them."""
    service = services_of(files)["exporter"]
    (storage,) = (flag for flag in own_flags() if flag.startswith("--storage.path="))
    assert not [flag for flag in service["command"] if flag.startswith("--storage.path")]
    (volume,) = (mount for mount in mounts(service) if f"--storage.path={mount.target}" == storage)
    assert (volume.path, volume.mode) == (None, "rw")
    assert volume.source == ("demo-data" if files == STACK else "exporter-data")


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("name", sorted(PROGRAMS))
@BOTH
def test_every_flag_is_one_that_the_program_knows(name: str, files: Sequence[str]) -> None:
    """As its own help has it."""
    command = services_of(files)[name].get("entrypoint", [])[1:2]
    help_of = [*PROGRAMS[name], *command, "--help"]
    run = subprocess.run(help_of, check=False, capture_output=True, text=True)
    known = set(re.findall(r"--[a-z][\w.-]*", run.stdout + run.stderr))
    used = {argument.partition("=")[0] for argument in services_of(files)[name]["command"]}
    assert used
    assert used <= known


@pytest.mark.parametrize(
    ("environ", "links"),
    [
        ({}, {"dashboard_url": "http://localhost:3000/d/"}),
        ({"VIAM_DASHBOARDS": ""}, {}),
        (
            {"VIAM_DASHBOARDS": "https://grafana.test", "VIAM_RUNBOOKS": "https://wiki.test/bills"},
            {
                "dashboard_url": "https://grafana.test/d/",
                "runbook_url": "https://wiki.test/bills#",
            },
        ),
    ],
)
def test_alerts_link_to_what_the_environment_names(
    environ: Mapping[str, str], links: Mapping[str, str], tmp_path: Path
) -> None:
    """To this Grafana, unless variables say otherwise; an empty one means no link."""
    write_rules(joined(STACK, **environ)["services"]["rules"], tmp_path)
    groups = parsed(tmp_path / "viam-billing.alerts.yml")["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        found = {key: text for key, text in rule["annotations"].items() if key.endswith("_url")}
        assert found.keys() == links.keys()
        assert all(text.startswith(links[key]) for key, text in found.items())


def test_prometheus_reads_the_rules_where_they_are_written() -> None:
    """The volume is one, which the image has a folder for that others may read."""
    (written,) = mounts(SERVICES["rules"])
    assert f"--dest={written.target}" in SERVICES["rules"]["entrypoint"]
    (read,) = (each for each in mounts(SERVICES["prometheus"]) if each.source == written.source)
    assert (written.mode, read.mode) == ("rw", "ro")
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text()
    assert f"install -d -o 65532 -g 65532 -m 0755 {written.target}\n" in dockerfile


@pytest.mark.usefixtures("stack")
def test_prometheus_takes_its_files(tmp_path: Path) -> None:
    """The configuration, and the rules where it looks for them."""
    command = lay_out(SERVICES["prometheus"], tmp_path)
    file = command[0].removeprefix("--config.file=")
    checked = ["promtool", "check", "config", "--lint=all", "--lint-fatal", file]
    run = subprocess.run(checked, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"rules found", run.stdout)) == 2


@pytest.mark.usefixtures("stack")
def test_alertmanager_takes_its_files(tmp_path: Path) -> None:
    """The configuration, and the templates where it looks for them."""
    command = lay_out(SERVICES["alertmanager"], tmp_path)
    file = command[0].removeprefix("--config.file=")
    run = subprocess.run(["amtool", "check-config", file], check=False, capture_output=True)
    assert run.returncode == 0, run.stderr
    assert b"1 templates" in run.stdout


def test_prometheus_is_set_up_as_ours_with_other_addresses() -> None:
    """Those of services, at the ports where they serve."""
    ours, there = parsed(DEPLOY / "prometheus/prometheus.yml"), parsed(FOLDER / "prometheus.yml")

    def take(document: Any) -> list[str]:
        parts = (document["alerting"]["alertmanagers"], document["scrape_configs"])
        return [each["static_configs"][0].pop("targets")[0] for part in parts for each in part]

    targets = {target.partition(":")[0]: target.rpartition(":")[2] for target in take(there)}
    assert len(targets) == len(take(ours))
    assert there == ours
    for name, port in targets.items():
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}/tcp"]


def test_alertmanager_is_set_up_as_ours_but_everybody_gets_mail() -> None:
    """The same people hear of the same, in the same words."""
    ours = parsed(DEPLOY / "alertmanager/alertmanager.yml")
    there = parsed(FOLDER / "alertmanager.yml")
    both = ("templates", "route", "inhibit_rules")
    assert {key: there[key] for key in both} == {key: ours[key] for key in both}
    assert there.keys() == ours.keys()
    finance = next(each for each in ours["receivers"] if "email_configs" in each)
    (mail,) = finance["email_configs"]
    for told, made in zip(ours["receivers"], there["receivers"], strict=True):
        if told.keys() == {"name"}:
            assert made == told
            continue
        to = made["email_configs"][0]["to"]
        assert made == {"name": told["name"], "email_configs": [{**mail, "to": to}]}
    assert there["global"]["smtp_smarthost"] == "mail:1025"
    assert "mail" in SERVICES


def target_of(service: Service, source: Path) -> str:
    """Return where a container sees a file or folder."""
    (target,) = (mount.target for mount in mounts(service) if mount.path == source)
    return target


def test_grafana_is_given_dashboards_and_a_data_source_where_it_looks() -> None:
    """Grafana itself is not tried: there is none to be had where the tests run."""
    provisioning = ROOT / "grafana" / "provisioning"
    assert target_of(GRAFANA, provisioning) == "/etc/grafana/provisioning"
    (provider,) = parsed(provisioning / "dashboards/viam-billing.yml")["providers"]
    folder = target_of(GRAFANA, ROOT / "grafana" / "dashboards")
    assert provider["options"]["path"] == folder
    home = Path(GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == folder
    assert (ROOT / "grafana" / "dashboards" / home.name).exists()
    (source,) = parsed(provisioning / "datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090/tcp"]
    assert source["isDefault"]
    for file in (ROOT / "grafana" / "dashboards").iterdir():
        # Chosen on the dashboard, and the default one to begin with: no id has to agree.
        (choice,) = (
            each
            for each in json.loads(file.read_text())["templating"]["list"]
            if each["type"] == "datasource"
        )
        assert choice["query"] == source["type"]


def test_there_is_no_password_to_begin_with() -> None:
    """Grafana's own is known to everybody: here is no one who could log in with it."""
    environment = GRAFANA["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    for service in SERVICES.values():
        assert not [key for key in service.get("environment", {}) if "PASSWORD" in key]


def test_the_page_makes_what_an_account_needs(tmp_path: Path) -> None:
    """The files that are mounted then, for their owner only, with a valid configuration."""
    (how,) = commands_of("deploy/compose/README.md", "tests/deploy/test_compose_files.py")
    subprocess.run(["sh", "-eu", "-c", how.text], cwd=tmp_path, check=True)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    stack = joined(ACCOUNT)
    service = stack["services"]["exporter"]
    (secret,) = stack["secrets"].values()
    needed = [mount.path for mount in mounts(service) if mount.path] + [Path(secret["file"])]
    assert made == {path.relative_to(FOLDER) for path in needed}
    assert (tmp_path / "account").stat().st_mode & 0o777 == 0o700
    key = tmp_path / "account" / "viam-api-key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_text("a-key")
    file = tmp_path / "account" / "exporter.yml"
    text = file.read_text()
    assert f"/run/secrets/{service['secrets'][0]['source']}" in text
    file.write_text(text.replace("/run/secrets/viam-api-key", str(key)))
    check = [*PROGRAMS["exporter"], f"--config.file={file}", "--config.check"]
    run = subprocess.run(check, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    ignored = (FOLDER / ".gitignore").read_text().splitlines()
    assert "/account/" in ignored
