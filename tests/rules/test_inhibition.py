"""The real Alertmanager with our inhibition: who is silent while what fires."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from rules.harness import ALERTS, RULES
from support.alertmanager import alertmanager
from support.process import get, until

CONFIGURATION: Final = RULES.parents[1] / "alertmanager" / "alertmanager.yml"


@pytest.fixture(name="port")
def alertmanager_of_ours(tmp_path: Path) -> Iterator[int]:
    """Run Alertmanager with our routes and inhibition, and receivers that tell nobody."""
    ours = yaml.safe_load(CONFIGURATION.read_text())
    told = [{"name": receiver["name"]} for receiver in ours["receivers"]]
    rules = {"route": ours["route"], "inhibit_rules": ours["inhibit_rules"]}
    with alertmanager(tmp_path, rules | {"receivers": told}) as port:
        yield port


def fire(port: int, *alerts: str, **labels: str) -> None:
    """Fire alerts, written as `Name`, or `Name of-organization`, with their labels and others."""
    for text in alerts:
        name, _, org_id = text.partition(" ")
        own = ALERTS[f"ViamBilling{name}"]["labels"] | ({"org_id": org_id} if org_id else {})
        subprocess.run(
            [
                "amtool",
                "alert",
                "add",
                f"--alertmanager.url=http://127.0.0.1:{port}",
                f"alertname=ViamBilling{name}",
                *(f"{key}={value}" for key, value in (own | labels).items()),
            ],
            check=True,
            capture_output=True,
        )


def silent(port: int) -> set[str]:
    """Return the alerts that are inhibited, written in the same way.

    Alertmanager takes alerts in their order, and some time after it has answered: a pair that is
    fired last, of which one silences the other, tells when it has taken all.
    """
    last = f"mark-{uuid.uuid4()}"
    fire(port, f"InvoiceDueSoon {last}", f"InvoiceOverdue {last}")

    def told() -> set[str]:
        alerts = json.loads(get(port, "/api/v2/alerts").body)
        return {
            f"{labels['alertname'].removeprefix('ViamBilling')} {labels.get('org_id', '')}".strip()
            for labels in (each["labels"] for each in alerts if each["status"]["inhibitedBy"])
        }

    mark = f"InvoiceDueSoon {last}"
    until(lambda: mark in told(), "all alerts are taken")
    return {each for each in told() if " mark-" not in each}


def test_the_worse_of_two_silences_the_other_of_the_same_organization(port: int) -> None:
    """Beta's are silenced by nothing of Acme's."""
    both = ("InvoiceDueSoon", "BudgetForecastExceeded", "DataStale", "OutstandingBalance")
    fire(port, *(f"{name} {org_id}" for name in both for org_id in ("acme", "beta")))
    assert silent(port) == set()
    fire(port, "InvoiceOverdue acme", "BudgetUsed acme", "CredentialsRefused acme")
    assert silent(port) == {f"{name} acme" for name in both}


def test_an_exporter_that_is_down_silences_polls_and_no_money(port: int) -> None:
    """What follows from it is no news; what is owed still is."""
    polls = {name for name, alert in ALERTS.items() if alert["labels"]["area"] == "polling"}
    quiet = {name.removeprefix("ViamBilling") for name in polls} | {"ShardMissing"}
    fire(port, *quiet, "InvoiceOverdue acme", "SpendSpike acme", "ExporterDown")
    assert silent(port) == quiet


def test_an_outage_everywhere_is_told_once(port: int) -> None:
    """Not once for each organization, nor once more for discovery."""
    fire(port, "UpstreamOutage acme", "DataStale beta", "CredentialsRefused acme")
    fire(port, "UpstreamOutageEverywhere", "DiscoveryFailing")
    assert silent(port) == {"UpstreamOutage acme", "DataStale beta", "DiscoveryFailing"}


def test_an_alert_silences_itself_with_a_lesser_severity(port: int) -> None:
    """Of the same organization; what another alert is about is told, however small."""
    fire(port, "InvoiceOverdue acme", "InvoiceOverdue beta", severity="warning")
    fire(port, "InvoiceDueSoon beta", "PaymentFailed acme", severity="info")
    assert silent(port) == {"InvoiceDueSoon beta"}  # which the invoice that is overdue silences
    fire(port, "InvoiceOverdue acme", "PaymentFailed beta")
    assert silent(port) == {"InvoiceDueSoon beta", "InvoiceOverdue acme"}
    fire(port, "PaymentFailed acme", severity="warning")
    silenced = {"InvoiceDueSoon beta", "InvoiceOverdue acme", "PaymentFailed acme"}
    assert silent(port) == silenced


def test_alerts_of_equal_severity_silence_each_other_in_no_way(port: int) -> None:
    """As of two reasons, or two collectors."""
    for reason in ("card_declined", "expired_card"):
        fire(port, "PaymentFailed acme", reason=reason, severity="warning")
    assert silent(port) == set()
