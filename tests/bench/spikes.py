"""How many shocks are called spikes on made-up bills, and how many other days are."""

from __future__ import annotations

from typing import Final

from bench.findings import Setting, Table
from support import shocks
from support.shocks import Counts

SEEDS: Final = 8
# Those on which shocks are to be found, and those that are only to be left in peace.
REGULAR: Final = ("flat", "weekend", *sorted(shocks.WITH_FEES), "weekly burst", "ramp")
ERRATIC: Final = ("heavy tailed", "mostly idle", "batch at the months end")


def run(setting: Setting) -> Table:
    """Replay bills of several types with shocks, and the same ones without."""
    rows = []
    for name in (*REGULAR, *ERRATIC):
        with_shocks, without = Counts(), Counts()
        for seed in range(setting.some(SEEDS, 2)):
            with_shocks = with_shocks.plus(shocks.counts(shocks.bill(name, seed)))
            without = without.plus(shocks.counts(shocks.bill(name, seed, shocks=False)))
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


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def _per_hundred(counts: Counts) -> str:
    return f"{100 * counts.false / counts.others:.1f}"
