"""Reports of each month by systemd, cron and Kubernetes: as files, and what they run."""

from __future__ import annotations

import email
import email.policy
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from exporter.tool import parser
from exporter.tool.report.periods import PREVIOUS
from support import installed
from support.kubernetes import objects, one, require_valid
from support.months import archive
from support.pod_security import violations
from support.process import ROOT
from support.reports import never_read, usual
from support.served import served
from support.standing import ENVIRON

FOLDER: Final = ROOT / "deploy" / "report"
SERVICE: Final = FOLDER / "viam-billing-report.service"
TIMER: Final = FOLDER / "viam-billing-report.timer"
SCRIPT: Final = FOLDER / "mail-viam-billing-report"
BASE: Final = ROOT / "deploy" / "kubernetes" / "base"
MOST_EXPOSED: Final = 1.5  # of 10
FIELDS: Final = 5  # of a line of cron, before user and command


def settings(unit: Path, name: str) -> list[str]:
    """Return the values that a unit gives a setting, with lines that go on joined."""
    text = unit.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def require_monthly(flags: list[str]) -> Any:
    """Fail unless the command takes the flags, and they ask for the month that has ended."""
    asked = parser().parse_args(flags)
    assert asked.month == PREVIOUS
    assert asked.exporters
    return asked


def scheduled() -> list[list[str]]:
    """Return the commands of the lines for cron, those that are comments, too."""
    lines = re.findall(
        r"^#?([\d*]+ .*)$", (FOLDER / "viam-billing-report.cron").read_text(), re.MULTILINE
    )
    for line in lines:
        assert re.fullmatch(r"0 6 2 \* \*", " ".join(line.split()[:FIELDS]))
    return [shlex.split(line)[FIELDS + 1 :] for line in lines]


def test_systemd_takes_the_units_and_finds_the_service_hardly_exposed() -> None:
    """By its own count, as for the exporter's."""
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            f"--threshold={MOST_EXPOSED * 10:.0f}",
            SERVICE,
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_reports_the_month_that_ended_into_its_folder() -> None:
    """With what stands in place of systemd's variables, and with no more in $ARGS."""
    (command,) = settings(SERVICE, "ExecStart")
    program, *flags = shlex.split(command)
    assert program == parser().prog
    assert flags.pop() == "$ARGS"
    assert str(require_monthly(flags).dest) == "${STATE_DIRECTORY}"


def test_the_command_is_found_wherever_a_page_has_it_installed() -> None:
    """By the service and by cron: that of the Debian package, and that in a server's /opt."""
    (searched,) = settings(SERVICE, "ExecSearchPath")
    (path,) = settings(FOLDER / "viam-billing-report.cron", "PATH")
    wanted = {"/usr/bin", "/opt/viam-billing-exporter/bin"}
    assert set(searched.split(":")) == wanted
    assert wanted <= set(path.split(":"))


def test_the_timer_is_for_the_service_and_comes_each_month() -> None:
    """On a day on which the month has ended in every time zone."""
    assert TIMER.stem == SERVICE.stem
    (calendar,) = settings(TIMER, "OnCalendar")
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=3", calendar],
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C"},
    )
    assert len(re.findall(r"-02 06:00:00 UTC", done.stdout)) >= 3, done.stdout


def test_cron_reports_the_month_that_ended() -> None:
    """By mail, or into a folder."""
    mail, folder = scheduled()
    assert mail[0] == SCRIPT.name
    assert require_monthly(["report", *mail[2:]]).dest is None
    assert folder[0] == parser().prog
    assert require_monthly(folder[1:]).dest == Path("/srv/bills")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of an exporter of two organizations, one of which it could never read."""
    every = (usual(), never_read())
    with served(*(each.state for each in every), archive=archive(*every)) as serving:
        yield serving


def mailed(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the script with a sendmail that keeps what it gets; return where that is."""
    kept = folder / "mail"
    sendmail = folder / "sendmail"
    sendmail.write_text(f'#!/bin/sh\n[ "$*" = "-t -i" ] && cat > {kept}\n')
    sendmail.chmod(0o755)
    commands = Path(installed.command("viam-billing")).parent
    environ = ENVIRON | {"PATH": f"{folder}:{commands}:/usr/bin:/bin", "TMPDIR": str(folder)}
    done = subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environ
    )
    return done, kept


def test_the_report_comes_as_an_attachment(port: int, tmp_path: Path) -> None:
    """Byte for byte what the command writes, and nothing is left behind."""
    flags = (f"--exporter=http://127.0.0.1:{port}", "--month=2026-10", "--organization=acme")
    done, kept = mailed(tmp_path, "finance@example.com", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    message = email.message_from_bytes(kept.read_bytes(), policy=email.policy.default)
    assert (message["To"], message["Subject"]) == ("finance@example.com", "Viam bills, 2026-10")
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "viam-billing-2026-10.html"
    assert attached.get_content_type() == "text/html"
    html = attached.get_content()
    assert html.startswith("<!doctype html>")
    assert "<bdi>Acme Robotics</bdi>: Viam bill, October 2026" in html
    body = message.get_body()
    assert body is not None
    assert "Not everything" not in body.get_content()
    assert {path.name for path in tmp_path.iterdir()} == {"mail", "sendmail"}


def test_the_mail_says_what_could_not_be_read(port: int, tmp_path: Path) -> None:
    """The report comes all the same."""
    done, kept = mailed(
        tmp_path, "finance@example.com", f"--exporter=http://127.0.0.1:{port}", "--month=2026-10"
    )
    assert done.returncode == 0
    message = email.message_from_bytes(kept.read_bytes(), policy=email.policy.default)
    body = message.get_body()
    assert body is not None
    assert "Ossuline Foundry: nothing is known of this month" in body.get_content()
    assert len([*message.iter_attachments()]) == 1


def test_without_a_report_there_is_no_mail(tmp_path: Path) -> None:
    """The reason is on standard error, which cron mails to the one who looks after it."""
    done, kept = mailed(tmp_path, "finance@example.com", "--exporter=http://127.0.0.1:1")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert not kept.exists()


def test_kubernetes_takes_the_cron_job() -> None:
    """The oldest and the newest; its pods are restricted, and it runs what there is."""
    found = objects((FOLDER / "cronjob.yaml").read_text())
    require_valid(found)
    spec = one(found, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    assert not list(violations(spec["spec"]))
    (container,) = spec["spec"]["containers"]
    assert container["command"] == [parser().prog]
    asked = require_monthly(container["args"])
    (mount,) = container["volumeMounts"]
    assert str(asked.dest) == mount["mountPath"]
    (volume,) = spec["spec"]["volumes"]
    claim = one(found, "PersistentVolumeClaim")["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim


def test_its_pods_reach_the_exporter_of_the_manifests() -> None:
    """By its service, its port, a host name that it answers to, and a policy that lets them in."""
    found = objects((FOLDER / "cronjob.yaml").read_text())
    spec = one(found, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = spec["spec"]["containers"]
    (service,) = objects((BASE / "service.yaml").read_text())
    (pods,) = objects((BASE / "statefulset.yaml").read_text())
    exporter = pods["spec"]["template"]
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert f"--exporter=http://{name}:{port}" in container["args"]
    (theirs,) = exporter["spec"]["containers"]
    assert f"--web.allowed-host={name}" in theirs["args"]
    assert container["image"] == theirs["image"]
    policy = one(found, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= exporter["metadata"]["labels"].items()
    (ingress,) = policy["ingress"]
    (peer,) = ingress["from"]
    assert peer["podSelector"]["matchLabels"].items() <= spec["metadata"]["labels"].items()
    assert ingress["ports"] == [{"port": theirs["ports"][0]["name"], "protocol": "TCP"}]
