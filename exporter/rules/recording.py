"""The recorded series: one definition of each number, for dashboards and alerts."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.exporters import exporters
from exporter.rules.expressions import (
    END,
    START,
    by_organization,
    growth,
    growth_of_resource_types,
    named,
    of_newest_period,
)
from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds
from exporter.rules.series import (
    BUDGET,
    BUDGET_FORECAST,
    BUDGET_FORECAST_LOWER,
    BUDGET_USED,
    CORRECTIONS_DAY,
    CORRECTIONS_WEEK,
    ELAPSED,
    EXPORTERS_DOWN,
    FORECAST,
    FORECAST_LOWER,
    FORECAST_UPPER,
    LARGEST_DAY,
    MEDIAN_DAY,
    MONTH_TO_DATE,
    NET_DAY,
    NET_WEEK,
    OUTSTANDING,
    OVERDUE,
    OVERDUE_COUNT,
    PACE,
    SEEN,
    SHARDS_MISSING,
    SPEND_DAY,
    SPEND_WEEK,
    TYPE_COST,
    TYPE_DAY,
    TYPE_WEEK,
    UNPAID,
    metric_of,
    of_fleet,
)


def recordings(settings: Settings) -> Iterator[Recording]:
    """Yield the rules, each after those that it needs."""
    yield from _presence(settings)
    yield from _amounts()
    yield from _spend(settings)
    yield from _forecast(settings)
    yield from _budgets()
    yield from _fleet()


def _presence(settings: Settings) -> Iterator[Recording]:
    """Which organizations there are, by the names to show, and when they were last on a page.

    The exporter that loaded its configuration last names an organization. While an exporter is
    missing, those on no page stay for a while: nobody knows whether they left.
    """
    yield from exporters(settings)
    yield Recording(
        SHARDS_MISSING,
        "max(viam_billing_exporter_total_shards) "
        '- count(count_values("shard", viam_billing_exporter_shard_ordinal))',
    )
    loaded = "viam_billing_exporter_config_last_reload_success_timestamp_seconds"
    names = f"viam_billing_org_info * on (job, instance) group_left () {loaded}"
    on_a_page = f"0 * topk by (org_id) (1, max by (org_id, org_name) ({names})) + time()"
    lately = (
        f"topk by (org_id) (1, last_over_time({SEEN}[{settings.windows.memory}]) "
        f"> time() - {seconds(settings.windows.exporter_outage)}) "
        f"and on () ({EXPORTERS_DOWN} > 0 or {SHARDS_MISSING} > 0)"
    )
    yield Recording(SEEN, f"({on_a_page}) or on (org_id) ({lately})")


def _amounts() -> Iterator[Recording]:
    month_to_date = of_newest_period("viam_billing_usage_month_to_date_usd")
    yield Recording(MONTH_TO_DATE, named(month_to_date))
    start, end = by_organization(START), by_organization(END)
    elapsed = f"clamp((time() - {start}) / ({end} - {start} > 0), 0, 1)"
    yield Recording(ELAPSED, named(elapsed))
    of_types = "sum without (source_type, tier) (viam_billing_usage_cost_usd)"
    yield Recording(TYPE_COST, named(of_newest_period(of_types, "resource_type")))
    for record in (BUDGET, OUTSTANDING, UNPAID, OVERDUE, OVERDUE_COUNT):
        yield Recording(record, named(by_organization(metric_of(record))))


def _spend(settings: Settings) -> Iterator[Recording]:
    """Spend of the last day and week: growth, corrections, and the one less the other."""
    total = "viam_billing_usage_spend_usd_total"
    of_resources = (
        "viam_billing_usage_resource_spend_usd_total",
        "viam_billing_usage_resource_corrections_usd_total",
    )
    for count, spend, corrections, net, of_types in (
        (1, SPEND_DAY, CORRECTIONS_DAY, NET_DAY, TYPE_DAY),
        (7, SPEND_WEEK, CORRECTIONS_WEEK, NET_WEEK, TYPE_WEEK),
    ):
        window = settings.windows.days(count)
        yield Recording(spend, named(growth(total, window)))
        taken_back = growth("viam_billing_usage_corrections_usd_total", window)
        yield Recording(corrections, named(taken_back))
        yield Recording(net, f"{spend} - {corrections}")
        spent, taken_back = (
            growth_of_resource_types(counter, known_by=total, window=window)
            for counter in of_resources
        )
        yield Recording(of_types, named(f"{spent} - {taken_back}"))
    # A reading each day of the two weeks before the last day. Days on end overlap nowhere.
    day, before = settings.windows.day, settings.windows.days(13)
    days = f"{by_organization(NET_DAY)}[{before}:{day}] offset {day}"
    known = f"count_over_time({days}) >= {settings.thresholds.spike_known_days}"
    largest = f"clamp_min(max_over_time({days}), 0) and on (org_id) ({known})"
    yield Recording(LARGEST_DAY, named(largest))


def _forecast(settings: Settings) -> Iterator[Recording]:
    """Month to date and, for the time that is left, a pace: see docs/adr/0012-rules.md."""
    windows, forecast = settings.windows, settings.forecast
    day = seconds(windows.day)
    # The name is not the same all week if it was changed: reduced before the median is taken.
    days = f"{by_organization(SPEND_DAY)}[{windows.days(7)}:{windows.days(0.25)}]"
    # Six days of seven: Prometheus itself may have been away for a while.
    known = f"(count_over_time({days}) >= {6 * 4})"
    median = f"quantile_over_time(0.5, {days}) and on (org_id) {known}"
    yield Recording(MEDIAN_DAY, named(median))

    seconds_gone = f"(time() - {by_organization(START)})"
    period = (
        f"clamp_min({by_organization(MONTH_TO_DATE)}, 0) / {seconds_gone} * {day} "
        f"and on (org_id) ({ELAPSED} > {forecast.early_share})"
    )
    median_day = by_organization(MEDIAN_DAY)
    mean = f"{by_organization(SPEND_WEEK)} / 7 and on (org_id) {median_day}"
    unknown = f"({period}) unless on (org_id) {median_day}"
    paces = {
        "period": period,
        "week_mean": mean,
        "week_median": median_day,
        "unknown_low": f"{forecast.unknown_low} * ({unknown})",
        "unknown_high": f"{forecast.unknown_high} * ({unknown})",
    }
    labelled = (
        f'label_replace({pace}, "basis", "{basis}", "", "")' for basis, pace in paces.items()
    )
    yield Recording(PACE, " or ".join(labelled))

    days_left = f"clamp_min({by_organization(END)} - time(), 0) / {day}"
    for record, reduction in (
        (FORECAST, f"quantile by (org_id) (0.5, {PACE})"),
        (FORECAST_LOWER, f"min by (org_id) ({PACE})"),
        (FORECAST_UPPER, f"max by (org_id) ({PACE})"),
    ):
        total = f"{by_organization(MONTH_TO_DATE)} + {days_left} * {reduction}"
        yield Recording(record, named(total))


def _budgets() -> Iterator[Recording]:
    """Shares of the budget, 1 being all of it, for as long as the period lasts."""
    for record, amount in (
        (BUDGET_USED, MONTH_TO_DATE),
        (BUDGET_FORECAST, FORECAST),
        (BUDGET_FORECAST_LOWER, FORECAST_LOWER),
    ):
        share = f"{amount} / on (org_id) group_left () ({by_organization(BUDGET)} > 0)"
        ended = f"{by_organization(END)} <= time()"
        yield Recording(record, f"{share} unless on (org_id) {ended}")


def _fleet() -> Iterator[Recording]:
    for record in (
        MONTH_TO_DATE,
        NET_DAY,
        NET_WEEK,
        FORECAST,
        BUDGET,
        OUTSTANDING,
        UNPAID,
        OVERDUE,
    ):
        yield Recording(of_fleet(record), f"sum({record})")
