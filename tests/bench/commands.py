"""What the commands take that only print something, beside Python doing nothing."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from typing import NamedTuple

from bench.figures import ms, short
from bench.findings import Findings, Setting, Table
from support.process import EXPORTER, PYTHON, TOOL

BARE = "python -c pass"
COMMANDS = {
    BARE: (PYTHON, "-c", "pass"),
    "viam-billing --help": (*TOOL, "--help"),
    "viam-billing-exporter --version": (*EXPORTER, "--version"),
    "viam-billing-exporter --help": (*EXPORTER, "--help"),
}
COLUMNS = ("", "median ms", "/ python", "CPU ms", "/ python", "runs")


class Cost(NamedTuple):
    """What one run takes, in seconds."""

    elapsed: float
    cpu: float


def run(setting: Setting) -> Findings:
    """Run them in turns; the first turn, in which files are read and compiled, does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for turn in range(1 + setting.some(20, 10)):
        for name, command in COMMANDS.items():
            cost = _cost(*command)
            if turn:
                costs[name].append(cost)
    medians = {
        name: Cost(*map(statistics.median, zip(*each, strict=True))) for name, each in costs.items()
    }
    bare = medians[BARE]
    rows = [
        [
            *(name, ms(each.elapsed), short(each.elapsed / bare.elapsed)),
            *(ms(each.cpu), short(each.cpu / bare.cpu), str(len(costs[name]))),
        ]
        for name, each in medians.items()
    ]
    values = {f"{name} / python": each.elapsed / bare.elapsed for name, each in medians.items()}
    return Findings(tables=[Table("commands", COLUMNS, rows)], values=values)


def _cost(*command: str) -> Cost:
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    used, began = _children(), time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    return Cost(time.perf_counter() - began, _children() - used)


def _children() -> float:
    """Return the processor time of processes that were started from here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
