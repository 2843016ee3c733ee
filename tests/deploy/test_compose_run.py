"""The stack's real programs with its own commands and files, up to the mail that arrives."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from support.compose import PROGRAMS, lay_out, services
from support.namespace import namespace
from support.process import PYTHON, Process, running, until
from support.standing import ENVIRON

WITHIN: Final = 90.0  # seconds until it has been evaluated, told and delivered
PATIENT: Final = re.compile(
    r"\b(for|interval|scrape_interval|evaluation_interval|group_wait|group_interval): \d+[smhd]\b"
)

pytestmark = pytest.mark.timeout(4 * WITHIN)


@dataclass(frozen=True)
class Running:
    """What runs, in a network where services have the names that they have in the stack."""

    enter: Sequence[str]
    mail: Process

    def ask(self, path: str) -> Any:
        """Return the data of an answer of Prometheus."""
        url = f"http://prometheus:9090/api/v1/{path}"
        command = [*self.enter, "curl", "--silent", "--fail", url]
        answer = subprocess.run(command, check=False, capture_output=True, text=True).stdout
        return json.loads(answer)["data"] if answer else {}


@pytest.fixture(scope="module")
def programs(stack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run all but Grafana, and in place of Mailpit something that tells us what it got."""
    root = tmp_path_factory.mktemp(stack)
    hosts = root / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *services())))
    with ExitStack() as open_ones:
        enter = open_ones.enter_context(namespace(hosts))
        catcher = (*enter, PYTHON, "-m", "support.mail", "1025")
        mail = open_ones.enter_context(running(*catcher, environ=ENVIRON))
        mail.stdout.wait_for("ready")
        for name in ("exporter", "prometheus", "alertmanager"):
            program, folder = PROGRAMS[name], root / name
            command = lay_out(services()[name], folder)
            in_a_hurry(folder)
            open_ones.enter_context(running(*enter, *program, *command))
        yield Running(enter, mail)
        mail.kill()  # it has nothing to clean up


def in_a_hurry(folder: Path) -> None:
    """Have everything scraped, evaluated and told at once; nothing else is changed."""
    for file in folder.rglob("*.yml"):
        file.write_text(PATIENT.sub(r"\1: 1s", file.read_text()))


def test_prometheus_scrapes_the_exporter(programs: Running) -> None:
    """By the name of its service."""

    def target() -> Mapping[str, Any] | None:
        active = programs.ask("targets").get("activeTargets", ())
        return next((each for each in active if each["health"] == "up"), None)

    found = until(target, "the target is up")
    assert found["labels"] == {"instance": "exporter:8426", "job": "viam-billing"}
    organizations = f"query?query={quote('count(viam_billing_up == 1)')}"
    until(
        lambda: (
            [each["value"][1] for each in programs.ask(organizations).get("result", ())] == ["8"]
        ),
        "all of the demo is there",
    )


def test_prometheus_has_our_rules(programs: Running) -> None:
    """Every group of them is evaluated without an error."""

    def evaluated() -> Sequence[Mapping[str, Any]]:
        rules = [
            rule for group in programs.ask("rules").get("groups", ()) for rule in group["rules"]
        ]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else []

    rules = until(evaluated, "all rules were evaluated", WITHIN)
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {"alerting", "recording"} == {rule["type"] for rule in rules}


def test_what_is_wrong_in_the_demo_arrives_as_mail(programs: Running) -> None:
    """Through Alertmanager, to those whom our routes name, in our words."""
    line = programs.mail.stdout.wait_for(r'^.*"finance@example\.com".* owes .*$', WITHIN)[0]
    told = json.loads(line)
    assert re.search(r" has overdue invoices totalling \$\d+\.\d\d", told["subject"])
    assert re.search(r"owes \$[\d,]+\.\d\d on overdue invoices, the oldest due on ", told["text"])
