"""What cannot be read: of how many organizations, since when, and why, each reason once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from exporter.metrics.catalog import COLLECTORS
from exporter.web.status import formatting
from exporter.web.summary import Summary, words

MAX_REASONS: Final = 10  # that are shown
PREFIXES: Final = tuple(f"{collector.rpc}: " for collector in COLLECTORS)


class Onsets(NamedTuple):
    """When several failures began. An outage shows at the next poll of each, not at once."""

    first: float  # Unix seconds
    last: float
    interval: float  # seconds between two polls

    def text(self, now: float) -> str:
        """Say since when it has been like that."""
        since = formatting.since(self.first, now)
        return since if self.last - self.first <= self.interval else f"the first {since}"


class Reason(NamedTuple):
    """Why polls fail."""

    cause: str
    text: str
    organizations: int
    collectors: Sequence[str]
    onsets: Onsets | None


class Failing(NamedTuple):
    """The organizations with polls that fail."""

    unreadable: int  # organizations of which nothing can be read
    partly: int  # organizations of which something can be read
    onsets: Onsets | None  # of the first of these two that there are
    reasons: Sequence[Reason]  # those of the most organizations first
    more: int  # reasons

    def headline(self, total: int, now: float) -> str:
        """Say how many of all organizations cannot be read, and since when; nothing if none."""
        since = f", {self.onsets.text(now)}" if self.onsets else ""
        of = f"of {formatting.count(total, 'organization')}"
        if self.unreadable:
            rest = f"; {self.partly:,} more can be read only in part" if self.partly else ""
            return f"{self.unreadable:,} {of} cannot be read{since}{rest}"
        return f"{self.partly:,} {of} can be read only in part{since}" if self.partly else ""


def failing(rows: Iterable[Summary]) -> Failing:
    """Return what fails among organizations."""
    bad = [row for row in rows if row.failures]
    unreadable = [row for row in bad if row.is_unreadable]
    found: dict[tuple[str, str], list[tuple[Summary, str]]] = defaultdict(list)
    for row in bad:
        for name, failure in row.failures.items():
            found[words(failure.cause), without_call(failure.message)].append((row, name))
    reasons = [
        Reason(
            *reason,
            len({row.id for row, _ in polls}),
            list(dict.fromkeys(name for _, name in polls)),
            _onsets(((row, _since(row, name)) for row, name in polls)),
        )
        for reason, polls in found.items()
    ]
    reasons.sort(key=lambda each: (-each.organizations, each.cause, each.text))
    return Failing(
        len(unreadable),
        len(bad) - len(unreadable),
        _onsets((row, _began(row)) for row in unreadable or bad),
        reasons[:MAX_REASONS],
        max(0, len(reasons) - MAX_REASONS),
    )


def without_call(message: str) -> str:
    """Return a message without the call that failed, so that those of several are one."""
    prefix = next((each for each in PREFIXES if message.startswith(each)), "")
    return message.removeprefix(prefix)


def _since(row: Summary, collector: str) -> float | None:
    return row.state.collectors[collector].failing_since


def _began(row: Summary) -> float | None:
    """Return when the last of an organization's failures began: before that it was read in part."""
    known = [since for name in row.failures if (since := _since(row, name)) is not None]
    return max(known, default=None)


def _onsets(began: Iterable[tuple[Summary, float | None]]) -> Onsets | None:
    known = [(since, row.state.organization.interval) for row, since in began if since is not None]
    if not known:
        return None
    times = [since for since, _ in known]
    return Onsets(min(times), max(times), max(interval for _, interval in known))
