"""docs/reliability.md has each fault that is tested, and says no more than that."""

from __future__ import annotations

import re

from integration import test_faults
from support.process import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text()
TESTS = re.findall(r"^\| .+? \| .+? \| `(.+?)` \|$", PAGE, re.MULTILINE)


def cases() -> set[str]:
    """Return every case of the fault matrix, as pytest calls it."""
    return {
        f"integration/test_faults.py::{name}[{case}]"
        for name, test in vars(test_faults).items()
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize"
        for case in mark.kwargs.get("ids", mark.args[1])
    }


def test_every_row_is_read() -> None:
    """Else a row that is written in another way would not be checked."""
    assert len(TESTS) == PAGE.count("::")


def test_every_case_of_the_fault_matrix_has_its_row_and_the_reverse() -> None:
    """A fault that is tested is on the page, and one on the page is tested."""
    assert {test for test in TESTS if test.endswith("]")} == cases()
