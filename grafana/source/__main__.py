"""Writes dashboards, and their part of docs/dashboards.md: `python -m grafana.source [--check]`.

With --check nothing is written, and a file that differs is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from exporter.reference import ROOT, settle
from grafana.source import comparison
from grafana.source.board import Board, render
from grafana.source.exporter import exporter
from grafana.source.fleet import fleet
from grafana.source.invoices import invoices
from grafana.source.organization import organization

DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
PAGE: Final = ROOT / "docs" / "dashboards.md"


def boards() -> Sequence[Board]:
    """Return all dashboards, in the order of the way through them."""
    return (fleet(), organization(), invoices(), exporter())


def generated() -> Mapping[Path, str]:
    """Return every generated file with the content it should have."""
    files = {DASHBOARDS / f"{board.uid}.json": render(board) for board in boards()}
    return {**files, PAGE: comparison.fill(PAGE.read_text(), files.values())}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the generated files, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grafana.source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args(argv).check
    return settle(generated(), [DASHBOARDS], check=check, command="make dashboards")


if __name__ == "__main__":
    sys.exit(main())
