"""The status page begins with what is wrong with the exporter: no alert knows more than it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from exporter.model import Cause, Failure
from exporter.page.limit import Limit
from exporter.polling.key_records import DiscoveryStatus
from exporter.rules import alerts_on_exporters, alerts_on_polls, rule_settings
from exporter.rules.alert import Alerts, Links
from exporter.web.facts import ExporterFacts, awaited
from exporter.web.status import troubles as module
from exporter.web.status.troubles import MAX_DETAILS, troubles
from support.status import CONTEXT, FACTS, status

REFUSED: Final = Failure(Cause.CREDENTIALS, "UNAUTHENTICATED", "the API key was refused")
# By the alert: the exporter that it is about. It is 12:00 UTC, so half of the requests may be gone.
WRONG: Final = {
    "ViamBillingConfigReloadFailed": replace(FACTS, reload_error="exporter.yml:3: poll: <b>"),
    "ViamBillingStorageFailing": replace(FACTS, storage_error="cannot use it: No space left"),
    "ViamBillingDiscoveryFailing": replace(
        FACTS, discovery=DiscoveryStatus(3, {"one": REFUSED, "two": REFUSED}, None)
    ),
    "ViamBillingRequestBudgetRunningOut": replace(FACTS, requests=(1000, 400)),
}
SAID: Final = {
    "ViamBillingConfigReloadFailed": "exporter.yml:3: poll: <b>",
    "ViamBillingStorageFailing": "cannot use it: No space left",
    "ViamBillingDiscoveryFailing": "Discovery fails for 2 of 3 API keys. ",
    "ViamBillingRequestBudgetRunningOut": "400 of the day's 1,000 API requests left. ",
}
LIMITED: Final = CONTEXT._replace(limit=Limit(True, 2, 90, "b"))
# Only Prometheus sees these.
OUTSIDE: Final = {
    "ViamBillingExporterDown",
    "ViamBillingShardMissing",
    "ViamBillingShardsMismatched",
}
ELSEWHERE: Final = {"ViamBillingUpstreamOutageEverywhere"}  # test_status_failing.py


def said(facts: ExporterFacts) -> str:
    """Return the status page's text in one line."""
    return " ".join(status(facts=facts).text.split())


def test_every_alert_about_an_exporter_is_on_its_page() -> None:
    """Unless the exporter cannot know of it."""
    links = Links(dashboards="https://grafana")
    make = Alerts(rule_settings.load(), links, "exporter")
    alerts = [*alerts_on_exporters.alerts(make), *alerts_on_polls.alerts(make)]
    about = {
        each.name
        for each in alerts
        if each.annotations["dashboard_url"].endswith("/viam-billing-exporter")
    }
    everything = replace(
        FACTS,
        reload_error="wrong",
        storage_error="wrong",
        discovery=WRONG["ViamBillingDiscoveryFailing"].discovery,
        requests=(1000, 0),
    )
    told = {each.alert for each in troubles(everything, LIMITED)}
    assert told | OUTSIDE | ELSEWHERE == about
    assert not told & (OUTSIDE | ELSEWHERE)


@pytest.mark.parametrize("alert", WRONG)
def test_a_trouble_comes_first_with_what_to_do(alert: str) -> None:
    """Before the state of polls, as text, and with the way to the runbook."""
    text = said(WRONG[alert])
    assert SAID[alert] in text
    assert text.index("The exporter needs attention") < text.index(SAID[alert])
    assert text.index(f"More: viam-billing runbook {alert}") < text.index("Version")
    assert text.count("More: ") == 1


def test_series_over_the_limit_are_a_trouble() -> None:
    """With how many organizations are left out, if any."""
    text = " ".join(status(context=LIMITED).text.split())
    assert "90 series not on /metrics: over limits.max_series. " in text
    assert "individual invoices are left out, and all of 2 organizations. Raise" in text
    invoices = CONTEXT._replace(limit=Limit(True, 0, 9, None))
    assert "individual invoices are left out. Raise" in status(context=invoices).text


def test_without_trouble_nothing_is_said_of_one() -> None:
    """Nor while the day's requests last at an even pace."""
    fine = replace(FACTS, discovery=DiscoveryStatus(1, {}, None), requests=(1000, 401))
    for facts in (FACTS, fine):
        assert "needs attention" not in said(facts)
        assert "viam-billing runbook" not in said(facts)


def test_requests_are_few_where_the_alert_says_so() -> None:
    """By the same share, unless the rules' settings were changed."""
    assert rule_settings.load().thresholds.requests_left_share == module.REQUESTS_LEFT_SHARE


def test_a_file_with_many_errors_does_not_fill_the_page() -> None:
    """The log has them all."""
    wrong = "\n".join(f"exporter.yml:{line}: unknown key" for line in range(1, MAX_DETAILS + 1003))
    text = said(replace(FACTS, reload_error=wrong))
    assert text.count("unknown key") == MAX_DETAILS
    assert "and 1,002 more, in the log" in text


def test_days_that_are_not_stored_are_not_called_kept() -> None:
    """A storage that fails keeps nothing that comes."""
    assert "400 days kept, not stored now" in said(WRONG["ViamBillingStorageFailing"])
    assert "not stored" not in said(FACTS)


@pytest.mark.parametrize(
    ("unpolled", "settled", "reason"),
    [
        (2, True, "waiting for the first poll of 2 organizations"),
        (1, True, "waiting for the first poll of 1 organization"),
        (9, False, "waiting for the first poll of 9 organizations and for discovery to list the"),
        (0, False, "waiting for discovery to list the organizations"),
        (0, True, "waiting for the first complete metrics page"),
    ],
)
def test_who_is_not_ready_says_what_it_waits_for(
    *, unpolled: int, settled: bool, reason: str
) -> None:
    """And never for no organization."""
    assert awaited(unpolled, settled=settled).startswith(reason)
    facts = replace(FACTS, ready=False, unpolled=unpolled, settled=settled)
    assert f"Not ready: {reason}" in said(facts)
