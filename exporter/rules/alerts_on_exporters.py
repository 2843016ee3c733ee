"""Alerts about the exporters themselves."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import A_DAY, EXPORTER, Alerts, Text
from exporter.rules.exporters import down
from exporter.rules.expressions import lately
from exporter.rules.rule import Alert
from exporter.rules.series import EXPORTERS, SHARDS_MISSING

OWN = "viam_billing_exporter_"


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts."""
    unscraped = (
        "Prometheus {{ with $labels.instance }}cannot scrape the exporter at {{ . }}"
        "{{ else }}has no exporter to scrape{{ end }}"
    )
    yield make.about_exporter(
        "ViamBillingExporterDown",
        f"({down(make.settings)}) > 0 or absent({EXPORTERS})",
        Text(
            unscraped,
            "Prometheus cannot scrape the exporter.",
            f"{unscraped}. {{{{ if $labels.instance }}}}The bills that it reads{{{{ else }}}}Bills"
            "{{ end }} are not being watched.",
        ),
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
        Text(
            "Shards missing from Prometheus: {{ $value }}",
            "Prometheus sees fewer shards than there are.",
            "Shards missing from Prometheus: {{ $value }}. The bills of their organizations "
            "are not being watched.",
        ),
    )
    total = f"{OWN}total_shards"
    differ = f"count(count_values('shards', {total})) > 1"
    unsharded = f"count({OWN}build_info unless on (job, instance) {total}) and on () {total}"
    yield make.about_exporter(
        "ViamBillingShardsMismatched",
        f"({differ}) or ({unsharded})",
        Text(
            "Exporters run with different numbers of shards",
            "Exporters run with different numbers of shards.",
            "Exporters run with different numbers of shards. Some organizations may be polled "
            "twice, others not at all.",
        ),
    )


def _state(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    for name, metric, text in (
        (
            "ViamBillingConfigReloadFailed",
            "config_last_reload_successful",
            Text(
                f"{EXPORTER} still uses an old configuration",
                "The exporter still uses an old configuration.",
                f"{EXPORTER} rejected its new configuration and still uses the old one.",
            ),
        ),
        (
            "ViamBillingStorageFailing",
            "storage_last_write_successful",
            Text(
                f"{EXPORTER} cannot write to its storage",
                "The exporter cannot write to its storage.",
                f"{EXPORTER} cannot write to its storage. If it restarts before a write succeeds, "
                "it continues from its last successful write, and can only estimate on which days "
                "money was spent since.",
            ),
        ),
        (
            "ViamBillingDiscoveryFailing",
            "discovery_last_refresh_successful",
            Text(
                f"{EXPORTER} cannot list the organizations of at least one API key",
                "Discovery fails for at least one API key.",
                f"{EXPORTER} cannot list the organizations of at least one API key. Those found "
                "earlier are still polled, but new and removed ones go unnoticed.",
            ),
        ),
    ):
        yield make.about_exporter(
            name, f"{_each(f'max_over_time({OWN}{metric}[{window}])')} == 0", text
        )


def _requests(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    remaining, limit = (
        _each(lately(f"{OWN}api_requests_{what}", window)) for what in ("remaining", "limit")
    )
    planned = f"{make.settings.thresholds.requests_left_share} * (1 - time() % {A_DAY} / {A_DAY})"
    left = f"{EXPORTER} has {{{{ $value | humanizePercentage }}}} of the day's API requests"
    yield make.about_exporter(
        "ViamBillingRequestBudgetRunningOut",
        f"{remaining} / {limit} <= {planned}",
        Text(
            f"{left} left",
            "The day's requests to the billing API may run out before midnight UTC.",
            f"{left} left: too few, at an even pace, to last until midnight UTC.",
        ),
    )


def _limit(make: Alerts) -> Iterator[Alert]:
    began = f'increase({OWN}withheld_samples_total{{reason="limit"}}[{make.settings.windows.day}])'
    configured = _each(f"{OWN}organizations")
    shown = "count by (job, instance) (viam_billing_org_info)"
    hidden = f"{configured} - ({shown} or 0 * {configured})"
    yield make.about_exporter(
        "ViamBillingSeriesWithheld",
        f"{_each(began)} > 0 or {hidden} > 0",
        Text(
            f"{EXPORTER} withholds series to stay within limits.max_series",
            "There are more series than limits.max_series allows.",
            f"{EXPORTER} withholds series, and whole organizations if necessary, to stay within "
            "limits.max_series.",
        ),
    )
