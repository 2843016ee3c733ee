"""Made-up bills of several resource types, with days on which one of them costs far too much."""

from __future__ import annotations

import operator
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from exporter.tool import history_file
from exporter.tool.replay import Book, Judged
from support import spending
from support.spending import PATTERNS, Date, Reading, Spending
from support.usages import usage

TYPES: Final = ("per_machine", "binary_data_cloud_storage", "data_upload", "premium_module")
QUIET: Final = 28  # days at the beginning without a shock
APART: Final = 9  # days between two, at least
SIZES: Final = 2.0, 6.0  # times the mean day
WITH_FEES: Final = {name for name in PATTERNS if name.startswith(("fee ", "two fees", "machines "))}


class Shocked(NamedTuple):
    """A bill, and what is known of it."""

    readings: Sequence[Reading]
    spends: Spending  # US dollars on each day, with the shocks
    shocks: Mapping[int, str]  # by day from the first one on: the type
    new_fees: Collection[int]  # days on which a fee comes for the first or the second time


def bill(name: str, seed: int, months: int = 6, *, shocks: bool = True) -> Shocked:
    """Return a bill of a pattern, of several types, and where it has shocks if it has any.

    A shock is at least twice the mean day, on one type, and on a day of its own.
    """
    rng = Random(f"shocks of {name} {seed}")
    days = spending.dates(months)
    base = PATTERNS[name](days, rng)
    types = _types(base, rng)
    found = _shocks(days, rng) if shocks else {}
    spends = [*base]
    mean = sum(base) / len(base)
    for number, kind in found.items():
        usd = mean * rng.uniform(*SIZES)
        spends[number] += usd
        types[kind][number] += usd
    readings = spending.readings(spends, days, rng, types=types)
    new_fees = _new_fees(base, days) if name in WITH_FEES else set()
    return Shocked([*readings], spends, found, new_fees)


def _types(base: Spending, rng: Random) -> dict[str, list[float]]:
    """Divide what was spent on each day among types, each of which has about the same share."""
    shares = [rng.uniform(0.2, 1.0) for _ in TYPES]
    found: dict[str, list[float]] = {name: [] for name in TYPES}
    for usd in base:
        parts = [share * rng.uniform(0.9, 1.1) for share in shares]
        for name, part in zip(TYPES, parts, strict=True):
            found[name].append(usd * part / sum(parts))
    return found


def _new_fees(base: Spending, days: Sequence[Date]) -> set[int]:
    seen: defaultdict[int, list[int]] = defaultdict(list)  # by day of the month, 0 being the last
    usual = statistics.median(base)
    for date in days:
        if base[date.number] > 3 * usual:
            seen[date.of_month * (date.left > 0)].append(date.number)
    return {number for numbers in seen.values() for number in numbers[:2]}


def _shocks(days: Sequence[Date], rng: Random) -> Mapping[int, str]:
    found: dict[int, str] = {}
    number = QUIET + rng.randrange(APART)
    while number < len(days):
        found[number] = rng.choice(TYPES)
        number += rng.randrange(APART, 3 * APART)
    return found


class Counts(NamedTuple):
    """What became of bills."""

    shocks: int = 0  # on days that are known
    found: int = 0
    right: int = 0  # of those found: the type of the shock is named first
    others: int = 0  # known days without a shock, and without a new fee
    false: int = 0  # of those that were called a spike

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(*map(operator.add, self, other))


def counts(bill: Shocked) -> Counts:
    """Replay a bill, and compare each day with what was expected of it when it is over."""
    first = int(spending.FIRST.timestamp()) // spending.DAY
    total, judged = Counts(), set[int]()
    book = Book()
    for time, usd, start, end, types in bill.readings:
        book.take(history_file.Reading(time, usage(usd, start, end, **types)))
        if (yesterday := int(time) // spending.DAY - 1) not in judged:
            judged.add(yesterday)
            total = total.plus(_counted(book.yesterday(), bill, yesterday - first))
    return total


def _counted(judged: Judged | None, bill: Shocked, number: int) -> Counts:
    found = None if judged is None else judged.compared
    if found is None or number in bill.new_fees:
        return Counts()
    if number not in bill.shocks:
        return Counts(others=1, false=found.is_spike)
    if not found.is_spike:
        return Counts(shocks=1)
    return Counts(shocks=1, found=1, right=found.more[0][0] == bill.shocks[number])
