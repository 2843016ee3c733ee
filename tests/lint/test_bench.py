"""docs/performance.md has a place for each table of `make bench`, which runs for long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bench import report
from bench.findings import Findings

BENCH: Final = Path(report.__file__).parent
MARKS: Final = {*re.findall(r"<!-- measured: (\S+) -->", report.DOCUMENT.read_text())}


def test_every_table_has_a_place_in_the_document() -> None:
    """Those of parts, by their names in the source, and those of the summary."""
    sources = "".join(path.read_text() for path in BENCH.glob("*.py"))
    named = {*re.findall(r'\bTable\(\s*"([a-z-]+)"', sources)}
    made = {table.name for table in report.summary(Findings(), 0.0, {}, is_whole=True)}
    assert "scrape" in named
    assert (named | made) - MARKS == set()


def test_each_target_is_about_one_value() -> None:
    """A value that two targets named would be met by one limit and missed by the other."""
    values = [target.value for target in (*report.LARGE, *report.SMALL)]
    assert len(values) == len({*values})
