"""What a rule is, and how rules are written to a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

HEADER = """\
# Written by `viam-billing rules`, which overwrites it: put changes in a --settings file.
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded series: level, metric and operations with colons between them."""

    record: str
    expr: str

    def document(self) -> Mapping[str, Any]:
        """Return the rule as in a file of rules."""
        return {"record": self.record, "expr": pretty(self.expr)}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. The annotations are templates of Prometheus, apart from the summary."""

    name: str
    expr: str
    hold: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def document(self) -> Mapping[str, Any]:
        """Return the rule as in a file of rules."""
        return {
            "alert": self.name,
            "expr": pretty(self.expr),
            "for": self.hold,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, in this order."""

    name: str
    interval: str
    rules: Iterable[Recording | Alert]

    def document(self) -> Mapping[str, Any]:
        """Return the group as in a file of rules."""
        return {
            "name": self.name,
            "interval": self.interval,
            "rules": [rule.document() for rule in self.rules],
        }


def pretty(expr: str) -> str:
    """Return an expression over several lines, indented. Raises ValueError for a wrong one."""
    return str(promql_parser.parse(expr).prettify())


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def written(groups: Iterable[Group]) -> str:
    """Return the file with these groups."""
    document = {"groups": [group.document() for group in groups]}
    return HEADER + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True
    )
