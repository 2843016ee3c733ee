"""The real Prometheus, and promtool, against the demo."""

from __future__ import annotations

import gzip
import http.client
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from exporter.metrics.own import METRICS
from exporter.model import MetricType
from support.process import (
    OPENMETRICS,
    TEXT,
    Exporter,
    exporter,
    get,
    parse,
    samples,
    serving,
    until,
)
from support.prometheus import Labels, Prometheus, prometheus

SCRAPES = 3  # of each format

pytestmark = pytest.mark.usefixtures("stack")


@dataclass
class Recorder:
    """A proxy before the exporter that keeps what Prometheus asked for and what it got.

    The exporter's page changes with every poll: only what Prometheus was given can be compared
    with what it has stored. `accept` replaces the Accept header, for a Prometheus before 2.5.
    """

    target: int
    accept: str | None = None
    asked: list[str] = field(default_factory=list)  # Accept headers, as Prometheus sends them
    pages: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Serve on a port of its own while inside."""
        with serving(self._handler()) as port:
            yield port

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                accept = recorder.accept or self.headers["Accept"]
                encoding = self.headers["Accept-Encoding"]
                answer = get(
                    recorder.target, self.path, {"Accept": accept, "Accept-Encoding": encoding}
                )
                recorder.asked.append(self.headers["Accept"])
                recorder.pages.append(gzip.decompress(answer.body).decode())
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Encoding"):
                    self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def _stored(page: str, accept: str) -> dict[Labels, float]:
    """Return a page as Prometheus stores it: the name is a label, and an empty label is none."""
    return {
        frozenset({("__name__", name), *((label, text) for label, text in labels if text)}): value
        for (name, labels), value in parse(page, accept).items()
    }


@dataclass(frozen=True)
class Lab:
    """The demo, and a Prometheus that scrapes it directly and through both recorders."""

    exporter: Exporter
    prometheus: Prometheus
    recorders: dict[str, Recorder]  # by Accept


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo until it is stopped, cleanly."""
    with exporter("--demo") as target:
        target.wait_until_ready()
        yield target


@pytest.fixture(scope="module")
def lab(demo: Exporter, stack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Let Prometheus scrape until it has enough."""
    folder = tmp_path_factory.mktemp(stack)
    recorders = {TEXT: Recorder(demo.port, accept=TEXT), OPENMETRICS: Recorder(demo.port)}
    with (
        recorders[TEXT].serving() as text_port,
        recorders[OPENMETRICS].serving() as openmetrics_port,
    ):
        ports = {"direct": demo.port, TEXT: text_port, OPENMETRICS: openmetrics_port}
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in ports.items()
            ],
        }
        with prometheus(folder, config) as server:
            for job in ports:
                until(
                    lambda job=job: len(server.scrapes(job)) >= SCRAPES,  # type: ignore[misc]
                    f"{SCRAPES} scrapes of {job}",
                )
            yield Lab(demo, server, recorders)


def test_the_target_is_up(lab: Lab) -> None:
    """Prometheus scrapes us in both formats, without an error."""
    until(lambda: [*lab.prometheus.query("sum(up)").values()] == [3], "all targets are up")
    for job in ("direct", TEXT, OPENMETRICS):
        target = lab.prometheus.target(job)
        assert (target["health"], target["lastError"]) == ("up", "")


def test_every_sample_is_taken(lab: Lab) -> None:
    """Prometheus counts as many samples as the page has, and keeps all of them."""

    def agreed() -> bool:
        """Compare while no poll adds a series: not for the first of a failure, for instance."""
        page = len(parse(lab.exporter.scrape()))
        taken = lab.prometheus.query('scrape_samples_scraped{job="direct"}')
        kept = lab.prometheus.query('scrape_samples_post_metric_relabeling{job="direct"}')
        return list(taken.values()) == list(kept.values()) == [page]

    assert until(agreed, "Prometheus has as many samples as the page")


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_what_is_stored_is_what_was_served(lab: Lab, accept: str) -> None:
    """Scrape by scrape, Prometheus holds each series of the page with its value, and no other."""
    scrapes = lab.prometheus.scrapes(accept)
    assert len(scrapes) >= SCRAPES
    # More pages than scrapes were recorded if one came too late on a busy machine.
    pages = iter([_stored(page, accept) for page in lab.recorders[accept].pages])
    for scrape in scrapes:
        assert scrape in pages  # searched on from the one before


HISTOGRAMS = tuple(each.name for each in METRICS if each.type is MetricType.HISTOGRAM)


def _family(sample: str, accept: str) -> tuple[str, str, str]:
    """Return name, type and unit of a sample's metric, by the rules for names."""
    name = re.sub(r"_(bucket|count|sum)$", "", sample) if sample.startswith(HISTOGRAMS) else sample
    kind = "counter" if name.endswith("_total") else "gauge"
    if name != sample:
        kind = "histogram"
    if accept == TEXT:  # it has no units, and counters are called as their samples are
        return name, kind, ""
    name = name.removesuffix("_total")
    return name, kind, next((u for u in ("usd", "seconds", "bytes") if name.endswith(f"_{u}")), "")


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_prometheus_knows_what_metrics_are(lab: Lab, accept: str) -> None:
    """Every metric of ours comes with its type and its help, in OpenMetrics with its unit too."""
    target = f'{{job="{accept}"}}'
    rows = lab.prometheus.api("targets/metadata", match_target=target)
    described = {
        (row["metric"], row["type"], row["unit"]): row["help"]
        for row in rows
        if row["metric"].startswith("viam_billing_")
    }
    page = lab.recorders[accept].pages[0]
    families = {
        _family(name, accept) for name, _ in samples(page) if name.startswith("viam_billing_")
    }
    assert len(families) > 40
    assert families - described.keys() == set()
    assert all(text.endswith(".") for text in described.values())


def test_prometheus_asks_for_openmetrics(lab: Lab) -> None:
    """With the very header that Prometheus sends it gets OpenMetrics."""
    (header,) = set(lab.recorders[OPENMETRICS].asked)
    answer = get(lab.exporter.port, "/metrics", {"Accept": header})
    assert answer.status == http.client.OK
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")


def test_series_are_no_duplicates(lab: Lab) -> None:
    """Prometheus dropped no sample: not as a duplicate, out of order, out of bounds or too many."""
    own = samples(get(lab.prometheus.port, "/metrics").text)
    dropped = {
        name: value
        for (name, _), value in own.items()
        if name.startswith(
            ("prometheus_target_scrapes_sample_", "prometheus_target_scrapes_exceeded_")
        )
    }
    assert dropped.keys() >= {
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "prometheus_target_scrapes_sample_out_of_order_total",
        "prometheus_target_scrapes_exceeded_body_size_limit_total",
        "prometheus_target_scrapes_exceeded_sample_limit_total",
    }
    assert dict.fromkeys(dropped, 0) == dropped  # those of other versions too


def test_prometheus_has_nothing_to_warn_of(lab: Lab) -> None:
    """Its log has no line about us, nor any other warning or error."""
    lines = lab.prometheus.process.stderr.text.lower().splitlines()  # 3 has levels in capitals
    assert any("level=info" in line for line in lines)
    assert [line for line in lines if "level=warn" in line or "level=error" in line] == []


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("viam_billing_budget_usd", ("org_id", "org_name")),
        ("viam_billing_org_info", ("org_id", "org_name", "billing_tier", "currency", "team")),
        ("viam_billing_usage_period_start_timestamp_seconds", ("org_id", "org_name")),
        ("viam_billing_outstanding_balance_usd", ("org_id", "org_name")),
        ("viam_billing_invoices", ("org_id", "org_name", "status")),
        (
            "viam_billing_payment_method_info",
            ("org_id", "org_name", "card_brand", "payment_method"),
        ),
    ],
)
def test_a_query_gives_the_values_of_the_page(
    lab: Lab, metric: str, labels: tuple[str, ...]
) -> None:
    """A person's query, by metric and labels, returns the numbers that /metrics shows."""

    def by_labels(series: dict[Labels, float]) -> dict[tuple[str, ...], float]:
        return {
            tuple(dict(key).get(label, "") for label in labels): value
            for key, value in series.items()
        }

    def agreed() -> bool:
        page = {
            key: value
            for (name, key), value in parse(lab.exporter.scrape()).items()
            if name == metric
        }
        query = f'sum by ({",".join(labels)}) ({metric}{{job="direct"}})'
        return bool(page) and by_labels(page) == by_labels(lab.prometheus.query(query))

    assert until(agreed, f"the query for {metric} gives what is on the page")


def test_month_to_date_is_the_sum_of_net_costs(lab: Lab) -> None:
    """The month to date of each company of the demo is a cost, and the sum of its net costs."""
    total = lab.prometheus.query('viam_billing_usage_month_to_date_usd{job="direct"}')
    assert len(total) == 8
    assert any(value > 0 for value in total.values())
    difference = (
        "abs(viam_billing_usage_month_to_date_usd - on (org_id, job) "
        "sum by (org_id, job) (viam_billing_usage_net_cost_usd)) > 1e-6"
    )
    assert lab.prometheus.query(difference) == {}


def test_promtool_has_nothing_to_say(demo: Exporter) -> None:
    """`promtool check metrics` finds the page valid, and its names and texts as they should be."""
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=demo.scrape(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
