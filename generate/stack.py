"""Our configurations of Prometheus and Alertmanager, as the stack in deploy/compose/ has them.

They differ in who is where, and in that everybody who would be told gets a mail, which stays there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from generate.steps import ROOT, Step

COMMAND: Final = "make stack"
DEPLOY: Final = ROOT / "deploy"
FOLDER: Final = DEPLOY / "compose"
ALERTMANAGER: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
PROMETHEUS: Final = DEPLOY / "prometheus" / "prometheus.yml"
# Where a service is for the others.
ADDRESSES: Final = {"localhost:9093": "alertmanager:9093", "localhost:8426": "exporter:8426"}
MAIL: Final = "mail:1025"


def prometheus(ours: str) -> str:
    """Return the configuration of Prometheus, with the addresses of services."""
    text = _without_preamble(ours)
    for address, service in ADDRESSES.items():
        text = text.replace(address, service)
    return _note(PROMETHEUS) + text


def alertmanager(ours: str) -> str:
    """Return the configuration of Alertmanager: as it is, but for how people are told."""
    document = yaml.safe_load(ours)
    kept = ours[ours.index("\ntemplates:") : ours.index("\nreceivers:")]
    mail = next(each for each in document["receivers"] if "email_configs" in each)
    parts = {
        "global": {
            "smtp_smarthost": MAIL,
            "smtp_from": document["global"]["smtp_from"],
            "smtp_require_tls": False,
        }
    }
    # One by one: what several have would be an anchor.
    receivers = [_yaml([_by_mail(r, mail["email_configs"][0])]) for r in document["receivers"]]
    return _note(ALERTMANAGER) + _yaml(parts) + kept + "\nreceivers:\n" + "".join(receivers)


def _by_mail(receiver: Mapping[str, Any], mail: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a receiver who gets a mail, unless nobody does. The name ends with the way."""
    if receiver.keys() == {"name"}:
        return receiver
    who = receiver["name"].rpartition("-")[0]
    return {"name": receiver["name"], "email_configs": [{**mail, "to": f"{who}@example.com"}]}


def _note(source: Path) -> str:
    return f"# Generated from {source.relative_to(ROOT)} by `{COMMAND}`.\n\n"


def _without_preamble(text: str) -> str:
    """Return a file without the comments above its content, which are about the file itself."""
    lines = text.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    return "".join(lines[first:])


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def generated() -> Mapping[Path, str]:
    """Return the files with the content that they should have."""
    return {
        FOLDER / ALERTMANAGER.name: alertmanager(ALERTMANAGER.read_text()),
        FOLDER / PROMETHEUS.name: prometheus(PROMETHEUS.read_text()),
    }


STEPS: Final = (Step(COMMAND, generated),)
