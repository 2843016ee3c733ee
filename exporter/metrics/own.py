"""The exporter's own metrics: a row for each, in the same shape as the catalog's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from exporter.model import Metric, MetricType

PREFIX: Final = "viam_billing_exporter_"


@dataclass(frozen=True, slots=True)
class OwnMetric(Metric):
    """A metric of the exporter itself."""

    optional: bool = field(default=False, kw_only=True)  # there only once it has a value


class Own:
    """Each of them, in the order of the documentation."""

    BUILD_INFO = OwnMetric(
        PREFIX + "build_info",
        "Always 1; labels give the exporter's version, its source revision and its Python version.",
        ("version", "revision", "python_version"),
    )
    API_REQUESTS = OwnMetric(
        PREFIX + "api_requests_total",
        "Calls made to the billing API, retries and authentication included.",
        ("method",),
        MetricType.COUNTER,
    )
    API_FAILURES = OwnMetric(
        PREFIX + "api_request_failures_total",
        "Calls to the billing API that failed, by gRPC status.",
        ("method", "code"),
        MetricType.COUNTER,
    )
    API_DURATION = OwnMetric(
        PREFIX + "api_request_duration_seconds",
        "Duration of calls to the billing API, failed ones included.",
        ("method",),
        MetricType.HISTOGRAM,
    )
    REQUESTS_LIMIT = OwnMetric(
        PREFIX + "api_requests_limit",
        "Ceiling on calls to the billing API per UTC day; absent if none is set.",
        optional=True,
    )
    REQUESTS_REMAINING = OwnMetric(
        PREFIX + "api_requests_remaining",
        "Calls to the billing API left for the UTC day; absent if no ceiling is set.",
        optional=True,
    )
    STORAGE_SUCCESSFUL = OwnMetric(
        PREFIX + "storage_last_write_successful",
        "1 if the last attempt to store polled data succeeded, else 0; absent without storage.",
        optional=True,
    )
    STORAGE_SIZE = OwnMetric(
        PREFIX + "storage_size_bytes",
        "Size of the database and its journal in --storage.path; absent without storage.",
        optional=True,
    )
    RELOAD_SUCCESSFUL = OwnMetric(
        PREFIX + "config_last_reload_successful",
        "1 if the last attempt to load the configuration succeeded, else 0.",
    )
    RELOAD_TIME = OwnMetric(
        PREFIX + "config_last_reload_success_timestamp_seconds",
        "When the configuration was last loaded.",
    )
    DISCOVERY_SUCCESSFUL = OwnMetric(
        PREFIX + "discovery_last_refresh_successful",
        "1 if the last listing of organizations succeeded with every API key, 0 if one failed; "
        "absent without discovery, and until every key has been tried or one has failed.",
        optional=True,
    )
    DISCOVERY_TIME = OwnMetric(
        PREFIX + "discovery_last_refresh_success_timestamp_seconds",
        "Time of the last successful listing by the API key whose last one is oldest: discovery "
        "may be outdated since then; absent until each key has had one since the start.",
        optional=True,
    )
    DISCOVERED = OwnMetric(
        PREFIX + "discovered_organizations",
        "Organizations polled because discovery found them; absent without discovery.",
        optional=True,
    )
    SHARD_ORDINAL = OwnMetric(
        PREFIX + "shard_ordinal",
        "Number of this shard, counting from 0; absent without sharding.",
        optional=True,
    )
    TOTAL_SHARDS = OwnMetric(
        PREFIX + "total_shards",
        "Number of shards (--total-shards); absent without sharding.",
        optional=True,
    )
    ORGANIZATIONS = OwnMetric(
        PREFIX + "organizations",
        "Organizations that are polled.",
    )
    SERIES = OwnMetric(
        PREFIX + "series",
        "Number of series of organizations on the metrics page.",
    )
    WITHHELD = OwnMetric(
        PREFIX + "withheld_samples_total",
        "Samples withheld (nan, infinity, duplicate, limit), counted at every poll or, "
        "for the limit, each time it starts to withhold.",
        ("reason",),
        MetricType.COUNTER,
    )
    UNKNOWN_ENUMS = OwnMetric(
        PREFIX + "unknown_enum_values_total",
        "Enum values that this version does not know, counted at every poll.",
        ("enum",),
        MetricType.COUNTER,
    )
    EVENT_LOOP_DELAY = OwnMetric(
        PREFIX + "event_loop_delay_seconds",
        "Duration of each turn of the event loop; what arrives during a turn waits for its end.",
        type=MetricType.HISTOGRAM,
    )
    PAGE_BUILD_DURATION = OwnMetric(
        PREFIX + "page_build_duration_seconds",
        "Time it took to bring the metrics page up to date.",
        type=MetricType.HISTOGRAM,
    )
    LOG_LINES_DROPPED = OwnMetric(
        PREFIX + "log_lines_dropped_total",
        "Log lines dropped because standard error was not read or not writable.",
        type=MetricType.COUNTER,
    )


METRICS: tuple[OwnMetric, ...] = tuple(
    each for each in vars(Own).values() if isinstance(each, OwnMetric)
)
