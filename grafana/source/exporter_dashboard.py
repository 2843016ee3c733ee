"""The exporter itself: how fresh the numbers are, what failed, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.api.calls import ReadRpc
from exporter.api.failures import CAUSES
from exporter.metrics.catalog import COLLECTORS
from exporter.rules.staleness import OUT_OF_DATE_AFTER
from grafana.source import board
from grafana.source.board import Board
from grafana.source.charts import BY_RANK, bars, hues, lines
from grafana.source.freshness import (
    DATA_AGE_IN_INTERVALS,
    organizations_out_of_date,
    parts_table,
)
from grafana.source.known import EVALUATED, of_exporters
from grafana.source.money_panels import DASHED, firing, fixed
from grafana.source.panels import (
    BYTES,
    COUNT,
    NONE_IS_GOOD,
    NOTHING_FOUND,
    OF_LIMIT_LEFT,
    ONE_IS_GOOD,
    PER_SECOND,
    SECONDS,
    SHARE,
    Panel,
    Query,
    value_map,
)
from grafana.source.promql import metric, most, ranked
from grafana.source.tables import Column, table

OWN: Final = "viam_billing_exporter_"
METHODS: Final = ("Authenticate", *ReadRpc)
WORKS: Final = value_map({"1": ("Yes", "green"), "0": ("No", "red")})
SEVERITIES: Final = (("info", "blue"), ("warning", "orange"), ("critical", "red"))


def _wrong() -> Sequence[Panel]:
    return (
        of_exporters(
            "Exporters that answer",
            "Share of exporters whose last scrape succeeded. Should be 100%. If it is lower, "
            "look at the log of the one that does not answer: the table of exporters shows which.",
            f"avg({metric('up')})",
            none="Cannot be read",
            unit=SHARE,
            colours=ONE_IS_GOOD,
        ),
        of_exporters(
            "Shards missing",
            "Shards that Prometheus does not see. Should be 0: all of a missing shard's "
            "organizations are missing from every dashboard. Start it, or look at its log.",
            f'max({own("total_shards")}) - count(count_values("shard", {own("shard_ordinal")}))',
            none="Not sharded",
            unit=COUNT,
            colours=NONE_IS_GOOD,
        ),
        organizations_out_of_date(),
        of_exporters(
            "Requests left today",
            "Share of the daily ceiling on calls to the billing API that is left, for the exporter "
            "with the least. It is full again at midnight UTC; at 0%, polls fail until then. If it "
            "comes near 0%, raise the ceiling or the poll interval.",
            f"min({own('api_requests_remaining')} / {own('api_requests_limit')})",
            none="No ceiling set",
            unit=SHARE,
            colours=OF_LIMIT_LEFT,
        ),
        of_exporters(
            "Configuration loaded",
            "Whether every exporter accepted its last reload. If not, the old configuration "
            "stays in use: the log says what is wrong with the new one.",
            f"min({own('config_last_reload_successful')})",
            none="Not loaded yet",
            unit=COUNT,
            mappings=[WORKS],
        ),
        of_exporters(
            "Data stored",
            "Whether the last write of every exporter to its storage succeeded. If not, a "
            "restart would lose what is polled now: check the disk.",
            f"min({own('storage_last_write_successful')})",
            none="No storage set",
            unit=COUNT,
            mappings=[WORKS],
        ),
    )


def own(name: str) -> str:
    """Return a selector of one of the exporter's own metrics."""
    return metric(OWN + name)


def _within(name: str, share: float = 0.99) -> str:
    """Return in how many seconds such a share of an exporter's durations ended, of a histogram."""
    buckets = f"sum by (le, instance) (rate({own(name + '_bucket')}[$__rate_interval]))"
    return f"(histogram_quantile({share:g}, {buckets}) >= 0)"  # without any it is not a number


def _of_each(expr: str) -> Query:
    """Return a line for each exporter, in the colour that it has in all charts."""
    size = most("instance", f"last_over_time({own('series')}[$__range] @ end())")
    return Query(ranked(most("instance", expr), "instance", size), "{{rank}}. {{instance}}")


def _each(title: str, description: str, expr: str, *, unit: str) -> Panel:
    """Return a chart, a third of the page wide, with a line for each exporter."""
    return lines(
        title,
        description,
        _of_each(expr),
        money=False,
        unit=unit,
        styles=BY_RANK,
        width=8,
    )


def _alerts() -> Sequence[Panel]:
    texts = {"-1": ("none", "green")}
    texts |= {str(rank): shown for rank, shown in enumerate(SEVERITIES)}
    severity = " or ".join(
        f"{rank} * max by (alertname, org_name) ({firing(name)})"
        for rank, (name, _) in reversed([*enumerate(SEVERITIES)])
    )
    return (
        table(
            "Alerts firing",
            "Alerts of this project that are firing, worst first; critical ones page someone. "
            "Should be none. Each alert has its own section in the runbook.",
            Column(
                "Severity",
                f"{severity} or on () {EVALUATED} - 1",
                texts=texts,
                width=80,
            ),
            Column("Alert", label="alertname"),
            Column("Organization", label="org_name", width=165),
            key=None,
            sort="Severity",
            width=8,
            height=11,
        ),
        parts_table(one_organization=False),
    )


def _polls() -> Sequence[Panel]:
    failures = f"increase({own('api_request_failures_total')}[$__rate_interval])"
    calls = f"rate({own('api_requests_total')}[$__rate_interval])"
    seconds = own("api_request_duration_seconds_bucket")
    return (
        lines(
            "Age of the oldest part, in poll intervals",
            "Time since the last good poll of the oldest part of an organization's bill: of the "
            "organization where it is oldest, and of the median one. Should rise to 1 and drop "
            "back each time. From 2 on it is stale: a line that keeps climbing is a part that "
            "cannot be read; the table above says whose and why.",
            Query(f"max({DATA_AGE_IN_INTERVALS})", "oldest"),
            Query(f"quantile(0.5, {DATA_AGE_IN_INTERVALS})", "median"),
            money=False,
            unit=COUNT,
            from_zero=False,
            doubling=True,
            limit=OUT_OF_DATE_AFTER,
            styles=hues("oldest", "median"),
        ),
        bars(
            "Failed calls by code",
            "Calls to the billing API that failed, retries included. A few UNAVAILABLE or "
            "DEADLINE_EXCEEDED resolve themselves. UNAUTHENTICATED and PERMISSION_DENIED need a "
            "person to act; RESOURCE_EXHAUSTED needs a longer poll interval.",
            Query(f"sum by (code) ({failures}) > 0", "{{code}}"),
            unit=COUNT,
            styles=hues(*(code.name for code in CAUSES)),
            empty=NOTHING_FOUND,
        ),
        lines(
            "Latency of the billing API",
            "The time within which nine in ten calls ended, by call, failed ones included. Should "
            "be far below api.timeout. If it is high for hours, the cause is Viam or the network.",
            Query(
                f"histogram_quantile(0.9, sum by (le, method) (rate({seconds}[$__rate_interval])))"
                " >= 0",  # without calls it is not a number
                "{{method}}",
            ),
            money=False,
            unit=SECONDS,
            styles=hues(*METHODS),
        ),
        lines(
            "Calls to the billing API",
            "Calls a second, by call, retries included. Should be even, and match the number of "
            "organizations and poll intervals. Authenticate appears only when tokens are needed.",
            Query(f"sum by (method) ({calls})", "{{method}}"),
            money=False,
            unit=PER_SECOND,
            styles=hues(*METHODS),
        ),
        lines(
            "Requests left until midnight",
            "How many calls each exporter has left until midnight UTC, and the daily ceiling. "
            "The line should reach midnight well above 0.",
            _of_each(own("api_requests_remaining")),
            Query(f"max({own('api_requests_limit')})", "ceiling"),
            money=False,
            unit=COUNT,
            styles=[*BY_RANK, ("ceiling", [fixed("text"), DASHED])],
        ),
        lines(
            "How long polls took",
            "Duration of the slowest last poll of each part of the bill, over all organizations. "
            "Grows with the latency of the API and with retries.",
            Query(
                f"max by (collector) ({metric('viam_billing_collector_duration_seconds')})",
                "{{collector}}",
            ),
            money=False,
            unit=SECONDS,
            styles=hues(*(collector.name for collector in COLLECTORS)),
        ),
    )


def _doubts() -> Sequence[Panel]:
    withheld = f"increase({own('withheld_samples_total')}[$__rate_interval])"
    unknown = f"increase({own('unknown_enum_values_total')}[$__rate_interval])"
    return (
        bars(
            "Withheld samples by reason",
            "Samples that were left out, counted at every poll. Should be 0. For the reason "
            "limit, raise limits.max_series; the others are faults in the answers: the parts of "
            "the bill above show whose.",
            Query(f"sum by (reason) ({withheld}) > 0", "{{reason}}"),
            unit=COUNT,
            empty=NOTHING_FOUND,
        ),
        bars(
            "Values newer than this exporter",
            "Kinds of cost, source or payment that are newer than this exporter, counted at every "
            "poll. Their amounts are shown as unknown_<n>: look for a newer exporter.",
            Query(f"sum by (enum) ({unknown}) > 0", "{{enum}}"),
            unit=COUNT,
            empty=NOTHING_FOUND,
        ),
    )


def _process() -> Sequence[Panel]:
    by = "instance"
    start = most(by, metric("process_start_time_seconds"))
    reloaded = most(by, own("config_last_reload_success_timestamp_seconds"))
    asked = most(by, own("discovery_last_refresh_success_timestamp_seconds"))
    build = f"max by (instance, version, python_version) ({own('build_info')})"
    return (
        table(
            "Exporters",
            "A row for each exporter, or shard, that is scraped. All should run the same version "
            "and have about the same number of organizations. Found counts those that discovery "
            "adds; Asked is the time since the oldest of the API keys' last listings.",
            Column("Exporter", label="instance"),
            Column(
                "Answers",
                most(by, metric("up")),
                texts={"1": ("yes", "green"), "0": ("no", "red")},
                width=80,
            ),
            Column("Version", label="version", width=90),
            Column("Python", label="python_version", width=90),
            Column("_build", build, shown=False),
            Column("Shard", most(by, own("shard_ordinal")), width=70),
            Column("of", most(by, own("total_shards")), width=60),
            Column("Organizations", most(by, own("organizations")), width=110),
            Column("Found", most(by, own("discovered_organizations")), width=80),
            Column(
                "Discovery",
                most(by, own("discovery_last_refresh_successful")),
                texts={"1": ("works", "text"), "0": ("fails", "red")},
                width=90,
            ),
            Column("Asked", f"time() - {asked}", unit=SECONDS, width=90),
            Column("Series", most(by, own("series")), width=90),
            Column("Up for", f"time() - {start}", unit=SECONDS),
            Column("Configuration age", f"time() - {reloaded}", unit=SECONDS, width=130),
            Column("Memory", most(by, metric("process_resident_memory_bytes")), unit=BYTES),
            key="instance",
            sort="Exporter",
            ascending=True,
            height=6,
        ),
        _each(
            "Series on the page",
            "Series of organizations that each exporter serves. Grows with organizations, and "
            "with invoices if they have their own. If it nears limits.max_series, raise that.",
            own("series"),
            unit=COUNT,
        ),
        _each(
            "Memory",
            "Resident memory of each exporter. Should be level: it follows the number of series. "
            "A line that climbs for days is a bug to report.",
            metric("process_resident_memory_bytes"),
            unit=BYTES,
        ),
        _each(
            "CPU",
            "CPU time of each exporter, 100% being one core. Should be low: polls and changes "
            "use it, scrapes do not.",
            f"rate({metric('process_cpu_seconds_total')}[$__rate_interval])",
            unit=SHARE,
        ),
        _each(
            "Event loop delay",
            "The time within which 99 of 100 turns of each exporter's event loop ended. A scrape "
            "may have to wait that long. Should stay below 50 ms.",
            _within("event_loop_delay_seconds"),
            unit=SECONDS,
        ),
        _each(
            "Time to make the page",
            "The time within which nine in ten pages were made after a change. It grows with the "
            "number of organizations that changed; scrapes do not wait for it.",
            _within("page_build_duration_seconds", 0.9),
            unit=SECONDS,
        ),
        _each(
            "Size of the storage",
            "What each exporter has stored in --storage.path. Grows to about 0.2 MB for each "
            "organization within 400 days; make sure that the disk has room.",
            own("storage_size_bytes"),
            unit=BYTES,
        ),
    )


def exporter() -> Board:
    """Return the dashboard of the exporter itself."""
    return Board(
        board.EXPORTER,
        "Viam billing / Exporter",
        "Whether bills can be read, how old they are, and how the exporter is doing.",
        (board.organization(several=True),),
        (
            ("Is anything wrong?", _wrong()),
            ("Whose bill cannot be read, and why", _alerts()),
            ("Polls", _polls()),
            ("Doubtful data", _doubts()),
            ("Processes", _process()),
        ),
        marks=False,
        since="now-24h",
    )
