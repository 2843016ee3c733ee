"""Measures the exporter beside other programs, and compares with the targets."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import (
    busy,
    commands,
    downloads,
    forecast,
    idle,
    ledger,
    memory,
    polling,
    publish,
    reconnections,
    report,
    resilience,
    scrape,
    start,
    work,
)
from bench.findings import Findings, Setting
from bench.programs import MissingError

PARTS = {
    "idle": idle.run,
    "reconnections": reconnections.run,
    "commands": commands.run,
    "scrape": scrape.run,
    "busy": busy.run,
    "publish": publish.run,
    "polling": polling.run,
    "memory": memory.run,
    "start": start.run,
    "resilience": resilience.run,
    "work": work.run,
    "ledger": ledger.run,
    "forecast": forecast.run,
    "downloads": downloads.run,
}
# What the forecast is measured by is how wrong it is, which does not depend on the machine. `make
# dist` has to make downloads first.
BY_THEMSELVES = ("forecast", "downloads")
WHOLE = ",".join(part for part in PARTS if part not in BY_THEMSELVES)
QUIET = 0.5  # load of the last minute


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    root = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    root.add_argument(
        "--only",
        metavar="PART,...",
        default=WHOLE,
        help=f"of {', '.join(PARTS)}; by default all but the last {len(BY_THEMSELVES)}",
    )
    root.add_argument(
        "--organizations",
        metavar="N,...",
        default="10,100,1000,10000",
        help="sizes of the fleet, rising; targets are about the last",
    )
    root.add_argument("--quick", action="store_true", help="repeat less")
    root.add_argument("--soak-minutes", type=float, default=2.0, help="of polling without pause")
    root.add_argument(
        "--idle-minutes",
        type=float,
        help="of watching three organizations; 10 by default, 5 with --quick",
    )
    root.add_argument("--write", action="store_true", help="put the tables into the documentation")
    return root


def main() -> int:
    """Measure, and print what came of it."""
    arguments = parser().parse_args()
    if arguments.write and arguments.only not in (WHOLE, *BY_THEMSELVES):
        parser().error(
            "only a whole run is written, for its parts are compared, or one of "
            f"{', '.join(BY_THEMSELVES)}"
        )
    load = os.getloadavg()[0]
    if load > QUIET:
        print("The machine is busy with something else: what is measured now is noise.")
    findings, seconds = Findings(), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = Setting(
            folder=Path(folder),
            sizes=sorted(map(int, arguments.organizations.split(","))),
            quick=arguments.quick,
            soak_minutes=arguments.soak_minutes,
            idle_minutes=arguments.idle_minutes or (5.0 if arguments.quick else 10.0),
        )
        for part in arguments.only.split(","):
            started = time.monotonic()
            try:
                found = PARTS[part](setting)
            except MissingError as error:
                print(f"{part}: {error}", file=sys.stderr)
                return 1
            seconds[part] = time.monotonic() - started
            print(f"\n{part}, measured in {seconds[part]:.0f} s\n")
            for table in found.tables:
                print(table.markdown(), flush=True)
            findings.add(found)
    summary = report.summary(findings, load, seconds, is_whole=arguments.only == WHOLE)
    for table in summary:
        print(table.markdown())
    if not arguments.write:
        return 0
    written = findings.tables if arguments.only in BY_THEMSELVES else [*findings.tables, *summary]
    homeless = report.write(written)
    for name in homeless:
        print(f"docs/performance.md has no place for {name}", file=sys.stderr)
    return 1 if homeless else 0


if __name__ == "__main__":
    sys.exit(main())
