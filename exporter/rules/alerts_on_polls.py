"""Alerts about polls: what cannot be read, is old, or cannot be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import DOLLARS, ORGANIZATION, Alerts
from exporter.rules.expressions import END, by_organization, lately, named
from exporter.rules.rule import Alert
from exporter.rules.rule_settings import seconds
from exporter.rules.series import SEEN, STALE, TYPE_COST

# Alert, its cause as a matcher, what happened, and what it means for the organization.
CAUSES = (
    (
        "ViamBillingCredentialsRefused",
        'cause="credentials"',
        "The billing API refuses an API key, or its file cannot be read.",
        "was polled with an API key that is refused, or whose file cannot be read",
    ),
    (
        "ViamBillingPermissionDenied",
        'cause="permission"',
        "An API key is valid, but may not read the bill.",
        "was polled with an API key that may not read its bill",
    ),
    (
        "ViamBillingUpstreamOutage",
        'cause="outage"',
        "The billing API does not answer for an organization.",
        "was polled without an answer, or with an error of the server",
    ),
    (
        "ViamBillingThrottled",
        'cause="throttled"',
        "Polls are refused because there are too many.",
        "was polled too often for the billing API or for the ceiling on requests",
    ),
    (
        "ViamBillingAnswersUnusable",
        'cause=~"invalid_answer|other"',
        "The billing API answers with something that cannot be used.",
        "was polled, and the answer cannot be used",
    ),
)


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts."""
    yield from _failing(make)
    yield make.about_organization(
        "ViamBillingDataStale",
        named(f"{STALE} > 0"),
        "A bill could not be read for two poll intervals.",
        f"{ORGANIZATION} was last polled successfully {{{{ $value | humanizeDuration }}}} ago"
        "{{ with $labels.collector }} (collector {{ . }}){{ end }}.",
    )
    yield _frozen(make)
    yield from _untrusted(make)


def _failing(make: Alerts) -> Iterator[Alert]:
    """Yield an alert for each cause, of organizations whose last success is too long ago."""
    window = make.settings.windows.missed_scrapes

    def failing(cause: str) -> str:
        failures = f"max_over_time(viam_billing_collector_failure{{{cause}}}[{window}])"
        fail = f"{by_organization(failures, 'collector')} > 0"
        return f"count by (org_id) (({fail}) and on (org_id, collector) {STALE})"

    for name, cause, summary, happened in CAUSES:
        yield make.about_organization(
            name,
            named(failing(cause)),
            summary,
            f"{ORGANIZATION} {happened}. Collectors that fail: {{{{ $value }}}}.",
        )
    outage = failing(CAUSES[2][1])
    yield make.about_exporter(
        "ViamBillingUpstreamOutageEverywhere",
        f"count({outage}) / count({SEEN}) > {make.settings.thresholds.outage_share}",
        "The billing API does not answer for most organizations.",
        "The billing API does not answer for {{ $value | humanizePercentage }} of the "
        "organizations. Their last good amounts stay until they are too old.",
    )


def _frozen(make: Alerts) -> Alert:
    """Return the alert for a bill that stands still while polls succeed.

    Either an organization that spent something on most days spends nothing, or the period ended
    and no other one begins.
    """
    frozen, windows = make.settings.thresholds.frozen, make.settings.windows
    day = windows.day
    window = make.settings.windows.missed_scrapes
    changed = 'viam_billing_collector_last_change_timestamp_seconds{collector="usage"}'
    still = f"time() - {by_organization(lately(changed, window))} > {seconds(frozen)}"
    days = f"{by_organization('viam_billing_spend_yesterday_usd')}[{windows.days(7)}:{day}]"
    spends = f"quantile_over_time(0.5, {days} offset {frozen}) > 0"
    over = f"{by_organization(lately(END, window))} < time() - {seconds(day)}"
    success = lately('viam_billing_collector_success{collector="usage"}', window)
    return make.about_organization(
        "ViamBillingUpstreamFrozen",
        named(
            f"({still}) and on (org_id) ({spends} or on (org_id) ({over})) "
            f"and on (org_id) ({by_organization(success)} == 1)"
        ),
        "Polls succeed, but the bill stands still.",
        f"{ORGANIZATION} has had the same usage for {{{{ $value | humanizeDuration }}}}, though it "
        "spends on most days or its billing period is over.",
    )


def _untrusted(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    unknown = f'{TYPE_COST}{{resource_type=~"unknown_.+"}}'
    withheld = f"max_over_time(viam_billing_withheld_samples[{window}])"
    yield make.about_organization(
        "ViamBillingDataWithheld",
        named(f"{by_organization(withheld, 'collector', 'reason')} > 0"),
        "Samples are withheld because nobody could trust them.",
        f"{ORGANIZATION} lacks {{{{ $value }}}} samples of the collector "
        "{{ $labels.collector }}: {{ $labels.reason }}.",
    )
    yield make.about_organization(
        "ViamBillingUnknownCostType",
        named(f"{by_organization(lately(unknown, window), 'resource_type')} > 0"),
        "A bill has a cost type that this version does not know.",
        f"{ORGANIZATION} has {DOLLARS} of {{{{ $labels.resource_type }}}} on its bill.",
    )
