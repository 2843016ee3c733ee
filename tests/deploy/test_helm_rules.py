"""The rules of the chart: those of the repository, but for what the values change."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.config.duration import parse_duration
from exporter.rules.alert import Links
from exporter.rules.rule_files import NO_LINKS, files
from exporter.rules.rule_settings import load
from generate.thresholds import changeable, with_places
from rules.harness import FILES
from support.chart_values import VARIATIONS
from support.kubernetes import manifests, of, refused

CHANGED: Final = VARIATIONS["rules of one's own"]["prometheusRule"]
# The same, as a file for `viam-billing rules --settings` has it.
SETTINGS: Final = {
    "alerts": {
        name: {key: value for key, value in custom.items() if key != "labels"}
        for name, custom in CHANGED["customRules"].items()
    },
    "thresholds": CHANGED["thresholds"],
}
Rules = list[Mapping[str, Any]]


def groups(values: Mapping[str, Any]) -> Rules:
    """Return the groups that the chart makes, in an order that does not matter."""
    found = of(manifests({"prometheusRule": {"enabled": True, **values}}), "PrometheusRule")
    return sorted((group for each in found for group in each["spec"]["groups"]), key=name_of)


def written(folder: Path | None = None, settings: Any = None, links: Links = NO_LINKS) -> Rules:
    """Return the groups of `viam-billing rules`."""
    file = None
    if folder is not None:
        file = folder / "settings.yml"
        file.write_text(yaml.safe_dump(settings))
    texts = files(load(file), links).values()
    return sorted((g for text in texts for g in yaml.safe_load(text)["groups"]), key=name_of)


def name_of(group: Mapping[str, Any]) -> str:
    """Return the name of a group."""
    name: str = group["name"]
    return name


def canonical(found: Rules) -> str:
    """Return groups without the line breaks that longer numbers bring into an expression."""
    return "".join(json.dumps(found, sort_keys=True).replace("\\n", " ").split())


def alerts(found: Rules) -> Iterator[Mapping[str, Any]]:
    """Yield the alerts of groups."""
    return (rule for group in found for rule in group["rules"] if "alert" in rule)


def test_the_rules_are_the_repository_s() -> None:
    """All of them, with Prometheus' own templates as they are, and no link that leads nowhere."""
    found = groups({})
    assert found == written()
    assert any("{{ $labels" in str(group) for group in found)
    objects = of(manifests({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    assert len({each["metadata"]["name"] for each in objects}) == len(FILES)


def test_links_of_alerts_lead_where_the_values_say() -> None:
    """Each of them, with what comes after the address; and nothing else is changed."""
    links = Links("https://wiki.example.org/bills", "https://g.example.org/g")
    found = groups({"runbookUrl": links.runbooks, "dashboardUrl": f"{links.dashboards}/"})
    assert found == written(links=links)


def test_what_is_changed_is_what_the_command_would_change(tmp_path: Path) -> None:
    """Thresholds, times and severities, of the milder alerts of a name, too: the same settings."""
    found = groups({"thresholds": SETTINGS["thresholds"], "customRules": SETTINGS["alerts"]})
    assert canonical(found) == canonical(written(tmp_path, SETTINGS))
    assert found != written()


def test_each_threshold_can_be_changed(tmp_path: Path) -> None:
    """Wherever it is, in seconds or as it is written, each to a value of its own."""
    defaults = changeable(load())
    others: dict[str, Any] = {
        name: f"9d3h{number}m" if isinstance(default, str) else number / 100
        for number, (name, default) in enumerate(defaults.items(), start=11)
    }
    expected = canonical(written(tmp_path, {"thresholds": others}))
    assert canonical(groups({"thresholds": others})) == expected
    for other in others.values():
        seconds = f"{parse_duration(other):g}" if isinstance(other, str) else str(other)
        assert seconds in expected or str(other) in expected


def test_every_threshold_but_levels_has_a_place() -> None:
    """A new one, too, in a file of rules that is still YAML."""
    settings = load()
    texts = with_places(settings, NO_LINKS).values()
    for name in set(settings.thresholds.model_dump()) - {"budget_used"}:
        assert re.search(f"<{name}( in seconds)?=", "".join(texts)), name
    for text in texts:
        assert yaml.safe_load(text)


def test_an_alert_that_is_disabled_is_gone() -> None:
    """With all that have its name, and no other; and no group is left without a rule."""
    names = {each["alert"] for each in alerts(groups({}))}
    (area,) = (g for g in groups({}) if g["name"] == "viam-billing-spend")
    gone = {each["alert"] for each in alerts([area])}
    left = groups({"disabled": dict.fromkeys(gone, True)})
    assert {each["alert"] for each in alerts(left)} == names - gone
    assert area["name"] not in {group["name"] for group in left}
    assert groups({"disabled": dict.fromkeys(gone, False)}) == groups({})


def test_labels_of_alerts_are_added() -> None:
    """To all of them, or to one; recorded series keep theirs."""
    found = groups(CHANGED)
    for each in alerts(found):
        assert each["labels"]["team"] == "finance"
        assert ("page" in each["labels"]) == (each["alert"] == "ViamBillingSpendSpike")
    recorded = [rule for group in found for rule in group["rules"] if "record" in rule]
    assert recorded
    assert not [rule for rule in recorded if "labels" in rule]


def test_a_name_that_no_alert_has_is_refused() -> None:
    """In silence it would change nothing."""
    for values in (
        {"disabled": {"ViamBillingSpendSpikes": True}},
        {"customRules": {"ViamBillingSpendSpikes": {"for": "2h"}}},
        {"customRules": {"ViamBillingSpendSpike": {"mitigated": "info"}}},
        {"thresholds": {"due_sooon": "7d"}},
        {"thresholds": {"outage_share": 50}},
    ):
        assert "'/prometheusRule/" in refused({"prometheusRule": values})


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("name", ["rules and dashboards", "rules of one's own"])
def test_promtool_takes_the_rules(name: str, tmp_path: Path) -> None:
    """As they come out of the objects."""
    for each in of(manifests(VARIATIONS[name]), "PrometheusRule"):
        (tmp_path / f"{each['metadata']['name']}.yml").write_text(json.dumps(each["spec"]))
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal"]
    done = subprocess.run(
        [*command, *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
