"""The names are an API: they follow Prometheus' conventions, and the contract's."""

from __future__ import annotations

import re

import pytest

from exporter.metrics import catalog, own
from exporter.model import Metric, MetricType
from generate import documents

METRICS = [metric for members in documents.metrics().values() for metric in members]
IDS = [metric.name for metric in METRICS]


def test_names_are_unique_as_metrics_and_as_families() -> None:
    """Two families of one name would make an invalid page."""
    assert len(set(IDS)) == len(IDS)
    assert len({metric.family for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=IDS)
def test_a_name_follows_the_conventions(metric: Metric) -> None:
    """Prefix, base units, `_total` for counters only, one sentence or more of help."""
    prefix = "viam_billing_exporter_" if metric in own.METRICS else "viam_billing_"
    assert re.fullmatch(prefix + r"[a-z]+(_([a-z]+|[0-9]+d))*", metric.name)
    assert metric.name.endswith("_total") == (metric.type is MetricType.COUNTER)
    assert not re.search(r"_(dollars|ms|millis|count|sum|bucket|created)(_|$)", metric.name)
    if "timestamp" in metric.name:
        assert metric.name.endswith("_timestamp_seconds")
    if metric.name.endswith("_info"):
        assert metric.help.startswith("Always 1; ")
    assert metric.help.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in metric.labels)


@pytest.mark.parametrize("spec", catalog.SPECS, ids=lambda spec: spec.name)
def test_every_series_of_an_organization_names_it(spec: Metric) -> None:
    """Id and name come first; the id is what sums group by."""
    assert spec.labels[:2] == ("org_id", "org_name")


@pytest.mark.parametrize(
    "spec", [s for c in catalog.COLLECTORS for s in c.specs], ids=lambda spec: spec.name
)
def test_help_says_that_values_are_polled(spec: Metric) -> None:
    """So that nobody takes the time of the scrape for the time of the value."""
    assert "polled" in spec.help.lower()


def test_labels_of_metrics_are_refused_as_configured_labels() -> None:
    """The configuration is checked against every label that a metric uses."""
    assert {"org_id", "tier", "billing_tier", "currency", "cause"} <= catalog.LABEL_NAMES
