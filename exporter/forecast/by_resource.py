"""What each resource type should cost on a day, by simple means: it is one day ahead only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from exporter.forecast.history import FOUR_WEEKS, WEEK, History, Place, known, mean
from exporter.forecast.patterns import ALIKE, APART, ODD
from exporter.state.day_rows import DAY, Day

PAYS: Final = 0.5  # of the deviations are left: then the weekday counts

Amounts = Sequence[float | None]  # US dollars a day, before discounts; None where not observed


class Series(NamedTuple):
    """What was spent on each resource type, day by day."""

    first: int  # day, in days since 1970
    places: Sequence[Place | None]
    amounts: Mapping[str, Amounts]


def series(past: History, days: Mapping[int, Day]) -> Series:
    """Return what the days of a history have of each type."""
    amounts: dict[str, list[float | None]] = {}
    observed: list[int] = []
    count = len(past.places)
    for index in range(count):
        day = days.get(past.first + index)
        if day is None or not day.is_observed:
            continue
        observed.append(index)
        scale = DAY / (DAY - day.unknown)
        for name, moved in day.resources().items():
            if moved.spend:
                amounts.setdefault(name, [None] * count)[index] = moved.spend * scale
    for each in amounts.values():
        for index in observed:
            if each[index] is None:
                each[index] = 0.0
    return Series(past.first, past.places, amounts)


def expected(known_types: Series, day: int, place: Place | None) -> Mapping[str, float]:
    """Return what each type is expected to cost on a day, by the days before it alone.

    A type that was never seen before the day is not among them.
    """
    index = day - known_types.first
    fee_days = _fee_days(known_types.places[:index], place)
    found = {}
    for name, amounts in known_types.amounts.items():
        before = amounts[:index]
        begun = next((at for at, usd in enumerate(before) if usd), None)
        if begun is not None:
            found[name] = _expected(before, begun, fee_days)
    return found


def _expected(before: Amounts, begun: int, fee_days: Sequence[Sequence[int]]) -> float:
    level = before[begun:]
    usual = _usual(_weekday(level) or known(level)[-WEEK:])
    for earlier, last in fee_days:
        fees = [usd for usd in (before[earlier], before[last]) if usd and usd > ODD * usual]
        if len(fees) == len((earlier, last)) and max(fees) <= ALIKE * min(fees):
            return fees[-1]
    # Nothing is usual of what comes now and then; but that is not new, as one of 0 would be.
    return usual or mean(known(level))


def _usual(amounts: Sequence[float]) -> float:
    """Return the mean of some amounts without odd ones."""
    ordered = sorted(amounts)
    middle = ordered[(len(ordered) - 1) // 2]
    return mean([usd for usd in ordered if usd <= ODD * middle])


def _weekday(level: Amounts) -> Sequence[float] | None:
    """Return what there was on the same weekday, if days of one weekday are alike."""
    weeks = level[-FOUR_WEEKS:]
    by_day = [known(weeks[day - WEEK :: -WEEK]) for day in range(WEEK)]
    if len(weeks) < FOUR_WEEKS or min(map(len, by_day)) <= 1:
        return None
    every = _deviations(known(weeks))
    return by_day[0] if sum(map(_deviations, by_day)) < PAYS * every else None


def _deviations(amounts: Sequence[float]) -> float:
    middle = sorted(amounts)[len(amounts) // 2]
    return sum([abs(usd - middle) for usd in amounts])


def _fee_days(places: Sequence[Place | None], place: Place | None) -> Sequence[Sequence[int]]:
    """Return the same day of the last two periods, as indices, by date and from the end."""
    if place is None:
        return []
    least, most = APART
    found = []
    for side in range(len(place)):
        same = [
            at for at, each in enumerate(places) if each is not None and each[side] == place[side]
        ]
        gaps = [b - a for a, b in zip(same[-2:], [*same[-1:], len(places)], strict=False)]
        if len(same) > 1 and all(least < gap < most for gap in gaps):
            found.append(same[-2:])
    return found
