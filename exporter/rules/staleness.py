"""What is known of each collector: its last success, whether that is too old, and its state.

What is too long depends on how often an organization is polled: one failed poll is no news, and one
that is made once an hour fails for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.expressions import by_organization, lately
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds
from exporter.rules.series import (
    OUT_OF_DATE,
    READABLE,
    SEEN,
    SINCE,
    STALE,
    STATE,
    SUCCEEDED,
    UNREADABLE,
)

LAST_SUCCESS: Final = "viam_billing_collector_last_success_timestamp_seconds"
INTERVAL: Final = "viam_billing_poll_interval_seconds"
OUT_OF_DATE_AFTER: Final = 2  # poll intervals; what dashboards then call old


def staleness(settings: Settings) -> Iterator[Recording]:
    """Yield the rules, which need those of what is remembered."""
    windows, limits = settings.windows, settings.thresholds
    # A restart without storage forgets when it was. It was no failure.
    fresh = by_organization(LAST_SUCCESS, "collector")
    remembered = f"last_over_time({SUCCEEDED}[{windows.memory}]) and on (org_id) {SEEN}"
    yield Recording(SUCCEEDED, f"({fresh}) or ({remembered})")

    # A collector that is switched off is not attempted any more, and is no older for it.
    success = lately("viam_billing_collector_success", windows.missed_scrapes)
    attempted = by_organization(success, "collector")
    known = f"{SUCCEEDED} and on (org_id, collector) ({attempted})"
    never = f"0 * {attempted} + on (org_id) group_left () {SINCE}"
    unattempted = f"{by_organization(SUCCEEDED)} or {SINCE}"
    since = f"({known}) or ({never}) or on (org_id) ({unattempted})"
    interval = by_organization(lately(INTERVAL, windows.missed_scrapes))
    allowed = f"clamp_min({limits.stale_intervals} * {interval}, {seconds(limits.stale_after)})"
    yield Recording(STALE, f"time() - ({since}) > on (org_id) group_left () {allowed}")

    current = f"time() - {OUT_OF_DATE_AFTER} * {by_organization(INTERVAL)}"
    old = f"{SUCCEEDED} < on (org_id) group_left () ({current})"
    yield Recording(OUT_OF_DATE, f"({old}) or ({SUCCEEDED} unless on (org_id) {INTERVAL})")
    yield Recording(STATE, _state())


def _state() -> str:
    """Return what the last poll of each collector came to; of one on no page, without a collector.

    What an answer has twice is there once: nothing is missing for it.
    """
    success = by_organization("viam_billing_collector_success", "collector")
    doubtful = by_organization('viam_billing_withheld_samples{reason!="duplicate"}', "collector")
    gone = f"{by_organization(SEEN)} unless on (org_id) viam_billing_org_info"
    return (
        f"(0 * ({success} == 0 or {doubtful}) + {UNREADABLE}) or ({success} == {READABLE})"
        f" or (0 * ({gone}) + {UNREADABLE})"
    )
