"""The quarter as a database of Prometheus, with what the rules record of it, and a server of it.

`python -m support.quarter.database FOLDER [PORT]`, in tests/, makes one and serves it until it is
stopped: to look at dashboards.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from exporter.config.duration import format_duration
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import load
from support.prometheus import Prometheus, prometheus
from support.quarter import scrapes
from support.quarter.story import END, START

RECORDED: Final = re.compile(r"\b[a-z_]+:\w+:\w+")

Rule = Mapping[str, Any]


class Server:
    """A Prometheus that serves the quarter."""

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


def scraped(folder: Path) -> Path:
    """Return a file in `folder` with what is scraped, as OpenMetrics. Takes about a minute."""
    text = folder / "scrapes.om"
    with text.open("w") as file:
        scrapes.write(file, folder)
    return text


def make(folder: Path, samples: Path) -> None:
    """Make the database in `folder`, of a file with what is scraped."""
    data = folder / "data"
    data.mkdir(parents=True)
    _add(data, samples)
    text = folder / "recorded.om"
    for level in _levels([*_rules("rules"), *_firing()]):
        with serving(folder) as server, text.open("w") as file:
            for rule in level:
                file.writelines(_evaluate(rule, server))
            file.write("# EOF\n")
        _add(data, text)
        text.unlink()


def _add(data: Path, text: Path) -> None:
    """Add samples in OpenMetrics as blocks. Two hours each, the default, would take ages."""
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q"]
    command += ["--max-block-duration=720h", str(text), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _evaluate(rule: Rule, server: Server) -> Iterator[str]:
    """Yield the samples of a rule, at the moments that there are scrapes of.

    `promtool tsdb create-blocks-from rules` moves every group of rules by a part of the interval
    of its own: at two hours, rules that build on each other would be hours apart.
    """
    fine_from = scrapes.FINE_FROM
    parts = ((START, fine_from - 1, scrapes.COARSE), (fine_from, END, scrapes.FINE))
    for series in (found for part in parts for found in server.range(rule["expr"], *part)):
        labels = {**series["metric"], **rule.get("labels", {})}
        labels.pop("__name__", None)
        text = ",".join(
            f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()
        )
        for moment, value in series["values"]:
            yield f"{rule['record']}{{{text}}} {value} {moment}\n"


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Server]:
    """Serve the database while inside."""
    options = (
        "--storage.tsdb.retention.time=400d",
        f"--query.lookback-delta={scrapes.LOOKBACK}",
        "--web.cors.origin=.*",
    )
    with prometheus(folder, {}, *options, port=port) as server:
        yield Server(server)


def _rules(kind: str) -> Iterator[Rule]:
    """Yield the rules of a kind, made to be evaluated no more often than the samples are apart."""
    settings = load().model_copy(update={"interval": format_duration(scrapes.COARSE)})
    for group in yaml.safe_load(files(settings)[f"viam-billing.{kind}.yml"])["groups"]:
        yield from group["rules"]


def _firing() -> Iterator[Rule]:
    """Yield a rule for each alert that records when its condition holds, however short."""
    for alert in _rules("alerts"):
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


def main(folder: str, port: str = "9090") -> None:
    """Make the database unless it is there, and serve it until interrupted."""
    if not Path(folder, "data").exists():
        with TemporaryDirectory() as other:
            make(Path(folder), scraped(Path(other)))
    with serving(Path(folder), int(port)):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
