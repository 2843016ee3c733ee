"""What all alerts share: where they lead to, and how their texts name things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.rules.rule import Alert
from exporter.rules.rule_settings import Settings
from exporter.rules.series import STALE

ORGANIZATION: Final = "{{ $labels.org_name }}"
EXPORTER: Final = "The exporter at {{ $labels.instance }}"
A_DAY: Final = 86_400  # of UTC, which no setting shortens

# Pipelines that take a number. Each comma needs a pass, for RE2 cannot look ahead: three do for all
# that is below a trillion.
_GROUPED: Final = ' | reReplaceAll "([0-9])([0-9]{3}[.,])" "$1,$2"' * 3
AS_USD: Final = f'printf "%.2f"{_GROUPED} | reReplaceAll "^-?" "$0$$"'
# Without seconds, and without what is 0: "3d 12m", "45m".
AS_AGE: Final = 'humanizeDuration | reReplaceAll " [0-9]+s$" "" | reReplaceAll " 0[hm]" ""'
# Of whole days from today: "in 2 days", "in 1 day", "today", "13 days ago".
AS_DAYS: Final = (
    'printf "%+.0f days" | reReplaceAll "^.0 days" "today" | reReplaceAll "^(.1 day)s" "$1"'
    ' | reReplaceAll "^[+]" "in " | reReplaceAll "^-(.+)" "$1 ago"'
)

# Of what a query found.
FOUND: Final = ". | first | value"
DATE: Final = f'{{{{ ({FOUND} | toTime).Format "2006-01-02" }}}}'
AGE: Final = f"{{{{ {FOUND} | {AS_AGE} }}}}"

# What a collector reads, as the beginning of a sentence.
READS: Final = {
    "usage": "Usage was",
    "billing_information": "The payment method was",
    "invoices": "Invoices were",
}


def asked(expr: str, then: str, otherwise: str = "") -> str:
    """Return a template with one text if a query has a result, which is its dot, else another.

    `%[1]q` in the expression stands for the id of the alert's organization.
    """
    quoted = expr.replace('"', r"\"")
    found = f'{{{{ with printf "{quoted}" $labels.org_id | query }}}}{then}'
    return (
        f"{found}{{{{ else }}}}{otherwise}{{{{ end }}}}" if otherwise else f"{found}{{{{ end }}}}"
    )


def usd(amount: str) -> str:
    """Return a template that shows a number as dollars, as pages do: $1,879.16."""
    return f"{{{{ {amount} | {AS_USD} }}}}"


DOLLARS: Final = usd("$value")
USD: Final = usd(FOUND)  # of what a query found


def from_today(time: str) -> str:
    """Return a template that says how many days from today, in UTC, a time of a query is."""
    days = f"floor(({time}) / {A_DAY}) - scalar(floor(vector(time()) / {A_DAY}))"
    return asked(days, f"{{{{ {FOUND} | {AS_DAYS} }}}}")


def words(name: str) -> str:
    """Return a template that shows a name such as card_declined as words."""
    return f'{{{{ {name} | reReplaceAll "_" " " }}}}'


def dollars(series: str) -> str:
    """Return a template that shows an amount of the alert's organization."""
    return asked(f"{series}{{org_id=%[1]q}}", USD, "unknown")


def as_of(collector: str) -> str:
    """Return a template that says how old amounts are that are remembered through an outage.

    While polls succeed it is empty. Without an exporter, no collector is known.
    """
    stale = f'{STALE}{{org_id=%[1]q,collector=~"{collector}|"}}'
    return asked(stale, f" {READS[collector]} last read {AGE} ago, so this may have changed.")


class Text(NamedTuple):
    """What an alert says. Title and description are templates of Prometheus."""

    title: str  # who and how much, for the subject of a message; no full stop
    summary: str  # what kind of thing happened, the same for all that it happens to
    description: str


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

    def about_organization(self, name: str, expr: str, text: Text, **labels: str) -> Alert:
        """Return an alert about one organization."""
        dashboard = "viam-billing-organization?var-organization={{ $labels.org_id | urlquery }}"
        return self._alert(name, expr, text, dashboard, labels)

    def about_exporter(self, name: str, expr: str, text: Text) -> Alert:
        """Return an alert about the exporters."""
        return self._alert(name, expr, text, "viam-billing-exporter", {})

    def _alert(
        self, name: str, expr: str, text: Text, dashboard: str, labels: dict[str, str]
    ) -> Alert:
        alerting = self.settings.alerts[name]
        annotations = text._asdict()
        if self.links.runbooks is None:
            annotations["description"] += f" To see what to do, run: viam-billing runbook {name}"
        else:
            annotations["runbook_url"] = f"{self.links.runbooks}#{name.lower()}"
        if self.links.dashboards is not None:
            annotations["dashboard_url"] = f"{self.links.dashboards}/d/{dashboard}"
        labels = {"severity": alerting.severity, "area": self.area, **labels}
        return Alert(name, expr, alerting.hold, labels, annotations)
