"""What a bill has beside its usual days: fees that come back, credits, and changes of level."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from exporter.forecast.history import WEEK, History, Place, known, median

ODD: Final = 3.0  # times what the days around it have
ENOUGH: Final = 4  # days around one, or on a side of a change
ALIKE: Final = 2.5  # times as much, at most: fees that are the same one
APART: Final = 20, 40  # days between two of them: more, and fewer
FORTNIGHT: Final = 14  # days
CHANGED: Final = 6.0  # deviations
LEAST_DEVIATION: Final = 0.03  # of the level: a flat line has some, too
DEVIATIONS: Final = 1.48  # a standard deviation in median absolute deviations
OWN_SIDE: Final = 0.85  # of the days on each side of a change that are nearer to that side's level
LAST_DAYS: Final = 2  # of a period, on which a credit belongs to its end
PERIOD_AND_MORE: Final = 35  # days


class Fee(NamedTuple):
    """What comes back on the same day of each period, above what is usual."""

    from_end: bool  # whether its day is counted from the period's end
    day: int  # of the period, from 0
    usd: float  # at the last time
    margin: float  # by how much that was not what it was the time before; 0 after one time
    seen: Sequence[int]  # when, as indices into the history

    def is_on(self, place: Place) -> bool:
        """Tell whether it is expected at a place."""
        return self.day == (place.left if self.from_end else place.passed)


class Credit(NamedTuple):
    """What is taken back at the end of each period."""

    usd: float = 0.0  # that is still to come in this one
    margin: float = 0.0  # by how much it was not what it was the time before
    seen: Sequence[int] = ()  # when, as indices into the history


def fees(history: History) -> Sequence[Fee]:
    """Return the fees that came on the same day of the last two periods, and alike.

    One that came on the first day of this period, or at the end of the last one, is expected after
    one time, if nothing else was odd.
    """
    spikes = dict(_spikes(history.spends))
    # Days at the end of months of 30 and 31 days can look as if they came on the same date.
    found = max(
        (_come_back(history, spikes, ways) for ways in ((False, True), (True, False))),
        key=lambda fees: sum(len(fee.seen) for fee in fees),
    )
    taken = {index for fee in found for index in fee.seen}
    once = [_at_an_edge(history, index, spikes[index]) for index in sorted(spikes.keys() - taken)]
    return found if None in once else [*found, *filter(None, once)]


def _come_back(
    history: History, spikes: dict[int, float], from_end: Iterable[bool]
) -> Sequence[Fee]:
    """Return the fees that came back, looked for one way of counting after the other."""
    found: list[Fee] = []
    for way in from_end:
        days = _days_of_period(history.places, from_end=way)
        seen: defaultdict[int, list[int]] = defaultdict(list)
        taken = {index for fee in found for index in fee.seen}
        for index in spikes.keys() - taken:
            if (day := days[index]) is not None:
                seen[day].append(index)
        for day, indices in seen.items():
            indices.sort()
            if _comes_back(history, days, day, indices, spikes):
                before, last = (spikes[index] for index in indices[-2:])
                found.append(Fee(way, day, last, abs(last - before), indices))
    return found


def _at_an_edge(history: History, index: int, usd: float) -> Fee | None:
    place = history.places[index]
    begun = history.period.first - history.first  # of this period
    if place is None:
        return None
    if place.passed == 0 and index == begun:
        return Fee(from_end=False, day=0, usd=usd, margin=0.0, seen=[index])
    if place.left <= LAST_DAYS and begun - LAST_DAYS - 1 <= index < begun:
        return Fee(from_end=True, day=place.left, usd=usd, margin=0.0, seen=[index])
    return None


def _comes_back(
    history: History,
    days: Sequence[int | None],
    day: int,
    indices: Sequence[int],
    spikes: dict[int, float],
) -> bool:
    if len(indices) < 2:  # noqa: PLR2004 - once is not again
        return False
    before, last = indices[-2:]
    least, most = APART
    low, high = sorted((spikes[before], spikes[last]))
    was_missed = any(
        days[later] == day and history.spends[later] is not None
        for later in range(last + 1, len(days))
    )
    return (
        least < last - before < most
        and high <= ALIKE * low
        and len(days) - last <= most
        and not was_missed
    )


def _days_of_period(places: Iterable[Place | None], *, from_end: bool) -> Sequence[int | None]:
    return [p if p is None else p.left if from_end else p.passed for p in places]


def _spikes(spends: Sequence[float | None]) -> Iterable[tuple[int, float]]:
    """Yield the days that are far above those around them, as indices, and by how much."""
    least = min(known(spends), default=0.0)
    for index, usd in enumerate(spends):
        if usd and usd > ODD * least:  # else it is not above what is around it either
            around = _around(spends, index)
            if len(around) >= ENOUGH and usd > ODD * (usual := median(around)):
                yield index, usd - usual


def _around(spends: Sequence[float | None], index: int) -> list[float]:
    return known([*spends[max(0, index - WEEK) : index], *spends[index + 1 : index + WEEK + 1]])


def without(
    fees: Iterable[Fee], credit: Credit, spends: Sequence[float | None]
) -> Sequence[float | None]:
    """Return what was spent beside fees and credits: on their days, what was usual around them."""
    seen = {index for fee in fees for index in fee.seen} | set(credit.seen)
    bare = [None if index in seen else usd for index, usd in enumerate(spends)]
    return [
        median(_around(bare, index)) if index in seen else usd for index, usd in enumerate(spends)
    ]


def credit(history: History) -> Credit:
    """Return what will be taken back at the period's end, if it was at the ends of the last two.

    With what its day had less than usual: spend that it takes back at once is never seen.
    """
    found: defaultdict[int, float] = defaultdict(float)  # by the day after the period
    seen = []
    for number, usd in history.corrections.items():
        index = number - history.first
        place, spend = history.places[index], history.spends[index]
        if place is not None and number < history.period.first and place.left < LAST_DAYS:
            hidden = median(_around(history.spends, index)) - (spend or 0.0)
            found[number + place.left + 1] += usd + max(0.0, hidden)
            seen.append(index)
    ends = sorted(found)[-2:]
    if len(ends) < 2 or ends[1] != history.period.first:  # noqa: PLR2004 - the last two
        return Credit()
    low, high = sorted(found[end] for end in ends)
    if high > ALIKE * low or ends[1] - ends[0] > PERIOD_AND_MORE:
        return Credit()
    begun = history.period.until - LAST_DAYS
    came = sum(usd for number, usd in history.corrections.items() if number >= begun)
    return Credit(max(0.0, found[ends[1]] - came), high - low, seen)


def level_start(spends: Sequence[float | None]) -> int:
    """Return the index from which on days are of the level that there is now, 0 if all are."""
    begun = next((index for index, usd in enumerate(spends) if usd), 0)
    amounts = known(spends)
    if not amounts or not _is_apart(min(amounts), max(amounts)):
        return begun
    for index in range(len(spends) - ENOUGH + 1, ENOUGH - 1, -1):
        if (found := _change(spends, index)) > CHANGED:
            best = index
            for earlier in range(index - 1, max(ENOUGH - 1, index - ENOUGH), -1):
                if (change := _change(spends, earlier)) > found:
                    found, best = change, earlier
            return max(begun, best)
    return begun


def _change(spends: Sequence[float | None], index: int) -> float:
    """Return by how many deviations the level changed with a day; 0 if it did not clearly."""
    before = known(spends[max(0, index - FORTNIGHT) : index])
    after = known(spends[index : index + FORTNIGHT])
    if len(before) < ENOUGH or len(after) < ENOUGH - 1:
        return 0.0
    old, new = median(before), median(after)
    if not _is_apart(old, new):
        return 0.0
    deviation = max(
        DEVIATIONS * median([abs(usd - old) for usd in before]),
        DEVIATIONS * median([abs(usd - new) for usd in after]),
        LEAST_DEVIATION * max(old, new),
    )
    middle, is_rise = (old + new) / 2, new > old
    own = min(
        sum((usd < middle) == is_rise for usd in before) / len(before),
        sum((usd > middle) == is_rise for usd in after) / len(after),
    )
    change = abs(old - new) / deviation
    if len(after) >= ENOUGH:
        return change if own >= OWN_SIDE else 0.0
    # Three days say so only of a fall that is beyond doubt: a batch of a few days is no new level.
    is_beyond_doubt = not is_rise and own == 1 and len(before) > FORTNIGHT - ENOUGH
    return change / 2 if is_beyond_doubt else 0.0


def _is_apart(old: float, new: float) -> bool:
    """Tell whether two levels may be two, however little the days of each deviate."""
    return abs(old - new) > CHANGED * (LEAST_DEVIATION * max(old, new))
