"""How a month compares with the one before it: like with like, day by day."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from exporter.base.plain import HALF_A_CENT
from exporter.metrics import cents
from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import UNKNOWN, Day
from exporter.tool.report.credits import before_discounts
from exporter.tool.report.days import MonthDays, net
from exporter.tool.report.periods import Period, State
from exporter.web.status.changes import Pair

MAX_TYPES: Final = 10  # that are shown
MAX_DAYS: Final = 3  # that a change is laid to
MOST: Final = 0.5  # of a change: days that make less of it do not explain it

OTHER_TYPES, DISCOUNTS = "other_types", "discounts"
CREDITS, NOT_COMPARED = "credits", "not_compared"
STEPS: Final = {
    OTHER_TYPES: "Other types",
    DISCOUNTS: "Discounts",
    CREDITS: "Credits and corrections, about",
    NOT_COMPARED: "Not in the days compared",
}


class TypeChange(NamedTuple):
    """How the spend of a resource type changed, in US dollars before discounts.

    `days` are those that most of the change is from, each by how much it was above an average day
    of the month before, or below it; none if the change is spread over the month, or if the month
    before had such days, too.
    """

    resource_type: str
    pair: Pair
    days: Sequence[tuple[int, float]]


class Step(NamedTuple):
    """A line that leads from the changes of types to the change of the bill."""

    kind: str  # one of STEPS
    pair: Pair


class Compared(NamedTuple):
    """A month beside the one before. The first MAX_TYPES types and all steps add up to `pair`."""

    pair: Pair
    before: Period
    days: int | None  # from the first on that are compared; None if both months are whole
    left_out: int  # days that are not known in one of the two, and are in neither sum
    types: Sequence[TypeChange]  # those that changed, the largest change first
    steps: Sequence[Step]
    credits: Pair  # credits and corrections in what is compared
    per_day: Pair | None  # if the two months are whole and one is longer

    def in_cents(self) -> Compared:
        """Return it in whole cents: what is shown of each month adds up, and so do the changes."""
        types = self.types[:MAX_TYPES]
        shown = [*(each.pair for each in types), *(each.pair for each in self.steps)]
        now, before = (
            cents.adding_up([pair[side] or 0.0 for pair in shown], self.pair[side] or 0.0)
            for side in (0, 1)
        )
        pairs = [Pair(*each) for each in zip(now, before, strict=True)]
        return self._replace(
            pair=self.pair.in_cents(),
            types=[each._replace(pair=pair) for each, pair in zip(types, pairs, strict=False)],
            steps=[
                each._replace(pair=pair)
                for each, pair in zip(self.steps, pairs[len(types) :], strict=True)
            ],
        )

    @property
    def without_credits(self) -> Pair | None:
        """What is compared without credits and corrections; None if there were none."""
        (now, before), (usd, usd_before) = self.pair[:2], self.credits[:2]
        if not (usd or usd_before) or now is None or before is None:
            return None
        return Pair(now + (usd or 0.0), before + (usd_before or 0.0))


def compared(
    period: Period, days: MonthDays, before: Period | None, days_before: MonthDays
) -> Compared | None:
    """Return how a month compares; None where there is nothing to compare it with.

    A month that is not over is compared with as many days of the one before. Days that are not
    known in one of the two are left out of both, but not of the totals of two that are over.
    """
    if before is None:
        return None
    length, length_before = days.until - days.first, days_before.until - days_before.first
    is_over = period.state is State.ENDED
    if not is_over:  # and late in a month of 31 days, the one before it may be shorter
        length = length_before = min(length, length_before)
    now, then = _places(days, length), _places(days_before, length_before)
    left_out = {place for each in (now, then) for place, day in each.items() if day.is_unknown}
    now, then = (_without(each, left_out) for each in (now, then))
    pair = Pair(period.usd, before.usd)
    if not is_over:
        if not (now and then):
            return None
        pair = Pair(_net(now), _net(then))
    if pair.change is None:
        return None
    types = _types(days.first, now, then) if now and then else []
    # All of two months that are over is compared.
    places = (None, None) if is_over else (now, then)
    return Compared(
        pair,
        before,
        None if is_over else length_before,
        len(left_out),
        types,
        _steps(pair, types[:MAX_TYPES], (now, then), (days, days_before)) if types else (),
        Pair(_credits(days, places[0]), _credits(days_before, places[1])),
        _per_day(period, before, pair) if is_over else None,
    )


def _per_day(period: Period, before: Period, pair: Pair) -> Pair | None:
    length, length_before = period.days_read, before.days_read
    if period.length == before.length or not (length and length_before):
        return None
    return Pair((pair.now or 0.0) / length, (pair.before or 0.0) / length_before)


def _credits(days: MonthDays, places: Container[int] | None) -> float:
    """Return the credits and corrections of the days at these places, or of all."""
    return exact_sum(
        usd
        for number, usd in days.credits.items()
        if places is None or number - days.first in places
    )


def _steps(
    pair: Pair,
    shown: Sequence[TypeChange],
    days: tuple[Mapping[int, Day], Mapping[int, Day]],
    months: tuple[MonthDays, MonthDays],
) -> Sequence[Step]:
    """Return what leads from the types that are shown to all that is compared."""

    def sums(side: int) -> Iterable[tuple[float, float]]:
        net, fallen = _net(days[side]), _credits(months[side], days[side])
        listed = exact_sum(each.pair[side] or 0.0 for each in shown)
        return pairwise((listed, _gross(days[side]), net + fallen, net, pair[side] or 0.0))

    steps = [
        Step(kind, Pair(to - by, to_before - by_before))
        for kind, (by, to), (by_before, to_before) in zip(STEPS, sums(0), sums(1), strict=True)
    ]
    return [each for each in steps if any(abs(usd or 0.0) >= HALF_A_CENT for usd in each.pair[:2])]


def _places(days: MonthDays, length: int) -> Mapping[int, Day]:
    """Return so many days of a month by how many are before them, whatever the ledger has."""
    there = {number - days.first: day for number, day in days.days}
    return {place: there.get(place, UNKNOWN) for place in range(length)}


def _without(days: Mapping[int, Day], left_out: Container[int]) -> Mapping[int, Day]:
    return {place: day for place, day in days.items() if place not in left_out}


def _net(days: Mapping[int, Day]) -> float:
    return exact_sum(net(day) for day in days.values())


def _gross(days: Mapping[int, Day]) -> float:
    return exact_sum(map(before_discounts, days.values()))


def _types(first: int, now: Mapping[int, Day], then: Mapping[int, Day]) -> Sequence[TypeChange]:
    spends, before = _spends(now), _spends(then)
    found = []
    for name in spends.keys() | before.keys():
        of_days, of_before = spends.get(name, {}), before.get(name, {})
        pair = Pair(exact_sum(of_days.values()), exact_sum(of_before.values()))
        change, average = pair.change or 0.0, exact_sum(of_before.values()) / len(then)
        if abs(change) < HALF_A_CENT:
            continue
        apart = [(first + place, of_days.get(place, 0.0) - average) for place in now]
        usual = [of_before.get(place, 0.0) - average for place in then]
        found.append(TypeChange(name, pair, _days_of(change, apart, usual)))
    return sorted(found, key=lambda each: (-abs(each.pair.change or 0.0), each.resource_type))


def _spends(days: Mapping[int, Day]) -> Mapping[str, Mapping[int, float]]:
    """Return what was spent of each resource type, by day."""
    found: dict[str, dict[int, float]] = {}
    for place, day in days.items():
        for name, moved in day.resources().items():
            found.setdefault(name, {})[place] = moved.spend
    return found


def _days_of(
    change: float, apart: Sequence[tuple[int, float]], usual: Sequence[float]
) -> Sequence[tuple[int, float]]:
    """Return the few days that make most of a change, of days by what they are above or below.

    `usual` are the days of the month before. What as many of them were above or below explains
    nothing of the change.
    """
    side = 1 if change > 0 else -1
    ordered = sorted(apart, key=lambda each: (-side * each[1], each[0]))[:MAX_DAYS]
    past = sorted(usual, key=lambda usd: -side * usd)
    for number in range(1, MAX_DAYS + 1):
        of_days = exact_sum(usd for _, usd in ordered[:number])
        if side * (of_days - exact_sum(past[:number])) >= MOST * abs(change):
            return ordered[:number]
    return ()
