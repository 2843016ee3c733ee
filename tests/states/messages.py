"""What Alertmanager makes of the alerts of a world: who is told, of what, and in which words."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import yaml

from states.asked import Fired
from support.alertmanager import alertmanager
from support.process import PATIENCE, ROOT, get, until

FOLDER: Final = ROOT / "deploy" / "alertmanager"
NOBODY: Final = "nobody"  # the receiver of what is only shown on dashboards
# promtool's time begins in 1970.
DATE: Final = re.compile(r"\b19(?:69|70)-\d\d-\d\d\b")


@dataclass(frozen=True)
class Sent:
    """A message to a receiver: its subject, and its text."""

    receiver: str
    subject: str
    text: str


def dated(alert: Fired, midnight: float) -> Fired:
    """Return an alert with the dates of the world."""

    def moved(found: re.Match[str]) -> str:
        day = datetime.fromisoformat(found[0]).replace(tzinfo=UTC) + timedelta(seconds=midnight)
        return f"{day:%Y-%m-%d}"

    texts = {key: DATE.sub(moved, text) for key, text in alert.annotations.items()}
    return Fired(alert.labels, texts, alert.since)


def sent(alerts: Sequence[Fired], folder: Path) -> Iterator[Sent]:
    """Yield the messages that come of alerts, by our configuration: routes, groups, inhibitions."""
    if not alerts:
        return
    configuration: Any = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    # No message leaves this machine: who would be told is asked instead.
    configuration |= {
        "global": {},
        "templates": [],
        "receivers": [{"name": each["name"]} for each in configuration["receivers"]],
    }
    with alertmanager(folder, configuration) as port:
        _post(port, [_posted(alert) for alert in alerts])
        groups = until(lambda: _groups(port, len(alerts)), "Alertmanager has them", PATIENCE)
    for group in sorted(groups, key=lambda each: (each["receiver"]["name"], str(each["labels"]))):
        told = [each for each in group["alerts"] if each["status"]["state"] == "active"]
        told.sort(key=lambda each: sorted(each["labels"].items()))
        if told and group["receiver"]["name"] != NOBODY:
            yield _rendered(group["receiver"]["name"], told, folder)


def _posted(alert: Fired) -> Mapping[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": datetime.fromtimestamp(alert.since, UTC).isoformat(),
        "endsAt": "2100-01-01T00:00:00Z",
    }


def _post(port: int, alerts: Sequence[Mapping[str, Any]]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(
        "POST", "/api/v2/alerts", json.dumps(alerts), {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()


def _groups(port: int, number: int) -> list[Mapping[str, Any]] | None:
    """Return the groups of alerts once there are all."""
    groups: list[Mapping[str, Any]] = json.loads(get(port, "/api/v2/alerts/groups").body)
    there = {each["fingerprint"] for group in groups for each in group["alerts"]}
    return groups if len(there) == number else None


def _rendered(receiver: str, told: Sequence[Mapping[str, Any]], folder: Path) -> Sent:
    message = {
        "receiver": receiver,
        "status": "firing",
        "alerts": [{**each, "status": "firing"} for each in told],
    }
    data = folder / "message.json"
    data.write_text(json.dumps(message))

    def rendered(template: str) -> str:
        return subprocess.run(
            [
                *("amtool", "template", "render", f"--template.data={data}"),
                f"--template.glob={FOLDER / 'templates' / '*.tmpl'}",
                f'--template.text={{{{ template "viam-billing.{template}" . }}}}',
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return Sent(receiver, rendered("title"), rendered("text"))
