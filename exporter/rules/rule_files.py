"""The files for Prometheus and Alertmanager: which rules are in which, in what order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from exporter.rules import alerts_on_exporters, alerts_on_money, alerts_on_polls, alerts_on_spend
from exporter.rules.alert import Alerts, Links
from exporter.rules.readings import interval, readings
from exporter.rules.recording import recordings
from exporter.rules.remembered import remembered
from exporter.rules.rule import Alert, Group, written
from exporter.rules.rule_settings import Settings
from exporter.rules.staleness import staleness

# By area: the label of the alerts, and the last part of their group's name.
ALERTS: Final = {
    "exporter": alerts_on_exporters,
    "polling": alerts_on_polls,
    "money": alerts_on_money,
    "spend": alerts_on_spend,
}


NO_LINKS: Final = Links()
ALERTMANAGER: Final = Path(__file__).resolve().with_name("alertmanager")
ETC: Final = Path("/etc/alertmanager")  # the folder that its files are for, as they are written
_SECRET: Final = re.compile(rf": {ETC}/(secrets/.+)\n")


def alerts(settings: Settings, links: Links = NO_LINKS) -> Mapping[str, Sequence[Alert]]:
    """Return the alerts of each area, those of one name from the most severe."""
    return {
        area: [*module.alerts(Alerts(settings, links, area))] for area, module in ALERTS.items()
    }


def files(settings: Settings, links: Links = NO_LINKS) -> Mapping[str, str]:
    """Return the text of each file for Prometheus, by name."""
    recording = (
        Group(
            "viam-billing",
            settings.interval,
            [*recordings(settings), *remembered(settings), *staleness(settings)],
        ),
        Group("viam-billing-hourly", interval(settings), readings(settings)),
    )
    alerting = (
        Group(f"viam-billing-{area}", settings.interval, of_area)
        for area, of_area in alerts(settings, links).items()
    )
    return {
        "viam-billing.rules.yml": written(recording),
        "viam-billing.alerts.yml": written(alerting),
    }


def alertmanager(folder: Path = ETC) -> Mapping[str, str]:
    """Return the text of each file for Alertmanager, by its path in the folder for them."""

    def there(secret: re.Match[str]) -> str:
        return (
            ": " + yaml.safe_dump([str(folder / secret[1])], allow_unicode=True, width=10_000)[2:]
        )

    return {
        str(file.relative_to(ALERTMANAGER)): _SECRET.sub(there, file.read_text(encoding="utf-8"))
        for file in sorted(ALERTMANAGER.rglob("*"))
        if file.is_file()
    }
