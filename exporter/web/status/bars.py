"""A picture of the last days, a bar for each, and the same in words."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import DAY, Day
from exporter.web.status import formatting

PITCH: Final = 4  # from one day to the next, in units of the picture
HEIGHT: Final = 96
LEAST: Final = 4  # of a bar, to be seen


class Bars(NamedTuple):
    """Bars as the data of SVG paths, which are stroked; one that is empty has none.

    Bars that grow from `base` up are what was spent, those down from it corrections. Both have the
    same scale. An unknown day is a bar of the picture's whole height.
    """

    width: int
    height: int
    base: int  # the height of $0
    observed: str
    estimated: str
    spikes: str
    corrections: str
    unknown: str
    first: float  # when the first day began, in Unix seconds
    last: float
    words: str


class _Bar(NamedTuple):
    """A day that is known, read once. US dollars."""

    number: int
    spend: float
    corrections: float
    is_observed: bool


def bars(days: Sequence[tuple[int, Day]], spikes: Container[int] = ()) -> Bars:
    """Return the picture of days, which are numbered from 1970 on, one after another."""
    known = [
        _Bar(number, day.spend, day.corrections, day.is_observed)
        for number, day in days
        if not day.is_unknown
    ]
    first = days[0][0]
    most = max((each.spend for each in known), default=0.0)
    fallen = max((each.corrections for each in known), default=0.0)
    whole = most + fallen
    base = min(_length(most, whole), HEIGHT - LEAST) if fallen else HEIGHT
    paths: dict[str, list[str]] = {
        name: [] for name in ("observed", "estimated", "spikes", "corrections", "unknown")
    }
    for number, day in days:
        if day.is_unknown:
            paths["unknown"].append(f"M{_x(number - first)} 0V{HEIGHT}")
    for number, spend, corrections, is_observed in known:
        x = _x(number - first)
        if length := _length(spend, whole):
            kind = "observed" if is_observed else "estimated"
            kind = "spikes" if number in spikes else kind
            paths[kind].append(f"M{x} {base}V{max(0, base - length)}")
        if length := _length(corrections, whole):
            paths["corrections"].append(f"M{x} {base}V{min(HEIGHT, base + length)}")
    parts = {name: "".join(path) for name, path in paths.items()}
    return Bars(
        len(days) * PITCH,
        HEIGHT,
        base,
        **parts,
        first=first * DAY,
        last=days[-1][0] * DAY,
        words=_words(first, len(days), known, spikes),
    )


def _x(place: int) -> int:
    return place * PITCH + PITCH // 2


def _length(usd: float, whole: float) -> int:
    """Return how long a bar is. What is above 0 is to be seen."""
    return max(LEAST, round(usd / whole * HEIGHT)) if usd > 0 else 0


def _words(first: int, count: int, known: Sequence[_Bar], spikes: Container[int]) -> str:
    span = f"{_date(first)} to {_date(first + count - 1)}"
    if not known:
        return f"{span}: no day is known"
    spent = f"{span}: {formatting.usd(exact_sum(each.spend for each in known))} spent"
    if unknown := count - len(known):
        spent += f" on {formatting.count(len(known), 'day')}, {unknown} unknown"
    parts = [spent]
    observed = [each for each in known if each.is_observed]
    # Estimates are alike: which of them is the largest says nothing.
    most = max(observed, key=lambda each: each.spend, default=None)
    if most is not None and most.spend > 0:
        parts.append(f"most on {_date(most.number)}: {formatting.usd(most.spend)}")
    if not observed:
        parts.append("all of it estimated")
    elif estimated := len(known) - len(observed):
        parts.append(f"{formatting.count(estimated, 'day')} estimated")
    if fallen := exact_sum(each.corrections for each in known):
        parts.append(f"corrections of {formatting.usd(fallen)}")
    if above := [_date(each.number) for each in known if each.number in spikes]:
        parts.append(f"spikes on {', '.join(above)}")
    return "; ".join(parts)


def _date(number: int) -> str:
    return formatting.day(number * DAY)
