"""Alerts about polls and exporters: silent, not rash, firing in full, resolved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from rules.case import BEGINS, Case, check, of_exporter, on_page
from rules.harness import (
    ACME,
    COLLECTORS,
    DAY,
    FIRST,
    HOUR,
    MINUTE,
    Pages,
    Values,
    between,
    gone,
    rising,
    same,
    series,
    then,
)
from rules.healthy import add_exporter, add_organization, healthy

SECOND: Final = {"job": "viam-billing", "instance": "exporter-1:8426"}
OWN: Final = "viam_billing_exporter_"


LAST_SUCCESS: Final = "viam_billing_collector_last_success_timestamp_seconds"
SUCCEEDED: Final = (BEGINS - 1) * MINUTE  # when those that fail had a success
STALE: Final = 45 * 60  # seconds without a success that are too many, at 15 minutes' intervals


def failing(cause: str, *collectors: str) -> dict[str, Values]:
    """Return the series of collectors that fail for a cause."""
    name = "viam_billing_collector_failure"
    return {on_page(name, collector=which, cause=cause): same(1) for which in collectors} | {
        on_page(LAST_SUCCESS, collector=which): same(SUCCEEDED) for which in collectors
    }


POLLS = (
    Case(
        "ViamBillingCredentialsRefused",
        "warning",
        "polling",
        "Polls of Acme Robotics fail: its API key is refused or cannot be read",
        "The billing API refuses an API key, or the key's file cannot be read.",
        "Polls of Acme Robotics fail because the billing API refuses its API key, or the key's "
        "file cannot be read. Failing collectors: 3.",
        failing("credentials", *COLLECTORS),
        delay=STALE,
    ),
    Case(
        "ViamBillingPermissionDenied",
        "warning",
        "polling",
        "Polls of Acme Robotics fail: its API key may not read the bill",
        "An API key is valid, but may not read the bill.",
        "Polls of Acme Robotics fail because its API key may not read the bill, which needs an "
        "organization key with the role Owner. Failing collectors: 1.",
        failing("permission", "invoices"),
        delay=STALE,
    ),
    Case(
        "ViamBillingUpstreamOutage",
        "warning",
        "polling",
        "Polls of Acme Robotics fail: no answer or a server error",
        "The billing API does not answer for an organization.",
        "Polls of Acme Robotics fail because the billing API does not answer or reports a server "
        "error. Failing collectors: 3.",
        failing("outage", *COLLECTORS),
        delay=STALE,
    ),
    Case(
        "ViamBillingUpstreamOutageEverywhere",
        "warning",
        "polling",
        "The billing API does not answer for 100% of the organizations",
        "The billing API does not answer for most organizations.",
        "The billing API does not answer for 100% of the organizations. Amounts read earlier "
        "are shown until they are older than poll.max_age.",
        failing("outage", "usage"),
        about={},
        delay=STALE,
    ),
    Case(
        "ViamBillingThrottled",
        "warning",
        "polling",
        "Polls of Acme Robotics fail: too many requests",
        "Polls fail because there were too many requests.",
        "Polls of Acme Robotics fail because there were more requests than the billing API or "
        "api.max_requests_per_day allows. Failing collectors: 2.",
        failing("throttled", "usage", "invoices"),
        delay=STALE,
    ),
    Case(
        "ViamBillingAnswersUnusable",
        "warning",
        "polling",
        "Polls of Acme Robotics fail: no usable answer",
        "The billing API gives no usable answer.",
        "Polls of Acme Robotics fail because the billing API gives no usable answer. "
        "Failing collectors: 2.",
        failing("invalid_answer", "usage") | failing("other", "invoices"),
        delay=STALE,
    ),
    Case(
        "ViamBillingDataStale",
        "warning",
        "polling",
        "Acme Robotics has had no successful poll of billing information for 1h 4m",
        "A bill, or a part of it, has not been read for too long.",
        "Acme Robotics has had no successful poll of billing information for 1h 4m.",
        {on_page(LAST_SUCCESS, collector="billing_information"): same(SUCCEEDED)},
        {"collector": "billing_information"},
        delay=STALE,
    ),
    Case(
        "ViamBillingUpstreamFrozen",
        "warning",
        "polling",
        "The usage of Acme Robotics has not changed for 4d 1h 23m",
        "Polls succeed, but usage does not change.",
        "Polls of Acme Robotics succeed, but its usage has not changed for 4d 1h 23m, "
        "although it spends money on most days, or its billing period is over.",
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
        "Samples of Acme Robotics are withheld: nan",
        "Samples are withheld because they cannot be trusted.",
        "Withheld samples of Acme Robotics: 2 (collector: usage, reason: nan).",
        {on_page("viam_billing_withheld_samples", collector="usage", reason="nan"): same(2)},
        {"collector": "usage", "reason": "nan"},
    ),
    Case(
        "ViamBillingUnknownCostType",
        "info",
        "polling",
        "Acme Robotics has costs of an unknown type: $3.20",
        "A bill has a cost type that this version does not know.",
        "The bill of Acme Robotics has $3.20 of costs of type 31, which this version of the "
        "exporter has no name for.",
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
        "Prometheus cannot scrape the exporter at exporter-0:8426",
        "Prometheus cannot scrape the exporter.",
        "Prometheus cannot scrape the exporter at exporter-0:8426. The bills that it reads are not "
        "being watched.",
        {of_exporter("up"): same(0)},
        about=FIRST,
    ),
    Case(
        "ViamBillingShardMissing",
        "critical",
        "exporter",
        "Shards missing from Prometheus: 2",
        "Prometheus sees fewer shards than there are.",
        "Shards missing from Prometheus: 2. The bills of their organizations are not being "
        "watched.",
        {of_exporter(f"{OWN}total_shards"): same(3), of_exporter(f"{OWN}shard_ordinal"): same(0)},
        about={},
    ),
    Case(
        "ViamBillingShardsMismatched",
        "warning",
        "exporter",
        "Exporters run with different numbers of shards",
        "Exporters run with different numbers of shards.",
        "Exporters run with different numbers of shards. Some organizations may be polled twice, "
        "others not at all.",
        {
            of_exporter(f"{OWN}total_shards"): same(2),
            series(f"{OWN}total_shards", SECOND): same(3),
        },
        about={},
    ),
    Case(
        "ViamBillingConfigReloadFailed",
        "warning",
        "exporter",
        "The exporter at exporter-0:8426 still uses an old configuration",
        "The exporter still uses an old configuration.",
        "The exporter at exporter-0:8426 rejected its new configuration and still uses the old "
        "one.",
        {of_exporter(f"{OWN}config_last_reload_successful"): same(0)},
        about=FIRST,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingStorageFailing",
        "warning",
        "exporter",
        "The exporter at exporter-0:8426 cannot write to its storage",
        "The exporter cannot write to its storage.",
        "The exporter at exporter-0:8426 cannot write to its storage. If it restarts before a "
        "write succeeds, it continues from its last successful write, and can only estimate on "
        "which days money was spent since.",
        {of_exporter(f"{OWN}storage_last_write_successful"): same(0)},
        about=FIRST,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingDiscoveryFailing",
        "warning",
        "exporter",
        "The exporter at exporter-0:8426 cannot list the organizations of at least one API key",
        "Discovery fails for at least one API key.",
        "The exporter at exporter-0:8426 cannot list the organizations of at least one API key. "
        "Those found earlier are still polled, but new and removed ones go unnoticed.",
        {of_exporter(f"{OWN}discovery_last_refresh_successful"): same(0)},
        about=FIRST,
        delay=5 * 60,
    ),
    Case(
        "ViamBillingRequestBudgetRunningOut",
        "warning",
        "exporter",
        "The exporter at exporter-0:8426 has 10% of the day's API requests left",
        "The day's requests to the billing API may run out before midnight UTC.",
        "The exporter at exporter-0:8426 has 10% of the day's API requests left: too few, at an "
        "even pace, to last until midnight UTC.",
        {of_exporter(f"{OWN}api_requests_remaining"): same(100)},
        about=FIRST,
    ),
    Case(
        "ViamBillingSeriesWithheld",
        "warning",
        "exporter",
        "The exporter at exporter-0:8426 withholds series to stay within limits.max_series",
        "There are more series than limits.max_series allows.",
        "The exporter at exporter-0:8426 withholds series, and whole organizations if necessary, "
        "to stay within limits.max_series.",
        {of_exporter(f"{OWN}organizations"): same(3)},
        about=FIRST,
    ),
)


@pytest.mark.parametrize("case", [*POLLS, *EXPORTERS], ids=lambda case: case.alert)
def test_an_alert_of_polls_fires_in_full_and_in_time(case: Case, tmp_path: Path) -> None:
    """With every label and annotation, not before its time, and not for long after."""
    check(case, tmp_path)


OF_EACH: Final = 'count by (alertname, org_id) (ALERTS{alertstate="firing", area="polling"})'
NOTHING_READ: Final = ("DataStale", "UpstreamOutage", "UpstreamOutageEverywhere")


def told(pages: Pages, at: float, *alerts: str) -> None:
    """Expect these alerts about polls to fire at a time in seconds, and no others."""
    labels = [series("", alertname=f"ViamBilling{alert}") for alert in alerts]
    expr = f"count by (alertname) ({OF_EACH})"
    pages.expect_sample(expr, int(at), *((each, 1.0) for each in labels))


def exactly(values: Sequence[str]) -> Values:
    """Return values that are given one by one."""
    return lambda _: " ".join(values)


def polled_hourly(hours: int, *failed: int, restart: float = 1000) -> Pages:
    """Return pages of an organization that is polled each hour, and whose polls fail in some.

    The exporter may be restarted without storage at an hour: it then knows of no success before.
    """
    step = 5 * MINUTE
    pages = healthy(hours * HOUR // step, step)
    pages.set("viam_billing_poll_interval_seconds", same(HOUR), FIRST, ACME)
    last, success, failure = [], [], []
    for at in range(0, hours * HOUR, step):
        polls = [hour for hour in range(hours) if hour * HOUR <= at and hour not in failed]
        polls = [hour for hour in polls if at < restart * HOUR or hour >= restart]
        fails = at // HOUR in failed
        last.append(str(max(polls) * HOUR) if polls else "stale")
        success.append("0" if fails else "1")
        failure.append("1" if fails else "stale")
    for collector in COLLECTORS:
        which = {**FIRST, **ACME, "collector": collector}
        for name, values in (
            (LAST_SUCCESS, last),
            ("viam_billing_collector_success", success),
        ):
            pages.set(name, exactly(values), which)
        name = "viam_billing_collector_failure"
        pages.set(name, exactly(failure), which, cause="outage")
    return pages


def test_a_poll_that_fails_is_no_news_however_seldom_one_is_made(tmp_path: Path) -> None:
    """At an hour's interval, it fails for an hour; the next one but one is what counts."""
    pages = polled_hourly(9, 2, 5, 6, 7)
    for hour in (2.9, 3.1, 5.9, 6.1):
        told(pages, hour * HOUR)
    told(pages, 6.5 * HOUR, *NOTHING_READ)
    told(pages, 8.2 * HOUR)
    pages.check(tmp_path)


def test_a_restart_makes_no_success_older(tmp_path: Path) -> None:
    """Without storage the exporter has forgotten it; Prometheus has not."""
    pages = polled_hourly(10, 5, 6, restart=5)
    told(pages, 5.9 * HOUR)
    told(pages, 6.5 * HOUR, *NOTHING_READ)
    told(pages, 7.3 * HOUR)
    pages.check(tmp_path)


def test_whoever_never_was_polled_counts_from_when_it_is_known(tmp_path: Path) -> None:
    """By its own interval, too."""
    pages = polled_hourly(4, 0, 1, 2, 3)
    told(pages, 1.9 * HOUR)
    told(pages, 2.6 * HOUR, *NOTHING_READ)
    pages.check(tmp_path)


def test_what_is_polled_often_may_fail_for_three_quarters_of_an_hour(tmp_path: Path) -> None:
    """Nobody wants to hear of two polls that failed within ten minutes."""
    pages = healthy(3 * 60)
    pages.set("viam_billing_poll_interval_seconds", same(5 * MINUTE), FIRST, ACME)
    for key, values in failing("throttled", "usage").items():
        pages.input[key] = between(pages.input.get(key, gone), BEGINS, 100, values)
    told(pages, 60 * MINUTE)
    told(pages, 83 * MINUTE, "DataStale", "Throttled")
    told(pages, 150 * MINUTE)
    pages.check(tmp_path)


def test_a_bill_that_one_replica_reads_is_read(tmp_path: Path) -> None:
    """The other one's failure keeps nobody from knowing it."""
    pages = healthy(2 * 60)
    add_exporter(pages, SECOND)
    add_organization(pages, SECOND, ACME)
    for key, values in failing("credentials", *COLLECTORS).items():
        pages.input[key.replace("exporter-0", "exporter-1")] = values
    told(pages, 110 * MINUTE)
    pages.check(tmp_path)


def test_a_collector_that_is_switched_off_is_not_stale(tmp_path: Path) -> None:
    """Nobody asks for what it would know."""
    pages = healthy(3 * 60)
    for key in [key for key in pages.input if 'collector="invoices"' in key]:
        pages.input[key] = then((pages.input[key], 30), gone)
    told(pages, 170 * MINUTE)
    pages.check(tmp_path)


def test_an_outage_of_most_is_told_before_that_of_each(tmp_path: Path) -> None:
    """Polls of an interval fail one after the other; Alertmanager silences what comes later."""
    pages = Pages(3 * 60)
    add_exporter(pages, FIRST)
    for number in range(5):
        org = {"org_id": f"o{number}", "org_name": f"O{number}"}
        add_organization(pages, FIRST, org)
        succeeded = 30 + 3 * number  # minutes
        for collector in COLLECTORS:
            which = {**FIRST, **org, "collector": collector}
            last = then((rising(0, MINUTE), succeeded), same(succeeded * MINUTE))
            pages.set(LAST_SUCCESS, last, which)
            fails = then((gone, succeeded), same(1))
            pages.set("viam_billing_collector_failure", fails, which, cause="outage")
    # The third of five is old after 36 + 45 minutes, the first fires after 30 + 45 + 15.
    told(pages, 84 * MINUTE)
    told(pages, 89 * MINUTE, "UpstreamOutageEverywhere")
    pages.check(tmp_path)
