"""The rules that tests keep, so that a green run means something."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
FILES = sorted(FOLDER.rglob("*.py"))
FORBIDDEN = {
    "skip": "a skipped test is a failed one",
    "skipif": "a skipped test is a failed one",
    "importorskip": "a skipped test is a failed one",
    "xfail": "a test that may fail shows nothing",
    "patch": "join real objects; fakes stand at the network's edge",
    "sleep": "wait for what you wait for",
}


def test_files_are_found() -> None:
    """Else the others would check nothing."""
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_test_sleeps_patches_or_is_skipped(path: Path) -> None:
    """Time passes only in virtual loops, where sleeping takes none."""
    tree = ast.parse(path.read_text())
    virtual = "support.virtual" in path.read_text() or "support" in path.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN:
            owner = ast.unparse(node.value)
            if node.attr == "sleep" and owner == "asyncio" and virtual:
                continue
            pytest.fail(f"line {node.lineno}: {owner}.{node.attr}: {FORBIDDEN[node.attr]}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_test_states_its_rule(path: Path) -> None:
    """In its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name
