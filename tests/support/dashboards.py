"""The dashboards as files, and their expressions, with variables replaced as Grafana does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import promql_parser
import yaml

from rules.inference import parts
from support.process import ROOT

FOLDER: Final = ROOT / "grafana" / "dashboards"
FILES: Final = sorted(FOLDER.glob("*.json"))
EXCEPTIONS: Final[Mapping[str, Any]] = yaml.safe_load(
    (ROOT / "grafana" / "exceptions.yml").read_text()
)
# A group of label_replace, such as $1, is none: Grafana leaves it.
VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))")
SPECIAL: Final = re.compile(r"[\\^$*+?.()|\[\]{}]")


@dataclass(frozen=True)
class Target:
    """A query of a panel."""

    uid: str
    panel: Mapping[str, Any]
    query: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return f"{self.uid}/{self.panel['id']}/{self.query['refId']}"

    @property
    def expr(self) -> str:
        """The expression, with its variables."""
        return str(self.query["expr"])


def dashboards() -> Sequence[Mapping[str, Any]]:
    """Return all dashboards."""
    return [json.loads(path.read_text()) for path in FILES]


def panels(dashboard: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the panels of a dashboard, without the titles of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets() -> Iterator[Target]:
    """Yield every query of every panel."""
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for query in panel["targets"]:
                yield Target(dashboard["uid"], panel, query)


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression there is, of panels, annotations and variables, with its place."""
    for target in targets():
        yield target.name, target.expr
    for dashboard in dashboards():
        for annotation in dashboard["annotations"]["list"]:
            yield f"{dashboard['uid']}/{annotation['name']}", annotation["expr"]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{dashboard['uid']}/${variable['name']}", of_variable(variable)


def of_variable(variable: Mapping[str, Any]) -> str:
    """Return the selector, or the expression, that a variable takes its values from."""
    function = re.fullmatch(r"(query_result|label_values)\((.*)\)", variable["query"]["query"])
    assert function, variable["query"]
    return function[2] if function[1] == "query_result" else function[2].rpartition(",")[0]


def expand(text: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """Replace variables: a list as a pattern of which each part is escaped, a string as it is."""

    def value(match: re.Match[str]) -> str:
        found = values[match[1] or match[2]]
        if isinstance(found, str):
            return found
        parts = [SPECIAL.sub(lambda special: rf"\\{special[0]}", part) for part in found]
        return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"

    return VARIABLE.sub(value, text)


# Good for parsing only.
ANY: Final = {
    **dict.fromkeys(("job", "organization", "resource_type", "source_type", "invoice"), ".+"),
    **dict.fromkeys(("__rate_interval", "__interval"), "1h"),
    "__range": "30d",
    "__range_s": "0",  # charts of money are drawn from the first hour
}


def parsed(expr: str) -> promql_parser.Expr:
    """Return an expression as Prometheus understands it."""
    return promql_parser.parse(expand(expr, ANY))


@dataclass(frozen=True)
class Selector:
    """A selector, with the nearest aggregation and function that it stands in, empty if none."""

    name: str
    matchers: Mapping[str, tuple[str, str]]  # operator and value, by label
    aggregation: str
    function: str


def selectors(expr: str) -> Iterator[Selector]:
    """Yield every selector of an expression."""
    yield from _selectors(parsed(expr), "", "")


def _selectors(node: promql_parser.Expr, aggregation: str, function: str) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        matchers = {m.name: (str(m.op), m.value) for m in node.matchers.matchers}
        yield Selector(node.name or "", matchers, aggregation, function)
    elif isinstance(node, promql_parser.AggregateExpr):
        aggregation, function = str(node.op), ""
    elif isinstance(node, promql_parser.Call):
        function = node.func.name
    for part in parts(node):
        yield from _selectors(part, aggregation, function)


def query(uid: str, title: str, letter: str = "A") -> str:
    """Return a query of a panel, with everything chosen."""
    (found,) = (
        target.expr
        for target in targets()
        if (target.uid, target.panel["title"], target.query["refId"]) == (uid, title, letter)
    )
    return expand(found, ANY)


def beside(uid: str, title: str, name: str) -> str:
    """Return the query of a tile that is called so, with everything chosen."""
    (found,) = (
        target.expr
        for target in targets()
        if (target.uid, target.panel["title"], target.query["legendFormat"]) == (uid, title, name)
    )
    return expand(found, ANY)
