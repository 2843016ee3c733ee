"""What dashboards show, in words: each panel by the results of its queries, as Grafana does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from states.asked import Series
from support.dashboards import ANY, dashboards, expand, panels

# In days and hours, and not in the "2 days ago" of a moment that moves on.
SPANS: Final = (("weeks", 604_800), ("days", 86_400), ("hours", 3600), ("mins", 60), ("s", 1))
DATES: Final = {
    "time:YYYY-MM-DD": "%Y-%m-%d",
    "time:YYYY-MM-DD HH:mm": "%Y-%m-%d %H:%M",
    "time:D MMM HH:mm": "%-d %b %H:%M",
    "time:[From] D MMM": "From %-d %b",
}
DAYS: Final = "1d"  # between two bars
ENDED: Final = "(nothing is drawn at the end of the time range)"
# What only a real process has, or measures of itself.
OF_THE_MACHINE: Final = re.compile("process_|event_loop_delay_|page_build_|storage_size_")


@dataclass(frozen=True)
class Board:
    """A dashboard with what is chosen on it, and when promtool's time began."""

    dashboard: Mapping[str, Any]
    chosen: Mapping[str, str]
    begun: float

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.dashboard["title"])

    def panels(self) -> Iterator[Panel]:
        """Yield the panels that have anything but what only a real process has."""
        for panel in panels(self.dashboard):
            if not all(OF_THE_MACHINE.search(target["expr"]) for target in panel["targets"]):
                yield Panel(panel, self)


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard."""

    panel: Mapping[str, Any]
    board: Board

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.panel["title"])

    @property
    def expressions(self) -> list[str]:
        """What it asks, with everything chosen, at the end of the time range."""
        return [self._asked(target) for target in self.panel["targets"]]

    def _asked(self, target: Mapping[str, Any]) -> str:
        expr = expand(target["expr"], self.board.chosen)
        # Bars stand at midnights; that of the day that is not over is left out.
        return f"last_over_time(({expr})[2d:1d])" if target.get("interval") == DAYS else expr

    def words(self, results: Sequence[Sequence[Series]]) -> list[str]:
        """Return its lines, by the result of each of its queries."""
        if self.panel["type"] == "table":
            return self._rows(results) or [self._nothing]
        found = [
            (_legend(target["legendFormat"], series.labels), series)
            for target, result in zip(self.panel["targets"], results, strict=True)
            for series in result
        ]
        if self.panel["options"].get("textMode") == "name":
            return [name for name, _ in found] or [self._nothing]
        alone = self.panel["type"] == "stat" and len(found) == 1
        return [
            text if alone or not name else f"{name}: {text}"
            for name, series in found
            if (text := self._text(name, series.value))
        ] or [self._nothing]

    @property
    def _nothing(self) -> str:
        if not any(target.get("instant") for target in self.panel["targets"]):
            return ENDED
        return str(self.panel["fieldConfig"]["defaults"]["noValue"])

    def _properties(self, name: str) -> dict[str, Any]:
        """Return how a series or a column is shown."""
        config = self.panel["fieldConfig"]
        found = dict(config["defaults"])
        for override in config["overrides"]:
            if override["matcher"]["options"] == name:
                found |= {each["id"]: each["value"] for each in override["properties"]}
        return found

    def _text(self, name: str, value: float) -> str:
        properties = self._properties(name)
        mapped = _mapped(properties.get("mappings", ()), value)
        if mapped is not None:
            return mapped
        return _number(value, properties["unit"], properties.get("decimals"), self.board.begun)

    def _rows(self, results: Sequence[Sequence[Series]]) -> list[str]:
        """Return the rows of a table, its columns in order, sorted as it is."""
        steps = {each["id"]: each["options"] for each in self.panel["transformations"]}
        key = steps.get("joinByField", {}).get("byField")
        rows: dict[object, dict[str, Any]] = {}
        for target, result in zip(self.panel["targets"], results, strict=True):
            column = f"Value #{target['refId']}" if len(results) > 1 else "Value"
            for series in result:
                labels = {k: v for k, v in series.labels.items() if k != "__name__"}
                where = labels.get(key) if key else tuple(sorted(labels.items()))
                row = rows.setdefault(where, {})
                row |= {name: text for name, text in labels.items() if name not in row}
                row[column] = series.value
        titles = steps["organize"]["renameByName"]
        named = [{titles[name]: row.get(name) for name in titles} for row in rows.values()]
        for order in reversed(self.panel["options"]["sortBy"]):
            ranked = sorted(
                ((_sortable(row[order["displayName"]]), n) for n, row in enumerate(named)),
                key=lambda each: each[0],
                reverse=order["desc"],
            )
            named = [named[n] for _, n in ranked]
        return [", ".join(self._cells(row)) for row in named]

    def _cells(self, row: Mapping[str, Any]) -> Iterator[str]:
        for title, value in row.items():
            if value is None:
                text = self._properties(title)["noValue"]
            elif isinstance(value, float):
                text = self._text(title, value)
            else:
                text = _mapped(self._properties(title).get("mappings", ()), value) or value
            yield f"{title}: {text}"


def boards(one: str, begun: float) -> list[Board]:
    """Return all dashboards, the one of an organization with that one chosen."""
    every = {**ANY, "__range": "30d", "__range_s": "2592000"}
    return [
        Board(
            dashboard,
            every | ({"organization": one} if _has_one(dashboard) else {}),
            begun,
        )
        for dashboard in dashboards()
    ]


def _has_one(dashboard: Mapping[str, Any]) -> bool:
    return any(
        each["name"] == "organization" and not each["multi"]
        for each in dashboard["templating"]["list"]
    )


def _legend(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), text).strip()


def _sortable(value: Any) -> tuple[bool, Any]:
    """Order values, none last where the greatest comes first; NaN is above all as in Grafana."""
    if value is None:
        return False, 0.0
    return True, math.inf if value != value else value  # noqa: PLR0124 - NaN


def _mapped(mappings: Sequence[Mapping[str, Any]], value: float | str) -> str | None:
    """Return the text in place of a value, if there is one."""
    key = value if isinstance(value, str) else _key(value)
    for each in mappings:
        if each["type"] == "value" and key in each["options"]:
            return str(each["options"][key].get("text", key))
        if each["type"] == "regex" and re.match(each["options"]["pattern"].strip("/"), str(value)):
            return str(each["options"]["result"]["text"])
        if each["type"] == "special" and each["options"]["match"] == "nan" and key == "NaN":
            return str(each["options"]["result"]["text"])
    return None


def _key(value: float) -> str:
    """Return a number as JavaScript writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) else repr(value)


def _number(value: float, unit: str, decimals: int | None, begun: float) -> str:
    if unit in DATES:
        return datetime.fromtimestamp(value / 1000 + begun, UTC).strftime(DATES[unit])
    if unit.startswith("currency:financial:"):
        return f"{unit.rpartition(':')[2]}{value:,.{decimals or 0}f}"
    if unit == "currencyUSD":
        return f"${value:,.2f}" if abs(value) < 1000 else f"${value / 1000:,.2f}K"
    if unit == "percentunit":
        return f"{100 * value:.{decimals or 0}f}%"
    if unit == "s":
        name, size = next(((n, s) for n, s in SPANS if abs(value) >= s), SPANS[-1])
        return f"{value / size:.3g} {name}"
    return f"{value:,.{decimals}f}" if decimals is not None else f"{value:,.4g}"
