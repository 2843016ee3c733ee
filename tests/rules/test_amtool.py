"""The configuration that Alertmanager is given: amtool's verdict, who hears of what, and how."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rules.harness import ALERT_RULES, ALERTS, RULES

FOLDER: Final = RULES.parents[1] / "alertmanager"
CONFIGURATION: Final = FOLDER / "alertmanager.yml"
TEMPLATES: Final = FOLDER / "templates" / "*.tmpl"
EXAMPLE: Final = RULES.parents[1] / "exporter.example.yml"
# Somebody may call an organization anything.
NASTY: Final = "Acme <!channel> & <b>Sons</b>"
OVERDUE: Final = "has overdue invoices totalling $312.50"
FAILED: Final = "has failed payments totalling $312.50 (card declined)"


def run(*command: str) -> str:
    """Return what a program says. Fails with it if the program does."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_amtool_accepts_the_configuration() -> None:
    """With its templates, and without the secrets, whose files it opens only to send."""
    assert "SUCCESS" in run("amtool", "check-config", str(CONFIGURATION))


@pytest.mark.parametrize(
    ("alert", "org_id", "receivers"),
    [
        ("ViamBillingExporterDown", "", "on-call-pagerduty,operators-slack"),
        ("ViamBillingStorageFailing", "", "operators-slack"),
        ("ViamBillingCredentialsRefused", "acme-1", "operators-slack"),
        ("ViamBillingUpstreamOutageEverywhere", "", "operators-slack"),
        ("ViamBillingUnknownCostType", "acme-1", "nobody"),
        ("ViamBillingInvoiceOverdue", "acme-1", "on-call-pagerduty,finance-email"),
        ("ViamBillingBudgetUsed", "acme-1", "finance-email"),
        ("ViamBillingBudgetUsed", "3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01", "team-slack"),
        ("ViamBillingNewCostType", "acme-1", "nobody"),
    ],
)
def test_an_alert_reaches_whom_it_should(alert: str, org_id: str, receivers: str) -> None:
    """By its own labels: severity, area and organization."""
    labels = {**ALERTS[alert]["labels"], "alertname": alert}
    labels |= {"org_id": org_id} if org_id else {}
    route(receivers, **labels)


def route(receivers: str, **labels: str) -> None:
    """Fail unless an alert with these labels reaches these receivers."""
    told = run(
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={CONFIGURATION}",
        f"--verify.receivers={receivers}",
        *(f"{key}={value}" for key, value in labels.items()),
    )
    assert receivers in told


def test_what_is_mitigated_wakes_nobody() -> None:
    """An invoice that is overdue while its payment is in flight is a ticket, and no page."""
    severities = {rule["labels"]["severity"] for rule in of("ViamBillingInvoiceOverdue")}
    assert severities == {"critical", "warning"}
    route("finance-email", severity="warning", area="money", org_id="acme-1")
    assert {r["labels"]["severity"] for r in of("ViamBillingInvoiceDueSoon")} == {"warning", "info"}
    route("nobody", severity="info", area="money", org_id="acme-1")


def of(alert: str) -> list[Mapping[str, Any]]:
    """Return the rules of an alert."""
    return [rule for rule in ALERT_RULES if rule["alert"] == alert]


def test_the_organization_in_the_routes_is_one_of_the_example() -> None:
    """Somebody who starts from both files has a route that works."""
    organizations = yaml.safe_load(EXAMPLE.read_text())["organizations"]
    assert any(organization["id"] in CONFIGURATION.read_text() for organization in organizations)


def rendered(template: str, data: Path, kind: str = "text") -> str:
    """Return a message."""
    return run(
        "amtool",
        "template",
        "render",
        f"--template.glob={TEMPLATES}",
        f'--template.text={{{{ template "viam-billing.{template}" . }}}}',
        f"--template.data={data}",
        f"--template.type={kind}",
    )


@pytest.fixture(name="message")
def a_message(tmp_path: Path) -> Path:
    """Return what Alertmanager hands to the templates: one alert that fires, one resolved."""
    labels = {"org_id": "acme-1", "org_name": NASTY, "severity": "critical"}
    alerts: list[dict[str, Any]] = [
        {
            "status": status,
            "labels": labels | {"alertname": name},
            "annotations": {
                "title": f"{NASTY} {what}",
                "summary": ALERTS[name]["annotations"]["summary"],
                "description": f"{NASTY} owes $312.50.",
                "runbook_url": f"https://docs.example.com/runbook#{name.lower()}",
                "dashboard_url": "https://grafana.example.com/d/x?var-organization=acme-1",
            },
            "startsAt": "2026-11-01T10:00:00Z",
            "endsAt": "2026-11-02T10:00:00Z",
            "generatorURL": "http://localhost:9090/graph",
        }
        for status, name, what in (
            ("firing", "ViamBillingInvoiceOverdue", OVERDUE),
            ("resolved", "ViamBillingPaymentFailed", FAILED),
        )
    ]
    data = {
        "receiver": "any",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": {"org_id": "acme-1"},
        "commonLabels": labels,
        "commonAnnotations": {"dashboard_url": alerts[0]["annotations"]["dashboard_url"]},
        "externalURL": "http://localhost:9093",
    }
    file = tmp_path / "message.json"
    file.write_text(json.dumps(data))
    return file


@pytest.mark.parametrize(("template", "kind"), [("text", "text"), ("html", "html"), ("slack", "")])
def test_a_message_has_all_that_one_needs(template: str, kind: str, message: Path) -> None:
    """Organization, amount, runbook, dashboard, and which of the alerts are over."""
    text = rendered(template, message, kind or "text")
    for part in (
        "Acme",
        "owes $312.50.",
        "An unpaid invoice is past its due date.",
        "https://docs.example.com/runbook#viambillinginvoiceoverdue",
        "https://grafana.example.com/d/x?var-organization=acme-1",
    ):
        assert part in text
    assert text.lower().count("resolved") == 1
    # What is over is not told as if it still were so.
    before, _, last = text.partition("When it last fired: ")
    assert before.count("owes $312.50.") == last.count("owes $312.50.") == 1


@pytest.mark.parametrize(("template", "kind"), [("text", "text"), ("html", "html"), ("slack", "")])
def test_a_message_has_no_link_that_leads_nowhere(template: str, kind: str, message: Path) -> None:
    """Alerts have no links if `viam-billing rules` was given no addresses."""
    document = json.loads(message.read_text())
    for alert in document["alerts"]:
        del alert["annotations"]["runbook_url"], alert["annotations"]["dashboard_url"]
    message.write_text(json.dumps(document))
    text = rendered(template, message, kind or "text")
    assert "owes $312.50." in text
    assert not [word for word in ("What to do", "Dashboard", "href", "|") if word in text]


def test_a_title_says_who_and_how_much(message: Path) -> None:
    """It is all that a telephone shows. What is resolved is not counted while something fires."""
    assert rendered("title", message) == f"{NASTY} {OVERDUE}"
    assert rendered("link", message) == "https://grafana.example.com/d/x?var-organization=acme-1"


Change = Callable[[dict[str, Any]], None]


def resolve(document: dict[str, Any]) -> None:
    """Let everything be over."""
    document["status"] = "resolved"
    for alert in document["alerts"]:
        alert["status"] = "resolved"


def add_warnings(document: dict[str, Any]) -> None:
    """Put two warnings before the critical alert."""
    overdue = document["alerts"][0]
    warning = {**overdue, "labels": {**overdue["labels"], "severity": "warning"}}
    document["alerts"][:0] = [{**warning, "annotations": {"title": "Less urgent"}}] * 2


def come_from_elsewhere(document: dict[str, Any]) -> None:
    """Let the alert be one of other rules, which have no title."""
    del document["alerts"][0]["annotations"]["title"]


def say_nothing(document: dict[str, Any]) -> None:
    """Let it have no annotations at all."""
    document["alerts"][0]["annotations"] = {}


@pytest.mark.parametrize(
    ("change", "title"),
    [
        (resolve, f"Resolved: {NASTY} {OVERDUE}, and 1 more alert"),
        (add_warnings, f"{NASTY} {OVERDUE}, and 2 more alerts"),
        (come_from_elsewhere, "An unpaid invoice is past its due date."),
        (say_nothing, "ViamBillingInvoiceOverdue"),
    ],
)
def test_a_title_names_the_worst_alert_and_counts_the_others(
    change: Change, title: str, message: Path
) -> None:
    """In mail and on Slack alike, apart from what Slack would act upon."""
    document = json.loads(message.read_text())
    change(document)
    message.write_text(json.dumps(document))
    assert rendered("title", message) == title
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert rendered("slack-title", message) == escaped


@pytest.mark.parametrize("template", ["slack", "slack-title"])
def test_a_name_calls_nobody_on_slack(template: str, message: Path) -> None:
    """Its three special characters are escaped; links of our own stay links."""
    text = rendered(template, message)
    assert "Acme &lt;!channel&gt; &amp; &lt;b&gt;Sons&lt;/b&gt;" in text
    assert "<!channel>" not in text
    assert ("|What to do>" in text) == (template == "slack")


def test_a_name_is_no_markup_in_a_mail(message: Path) -> None:
    """Alertmanager escapes what stands in a template for HTML."""
    text = rendered("html", message, "html")
    assert "Acme &lt;!channel&gt; &amp; &lt;b&gt;Sons&lt;/b&gt;" in text
    assert "<b>" not in text


@pytest.mark.parametrize(("template", "severity"), [("text", "CRITICAL: "), ("html", "Critical: ")])
def test_both_parts_of_a_mail_say_how_urgent_it_is(
    template: str, severity: str, message: Path
) -> None:
    """Once for each alert that fires; alerts from other rules may not say it."""
    summary = ALERTS["ViamBillingInvoiceOverdue"]["annotations"]["summary"]
    assert rendered(template, message, template).count(severity) == 1
    assert f"{severity}{summary}" in rendered(template, message, template)
    document = json.loads(message.read_text())
    for alert in document["alerts"]:
        del alert["labels"]["severity"]
    message.write_text(json.dumps(document))
    assert f": {summary}" not in rendered(template, message, template)


def test_a_mail_about_one_alert_has_no_heading(message: Path) -> None:
    """The subject is its title already. That of several says how many others there are."""
    assert "<h1" in rendered("html", message, "html")
    document = json.loads(message.read_text())
    del document["alerts"][1:]
    message.write_text(json.dumps(document))
    text = rendered("html", message, "html")
    assert "<h1" not in text
    assert text.count("An unpaid invoice is past its due date.") == 1
