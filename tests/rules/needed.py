"""The rules that expectations depend on, and no others: promtool takes a fraction of the time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

WORD: Final = re.compile(r"[a-zA-Z_:][\w:]*")
FIRING: Final = "ALERTS"

Rule = Mapping[str, Any]


def load_groups(files: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Return the groups in these files, in the order in which they are evaluated."""
    return [group for path in files for group in _groups(path.read_text())]


def load_rules(files: Iterable[Path]) -> list[Rule]:
    """Return the rules of these groups."""
    return [rule for group in load_groups(files) for rule in group["rules"]]


@cache
def _groups(text: str) -> list[Mapping[str, Any]]:
    groups: list[Mapping[str, Any]] = yaml.safe_load(text)["groups"]
    return groups


def words(texts: Iterable[str]) -> set[str]:
    """Return all words of expressions, the names of series among them."""
    return {word for text in texts for word in WORD.findall(text)}


def needed(rules: Collection[Rule], texts: Collection[str]) -> list[Rule]:
    """Return the rules that these expressions and names of alerts depend on, in their order.

    Names are looked for as words: a rule too many does no harm. A pattern of names needs all rules,
    an expression about alerts of any name needs all alerts.
    """
    known = words(texts)
    if any(text.count("__name__") > text.count('__name__="') for text in texts):
        return list(rules)
    if any(text.count(FIRING) > text.count('alertname="') for text in texts):
        known |= {rule["alert"] for rule in rules if "alert" in rule}
    while True:
        found = [rule for rule in rules if _name(rule) in known]
        more = words(text for rule in found for text in read_by(rule)) - known
        if not more:
            return found
        known |= more


def _name(rule: Rule) -> str:
    name: str = rule.get("record") or rule["alert"]
    return name


def read_by(rule: Rule) -> Iterable[str]:
    """Return the texts that name what a rule reads: its expression, and its messages."""
    return rule["expr"], *rule.get("annotations", {}).values()
