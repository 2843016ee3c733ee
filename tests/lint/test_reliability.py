"""docs/reliability.md and the tests that it names, in step."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from integration.test_faults import CAUSES, CONNECTIONS, UNSEEN, WRONG

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)` \|$", PAGE, re.MULTILINE)
CASES = {
    "test_a_call_that_fails_is_shown_by_its_cause": set(CAUSES),
    "test_a_fault_that_a_poll_survives_is_never_shown": set(UNSEEN),
    "test_a_wrong_answer_is_never_a_wrong_number": set(WRONG),
    "test_a_broken_connection_is_an_outage_and_is_recovered_from": set(CONNECTIONS),
    "test_a_key_that_is_refused_is_shown_as_credentials": {"wrong-key", "refused-token"},
}


def named() -> dict[str, set[str]]:
    """Return the cases that the page names, by test."""
    found: dict[str, set[str]] = {}
    for _, _, test in ROWS:
        name, _, case = test.partition("::")[2].removesuffix("]").partition("[")
        found.setdefault(name, set()).add(case)
    return found


def test_the_matrix_is_as_large_as_it_claims() -> None:
    """Sixty faults and more, each once."""
    assert len({fault for fault, _, _ in ROWS}) >= 60
    assert len(ROWS) == PAGE.count("::")


@pytest.mark.parametrize("test", sorted({row[2].partition("[")[0] for row in ROWS}))
def test_every_test_that_the_page_names_exists(test: str) -> None:
    """In the file that it names."""
    file, _, name = test.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    defined |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert name in defined


def test_every_case_of_the_fault_matrix_has_its_row_and_the_reverse() -> None:
    """A fault that is tested is on the page, and one on the page is tested."""
    assert {name: cases for name, cases in named().items() if name in CASES} == CASES
