"""The real Prometheus: started, asked, stopped."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.process import Process, free_port, get, running, succeeds, until

# What Prometheus itself adds to each scrape.
ADDED = frozenset(
    {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    }
)
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    process: Process
    port: int

    def api(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the HTTP API."""
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        answer = json.loads(get(self.port, f"/api/v1/{path}?{query}").body)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, promql: str) -> dict[Labels, float]:
        """Return an instant vector, without the labels of the scrape."""
        result = self.api("query", query=promql)["result"]
        vector = {_labels(series["metric"]): float(series["value"][1]) for series in result}
        assert len(vector) == len(result), "the query mixes targets"
        return vector

    def scrapes(self, job: str) -> list[dict[Labels, float]]:
        """Return what was stored of each scrape, `__name__` among the labels, oldest first."""
        by_time: defaultdict[float, dict[Labels, float]] = defaultdict(dict)
        for series in self.api("query", query=f'{{job="{job}"}}[1h]')["result"]:
            if series["metric"]["__name__"] not in ADDED:
                for time, value in series["values"]:
                    by_time[time][_labels(series["metric"])] = float(value)
        return [by_time[time] for time in sorted(by_time)]

    def target(self, job: str) -> dict[str, Any]:
        """Return the state of a job's only target."""
        (target,) = [t for t in self.api("targets")["activeTargets"] if t["labels"]["job"] == job]
        found: dict[str, Any] = target
        return found


def _labels(metric: dict[str, str]) -> Labels:
    return frozenset(
        (name, value) for name, value in metric.items() if name not in {"job", "instance"}
    )


@contextmanager
def prometheus(
    folder: Path, configuration: Mapping[str, Any], *options: str, port: int = 0
) -> Iterator[Prometheus]:
    """Run it while inside, with its data in a folder, at a port or at one of its own."""
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration))
    port = port or free_port()
    with running(
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *options,
    ) as process:
        until(lambda: not process.alive or succeeds(port, "/-/ready"), "Prometheus is ready")
        yield Prometheus(process, port)
