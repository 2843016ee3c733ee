"""The threat model promises nothing that no test shows."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = (TESTS.parent / "docs" / "security.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in DOCUMENT.splitlines() if ".py::" in line]
ROWS = [row for row in ROWS if len(row) > 1]
TEST = re.compile(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`")


def test_every_threat_has_a_test() -> None:
    """In the last column, and nothing else is there."""
    assert len(ROWS) > 20
    for row in ROWS:
        assert len(row) == 4, row
        assert all(TEST.fullmatch(name) for name in row[3].split(", ")), row[3]


def test_no_row_of_the_table_is_without_one() -> None:
    """A row that names none would not be found by its test."""
    table = DOCUMENT.split("| from | attack |")[1].split("\n\n")[0]
    assert table.count("\n| ") == len(ROWS) + 1  # and the line below the heading
