"""What every expression on a dashboard must keep to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pytest

from exporter.metrics import catalog, own
from exporter.model import MetricType
from rules.harness import GROUPS
from rules.inference import SCRAPED, labels
from support.dashboards import (
    ANY,
    EXCEPTIONS,
    Target,
    dashboards,
    expand,
    expressions,
    of_variable,
    parsed,
    selectors,
    targets,
)

EXPRESSIONS: Final = dict(expressions())
OF_ONE: Final = {e for name, e in EXPRESSIONS.items() if "viam-billing-organization/" in name}
METRICS: Final = (*catalog.SPECS, *own.METRICS)
LEVELS: Final = {
    "exporter": {"job", "instance"},
    "fleet": set(),
    "org": {"org_id", "org_name"},
    "org_id": {"org_id"},
    "org_id_collector": {"org_id", "collector"},
    "org_id_day": {"org_id", "day"},
    "org_id_reason": {"org_id", "reason"},
    "org_exporter": {"job", "instance", "org_id", "org_name"},
    "org_id_reading": {"org_id", "reading"},
    "org_resource_type": {"org_id", "org_name", "resource_type"},
}
RECORDED: Final = {
    name: frozenset(LEVELS[level])
    for group in GROUPS
    for rule in group["rules"]
    if (level := (name := rule.get("record", "")).partition(":")[0]) in LEVELS
}
TARGET: Final = frozenset({"job", "instance"})
# Of the Prometheus client library, and Prometheus' own.
FOREIGN: Final = {
    "process_cpu_seconds_total": TARGET,
    "process_resident_memory_bytes": TARGET,
    "process_start_time_seconds": TARGET,
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "org_id", "org_name"}),
}
BUCKETS: Final = {
    f"{metric.name}_bucket": TARGET | {*metric.labels, "le"}
    for metric in METRICS
    if metric.type is MetricType.HISTOGRAM
}
KNOWN: Final[Mapping[str, frozenset[str]]] = {**SCRAPED, **BUCKETS, **FOREIGN, **RECORDED}
COUNTERS: Final = {
    *(metric.name for metric in METRICS if metric.type is MetricType.COUNTER),
    *BUCKETS,
    "process_cpu_seconds_total",
}
# Where the choices come from: nothing is chosen yet.
VARIABLES: Final = [
    of_variable(variable)
    for dashboard in dashboards()
    for variable in dashboard["templating"]["list"][1:]
]
JOBS: Final = {expr for expr in VARIABLES if "$" not in expr}
ORGANIZATIONS: Final = {expr for expr in VARIABLES if "$organization" not in expr}

of_each_expression = pytest.mark.parametrize("expr", EXPRESSIONS.values(), ids=EXPRESSIONS)


@of_each_expression
def test_every_metric_and_label_of_an_expression_exists(expr: str) -> None:
    """target-promql-rule, and more: a name that was mistyped shows nothing, in silence."""
    labels(parsed(expr), KNOWN)


@of_each_expression
def test_every_selector_is_of_what_was_chosen(expr: str) -> None:
    """target-job-rule, but for what rules record, and alerts; and the same for organizations."""
    assert {"target-job-rule", "target-instance-rule"} <= EXCEPTIONS["lint"].keys()
    for selector in selectors(expr):
        has = KNOWN[selector.name]
        if "job" in has and expr not in JOBS:
            assert selector.matchers["job"] == ("MatchOp.Re", ANY["job"])
        if "org_id" in has and selector.name != "ALERTS" and expr not in ORGANIZATIONS:
            assert selector.matchers["org_id"] == ("MatchOp.Re", ANY["organization"])


@of_each_expression
def test_counters_are_read_as_counters(expr: str) -> None:
    """target-counter-agg-rule, target-rate-interval-rule; and month to date is no counter."""
    for selector in selectors(expr):
        over_time = selector.function in {"rate", "increase", "irate", "delta", "idelta"}
        assert over_time == (selector.name in COUNTERS) or expr in VARIABLES, selector
    for name, window in re.findall(r"([\w:]*)(?:\{[^}]*\})?\[([^\]]*)\]", expr):
        # A fortnight is few samples of what is recorded hourly, of exporters, and of one
        # organization.
        few = name.endswith(":hourly") or name.startswith(("exporter:", "viam_billing_exporter_"))
        cheap = few or (expr in OF_ONE and window in {"14d:15m", "$__range"})
        assert cheap or window in {"$__rate_interval", "1m:1m", "1d", "1d:1d", "1d:15m", "14d:6h"}


@pytest.mark.parametrize("target", list(targets()), ids=lambda target: target.name)
def test_replicas_are_counted_once(target: Target) -> None:
    """What is of an organization is reduced to one series for it before anything is added up."""
    for selector in selectors(target.expr):
        if "org_id" in SCRAPED.get(selector.name, ()):
            assert selector.aggregation == "max", selector


def test_every_metric_is_used() -> None:
    """On a dashboard or in a rule, or listed as left out on purpose; and the list is no longer."""
    rules = [rule["expr"] for group in GROUPS for rule in group["rules"]]
    used = {s.name for expr in (*rules, *EXPRESSIONS.values()) for s in selectors(expr)}
    used |= {name.removesuffix("_bucket") for name in used}
    assert {metric.name for metric in METRICS} - used == EXCEPTIONS["unused_metrics"].keys()


def test_a_number_is_defined_once() -> None:
    """No panel takes from the exporter itself what a rule records of it."""
    parts = [name.split(":") for name in RECORDED]
    recorded = {metric for _, metric, operation in parts if operation == "picked"}
    assert recorded >= {"viam_billing_usage_month_to_date_usd", "viam_billing_usage_cost_usd"}
    assert not recorded & {s.name for target in targets() for s in selectors(target.expr)}


def test_variables_are_expanded_as_grafana_does() -> None:
    """Several values become a pattern; what is special in one is escaped, for PromQL once more."""
    text = 'up{job=~"$job",a=~"${a:pipe}"}'
    assert expand(text, {"job": ["b.c", "d"], "a": ".+"}) == 'up{job=~"(b\\\\.c|d)",a=~".+"}'
    assert expand("$job", {"job": ["one"]}) == "one"
