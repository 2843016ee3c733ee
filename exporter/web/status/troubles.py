"""What is wrong with the exporter itself, and what to do: whatever has an alert is here as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from exporter.web.facts import ExporterFacts
from exporter.web.status.formatting import count
from exporter.web.summary import PageContext

MAX_DETAILS: Final = 5  # that are shown
A_DAY: Final = 86_400  # seconds
# Of an even pace until midnight UTC: fewer requests left are told, as in the rules' settings.
REQUESTS_LEFT_SHARE: Final = 0.8


class Trouble(NamedTuple):
    """Something that is wrong."""

    alert: str  # that tells the same; its runbook says more
    title: str
    advice: str
    details: Sequence[str] = ()
    more: int = 0  # details


def troubles(facts: ExporterFacts, context: PageContext) -> Sequence[Trouble]:
    """Return what is wrong with the exporter, the most pressing first."""
    return [
        *_reload(facts),
        *_storage(facts),
        *_discovery(facts),
        *_requests(facts, context.time),
        *_limit(context),
    ]


def _reload(facts: ExporterFacts) -> Iterator[Trouble]:
    if facts.reload_error is None:
        return
    problems = facts.reload_error.splitlines()
    yield Trouble(
        "ViamBillingConfigReloadFailed",
        "The new configuration was rejected",
        "The old one is still in use. Correct the file and reload: a restart would fail.",
        problems[:MAX_DETAILS],
        max(0, len(problems) - MAX_DETAILS),
    )


def _storage(facts: ExporterFacts) -> Iterator[Trouble]:
    if facts.storage_error is None:
        return
    yield Trouble(
        "ViamBillingStorageFailing",
        "The storage cannot be used",
        "A restart would lose what is not stored. --storage.path must be a folder that the "
        "exporter may write to, on a disk that is not full. The exporter keeps trying.",
        [facts.storage_error],
    )


def _discovery(facts: ExporterFacts) -> Iterator[Trouble]:
    if facts.discovery is None or not facts.discovery.failing:
        return
    failing = [f"{key}: {failure.message}" for key, failure in facts.discovery.failing.items()]
    yield Trouble(
        "ViamBillingDiscoveryFailing",
        f"Discovery fails for {len(failing):,} of {count(facts.discovery.keys, 'API key')}",
        "Organizations found before are still polled, but new ones are not found. Replace a "
        "revoked key, or remove it from the configuration and reload.",
        failing[:MAX_DETAILS],
        max(0, len(failing) - MAX_DETAILS),
    )


def _requests(facts: ExporterFacts, now: float) -> Iterator[Trouble]:
    if facts.requests is None:
        return
    limit, left = facts.requests
    if left > REQUESTS_LEFT_SHARE * limit * (1 - now % A_DAY / A_DAY):
        return
    yield Trouble(
        "ViamBillingRequestBudgetRunningOut",
        f"{left:,} of the day's {count(limit, 'API request')} left",
        "That may not last until midnight UTC; without any, polls fail. If nothing else fails, "
        "raise api.max_requests_per_day or poll.interval.",
    )


def _limit(context: PageContext) -> Iterator[Trouble]:
    limit = context.limit
    if not limit.samples:
        return
    whole = f", and all of {count(limit.organizations, 'organization')}"
    yield Trouble(
        "ViamBillingSeriesWithheld",
        f"{limit.samples:,} series not on /metrics: over limits.max_series",
        f"Those of individual invoices are left out{whole if limit.organizations else ''}. Raise "
        "limits.max_series, set invoices.detail to none, or add a shard.",
    )
