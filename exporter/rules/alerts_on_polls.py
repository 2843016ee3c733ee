"""Alerts about polls: what cannot be read, is old, or cannot be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import AS_AGE, DOLLARS, ORGANIZATION, Alerts, Text, words
from exporter.rules.expressions import END, by_organization, lately, named
from exporter.rules.rule import Alert
from exporter.rules.rule_settings import seconds
from exporter.rules.series import SEEN, STALE, TYPE_COST

AGE = f"{{{{ $value | {AS_AGE} }}}}"
# Alert, its cause as a matcher, and its summary, the reason for the title and for the description.
CAUSES = (
    (
        "ViamBillingCredentialsRefused",
        'cause="credentials"',
        "The billing API refuses an API key, or the key's file cannot be read.",
        "its API key is refused or cannot be read",
        "the billing API refuses its API key, or the key's file cannot be read",
    ),
    (
        "ViamBillingPermissionDenied",
        'cause="permission"',
        "An API key is valid, but may not read the bill.",
        "its API key may not read the bill",
        "its API key may not read the bill, which needs an organization key with the role Owner",
    ),
    (
        "ViamBillingUpstreamOutage",
        'cause="outage"',
        "The billing API does not answer for an organization.",
        "no answer or a server error",
        "the billing API does not answer or reports a server error",
    ),
    (
        "ViamBillingThrottled",
        'cause="throttled"',
        "Polls fail because there were too many requests.",
        "too many requests",
        "there were more requests than the billing API or api.max_requests_per_day allows",
    ),
    (
        "ViamBillingAnswersUnusable",
        'cause=~"invalid_answer|other"',
        "The billing API gives no usable answer.",
        "no usable answer",
        "the billing API gives no usable answer",
    ),
)


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts."""
    yield from _failing(make)
    # Also of one that was never polled successfully: it counts from when it was added.
    of = f"{{{{ with $labels.collector }}}} of {words('.')}{{{{ end }}}}"
    unread = f"{ORGANIZATION} has had no successful poll{of} for {AGE}"
    yield make.about_organization(
        "ViamBillingDataStale",
        named(f"{STALE} > 0"),
        Text(
            unread,
            "A bill, or a part of it, has not been read for too long.",
            f"{unread}.",
        ),
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

    for name, cause, summary, in_short, because in CAUSES:
        text = Text(
            f"Polls of {ORGANIZATION} fail: {in_short}",
            summary,
            f"Polls of {ORGANIZATION} fail because {because}. "
            "Failing collectors: {{ $value }}.",
        )
        yield make.about_organization(name, named(failing(cause)), text)
    outage = failing(CAUSES[2][1])
    silent = (
        "The billing API does not answer for {{ $value | humanizePercentage }} of the organizations"
    )
    yield make.about_exporter(
        "ViamBillingUpstreamOutageEverywhere",
        f"count({outage}) / count({SEEN}) > {make.settings.thresholds.outage_share}",
        Text(
            silent,
            "The billing API does not answer for most organizations.",
            f"{silent}. Amounts read earlier are shown until they are older than poll.max_age.",
        ),
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
        Text(
            f"The usage of {ORGANIZATION} has not changed for {AGE}",
            "Polls succeed, but usage does not change.",
            f"Polls of {ORGANIZATION} succeed, but its usage has not changed for {AGE}, "
            "although it spends money on most days, or its billing period is over.",
        ),
    )


def _untrusted(make: Alerts) -> Iterator[Alert]:
    window = make.settings.windows.missed_scrapes
    unknown = f'{TYPE_COST}{{resource_type=~"unknown_.+"}}'
    withheld = f"max_over_time(viam_billing_withheld_samples[{window}])"
    yield make.about_organization(
        "ViamBillingDataWithheld",
        named(f"{by_organization(withheld, 'collector', 'reason')} > 0"),
        Text(
            f"Samples of {ORGANIZATION} are withheld: {words('$labels.reason')}",
            "Samples are withheld because they cannot be trusted.",
            f"Withheld samples of {ORGANIZATION}: {{{{ $value }}}} (collector: "
            f"{words('$labels.collector')}, reason: {words('$labels.reason')}).",
        ),
    )
    yield make.about_organization(
        "ViamBillingUnknownCostType",
        named(f"{by_organization(lately(unknown, window), 'resource_type')} > 0"),
        Text(
            f"{ORGANIZATION} has costs of an unknown type: {DOLLARS}",
            "A bill has a cost type that this version does not know.",
            f"The bill of {ORGANIZATION} has {DOLLARS} of costs of type "
            '{{ $labels.resource_type | reReplaceAll "unknown_" "" }}, which this version of the '
            "exporter has no name for.",
        ),
    )
