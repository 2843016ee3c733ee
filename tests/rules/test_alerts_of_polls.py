"""Alerts about polls and exporters: silent, not rash, firing in full, resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rules.case import Case, check, of_exporter, on_page
from rules.harness import COLLECTORS, DAY, FIRST, Values, same, series

SECOND: Final = {"job": "viam-billing", "instance": "exporter-1:8426"}
OWN: Final = "viam_billing_exporter_"
ON_EXPORTERS: Final = "viam-billing-exporter"


def failing(cause: str, *collectors: str) -> dict[str, Values]:
    """Return the series of collectors that fail for a cause."""
    name = "viam_billing_collector_failure"
    return {on_page(name, collector=which, cause=cause): same(1) for which in collectors}


POLLS = (
    Case(
        "ViamBillingCredentialsRefused",
        "warning",
        "polling",
        "The billing API refuses an API key, or its file cannot be read.",
        "Acme Robotics was polled with an API key that is refused, or whose file cannot be read. "
        "Collectors that fail: 3.",
        failing("credentials", *COLLECTORS),
    ),
    Case(
        "ViamBillingPermissionDenied",
        "warning",
        "polling",
        "An API key is valid, but may not read the bill.",
        "Acme Robotics was polled with an API key that may not read its bill. "
        "Collectors that fail: 1.",
        failing("permission", "invoices"),
    ),
    Case(
        "ViamBillingUpstreamOutage",
        "warning",
        "polling",
        "The billing API does not answer for an organization.",
        "Acme Robotics was polled without an answer, or with an error of the server. "
        "Collectors that fail: 3.",
        failing("outage", *COLLECTORS),
    ),
    Case(
        "ViamBillingUpstreamOutageEverywhere",
        "warning",
        "polling",
        "The billing API does not answer for most organizations.",
        "The billing API does not answer for 100% of the organizations. Their last good amounts "
        "stay until they are too old.",
        failing("outage", "usage"),
        about={},
        dashboard=ON_EXPORTERS,
    ),
    Case(
        "ViamBillingThrottled",
        "warning",
        "polling",
        "Polls are refused because there are too many.",
        "Acme Robotics was polled too often for the billing API or for the ceiling on requests. "
        "Collectors that fail: 2.",
        failing("throttled", "usage", "invoices"),
    ),
    Case(
        "ViamBillingAnswersUnusable",
        "warning",
        "polling",
        "The billing API answers with something that cannot be used.",
        "Acme Robotics was polled, and the answer cannot be used. Collectors that fail: 2.",
        failing("invalid_answer", "usage") | failing("other", "invoices"),
    ),
    Case(
        "ViamBillingDataStale",
        "warning",
        "polling",
        "A bill could not be read for two poll intervals.",
        "Acme Robotics was last polled successfully 39m 0s ago (collector usage).",
        {
            on_page(
                "viam_billing_collector_last_success_timestamp_seconds", collector="usage"
            ): same(19 * 60)
        },
        {"collector": "usage"},
        delay=2 * 15 * 60,
    ),
    Case(
        "ViamBillingUpstreamFrozen",
        "warning",
        "polling",
        "Polls succeed, but the bill stands still.",
        "Acme Robotics has had the same usage for 4d 1h 23m 0s, though it spends on most days or "
        "its billing period is over.",
        {
            on_page("viam_billing_usage_period_end_timestamp_seconds"): same(-2 * DAY),
            on_page(
                "viam_billing_collector_last_change_timestamp_seconds", collector="usage"
            ): same(-4 * DAY),
        },
    ),
    Case(
        "ViamBillingDataWithheld",
        "warning",
        "polling",
        "Samples are withheld because nobody could trust them.",
        "Acme Robotics lacks 2 samples of the collector usage: nan.",
        {on_page("viam_billing_withheld_samples", collector="usage", reason="nan"): same(2)},
        {"collector": "usage", "reason": "nan"},
    ),
    Case(
        "ViamBillingUnknownCostType",
        "info",
        "polling",
        "A bill has a cost type that this version does not know.",
        "Acme Robotics has $3.20 of unknown_31 on its bill.",
        {
            on_page(
                "viam_billing_usage_cost_usd", resource_type="unknown_31", source_type=kind, tier=""
            ): same(1.6)
            for kind in ("org", "fragment")
        },
        {"resource_type": "unknown_31"},
    ),
)
EXPORTERS = (
    Case(
        "ViamBillingExporterDown",
        "critical",
        "exporter",
        "Prometheus cannot scrape the exporter.",
        "The exporter at exporter-0:8426 cannot be scraped. Bills are not watched meanwhile.",
        {of_exporter("up"): same(0)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
    ),
    Case(
        "ViamBillingShardMissing",
        "critical",
        "exporter",
        "Prometheus sees fewer shards than there are.",
        "Shards that Prometheus does not see: 2. Their organizations are on no page.",
        {of_exporter(f"{OWN}total_shards"): same(3), of_exporter(f"{OWN}shard_ordinal"): same(0)},
        about={},
        dashboard=ON_EXPORTERS,
    ),
    Case(
        "ViamBillingShardsMismatched",
        "warning",
        "exporter",
        "Exporters do not agree on the number of shards.",
        "Exporters run with different numbers of shards. Organizations are polled twice, or not at "
        "all.",
        {
            of_exporter(f"{OWN}total_shards"): same(2),
            series(f"{OWN}total_shards", SECOND): same(3),
        },
        about={},
        dashboard=ON_EXPORTERS,
    ),
    Case(
        "ViamBillingConfigReloadFailed",
        "warning",
        "exporter",
        "The exporter runs with an old configuration.",
        "The exporter at exporter-0:8426 refused its new configuration and keeps the old one.",
        {of_exporter(f"{OWN}config_last_reload_successful"): same(0)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingStorageFailing",
        "warning",
        "exporter",
        "What was polled cannot be stored.",
        "The exporter at exporter-0:8426 cannot write to its storage. Spend that it counts from "
        "now on is lost with a restart.",
        {of_exporter(f"{OWN}storage_last_write_successful"): same(0)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingDiscoveryFailing",
        "warning",
        "exporter",
        "Discovery of organizations fails for at least one API key.",
        "The exporter at exporter-0:8426 cannot list organizations with at least one API key. "
        "What was found before is still polled; what is new, or gone, goes unnoticed.",
        {of_exporter(f"{OWN}discovery_last_refresh_successful"): same(0)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingRequestBudgetRunningOut",
        "warning",
        "exporter",
        "The day's requests to the billing API will not last until midnight, UTC.",
        "The exporter at exporter-0:8426 has 10% of the day's requests left, less than what is "
        "left of the day.",
        {of_exporter(f"{OWN}api_requests_remaining"): same(100)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
    ),
    Case(
        "ViamBillingSeriesWithheld",
        "warning",
        "exporter",
        "The page would have more series than limits.max_series allows.",
        "The exporter at exporter-0:8426 withholds series, whole organizations if need be, to stay "
        "within limits.max_series.",
        {of_exporter(f"{OWN}organizations"): same(3)},
        about=FIRST,
        dashboard=ON_EXPORTERS,
    ),
)


@pytest.mark.parametrize("case", [*POLLS, *EXPORTERS], ids=lambda case: case.alert)
def test_an_alert_of_polls_fires_in_full_and_in_time(case: Case, tmp_path: Path) -> None:
    """With every label and annotation, not before its time, and not for long after."""
    check(case, tmp_path)
