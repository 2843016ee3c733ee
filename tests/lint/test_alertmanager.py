"""What Alertmanager's configuration names exists, and holds no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from rules.harness import ALERT_RULES, ALERTS, RULES

FOLDER: Final = RULES.parents[1] / "alertmanager"
TEXT: Final = (FOLDER / "alertmanager.yml").read_text()
CONFIGURATION: Final = yaml.safe_load(TEXT)
TEMPLATES: Final = (FOLDER / "templates" / "viam-billing.tmpl").read_text()
MATCHER: Final = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"(.*)"')
# What is secret, or an address that is as good as a secret, in receivers.
SECRETS: Final = re.compile(r"(password|api_url|routing_key|service_key|secret|token)$")


def routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a route and those below it."""
    yield route
    for child in route.get("routes", []):
        yield from routes(child)


def matchers() -> Iterator[tuple[str, str, str]]:
    """Yield label, operator and value of every matcher."""
    lists = [route.get("matchers", []) for route in routes(CONFIGURATION["route"])]
    for rule in CONFIGURATION["inhibit_rules"]:
        lists += [rule["source_matchers"], rule["target_matchers"]]
    for written in lists:
        for text in written:
            match = MATCHER.fullmatch(text)
            assert match, text
            yield match[1], match[2], match[3]


def test_every_value_that_a_matcher_names_occurs_in_an_alert() -> None:
    """An alert that is renamed would otherwise be routed, or silenced, no more."""
    for label, operator, value in matchers():
        if label == "org_id":
            continue
        labels = ({**alert["labels"], "alertname": alert["alert"]} for alert in ALERT_RULES)
        there = {each.get(label, "") for each in labels}
        assert operator in {"=", "=~"}
        for part in _alternatives(value):
            assert part in there, part


def _alternatives(pattern: str) -> list[str]:
    """Return the values of `a|b` and of `prefix(a|b)`."""
    prefix, bracket, rest = pattern.partition("(")
    if bracket:
        return [prefix + part for part in rest.removesuffix(")").split("|")]
    return pattern.split("|")


def test_every_receiver_is_used_and_there() -> None:
    """In both directions."""
    named = {route["receiver"] for route in routes(CONFIGURATION["route"])}
    assert named == {receiver["name"] for receiver in CONFIGURATION["receivers"]}


def test_every_template_that_is_named_exists_and_is_used() -> None:
    """A template that is missing is an error only when a message is due."""
    defined = set(re.findall(r'define "([\w.-]+)"', TEMPLATES))
    used = set(re.findall(r'template "([\w.-]+)"', TEXT + TEMPLATES))
    assert used == defined


def test_secrets_are_in_files() -> None:
    """The configuration can be shown to anybody."""

    def keys(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                yield key
                yield from keys(value)
        elif isinstance(node, list):
            for item in node:
                yield from keys(item)

    assert not [key for key in keys(CONFIGURATION) if SECRETS.search(key)]
    assert [key for key in keys(CONFIGURATION) if key.endswith("_file")]


def test_alerts_of_an_organization_silence_only_its_own() -> None:
    """Only what is about all of them, the exporter or the API, may silence without `equal`."""
    for rule in CONFIGURATION["inhibit_rules"]:
        match = MATCHER.fullmatch(rule["source_matchers"][0])
        assert match
        about_all = match[1] == "alertname" and all(
            "$labels.org_name" not in ALERTS[name]["annotations"]["title"]
            for name in _alternatives(match[3])
        )
        assert about_all or "org_id" in rule["equal"]
