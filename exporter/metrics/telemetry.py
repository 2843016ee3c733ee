"""Counts what the exporter does, with the Prometheus client library."""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import exposition as text
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.api.calls import AUTHENTICATE, ReadRpc
from exporter.metrics.extract.values import ENUMS
from exporter.metrics.own import METRICS, Own, OwnMetric
from exporter.model import MetricType, Reason

# Failures that have a series before they happen.
LIKELY_FAILURES = (
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
)

# From a call on the local network to the deadline of a slow one.
API_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
# From what each turn takes to what a scrape would notice.
TURN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
# From a few organizations to ten thousand that all changed.
PAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Durations(Collector):
    """A histogram without labels, observed in one thread: a tenth of what a Histogram takes.

    There are three turns of the event loop to a scrape.
    """

    def __init__(self, metric: OwnMetric, bounds: Sequence[float]) -> None:
        self._metric = metric
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield what was counted, as the client library asks for it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = [*zip(bounds, accumulate(self._counts), strict=True)]
        name, unit = self._metric.name, self._metric.unit
        yield HistogramMetricFamily(name, self._metric.help, buckets, self._sum, unit=unit)


class Telemetry:
    """Counts what the exporter does.

    Gauges are set on the event loop; `text` and `openmetrics` may run in a thread.
    """

    def __init__(self, version: str, revision: str) -> None:
        self.noted: Callable[[], object] = lambda: None  # called when there is more to tell
        # What gauges tell programs, in words or numbers for people.
        self.reload_error: str | None = None  # why the last configuration was refused
        self.storage_error: str | None = None  # why the last write failed
        self.requests: tuple[int, int] | None = None  # the day's ceiling, and what is left of it
        # A `_created` series beside every counter tells Prometheus nothing that it keeps.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._counters = {
            metric: Counter(metric.name, metric.help, metric.labels, registry=registry)
            for metric in METRICS
            if metric.type is MetricType.COUNTER
        }
        self._gauges = {
            metric: Gauge(
                metric.name, metric.help, metric.labels, unit=metric.unit, registry=registry
            )
            for metric in METRICS
            if metric.type is MetricType.GAUGE and not metric.optional
        }
        self._values: dict[OwnMetric, float] = {}  # of those that are optional
        self._duration = Histogram(
            Own.API_DURATION.name,
            Own.API_DURATION.help,
            Own.API_DURATION.labels,
            unit=Own.API_DURATION.unit,
            buckets=API_BUCKETS,
            registry=registry,
        )
        turns = Durations(Own.EVENT_LOOP_DELAY, TURN_BUCKETS)
        pages = Durations(Own.PAGE_BUILD_DURATION, PAGE_BUCKETS)
        for each in (turns, pages):
            registry.register(each)
        self.turn_took, self.page_built = turns.observe, pages.observe  # of so many seconds
        # Looked up once, not at each of ten thousand calls a second.
        self._calls: dict[str, tuple[Counter, Histogram]] = {}
        for method in (AUTHENTICATE.name, *ReadRpc):
            self.prepare_call(method)
        for reason in Reason:
            self._counters[Own.WITHHELD].labels(reason)
        for enum in ENUMS:
            self._counters[Own.UNKNOWN_ENUMS].labels(enum.DESCRIPTOR.name)
        build = (version, revision, platform.python_version())
        self._gauges[Own.BUILD_INFO].labels(*build).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def prepare_call(self, method: str) -> tuple[Counter, Histogram]:
        """Create the series of a call before the first one, and return those that count it.

        A counter that begins with its first failure hides that failure from increase().
        """
        for code in LIKELY_FAILURES:
            self._counters[Own.API_FAILURES].labels(method, code)
        counting = self._counters[Own.API_REQUESTS].labels(method), self._duration.labels(method)
        self._calls[method] = counting
        return counting

    def api_request(self, method: str, seconds: float, failure_code: str | None) -> None:
        """Count one call; `failure_code` is its gRPC status name, None if it succeeded."""
        count, duration = self._calls.get(method) or self.prepare_call(method)
        count.inc()
        duration.observe(seconds)
        if failure_code is not None:
            self._counters[Own.API_FAILURES].labels(method, failure_code).inc()
        self.noted()

    def withheld(self, samples: Mapping[str, int]) -> None:
        """Count withheld samples by reason."""
        for reason, count in samples.items():
            self._counters[Own.WITHHELD].labels(reason).inc(count)

    def unknown_enums(self, values: Mapping[str, int]) -> None:
        """Count values that no enum of this version has, by enum."""
        for enum, count in values.items():
            self._counters[Own.UNKNOWN_ENUMS].labels(enum).inc(count)

    def log_lines_dropped(self, count: int) -> None:
        """Count lines of the log that nobody read; the next page has them.

        May be called in any thread, so the page is not made for it.
        """
        self._counters[Own.LOG_LINES_DROPPED].inc(count)

    def stored(self, error: str | None, size: int | None = None) -> None:
        """Note why a write to storage failed, or None, and how many bytes it takes, if known."""
        self.storage_error = error
        self._optional(Own.STORAGE_SUCCESSFUL, error is None)
        if size is not None:
            self._optional(Own.STORAGE_SIZE, size)

    def requests_left(self, limit: int | None, remaining: int | None) -> None:
        """Note the day's ceiling on calls, and how many are left of it; None without one."""
        self.requests = None if limit is None or remaining is None else (limit, remaining)
        self._optional(Own.REQUESTS_LIMIT, limit)
        self._optional(Own.REQUESTS_REMAINING, remaining)

    def refreshed(self, *, successful: bool | None, complete: float | None) -> None:
        """Note how discovery last went; None if there is nothing to say.

        All keys had given a good answer at `complete`, in Unix seconds.
        """
        self._optional(Own.DISCOVERY_SUCCESSFUL, successful)
        self._optional(Own.DISCOVERY_TIME, complete)

    def discovered(self, organizations: int | None) -> None:
        """Note how many organizations were found beside those listed; None without discovery."""
        self._optional(Own.DISCOVERED, organizations)

    def sharded(self, ordinal: int, total: int) -> None:
        """Note which of how many shards this is."""
        self._optional(Own.SHARD_ORDINAL, ordinal)
        self._optional(Own.TOTAL_SHARDS, total)

    def _optional(self, metric: OwnMetric, value: float | None) -> None:
        """Set a gauge, or with None have none."""
        if value == self._values.get(metric):
            return
        if value is None:
            self._registry.unregister(self._gauges.pop(metric))
            del self._values[metric]
        else:
            if metric not in self._gauges:
                self._gauges[metric] = Gauge(
                    metric.name, metric.help, unit=metric.unit, registry=self._registry
                )
            self._gauges[metric].set(value)
            self._values[metric] = value
        self.noted()

    def reloaded(self, at: float) -> None:
        """Note a configuration loaded at `at` (Unix seconds)."""
        self._gauges[Own.RELOAD_TIME].set(at)
        self._reloaded(None)

    def not_reloaded(self, error: str) -> None:
        """Note why a configuration was refused."""
        self._reloaded(error)

    def _reloaded(self, error: str | None) -> None:
        self.reload_error = error
        self._gauges[Own.RELOAD_SUCCESSFUL].set(error is None)
        self.noted()

    def published(self, organizations: int, series: int) -> None:
        """Note how many organizations are polled, and how many of their series are on the page."""
        self._gauges[Own.ORGANIZATIONS].set(organizations)
        self._gauges[Own.SERIES].set(series)

    def text(self) -> bytes:
        """Return the metrics in text format 0.0.4."""
        return text.generate_latest(self._registry)

    def openmetrics(self) -> bytes:
        """Return the metrics in OpenMetrics 1.0.0, with the line that ends a page."""
        return cast("bytes", openmetrics.generate_latest(self._registry))  # type: ignore[no-untyped-call]
