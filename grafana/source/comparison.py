"""Counts what the dashboards and rules have, beside what others have: for docs/dashboards.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
ALERTS: Final = ROOT / "deploy" / "prometheus" / "rules" / "viam-billing.alerts.yml"
TESTS: Final = ROOT / "tests" / "rules"
BLOCK: Final = re.compile(r"(<!-- measured: dashboards -->\n).*?(<!-- end -->)", re.DOTALL)

# As counted in their repositories in the autumn of 2026.
OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "kubernetes-mixin": {
        "panels": "254",
        "described": "4%",
        "with a unit": "88%",
        "with a no-data text": "0",
        "data source is a variable": "yes",
        "links to details": "24",
        "annotations": "0",
        "alerts": "65",
        "alerts with a runbook": "all",
        "tests of rules": "113",
    },
    "opencost-mixin": {
        "panels": "44",
        "described": "100%",
        "with a unit": "100%",
        "with a no-data text": "0",
        "data source is a variable": "yes",
        "links to details": "8",
        "annotations": "optional",
        "alerts": "2",
        "alerts with a runbook": "0",
        "tests of rules": "yes",
    },
    "Sakuya1998/aws-cost-exporter": {
        "panels": "22",
        "described": "0",
        "with a unit": "0",
        "with a no-data text": "0",
        "data source is a variable": "no",
        "links to details": "0",
        "annotations": "0",
        "alerts": "5",
        "alerts with a runbook": "0",
        "tests of rules": "yes",
    },
}


def ours(documents: Iterable[str]) -> Mapping[str, str]:
    """Return what our dashboards, given as JSON, and our alerts have."""
    dashboards = [json.loads(document) for document in documents]
    panels = [p for each in dashboards for p in each["panels"] if p["type"] != "row"]
    defaults = [panel["fieldConfig"]["defaults"] for panel in panels]
    by_variable = all(
        source["uid"] == "${datasource}"
        for panel in panels
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"]))
    )
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    # An alert of several severities is one.
    rules = [*{rule["alert"]: rule for group in groups for rule in group["rules"]}.values()]
    runbooks = ["viam-billing runbook" in rule["annotations"]["description"] for rule in rules]
    tests = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    tested = [f'"{rule["alert"]}"' in tests for rule in rules]
    return {
        "panels": str(len(panels)),
        "described": _share(bool(panel.get("description")) for panel in panels),
        "with a unit": _share(bool(each.get("unit")) for each in defaults),
        "with a no-data text": _share(bool(each.get("noValue")) for each in defaults),
        "data source is a variable": "yes" if by_variable else "no",
        "links to details": str(sum(1 for panel in panels for _ in _links(panel["fieldConfig"]))),
        "annotations": str(sum(len(each["annotations"]["list"]) for each in dashboards)),
        "alerts": str(len(rules)),
        "alerts with a runbook": "all" if all(runbooks) else str(sum(runbooks)),
        "tests of rules": f"of {'all' if all(tested) else sum(tested)} alerts",
    }


def fill(page: str, documents: Iterable[str]) -> str:
    """Return the page with a new table. Raises ValueError if the page has no place for it."""
    columns = {"ours": ours(documents), **OTHERS}
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(each[row] for each in columns.values())] for row in columns["ours"]]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    filled, places = BLOCK.subn(lambda match: match[1] + table + match[2], page)
    if places != 1:
        raise ValueError("docs/dashboards.md has no one place for the table")
    return filled


def _share(answers: Iterable[bool]) -> str:
    found = [*answers]
    return f"{100 * sum(found) // len(found)}%"


def _links(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses that the values of a panel lead to."""
    for link in config["defaults"].get("links", []):
        yield link["url"]
    for override in config["overrides"]:
        for each in override["properties"]:
            if each["id"] == "links":
                yield from (link["url"] for link in each["value"])
