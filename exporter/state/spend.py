"""Pure: from amounts that start over every period to how they grew and fell.

The counters, which only grow, and the ledger of days are both made from it. docs/adr/0009 has the
rule for each case and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import ClosedPeriod, ClosedPeriods, Spend, Tally

# Resource types with counters of their own. There are about thirty; a server that makes up new
# ones would otherwise add counters, in memory, on disk and on the page, for ever.
MAX_RESOURCE_TYPES = 100
REST = "other"
# An amount of this much, of either sign, is an accident and no bill, and is not counted: a counter
# that took it in once could not tell a dollar any more.
TOO_LARGE = 1e12  # US dollars
DAY = 86_400.0  # seconds
# A start date so far ahead is an accident, too: all answers until then would be from behind it. One
# so far back, at first sight, says of no day what was spent on it.
TWO_PERIODS = 62 * DAY
SAME_PERIOD = 0.1  # of its length: starts that are less apart are of one period, but at most a day


class Change(NamedTuple):
    """How an amount moved with a good answer, in US dollars."""

    since: float  # Unix seconds: over the time from then on it has grown
    grown: float
    fallen: float  # at once


class Step(NamedTuple):
    """What a good answer made of the counters."""

    spend: Spend
    month_to_date: Change | None  # None: it did not move
    by_resource: Mapping[str, Change]  # of those that moved
    # Of which time nothing is known, in Unix seconds: from a period's last good answer to the start
    # of the next one.
    unknown: tuple[float, float] | None = None
    began: float | None = None  # when the period did, if the answer is the first one of it
    first: bool = False  # of the organization
    counts: bool = True  # else it was behind, and counted nothing

    @property
    def is_still(self) -> bool:
        """Whether nothing moved."""
        return self.month_to_date is None and not self.by_resource and self.unknown is None


def unchanged(spend: Spend) -> Step:
    """Return what an answer makes that is the one before again."""
    return Step(spend, None, {}, counts=spend.paused is None)


def advance(spend: Spend | None, usage: Usage, now: float, seen: float | None = None) -> Step:
    """Return what becomes of the counters with a good answer that came at `now`.

    What grew is spend. What fell is a correction once a second answer confirms it. An amount that
    cannot be counted, and every sum that it is part of, keeps its baseline until it can be. `seen`
    is when the answer before came. Times are Unix seconds.
    """
    amounts = _by_resource(usage, spend.by_resource if spend else ())
    month_to_date = _sum([usd for total in usage.totals.values() for usd in total.net])
    started = _start(usage.period_start, now)
    if spend is None:
        return _first_sight(started, _end(usage.period_end, started), month_to_date, amounts, now)
    if started is not None and _start(spend.period_start, now) is None:
        # It is none. But without a start to compare, the clock may be behind for the moment.
        spend = replace(spend, period_start=None)
    last = min(_last(spend, seen, now), now)
    period = _period(spend, started, last, now)
    if period == BEHIND:
        return Step(replace(spend, paused=last), None, {}, counts=False)
    before = spend.month_to_date
    began = started if period == NEXT else None
    if began is not None:
        spend = _next_period(spend, began, last)
    changes: dict[str, Change] = {}
    tallies: dict[str, Tally] = {}
    # Whatever is new in a known period was 0 before, and whatever is missing is 0 now.
    new = Tally(baseline=0.0, since=began)
    for name in spend.by_resource.keys() | amounts.keys():
        tally = spend.by_resource.get(name, new)
        tallies[name], change = _count(tally, amounts.get(name, 0.0), last, now)
        if change is not None:
            changes[name] = change
    tally, moved = _count(spend.month_to_date, month_to_date, last, now)
    known = started if spend.period_start is None else spend.period_start
    ended = _end(usage.period_end, known)
    after = Spend(
        known,
        tally,
        tallies,
        _end(spend.period_end, known) if ended is None else ended,
        spend.overrun,
        closed=spend.closed,
        ledger=spend.ledger,
        outlook=spend.outlook,
    )
    unknown = _unknown(before, tally, last, now, began)
    return Step(after, moved, changes, unknown, began)


def is_pending(spend: Spend) -> bool:
    """Tell whether an answer has fallen, which the same answer would confirm if it came again."""
    if spend.month_to_date.fallen is not None:
        return True
    for tally in spend.by_resource.values():  # noqa: SIM110 - it is asked at every poll
        if tally.fallen is not None:
            return True
    return False


def is_settled(spend: Spend, seen: float, now: float) -> bool:
    """Tell whether the answer that came at `seen` moves nothing if it comes again now.

    It may confirm a fall; without a start, it is of no known period once that has ended; and while
    there is no first number, or after too long, time has passed of which nothing is known.
    """
    tally, end = spend.month_to_date, spend.period_end
    if is_pending(spend) or _was_never_counted(tally):
        return False
    if end is not None:
        end += spend.overrun
        if seen <= end < now or now <= end < seen:
            return False
    return now - seen <= TWO_PERIODS


def without_answer(spend: Spend, seen: float | None, message: bytes | None) -> Spend:
    """Return counters as they are kept when the answer that they last counted is not.

    It came at `seen`; `message` is what is kept of it for when its period has ended.
    """
    if spend.paused is not None or seen is None:
        return spend
    return replace(spend, paused=seen, held=message)


def after_a_kill(before: Spend, after: Spend) -> Spend:
    """Return counters after the first good answer since a process was killed.

    What that process showed last may be ahead of what it stored, by as much as came within seconds.
    Growth within the period is ahead of both. After anything else a counter that goes on may be
    less than what was shown: it starts again from what this answer counted, which is how
    Prometheus takes a counter that falls.
    """
    is_same = after.period_start == before.period_start and after.paused is None
    new = Tally(baseline=0.0)

    def counter(old: Tally, tally: Tally) -> Tally:
        is_grown = tally.fallen is None and tally.since is None
        if is_same and is_grown and tally.corrections == old.corrections:
            return tally
        # A counter that would begin above what was stored might be taken for one that went on.
        spend = exact_sum((tally.spend, -old.spend))
        corrections = exact_sum((tally.corrections, -old.corrections))
        return replace(
            tally,
            spend=spend if spend < old.spend else tally.spend,
            corrections=corrections if corrections < old.corrections else tally.corrections,
        )

    return replace(
        after,
        is_behind=False,
        month_to_date=counter(before.month_to_date, after.month_to_date),
        by_resource={
            name: counter(before.by_resource.get(name, new), tally)
            for name, tally in after.by_resource.items()
        },
    )


def restored(spend: Spend, *, complete: bool = True) -> Spend:
    """Return counters that were stored, without those that took in what cannot be counted.

    Releases before this rule did so, and such a counter would stand still for ever. They are behind
    what was shown of them unless all that was known is stored.
    """

    def sound(tally: Tally) -> Tally:
        if not (_countable(tally.spend) and _countable(tally.corrections)):
            return Tally()
        if tally.baseline is not None and not _countable(tally.baseline):
            return Tally(tally.spend, tally.corrections)
        if tally.fallen is not None and not _countable(tally.fallen):
            return replace(tally, fallen=None)
        return tally

    return replace(
        spend,
        month_to_date=sound(spend.month_to_date),
        by_resource={name: sound(tally) for name, tally in spend.by_resource.items()},
        is_behind=spend.is_behind or not complete,
    )


# --- Periods ------------------------------------------------------------------------------

SAME, NEXT, BEHIND = range(3)


def period_end(spend: Spend) -> float | None:
    """Return when the current period ends, in Unix seconds, as periods before it did."""
    return None if spend.period_end is None else spend.period_end + spend.overrun


def _period(spend: Spend, started: float | None, last: float, now: float) -> int:
    """Tell of which period an answer is: the same one, the next, or one that is behind."""
    known = spend.period_start
    if started is None:
        end = period_end(spend)
        return SAME if end is None or now <= end else BEHIND
    if known is None:
        return NEXT if started > last else SAME
    if abs(started - known) < _tolerance(spend):
        return SAME
    # Counting one from behind would count the newer period twice later on.
    return NEXT if started > known else BEHIND


def _tolerance(spend: Spend) -> float:
    if spend.period_start is None or spend.period_end is None:
        return DAY
    return min(SAME_PERIOD * (spend.period_end - spend.period_start), DAY)


def _last(spend: Spend, seen: float | None, now: float) -> float:
    """Return when the answer before came that counted."""
    if spend.paused is not None:
        return spend.paused
    if spend.ledger is None:
        return now if seen is None else seen
    # On the last day that was answered at the earliest: `seen` may be lost, or of a clock that was
    # far behind.
    answered = spend.ledger.windows.answered * DAY
    return answered if seen is None else max(seen, answered)


def _unknown(
    before: Tally, after: Tally, last: float, now: float, began: float | None
) -> tuple[float, float] | None:
    """Return of which time nothing is known with an answer, of a period that `began` if it is new.

    It is the time from when month to date was last counted to the period's start. While there was
    no number, and if it is counted after a time too long to spread growth over, it lasts until now.
    """
    since = last if before.since is None else before.since
    until = since if began is None else began
    is_too_long = after.since in (None, now) and now - until > TWO_PERIODS
    if is_too_long or (began is None and _was_never_counted(before)):
        until = now
    return (since, until) if since < until else None


def _was_never_counted(tally: Tally) -> bool:
    return tally.baseline is None and tally.since is None


def _next_period(spend: Spend, started: float, last: float) -> Spend:
    """Let every amount start from 0, so that the new period counts whole."""

    def restart(tally: Tally) -> Tally:
        return Tally(tally.spend, tally.corrections, baseline=0.0, since=started)

    overrun = spend.overrun
    if spend.period_end is not None and 0 <= started - spend.period_end <= _tolerance(spend):
        overrun = started - spend.period_end
    return Spend(
        started,
        restart(spend.month_to_date),
        {name: restart(tally) for name, tally in spend.by_resource.items()},
        overrun=overrun,
        closed=_closed(spend, started, last),
        ledger=spend.ledger,
        outlook=spend.outlook,
    )


def _closed(spend: Spend, started: float, last: float) -> ClosedPeriods:
    """Return the periods that have ended, with the one before another that has started."""
    tally = spend.month_to_date
    usage = tally.baseline if tally.fallen is None else tally.fallen
    if usage is None or spend.period_start is None:
        return spend.closed
    end = period_end(spend)
    ended = started if end is None else min(end, started)
    return spend.closed.plus(ClosedPeriod(spend.period_start, ended, usage, last))


def _start(start: float | None, now: float) -> float | None:
    """Return the start date of a period; None if it cannot be one."""
    return None if start is None or start > now + TWO_PERIODS else start


def _end(end: float | None, started: float | None) -> float | None:
    """Return the end date of a period; None if it cannot be one."""
    return None if end is None or (started is not None and end <= started) else end


# --- Amounts ------------------------------------------------------------------------------


def _first_sight(
    started: float | None,
    ended: float | None,
    month_to_date: float | None,
    amounts: Mapping[str, float | None],
    now: float,
) -> Step:
    """Begin to count: how much was spent before anybody looked, no counter says.

    But it was spent since the period's start, if that is known and not too long ago.
    """
    since = None if started is None or started < now - TWO_PERIODS else started

    def first(amount: float | None) -> Tally:
        return Tally(baseline=amount, since=since if amount is None else None)

    def change(amount: float | None) -> Change | None:
        if since is None or not amount:
            return None
        return Change(since, max(amount, 0.0), max(-amount, 0.0))

    changes = {name: change(amount) for name, amount in amounts.items()}
    return Step(
        Spend(
            started,
            first(month_to_date),
            {name: first(amount) for name, amount in amounts.items()},
            ended,
        ),
        change(month_to_date),
        {name: each for name, each in changes.items() if each is not None},
        began=since,
        first=True,
    )


def _count(
    tally: Tally, amount: float | None, last: float, now: float
) -> tuple[Tally, Change | None]:
    """Return a tally after an amount, and how that moved.

    It was last counted at `last`, which is `now` if a clock was set, unless the tally says since
    when it was not. An answer that is not later than the one before has its growth at once.
    """
    since = last if tally.since is None else tally.since
    over = since if last < now else now
    spend, corrections, baseline = tally.spend, tally.corrections, tally.baseline
    if amount is None:
        never = baseline is None and tally.since is None
        return replace(tally, since=None if never else since), None
    if baseline is None:  # its first number, of which the counters know no more than at first sight
        change = Change(over, max(amount, 0.0), max(-amount, 0.0))
        return Tally(spend, corrections, amount), change if tally.since is not None else None
    # Summed at once, so that a long chain of differences rounds no more than its sum.
    if amount >= baseline:
        grown = exact_sum((spend, amount, -baseline))
        moved = Change(over, amount - baseline, 0.0) if amount > baseline else None
        return Tally(grown, corrections, amount), moved
    if tally.fallen is None:
        return Tally(spend, corrections, baseline, fallen=amount, since=since), None
    to = max(tally.fallen, amount)
    more = amount if amount < to else None
    fallen = exact_sum((corrections, baseline, -to))
    after = Tally(spend, fallen, to, fallen=more, since=None if more is None else now)
    return after, Change(now, 0.0, baseline - to)


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


def _sum(parts: Iterable[float]) -> float | None:
    """Return the sum; None if it, or a part of it, cannot be counted."""
    parts = list(parts)
    total = exact_sum(parts)
    # None of the parts is NaN if the sum is not.
    if _countable(total) and max(parts, default=0.0) < TOO_LARGE > -min(parts, default=0.0):
        return total
    return None


def _countable(amount: float) -> bool:
    return abs(amount) < TOO_LARGE  # which NaN is not
