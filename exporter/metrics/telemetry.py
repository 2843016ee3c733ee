"""The exporter's own metrics, kept with the Prometheus client library.

Listed in the same shape as the catalog's rows, and registered from that list in a registry
that is passed in.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Final, cast

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
from prometheus_client.openmetrics import exposition as openmetrics

from exporter.api.billing import ReadRpc
from exporter.model import Metric, MetricType

P: Final = "viam_billing_exporter_"

BUILD_INFO = Metric(
    P + "build_info",
    "1, with the exporter's version, the revision it was built from and the Python it runs on.",
    ("version", "revision", "python_version"),
)
API_REQUESTS = Metric(
    P + "api_requests_total",
    "Calls made to the billing API, retries and authentication included.",
    ("method",),
    MetricType.COUNTER,
)
API_FAILURES = Metric(
    P + "api_request_failures_total",
    "Calls to the billing API that failed, by gRPC status.",
    ("method", "code"),
    MetricType.COUNTER,
)
API_DURATION = Metric(
    P + "api_request_duration_seconds",
    "Duration of calls to the billing API, failed ones included.",
    ("method",),
    MetricType.HISTOGRAM,
)
RELOAD_SUCCESSFUL = Metric(
    P + "config_last_reload_successful",
    "1 if the configuration was loaded the last time that was tried, else 0.",
)
RELOAD_TIME = Metric(
    P + "config_last_reload_success_timestamp_seconds",
    "When the configuration was last loaded.",
)
STORAGE_SUCCESSFUL = Metric(
    P + "storage_last_write_successful",
    "1 if what was polled could be stored the last time that was tried, else 0; absent without "
    "storage.",
)
REQUESTS_LIMIT = Metric(
    P + "api_requests_limit",
    "Ceiling on calls to the billing API for a UTC day; absent if none is set.",
)
REQUESTS_REMAINING = Metric(
    P + "api_requests_remaining",
    "Calls to the billing API that are left of the UTC day; absent if no ceiling is set.",
)
DISCOVERY_SUCCESSFUL = Metric(
    P + "discovery_last_refresh_successful",
    "1 if every API key was last asked with success which organizations it reads, else 0; absent "
    "without discovery, and until each was asked.",
)
DISCOVERY_TIME = Metric(
    P + "discovery_last_refresh_success_timestamp_seconds",
    "Since when what discovery knows may be out of date: the oldest of the last successes of the "
    "API keys; absent until each had one since the start.",
)
DISCOVERED = Metric(
    P + "discovered_organizations",
    "Organizations that are polled because discovery found them; absent without discovery.",
)
SHARD_ORDINAL = Metric(
    P + "shard_ordinal", "Which shard this is, from 0 on; absent without sharding."
)
TOTAL_SHARDS = Metric(
    P + "total_shards",
    "How many shards there are, as this one was told; absent without sharding.",
)
ORGANIZATIONS = Metric(P + "organizations", "Organizations that are polled.")
SERIES = Metric(P + "series", "Series of organizations on the page.")
WITHHELD = Metric(
    P + "withheld_samples_total",
    "Samples withheld (nan, infinity, duplicate, limit), counted at every poll and, "
    "for the limit, whenever it begins to withhold.",
    ("reason",),
    MetricType.COUNTER,
)
UNKNOWN_ENUMS = Metric(
    P + "unknown_enum_values_total",
    "Values of an enum that this version does not know, counted at every poll.",
    ("enum",),
    MetricType.COUNTER,
)

METRICS: tuple[Metric, ...] = (
    BUILD_INFO,
    API_REQUESTS,
    API_FAILURES,
    API_DURATION,
    REQUESTS_LIMIT,
    REQUESTS_REMAINING,
    STORAGE_SUCCESSFUL,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
    DISCOVERY_SUCCESSFUL,
    DISCOVERY_TIME,
    DISCOVERED,
    SHARD_ORDINAL,
    TOTAL_SHARDS,
    ORGANIZATIONS,
    SERIES,
    WITHHELD,
    UNKNOWN_ENUMS,
)

# Gauges that are there only once they have a value.
OPTIONAL = (
    REQUESTS_LIMIT,
    REQUESTS_REMAINING,
    STORAGE_SUCCESSFUL,
    DISCOVERY_SUCCESSFUL,
    DISCOVERY_TIME,
    DISCOVERED,
    SHARD_ORDINAL,
    TOTAL_SHARDS,
)

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
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)


class Telemetry:
    """Counts what the exporter does. Every method may be called from any thread."""

    def __init__(self, registry: CollectorRegistry, version: str, revision: str) -> None:
        # A `_created` series beside every counter tells Prometheus nothing that it keeps.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry
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
            if metric.type is MetricType.GAUGE and metric not in OPTIONAL
        }
        self._duration = Histogram(
            API_DURATION.name,
            API_DURATION.help,
            API_DURATION.labels,
            unit=API_DURATION.unit,
            buckets=BUCKETS,
            registry=registry,
        )
        # Looked up once, not at each of ten thousand calls a second.
        self._calls: dict[str, tuple[Counter, Histogram]] = {}
        for method in ("Authenticate", *ReadRpc):
            self.count_calls(method)
        for reason in ("nan", "infinity", "duplicate", "limit"):
            self._counters[WITHHELD].labels(reason)
        for enum in ("PaymentMethodType", "SourceType", "UsageCostType"):
            self._counters[UNKNOWN_ENUMS].labels(enum)
        build = (version, revision, platform.python_version())
        self._gauges[BUILD_INFO].labels(*build).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def count_calls(self, method: str) -> tuple[Counter, Histogram]:
        """Have the series of a call before it is made, and return those that count it.

        A counter that begins with its first failure hides that failure from increase().
        """
        for code in LIKELY_FAILURES:
            self._counters[API_FAILURES].labels(method, code)
        counting = self._counters[API_REQUESTS].labels(method), self._duration.labels(method)
        self._calls[method] = counting
        return counting

    def api_request(self, method: str, seconds: float, failure_code: str | None) -> None:
        """Count one call; `failure_code` is its gRPC status name, None if it succeeded."""
        count, duration = self._calls.get(method) or self.count_calls(method)
        count.inc()
        duration.observe(seconds)
        if failure_code is not None:
            self._counters[API_FAILURES].labels(method, failure_code).inc()

    def withheld(self, samples: Mapping[str, int]) -> None:
        """Count withheld samples by reason."""
        for reason, count in samples.items():
            self._counters[WITHHELD].labels(reason).inc(count)

    def unknown_enums(self, values: Mapping[str, int]) -> None:
        """Count values that no enum of this version has, by enum."""
        for enum, count in values.items():
            self._counters[UNKNOWN_ENUMS].labels(enum).inc(count)

    def stored(self, *, successful: bool) -> None:
        """Note whether a write to storage succeeded."""
        self._optional(STORAGE_SUCCESSFUL, successful)

    def requests_left(self, limit: int, remaining: int) -> None:
        """Note the day's ceiling on calls, and how many are left of it."""
        self._optional(REQUESTS_LIMIT, limit)
        self._optional(REQUESTS_REMAINING, remaining)

    def looked(self, *, successful: bool | None, complete: float | None) -> None:
        """Note how the last looks for organizations ended; None if there is nothing to say.

        All keys had given a good answer at `complete`, in Unix seconds.
        """
        self._optional(DISCOVERY_SUCCESSFUL, successful)
        self._optional(DISCOVERY_TIME, complete)

    def discovered(self, organizations: int | None) -> None:
        """Note how many organizations were found beside those listed; None without discovery."""
        self._optional(DISCOVERED, organizations)

    def sharded(self, ordinal: int, total: int) -> None:
        """Note which of how many shards this is."""
        self._optional(SHARD_ORDINAL, ordinal)
        self._optional(TOTAL_SHARDS, total)

    def _optional(self, metric: Metric, value: float | None) -> None:
        """Set a gauge, or with None have none."""
        if value is None:
            if (gauge := self._gauges.pop(metric, None)) is not None:
                self._registry.unregister(gauge)
            return
        if metric not in self._gauges:
            self._gauges[metric] = Gauge(
                metric.name, metric.help, unit=metric.unit, registry=self._registry
            )
        self._gauges[metric].set(value)

    def reloaded(self, at: float | None) -> None:
        """Note a configuration loaded at `at` (Unix seconds), or, with None, refused."""
        self._gauges[RELOAD_SUCCESSFUL].set(at is not None)
        if at is not None:
            self._gauges[RELOAD_TIME].set(at)

    def published(self, organizations: int, series: int) -> None:
        """Note what the page holds."""
        self._gauges[ORGANIZATIONS].set(organizations)
        self._gauges[SERIES].set(series)

    def text(self) -> bytes:
        """Return the metrics in text format 0.0.4."""
        return text.generate_latest(self._registry)

    def openmetrics(self) -> bytes:
        """Return the metrics in OpenMetrics 1.0.0, with the line that ends a page."""
        return cast("bytes", openmetrics.generate_latest(self._registry))  # type: ignore[no-untyped-call]
