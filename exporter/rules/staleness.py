"""Since when each collector has had no success, and which of them have had none for too long.

What is too long depends on how often an organization is polled: one failed poll is no news, and one
that is made once an hour fails for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.expressions import by_organization, lately
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds
from exporter.rules.series import SEEN, SINCE, STALE, SUCCEEDED

LAST_SUCCESS: Final = "viam_billing_collector_last_success_timestamp_seconds"
INTERVAL: Final = "viam_billing_poll_interval_seconds"


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
