"""Pure: from amounts that start over every period to counters that only grow.

docs/adr/0009-spend-counters.md has the rule for each case and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import Spend, Tally

# Resource types with counters of their own. There are about thirty; a server that makes up new
# ones would otherwise add counters, in memory, on disk and on the page, for ever.
MAX_RESOURCE_TYPES = 100
REST = "other"
# An amount of this much, of either sign, is an accident and no bill, and is not counted: a counter
# that took it in once could not tell a dollar any more.
TOO_LARGE = 1e12  # US dollars
# A start date so far ahead is an accident, too: all answers until then would be from behind it.
TOO_LATE = 62 * 86_400.0  # seconds: two periods


def advance(spend: Spend | None, usage: Usage, now: float) -> Spend:
    """Return the counters after a good answer that came at `now`, in Unix seconds.

    What grew is spend, what fell is a correction. An amount that cannot be counted, and every sum
    that it is part of, keeps its baseline until it can be.
    """
    month_to_date = _sum(usd for total in usage.totals.values() for usd in total.net)
    amounts = _by_resource(usage, spend.by_resource if spend else ())
    started = _start(usage.period_start, now)
    if spend is None:
        # First sight: how much of it was spent before anybody looked, nobody knows.
        return Spend(
            started,
            Tally(baseline=month_to_date),
            {name: Tally(baseline=amount) for name, amount in amounts.items()},
        )
    known = spend.period_start
    if started is not None and known is not None and started < known:
        # An answer from behind. Counting it would count the newer period twice later on.
        return spend
    if started is not None and known is not None and started > known:
        spend = _new_period(spend)
    return Spend(
        known if started is None else started,
        _count(spend.month_to_date, month_to_date),
        {
            # Whatever is new in a known period was 0 before, and whatever is missing is 0 now.
            name: _count(spend.by_resource.get(name, Tally(baseline=0.0)), amounts.get(name, 0.0))
            for name in spend.by_resource.keys() | amounts.keys()
        },
    )


def restored(spend: Spend, now: float) -> Spend:
    """Return counters that were stored, without those that took in what cannot be counted.

    Releases before this rule did so, and such a counter would stand still for ever; likewise all
    of them after a start date that is too far ahead of `now`.
    """

    def sound(tally: Tally) -> Tally:
        if not (_countable(tally.spend) and _countable(tally.corrections)):
            return Tally()
        if tally.baseline is not None and not _countable(tally.baseline):
            return Tally(tally.spend, tally.corrections)
        return tally

    return Spend(
        _start(spend.period_start, now),
        sound(spend.month_to_date),
        {name: sound(tally) for name, tally in spend.by_resource.items()},
    )


def _start(start: float | None, now: float) -> float | None:
    """Return the start date of a period; None if it cannot be one."""
    return None if start is None or start > now + TOO_LATE else start


def _by_resource(usage: Usage, known: Collection[str]) -> Mapping[str, float | None]:
    """Return the costs of each resource type, over all sources and tiers, before discounts.

    Those that are known keep counters of their own; the rest get one as long as there is room.
    """
    new = sorted({name for _, _, name in usage.costs}.difference(known))
    counted = {*known, *new[: max(0, MAX_RESOURCE_TYPES - len(known))]}
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for (_, _, name), costs in usage.costs.items():
        parts[name if name in counted else REST].extend(costs)
    return {name: _sum(costs) for name, costs in parts.items()}


def _new_period(spend: Spend) -> Spend:
    """Let every amount start from 0, so that the new period counts whole."""

    def restart(tally: Tally) -> Tally:
        return Tally(tally.spend, tally.corrections, baseline=0.0)

    return Spend(
        spend.period_start,
        restart(spend.month_to_date),
        {name: restart(tally) for name, tally in spend.by_resource.items()},
    )


def _count(tally: Tally, amount: float | None) -> Tally:
    if amount is None:
        return tally
    if tally.baseline is None:
        return Tally(tally.spend, tally.corrections, amount)
    # Summed at once, so that a long chain of differences rounds no more than its sum.
    if amount >= tally.baseline:
        grown = exact_sum((tally.spend, amount, -tally.baseline))
        return Tally(grown, tally.corrections, amount)
    fallen = exact_sum((tally.corrections, tally.baseline, -amount))
    return Tally(tally.spend, fallen, amount)


def _sum(parts: Iterable[float]) -> float | None:
    """Return the sum; None if it, or a part of it, cannot be counted."""
    parts = list(parts)
    total = exact_sum(parts)
    return total if _countable(total) and all(map(_countable, parts)) else None


def _countable(amount: float) -> bool:
    return abs(amount) < TOO_LARGE  # which NaN is not
