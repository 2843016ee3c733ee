"""The recorded series: one definition of each number, for dashboards and alerts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.exporters import exporters
from exporter.rules.expressions import END, START, by_organization, named, picked
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds
from exporter.rules.series import (
    ALL_FORECAST,
    ALL_MONTH_TO_DATE,
    BUDGET_USED,
    EXPORTERS_DOWN,
    LAST_PERIOD,
    MONTH_TO_DATE,
    PICKED,
    SEEN,
    SHARDS_MISSING,
    TYPE_COST,
    WITHOUT_FORECAST,
)

# Less than any ledger is worth: 400 days that are not known are -3.5e7 seconds.
NO_LEDGER: Final = "-1e+08"
MONTHS_OF_DAYS: Final = (28, 29, 30, 31)
# Unix seconds by this are less than a day, and still tell a second.
LESS_THAN_A_DAY: Final = "1e+05"


def recordings(settings: Settings) -> Iterator[Recording]:
    """Yield the rules, each after those that it needs."""
    yield from _presence(settings)
    yield from _amounts(settings)
    yield from _fleet()


def _presence(settings: Settings) -> Iterator[Recording]:
    """Which organizations there are, from which exporter, and when they were last on a page.

    While an exporter is missing, those on no page stay for a while: nobody knows whether they left.
    """
    yield from exporters(settings)
    yield Recording(
        SHARDS_MISSING,
        "max(viam_billing_exporter_total_shards) "
        '- count(count_values("shard", viam_billing_exporter_shard_ordinal))',
    )
    yield Recording(PICKED, _pick())
    on_a_page = f"0 * max by (org_id, org_name) ({PICKED}) + time()"
    lately = (
        f"topk by (org_id) (1, last_over_time({SEEN}[{settings.windows.memory}]) "
        f"> time() - {seconds(settings.windows.exporter_outage)}) "
        f"and on () ({EXPORTERS_DOWN} > 0 or {SHARDS_MISSING} > 0)"
    )
    yield Recording(SEEN, f"({on_a_page}) or on (org_id) ({lately})")


def _pick() -> str:
    """Return which exporter is believed, of those that have seen an organization's newest period.

    It is the one that knows most days, less those that it does not know. Of equal ones it is the
    one that loaded its configuration last: topk would take the one that was scraped first, which
    is another one on each Prometheus, and PromQL cannot compare names.
    """
    known = "viam_billing_ledger_known_seconds - viam_billing_ledger_estimated_seconds"
    worth = f"({known}) or on (job, instance, org_id) viam_billing_org_info * {NO_LEDGER}"
    loaded = "viam_billing_exporter_config_last_reload_success_timestamp_seconds"
    ranked = f"({worth}) + on (job, instance) group_left () {loaded} / {LESS_THAN_A_DAY}"
    behind = f"{START} < on (org_id) group_left () {by_organization(START)}"
    return (
        f"topk by (org_id) (1, max by (job, instance, org_id, org_name) ({ranked}) "
        f"unless on (job, instance, org_id) ({behind}))"
    )


def _amounts(settings: Settings) -> Iterator[Recording]:
    yield Recording(MONTH_TO_DATE, named(picked("viam_billing_usage_month_to_date_usd")))
    of_types = "sum without (source_type, tier) (viam_billing_usage_cost_usd)"
    yield Recording(TYPE_COST, named(picked(of_types, "resource_type")))
    yield Recording(LAST_PERIOD, _last_period(settings))
    # 1 is all of it. A budget is for a period, and says nothing once that is over.
    budget = f"{picked('viam_billing_budget_usd')} > 0"
    share = f"{MONTH_TO_DATE} / on (org_id) group_left () ({budget})"
    yield Recording(BUDGET_USED, f"{share} unless on (org_id) {picked(END)} <= time()")


def _last_period(settings: Settings) -> str:
    """Return month to date of the period before, as far into it as this one is now.

    A period before that lasted n days is n days back: n is right where the two starts are as many
    days apart. Half a day of difference is left for clocks that are set in spring and autumn.
    """
    start, day = by_organization(START), seconds(settings.windows.day)
    return " or ".join(
        f"({by_organization(f'{MONTH_TO_DATE} offset {back}')} and on (org_id) "
        f"abs({start} - {by_organization(f'{START} offset {back}')} - {count * day:.15g}) "
        f"< {day / 2:.15g})"
        for count in MONTHS_OF_DAYS
        for back in [settings.windows.days(count)]
    )


def _fleet() -> Iterator[Recording]:
    forecast = picked("viam_billing_forecast_usd")
    yield Recording(ALL_MONTH_TO_DATE, f"sum({MONTH_TO_DATE})")
    yield Recording(ALL_FORECAST, f"sum({forecast})")
    yield Recording(
        WITHOUT_FORECAST,
        f"count({SEEN} unless on (org_id) {forecast}) or 0 * count({SEEN})",
    )
