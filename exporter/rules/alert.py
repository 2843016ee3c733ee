"""What all alerts share: where they lead to, and how their texts name things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.rules.rule import Alert
from exporter.rules.rule_settings import Settings

ORGANIZATION: Final = "{{ $labels.org_name }}"
DOLLARS: Final = '{{ $value | printf "$%.2f" }}'
EXPORTER: Final = "{{ $labels.instance }}"


def looked_up(series: str, form: str) -> str:
    """Return a template that shows another series of the alert's organization."""
    query = f'printf "{series}{{org_id=%q}}" $labels.org_id | query'
    found = f"{{{{ . | first | value | {form} }}}}"
    return f"{{{{ with {query} }}}}{found}{{{{ else }}}}unknown{{{{ end }}}}"


def dollars(series: str) -> str:
    """Return a template that shows an amount of the alert's organization."""
    return looked_up(series, 'printf "$%.2f"')


class Links(NamedTuple):
    """Where alerts lead to. What has no address is left out of them."""

    runbooks: str | None = None  # URL of the page with a heading for each alert
    dashboards: str | None = None  # URL of Grafana, without a slash at the end


@dataclass(frozen=True, slots=True)
class Alerts:
    """Makes alerts with what the settings say of them."""

    settings: Settings
    links: Links
    area: str  # exporter, polling, money or spend: a label, for the routes of Alertmanager

    def about_organization(
        self, name: str, expr: str, summary: str, description: str, **labels: str
    ) -> Alert:
        """Return an alert about one organization."""
        dashboard = "viam-billing-organization?var-organization={{ $labels.org_id | urlquery }}"
        return self._alert(name, expr, summary, description, dashboard, labels)

    def about_exporter(self, name: str, expr: str, summary: str, description: str) -> Alert:
        """Return an alert about the exporters."""
        return self._alert(name, expr, summary, description, "viam-billing-exporter", {})

    def _alert(  # noqa: PLR0913 - what an alert consists of
        self,
        name: str,
        expr: str,
        summary: str,
        description: str,
        dashboard: str,
        labels: dict[str, str],
    ) -> Alert:
        alerting = self.settings.alerts[name]
        what_to_do = f"Run `viam-billing runbook {name}` for what to do."
        annotations = {"summary": summary, "description": f"{description} {what_to_do}"}
        if self.links.runbooks is not None:
            annotations["runbook_url"] = f"{self.links.runbooks}#{name.lower()}"
        if self.links.dashboards is not None:
            annotations["dashboard_url"] = f"{self.links.dashboards}/d/{dashboard}"
        labels = {"severity": alerting.severity, "area": self.area, **labels}
        return Alert(name, expr, alerting.hold, labels, annotations)
