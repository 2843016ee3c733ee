"""How many shocks are called spikes on made-up bills, and how many other days are."""

from __future__ import annotations

from concurrent.futures import Executor
from itertools import product
from typing import Final

from bench.findings import Setting, Table
from support import shocks
from support.shocks import Counts

SEEDS: Final = 8
# Those on which shocks are to be found, and those that are only to be left in peace.
REGULAR: Final = ("flat", "weekend", *sorted(shocks.WITH_FEES), "weekly burst", "ramp")
ERRATIC: Final = ("heavy tailed", "mostly idle", "batch at the months end")


def run(setting: Setting, pool: Executor) -> Table:
    """Replay bills of several types with shocks, and the same ones without."""
    names, seeds = (*REGULAR, *ERRATIC), range(setting.some(SEEDS, 2))
    total = {(name, has_shocks): Counts() for name in names for has_shocks in (True, False)}
    for name, has_shocks, found in pool.map(_counts, product(names, seeds, (True, False))):
        total[name, has_shocks] = total[name, has_shocks].plus(found)
    rows = []
    for name in names:
        with_shocks, without = total[name, True], total[name, False]
        rows.append(
            [
                name,
                f"{with_shocks.found} of {with_shocks.shocks}",
                _percent(with_shocks.found, with_shocks.shocks),
                _percent(with_shocks.right, with_shocks.found),
                _per_hundred(with_shocks),
                _per_hundred(without),
            ]
        )
    columns = ("", "shocks found", "", "right type first", "false in 100 days", "without shocks")
    return Table("forecast-spikes", columns, rows)


def _counts(of: tuple[str, int, bool]) -> tuple[str, bool, Counts]:
    name, seed, has_shocks = of
    return name, has_shocks, shocks.counts(shocks.bill(name, seed, shocks=has_shocks))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else ""


def _per_hundred(counts: Counts) -> str:
    return f"{100 * counts.false / counts.others:.1f}"
