"""What changed: the last whole day and the last week beside the ones before, by resource type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.base.plain import HALF_A_CENT
from exporter.metrics import cents
from exporter.state.day_rows import NOT_MOVED
from exporter.state.ledger import sum_if_known
from exporter.web.status import days
from exporter.web.summary import Summary

WEEK: Final = 7
MAX_TYPES: Final = 20  # that are shown


class Pair(NamedTuple):
    """What was spent in one stretch of days, and in the one before it; None where unknown."""

    now: float | None  # US dollars
    before: float | None
    # Whether it is not mostly estimates: growth that is spread evenly over days shows no change.
    is_observed: bool = True

    @property
    def change(self) -> float | None:
        """By how much more it is, in US dollars."""
        if self.now is None or self.before is None or not self.is_observed:
            return None
        return self.now - self.before

    @property
    def share(self) -> float | None:
        """The change as a share of what was before; None where that is not above 0."""
        if self.change is None or self.before is None or self.before <= 0:
            return None
        return self.change / self.before

    def in_cents(self) -> Pair:
        """Return both as they are shown, so that the change is that of what is shown."""
        now, before = (None if usd is None else cents.rounded(usd) for usd in self[:2])
        return self._replace(now=now, before=before)


class Change(NamedTuple):
    """How the spend of a resource type changed, or of all together."""

    resource_type: str  # empty for all together
    day: Pair
    week: Pair

    @property
    def size(self) -> float:
        """How large the change is, in US dollars: of the week, or of the day if it is unknown."""
        return abs(self.week.change if self.week.change is not None else self.day.change or 0.0)


class Changes(NamedTuple):
    """What changed. `total` is after discounts, the types are before."""

    total: Change
    types: Sequence[Change]  # those that changed, the largest change first
    more: int  # types that changed and are not here
    is_estimated: bool  # some of the days are estimated


def changes(summary: Summary) -> Changes | None:
    """Return what changed; None while there is neither a day nor a week to compare."""
    if summary.windows is None:
        return None
    last = [day for _, day in days.whole(summary)][-2 * WEEK :]
    observed = [day.is_observed for day in last]
    total = _change("", [None if day.is_unknown else day.spend for day in last], observed)
    if total.day.change is None and total.week.change is None:
        return None
    moved = [None if day.is_unknown else day.resources() for day in last]
    names = sorted({name for each in moved if each is not None for name in each})
    types = [
        _change(
            name,
            [None if each is None else each.get(name, NOT_MOVED).spend for each in moved],
            observed,
        )
        for name in names
    ]
    types = [each for each in types if max(_sizes(each)) >= HALF_A_CENT]
    types.sort(key=lambda each: (-each.size, each.resource_type))
    return Changes(
        total,
        types[:MAX_TYPES],
        max(0, len(types) - MAX_TYPES),
        any(not day.is_observed and not day.is_unknown for day in last),
    )


def _sizes(change: Change) -> tuple[float, float]:
    return abs(change.day.change or 0.0), abs(change.week.change or 0.0)


def _change(name: str, spends: Sequence[float | None], observed: Sequence[bool]) -> Change:
    weeks = observed[-WEEK:], observed[-2 * WEEK : -WEEK]
    return Change(
        name,
        Pair(spends[-1], spends[-2], all(observed[-2:])),
        Pair(
            sum_if_known(spends[-WEEK:]),
            sum_if_known(spends[-2 * WEEK : -WEEK]),
            all(sum(week) > WEEK / 2 for week in weeks),
        ),
    )
