"""What was spent in all, read once an hour: what a day or a week cost is the difference of two.

Counters do not do: an increase misses what was spent while samples were missing, and an exporter
without storage begins at 0 again. Month to date is the same on every exporter, so a reading adds to
the one before what month to date grew or fell by since, however long ago that was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.expressions import START, by_organization, lately, named
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds, times
from exporter.rules.series import ANSWERED, MONTH_TO_DATE, READINGS

MEMORY: Final = 14  # days for which a reading stands for the time after it
SELDOM: Final = 5  # times as far apart as other rules: each looks through all that memory

# What a reading consists of. The first is what it is for, the others are what it was made from.
SPENT: Final = "spent"
OF_MONTH: Final = "month_to_date"
OF_START: Final = "period_start"

CLOSED: Final = "viam_billing_closed_period_usage_usd"
CLOSED_END: Final = "viam_billing_closed_period_end_timestamp_seconds"
COUNTED: Final = "viam_billing_usage_spend_usd_total"
CORRECTED: Final = "viam_billing_usage_corrections_usd_total"
SUCCESS: Final = 'viam_billing_collector_last_success_timestamp_seconds{collector="usage"}'
# As for the exporter's own counters: an amount of this much, of either sign, is an accident.
TOO_LARGE: Final = "1e+12"


def interval(settings: Settings) -> str:
    """Return how often these rules are evaluated."""
    return times(settings.interval, SELDOM)


def readings(settings: Settings) -> Iterator[Recording]:
    """Yield what is read in the last minutes of each hour, so that midnight has what was known.

    Readings end with the data, and the next one goes on from the last, if that is no older than
    what is remembered. One rule records all that a reading consists of: a part alone would count a
    month twice.
    """
    windows = settings.windows
    memory, day = windows.days(MEMORY), seconds(windows.day)
    # Twice as long as a scrape may be missing: a page that is scraped every five minutes has gaps.
    recent = times(windows.missed_scrapes, 2)
    hour = day / 24
    last_of_hour = f"vector(time()) % {hour:.15g} >= {hour - seconds(interval(settings)):.15g}"

    month = by_organization(lately(MONTH_TO_DATE, windows.missed_scrapes))
    # One that is still to come by more than a day is an accident: the true one would be behind it.
    start = by_organization(f"{lately(START, recent)} < time() + {day:.15g}")
    spent_before, month_before, start_before = (
        by_organization(f'last_over_time({READINGS}{{reading="{part}"}}[{memory}])')
        for part in (SPENT, OF_MONTH, OF_START)
    )
    # What the period before came to: as the exporter saw it last, or else as it was read last.
    closed = by_organization(
        f"{lately(CLOSED, recent)} and "
        f"({lately(CLOSED_END, recent)} >= on (org_id) group_left () ({start} - {day:.15g}))"
    )
    ended = f"({start} - {start_before} >= bool {day:.15g}) * ({closed} or {month_before})"
    # Two servers of Prometheus begin with the same number, whenever they begin.
    counted = by_organization(f"{lately(COUNTED, recent)} - {lately(CORRECTED, recent)}")
    parts = {
        SPENT: f"{spent_before} + {month} - {month_before} + ({ended} or 0 * {month}) or {counted}",
        OF_MONTH: month,
        OF_START: start,
    }
    labelled = (
        f'label_replace({expr}, "reading", "{part}", "", "")' for part, expr in parts.items()
    )
    # An answer of a period before the known one, or of none, is one from behind.
    behind = f"{start_before} > ({start} or 0 * {month} - {TOO_LARGE}) + {day:.15g}"
    counts = f"({month} > -{TOO_LARGE} < {TOO_LARGE}) unless {behind}"
    # The first one, also after a gap, does not wait for the hour's end.
    lately_read = f'{READINGS}{{reading="{SPENT}"}}[{windows.days(1 / 24)}]'
    due = (
        f"({counts} and on () ({last_of_hour}))"
        f" or ({counts} unless on (org_id) last_over_time({lately_read}))"
    )
    yield Recording(READINGS, f"({' or '.join(labelled)}) and on (org_id) ({due})")

    answered = by_organization(lately(SUCCESS, recent))
    before = by_organization(f"last_over_time({ANSWERED}[{memory}])")
    news = f"{answered} unless {answered} <= {before}"
    news += f' and on (org_id) {READINGS}{{reading="{SPENT}"}}'
    yield Recording(ANSWERED, named(news))
