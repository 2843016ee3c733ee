"""The series of a page, served with the client library for Python: a custom collector.

Takes the file of the page, in text format.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Values = list[tuple[list[str], float]]


class Page(Collector):
    """Makes its families anew at each scrape, of labels and values that are there."""

    def __init__(self, page: Path) -> None:
        self._families: list[tuple[Metric, list[str], Values]] = []
        for family in text_string_to_metric_families(page.read_text()):
            values = [([*each.labels.values()], each.value) for each in family.samples]
            self._families.append((family, [*family.samples[0].labels], values))

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for family, labels, values in self._families:
            kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            made = kind(family.name, family.documentation, labels=labels)
            for label_values, value in values:
                made.add_metric(label_values, value)
            yield made


def main() -> None:
    """Serve until told to stop."""
    registry = CollectorRegistry()
    registry.register(Page(Path(sys.argv[1])))
    server, _ = start_http_server(0, "127.0.0.1", registry)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"port {server.server_port}", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
