"""A world as a database of Prometheus, with what the rules record of it, and a server of it.

`python -m support.quarter.database FOLDER [PORT [WORLD]]`, in tests/, makes one and serves it until
it is stopped: to look at dashboards. WORLD is a name in `worlds`, the quarter if it is left out.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from exporter.config.duration import format_duration
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import load, seconds
from support.prometheus import Prometheus, prometheus
from support.quarter import scrapes
from support.quarter.recorder import Recorder, Series
from support.quarter.story import END, QUARTER
from support.quarter.world import World
from support.quarter.worlds import WORLDS

RECORDED: Final = re.compile(r"\b[a-z_]+:\w+:\w+")
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
RULE: Final = "rule"  # a label, while several rules are asked at once

Rule = Mapping[str, Any]


class Server:
    """A Prometheus that serves a world."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server

    def instant(self, expr: str, at: float = END) -> list[Any]:
        """Return the series of an instant query."""
        return self._series("query", query=expr, time=str(at))

    def range(self, expr: str, start: float, end: float, step: float) -> list[Any]:
        """Return the series of a range query. Times are Unix seconds, aligned as Grafana does."""
        start, end = start // step * step, end // step * step
        return self._series(
            "query_range", query=expr, start=str(start), end=str(end), step=str(step)
        )

    def _series(self, path: str, **parameters: str) -> list[Any]:
        data = self._server.api(path, **parameters)
        found: list[Any] = data["result"]
        return [{"metric": {}, "value": found}] if data["resultType"] == "scalar" else found


def scraped(folder: Path, world: World = QUARTER) -> Path:
    """Return a file in `folder` with what is scraped, as OpenMetrics. Takes about a minute."""
    text = folder / "scrapes.om"
    with text.open("w") as file:
        scrapes.write(world, file, folder)
    return text


def make(folder: Path, samples: Path, world: World = QUARTER) -> None:
    """Make the database in `folder`, of a file with what is scraped: scrape by scrape, with rules.

    So a rule finds what it recorded before, as it does in a Prometheus that was always there. What
    fires is asked on the last day only.
    """
    (folder / "data").mkdir(parents=True)
    recording, alerting = [*_levels(_rules("rules", world))], [*_firing(world)]
    with (
        _prometheus(folder, world, "--web.enable-remote-write-receiver") as server,
        closing(Recorder(server.port)) as recorder,
        samples.open() as file,
    ):
        for moment, lines in groupby(file, _moment):
            if moment is None:
                continue
            recorder.write("", moment, dict(_sample(line) for line in lines))
            last_day = moment > world.fine_from
            for level in [*recording, *([alerting] if last_day else [])]:
                found = recorder.query(_together(level), moment)
                recorder.write(_together(level), moment, dict(_results(level, found)))


def _moment(line: str) -> float | None:
    return None if line.startswith("#") else float(line.rpartition(" ")[2])


def _sample(line: str) -> tuple[Series, float]:
    series, value, _ = line.rsplit(" ", 2)
    return _labels(series), float(value)


@cache
def _labels(series: str) -> Series:
    name, _, labels = series.partition("{")
    found = {key: json.loads(f'"{text}"') for key, text in LABEL.findall(labels)}
    return tuple(sorted({"__name__": name, **found}.items()))


@cache
def _together_of(exprs: Sequence[str]) -> str:
    numbered = enumerate(exprs)
    return " or ".join(f'label_replace({e}, "{RULE}", "{n}", "", "")' for n, e in numbered)


def _together(level: Sequence[Rule]) -> str:
    """Return an expression with the results of several rules, by their place in the list."""
    return _together_of(tuple(rule["expr"] for rule in level))


def _results(level: Sequence[Rule], found: Iterable[Any]) -> Iterator[tuple[Series, float]]:
    for each in found:
        labels = dict(each["metric"])
        rule = level[int(labels.pop(RULE))]
        labels |= rule.get("labels", {}) | {"__name__": rule["record"]}
        yield tuple(sorted(labels.items())), float(each["value"][1])


@contextmanager
def serving(folder: Path, port: int = 0, world: World = QUARTER) -> Iterator[Server]:
    """Serve the database while inside."""
    with _prometheus(folder, world, port=port) as server:
        yield Server(server)


@contextmanager
def _prometheus(folder: Path, world: World, *options: str, port: int = 0) -> Iterator[Prometheus]:
    """Run a Prometheus that looks back as far as samples are apart.

    It keeps all of it in one block: of two hours each, the default, there would be a thousand.
    """
    lookback = format_duration(world.coarse + 300)
    one_block = [f"--storage.tsdb.{end}-block-duration=400d" for end in ("min", "max")]
    options = (
        *options,
        *one_block,
        "--storage.tsdb.retention.time=400d",
        f"--query.lookback-delta={lookback}",
        "--web.cors.origin=.*",
    )
    with prometheus(folder, {}, *options, port=port) as server:
        yield server


def _rules(kind: str, world: World) -> Iterator[Rule]:
    """Yield the rules of a kind, made to be evaluated no more often than the samples are apart."""
    settings = load()
    memory = format_duration(max(seconds(settings.windows.memory), 2 * world.coarse))
    settings = settings.model_copy(
        update={
            "interval": format_duration(world.coarse),
            "windows": settings.windows.model_copy(update={"memory": memory}),
        }
    )
    for group in yaml.safe_load(files(settings)[f"viam-billing.{kind}.yml"])["groups"]:
        yield from group["rules"]


def _firing(world: World) -> Iterator[Rule]:
    """Yield a rule for each alert that records when its condition holds, however short."""
    for alert in _rules("alerts", world):
        labels = alert.get("labels", {}) | {"alertname": alert["alert"], "alertstate": "firing"}
        yield {"record": "ALERTS", "labels": labels, "expr": f"({alert['expr']}) ^ 0"}


def _levels(unsorted: Iterable[Rule]) -> Iterator[list[Rule]]:
    """Yield rules in groups that need nothing but what the groups before have recorded."""
    left = list(unsorted)
    while left:
        missing = {rule["record"] for rule in left}
        ready = [rule for rule in left if not missing & _needs(rule)]
        assert ready, f"rules need each other: {missing}"
        yield ready
        left = [rule for rule in left if rule not in ready]


def _needs(rule: Rule) -> set[str]:
    """Return the recorded series that a rule reads, but for its own from before."""
    return set(RECORDED.findall(rule["expr"])) - {rule["record"]}


def main(folder: str, port: str = "9090", world: str = "quarter") -> None:
    """Make the database unless it is there, and serve it until interrupted."""
    chosen = WORLDS[world]
    if not Path(folder, "data").exists():
        with TemporaryDirectory() as other:
            make(Path(folder), scraped(Path(other), chosen), chosen)
    with serving(Path(folder), int(port), chosen):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
