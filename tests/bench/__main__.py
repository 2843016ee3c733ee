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
    forecast,
    ledger,
    memory,
    polling,
    publish,
    report,
    resilience,
    scrape,
    start,
    work,
)
from bench.findings import Findings, Setting
from bench.programs import MissingError

PARTS = {
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
}
ALL = ",".join(PARTS)
QUIET = 0.5  # load of the last minute


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    root = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    root.add_argument("--only", metavar="PART,...", default=ALL, help=f"of {', '.join(PARTS)}")
    root.add_argument(
        "--organizations",
        metavar="N,...",
        default="10,100,1000,10000",
        help="sizes of the fleet, rising; targets are about the last",
    )
    root.add_argument("--quick", action="store_true", help="repeat less")
    root.add_argument("--soak-minutes", type=float, default=5.0, help="of polling without pause")
    root.add_argument("--write", action="store_true", help="put the tables into the documentation")
    return root


def main() -> int:
    """Measure, and print what came of it."""
    arguments = parser().parse_args()
    if arguments.write and arguments.only not in (ALL, "forecast"):
        parser().error("only a whole run is written, for its parts are compared, or the forecast")
    load = os.getloadavg()[0]
    if load > QUIET:
        print("The machine is busy with something else: what is measured now is noise.")
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = Setting(
            folder=Path(folder),
            sizes=sorted(map(int, arguments.organizations.split(","))),
            quick=arguments.quick,
            soak_minutes=arguments.soak_minutes,
        )
        for part in arguments.only.split(","):
            started = time.monotonic()
            try:
                found = PARTS[part](setting)
            except MissingError as error:
                print(f"{part}: {error}", file=sys.stderr)
                return 1
            print(f"\n{part}, measured in {time.monotonic() - started:.0f} s\n")
            for table in found.tables:
                print(table.markdown())
            findings.add(found)
    summary = report.summary(findings, load)
    for table in summary:
        print(table.markdown())
    if arguments.write:
        report.write(
            findings.tables if arguments.only == "forecast" else [*findings.tables, *summary]
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
