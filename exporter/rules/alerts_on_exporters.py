"""Alerts about the exporters themselves."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import EXPORTER, Alerts
from exporter.rules.exporters import down
from exporter.rules.expressions import lately
from exporter.rules.rule import Alert
from exporter.rules.series import EXPORTERS, SHARDS_MISSING

OWN = "viam_billing_exporter_"
A_DAY = 86_400  # the ceiling's UTC day, which no setting shortens


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts."""
    yield make.about_exporter(
        "ViamBillingExporterDown",
        f"({down(make.settings)}) > 0 or absent({EXPORTERS})",
        "Prometheus cannot scrape the exporter.",
        "{{ with $labels.instance }}The exporter at {{ . }} cannot be scraped."
        "{{ else }}Prometheus has no exporter to scrape.{{ end }} "
        "Bills are not watched meanwhile.",
    )
    yield from _shards(make)
    yield from _state(make)
    yield from _requests(make)
    yield from _limit(make)


def _each(metric: str) -> str:
    return f"max by (job, instance) ({metric})"


def _shards(make: Alerts) -> Iterator[Alert]:
    yield make.about_exporter(
        "ViamBillingShardMissing",
        f"{SHARDS_MISSING} > 0",
        "Prometheus sees fewer shards than there are.",
        "Shards that Prometheus does not see: {{ $value }}. Their organizations are on no page.",
    )
    total = f"{OWN}total_shards"
    differ = f"count(count_values('shards', {total})) > 1"
    unsharded = f"count({OWN}build_info unless on (job, instance) {total}) and on () {total}"
    yield make.about_exporter(
        "ViamBillingShardsMismatched",
        f"({differ}) or ({unsharded})",
        "Exporters do not agree on the number of shards.",
        "Exporters run with different numbers of shards. Organizations are polled twice, or not "
        "at all.",
    )


def _state(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    for name, metric, summary, description in (
        (
            "ViamBillingConfigReloadFailed",
            "config_last_reload_successful",
            "The exporter runs with an old configuration.",
            f"The exporter at {EXPORTER} refused its new configuration and keeps the old one.",
        ),
        (
            "ViamBillingStorageFailing",
            "storage_last_write_successful",
            "What was polled cannot be stored.",
            (
                f"The exporter at {EXPORTER} cannot write to its storage. Spend that it counts "
                "from now on is lost with a restart."
            ),
        ),
        (
            "ViamBillingDiscoveryFailing",
            "discovery_last_refresh_successful",
            "Discovery of organizations fails for at least one API key.",
            (
                f"The exporter at {EXPORTER} cannot list organizations with at least one API key. "
                "What was found before is still polled; what is new, or gone, goes unnoticed."
            ),
        ),
    ):
        yield make.about_exporter(
            name, f"{_each(f'max_over_time({OWN}{metric}[{window}])')} == 0", summary, description
        )


def _requests(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    remaining, limit = (
        _each(lately(f"{OWN}api_requests_{what}", window)) for what in ("remaining", "limit")
    )
    planned = f"{make.settings.thresholds.requests_left_share} * (1 - time() % {A_DAY} / {A_DAY})"
    yield make.about_exporter(
        "ViamBillingRequestBudgetRunningOut",
        f"{remaining} / {limit} <= {planned}",
        "The day's requests to the billing API will not last until midnight, UTC.",
        f"The exporter at {EXPORTER} has {{{{ $value | humanizePercentage }}}} of the day's "
        "requests left, less than what is left of the day.",
    )


def _limit(make: Alerts) -> Iterator[Alert]:
    began = f'increase({OWN}withheld_samples_total{{reason="limit"}}[{make.settings.windows.day}])'
    configured = _each(f"{OWN}organizations")
    shown = "count by (job, instance) (viam_billing_org_info)"
    hidden = f"{configured} - ({shown} or 0 * {configured})"
    yield make.about_exporter(
        "ViamBillingSeriesWithheld",
        f"{_each(began)} > 0 or {hidden} > 0",
        "The page would have more series than limits.max_series allows.",
        f"The exporter at {EXPORTER} withholds series, whole organizations if need be, to stay "
        "within limits.max_series.",
    )
