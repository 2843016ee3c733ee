"""The files of rules: which rules are in which, in what order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporter.rules import alerts_on_exporters, alerts_on_money, alerts_on_polls, alerts_on_spend
from exporter.rules.alert import Alerts
from exporter.rules.readings import interval, readings
from exporter.rules.recording import recordings
from exporter.rules.remembered import remembered
from exporter.rules.rule import Group, written
from exporter.rules.rule_settings import Settings

# By area: the label of the alerts, and the last part of their group's name.
ALERTS: Final = {
    "exporter": alerts_on_exporters,
    "polling": alerts_on_polls,
    "money": alerts_on_money,
    "spend": alerts_on_spend,
}


def files(settings: Settings) -> Mapping[str, str]:
    """Return the files of rules by name. Raises ValueError if settings have an alert too many."""
    recording = (
        Group("viam-billing", settings.interval, [*recordings(settings), *remembered(settings)]),
        Group("viam-billing-hourly", interval(settings), readings(settings)),
    )
    alerts = {area: list(module.alerts(Alerts(settings, area))) for area, module in ALERTS.items()}
    known = {alert.name for members in alerts.values() for alert in members}
    if unknown := settings.alerts.keys() - known:
        raise ValueError(f"alerts: there is no {', '.join(sorted(unknown))}")
    alerting = (
        Group(f"viam-billing-{area}", settings.interval, members)
        for area, members in alerts.items()
    )
    return {
        "viam-billing.rules.yml": written(recording),
        "viam-billing.alerts.yml": written(alerting),
    }
