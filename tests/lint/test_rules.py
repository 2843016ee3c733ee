"""What every rule must have, read from the files that Prometheus is given."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import promql_parser
import pytest

from exporter.rules.rule_files import alerts
from exporter.rules.rule_settings import load
from exporter.rules.runbook import sections
from exporter.rules.series import LAST_PERIOD, PICKED
from rules.harness import ALERT_RULES, ALERTS, GROUPS, LINKS, RULES
from rules.inference import COMPARISONS, SCRAPED, TARGET, Wrong, labels, metrics, reach, walk

ROOT: Final = RULES.parents[2]
SETTINGS: Final = load()
REFERENCE: Final = (ROOT / "docs" / "alerts.md").read_text()
RECORDED: Final = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
# The first part of a recorded series' name, and the labels that it stands for.
LEVELS: Final[dict[str, set[str]]] = {
    "fleet": set(),
    "exporter": set(TARGET),
    "org": {"org_id", "org_name"},
    "org_resource_type": {"org_id", "org_name", "resource_type"},
    "org_id": {"org_id"},
    "org_exporter": {"org_id", "org_name", *TARGET},
    "org_id_day": {"org_id", "day"},
    "org_id_collector": {"org_id", "collector"},
    "org_id_reading": {"org_id", "reading"},
    "org_id_reason": {"org_id", "reason"},
}
NAME: Final = re.compile(r"(?P<level>[a-z_]+):viam_billing_[a-z0-9_]+:[a-z0-9_]+")
KNOWN: Final = {
    **SCRAPED,
    **{r["record"]: frozenset(LEVELS.get(r["record"].partition(":")[0], ())) for r in RECORDED},
}
# What Prometheus keeps if nobody tells it otherwise.
RETENTION: Final = timedelta(days=15)
TEMPLATE: Final = "{{"


def ids(rule: dict[str, Any]) -> str:
    """Return a rule's name."""
    return str(rule.get("alert") or rule.get("record"))


RULES_OF_ALL: Final = [*RECORDED, *ALERT_RULES]


@pytest.mark.parametrize("rule", RULES_OF_ALL, ids=ids)
def test_every_metric_and_label_of_an_expression_exists(rule: dict[str, Any]) -> None:
    """A name that was mistyped, or changed, gives no error in Prometheus: only silence."""
    try:
        labels(promql_parser.parse(rule["expr"]), KNOWN)
    except Wrong as wrong:
        pytest.fail(f"{ids(rule)}: {wrong}")


@pytest.mark.parametrize("rule", RECORDED, ids=ids)
def test_a_recorded_series_has_the_labels_of_its_level(rule: dict[str, Any]) -> None:
    """And a name of level, metric and operation."""
    match = NAME.fullmatch(rule["record"])
    assert match
    assert labels(promql_parser.parse(rule["expr"]), KNOWN) == LEVELS[match["level"]]
    assert "labels" not in rule


def test_rules_stand_after_those_that_they_need() -> None:
    """Else they see what was true a minute ago. What a series itself was before is meant so."""
    seen = set(SCRAPED)
    for rule in RECORDED:
        assert metrics(rule["expr"]) - {rule["record"]} <= seen, rule["record"]
        seen.add(rule["record"])


@pytest.mark.parametrize("rule", RULES_OF_ALL, ids=ids)
def test_no_rule_looks_back_further_than_prometheus_keeps(rule: dict[str, Any]) -> None:
    """With its default retention; but for what compares months, and needs longer."""
    within = reach(promql_parser.parse(rule["expr"])) < RETENTION
    assert within == (rule.get("record") != LAST_PERIOD)


def test_names_are_unique() -> None:
    """Of recorded series, and of alerts with one severity: an alert may have several."""
    names = [(ids(rule), str(rule.get("labels"))) for rule in RULES_OF_ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", ALERT_RULES, ids=ids)
def test_an_alert_compares(alert: dict[str, Any]) -> None:
    """One that does not would fire on whatever exists."""
    nodes = list(walk(promql_parser.parse(alert["expr"])))
    compares = [
        node
        for node in nodes
        if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in COMPARISONS
    ]
    assert [node for node in compares if not (node.modifier and node.modifier.return_bool)]


@pytest.mark.parametrize("alert", ALERT_RULES, ids=ids)
def test_an_alert_says_all_that_it_must(alert: dict[str, Any]) -> None:
    """Severity, a title, a fixed summary, a description; no link to an address that nobody gave."""
    name, annotations = alert["alert"], alert["annotations"]
    assert re.fullmatch(r"ViamBilling([A-Z][a-z]+)+", name)
    assert alert["for"]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["labels"]["area"] in {"exporter", "polling", "money", "spend"}
    assert list(annotations) == ["title", "summary", "description"]
    assert TEMPLATE not in annotations["summary"]
    assert annotations["summary"].endswith(".")
    assert not annotations["title"].endswith(".")
    assert not [text for text in annotations.values() if "`" in text]  # a mail is no Markdown


@pytest.mark.parametrize("alert", ALERT_RULES, ids=ids)
def test_a_text_shows_words(alert: dict[str, Any]) -> None:
    """What a label has is a name of the API's, or ours; only those of people's own stay as is."""
    shown = re.findall(r"{{ \$(?:\w+\.)*(\w+) }}", "".join(alert["annotations"].values()))
    assert set(shown) <= {"org_name", "instance", "value"}


def test_an_alert_leads_to_its_section_and_to_a_dashboard() -> None:
    """If their addresses are given: to that of the organization, or of the exporters."""
    for alert in (each for area in alerts(SETTINGS, LINKS).values() for each in area):
        url = alert.annotations["dashboard_url"].removeprefix(f"{LINKS.dashboards}/d/")
        of_organization = "$labels.org_name" in alert.annotations["title"]
        dashboard = "organization" if of_organization else "exporter"
        assert url.partition("?")[0] == f"viam-billing-{dashboard}"
        assert ("?var-organization={{ $labels.org_id | urlquery }}" in url) == of_organization
        assert alert.annotations["runbook_url"] == f"{LINKS.runbooks}#{alert.name.lower()}"
        assert "viam-billing runbook" not in alert.annotations["description"]


@pytest.mark.parametrize("alert", ALERT_RULES, ids=ids)
def test_an_alert_of_an_organization_names_it_and_no_exporter(alert: dict[str, Any]) -> None:
    """Labels with a value in them would make a new alert of each value."""
    there = labels(promql_parser.parse(alert["expr"]), KNOWN) | set(alert["labels"])
    texts = alert["annotations"].values()
    assert not [text for text in alert["labels"].values() if TEMPLATE in text]
    assert {n for text in texts for n in re.findall(r"\$labels\.(\w+)", text)} <= there
    if "org_id" in there:
        assert {"org_id", "org_name"} <= there
        assert not there & TARGET
        for text in ("title", "description"):
            assert "$labels.org_name" in alert["annotations"][text]


@pytest.mark.parametrize("alert", ALERT_RULES, ids=ids)
def test_every_series_that_a_text_looks_up_exists(alert: dict[str, Any]) -> None:
    """Budgets and usual amounts, beside the alert's own value; of its organization alone."""
    text = alert["annotations"]["title"] + alert["annotations"]["description"]
    asked = re.findall(r'printf "((?:[^"\\]|\\.)+)" \$labels\.org_id \| query', text)
    assert text.count("| query") == len(asked)
    for query in asked:
        expr = promql_parser.parse(re.sub(r"%(\[1\])?q", '"x"', query.replace(r"\"", '"')))
        assert labels(expr, KNOWN) >= {"org_id"}
        selectors = [n for n in walk(expr) if isinstance(n, promql_parser.VectorSelector)]
        of_it = {s.name for s in selectors if "org_id" in {m.name for m in s.matchers.matchers}}
        assert {s.name for s in selectors} - of_it <= {PICKED}


def test_the_runbook_has_a_section_for_each_alert() -> None:
    """It ends with numbered steps, which somebody who is paged can follow."""
    assert set(ALERTS) <= set(sections())
    for name in ALERTS:
        steps = re.findall(r"^(\d+)\. \S", sections()[name].split("\n\n")[-1], re.MULTILINE)
        assert steps == [str(number) for number in range(1, len(steps) + 1)], name
        assert steps, name


def test_the_reference_has_a_row_for_each_alert_and_each_recorded_series() -> None:
    """And no row for one that does not exist; severities and times are those of the settings."""
    rows = re.findall(r"^\| \[`(\w+)`\]\((\S+)\) \| (\w+) \| (\w+) \|", REFERENCE, re.MULTILINE)
    assert rows == [
        (
            alert["alert"],
            f"runbooks/viam-billing.md#{alert['alert'].lower()}",
            alert["labels"]["severity"],
            alert["for"],
        )
        for alert in ALERT_RULES
    ]
    series = re.findall(r"^\| `([a-z_]+:[\w:]+)` \|", REFERENCE, re.MULTILINE)
    public = [rule["record"] for rule in RECORDED if not rule["record"].endswith(":last")]
    assert sorted(series) == sorted(public)


def test_every_recorded_series_in_the_documents_exists() -> None:
    """In queries of the runbook, and elsewhere."""
    for path in (ROOT / "docs").rglob("*.md"):
        for match in NAME.finditer(path.read_text()):
            assert match[0] in KNOWN, f"{path.name}: {match[0]}"


def test_names_of_recorded_series_stand_in_one_place() -> None:
    """Not in expressions of alerts or dashboards, whole or as the beginning of one."""
    begins = re.compile(rf"\b({'|'.join(LEVELS)}):(viam_billing_|$)")
    sources = (
        path for room in ("exporter", "grafana/source") for path in (ROOT / room).rglob("*.py")
    )
    with_names = {
        path.relative_to(ROOT)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        if isinstance(node.value, str) and begins.search(node.value)
    }
    assert with_names == {Path("exporter/rules/series.py")}


def test_every_recorded_series_is_used() -> None:
    """By an alert, another rule, a text or a dashboard."""
    texts = [rule["expr"] for rule in RULES_OF_ALL]
    texts += [str(alert["annotations"]) for alert in ALERT_RULES]
    texts += [path.read_text() for path in (ROOT / "grafana" / "dashboards").glob("*.json")]
    unused = [
        rule["record"]
        for rule in RECORDED
        if not any(_names(text, rule["record"]) for text in texts if text != rule["expr"])
    ]
    assert not unused


def _names(text: str, series: str) -> bool:
    return re.search(rf"(?<![\w:]){series}(?![\w:])", text) is not None


def test_the_settings_have_each_alert_and_no_other() -> None:
    """A severity that is set for an alert that does not exist changes nothing."""
    assert set(SETTINGS.alerts) == set(ALERTS)
