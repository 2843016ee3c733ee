"""What the programs say when something is wrong, read off their source.

Whatever is put in while they run is `…` here, as in docs/troubleshooting.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from support.process import ROOT

PACKAGE: Final = ROOT / "exporter"
GAP: Final = "…"

# Levels of the log that ask for somebody's attention.
LEVELS: Final = frozenset({"warning", "error", "critical", "exception"})
# Functions that are given a text, or return or yield one, which people see.
TAKE: Final = frozenset(
    {
        "ArgumentTypeError",
        "BillingError",
        "Problem",
        "Unexpanded",
        "_fail",
        "_invalid",
        "_refused",
        "_set_aside",
        "_unreservable",
        "add",
        "add_invalid",
        "complain",
        "invalid",
        "read",
    }
)
RETURN: Final = frozenset(
    {
        "_foreign",
        "_rule",
        "_uncertain",
        "_unavailable",
        "_unknown_key",
        "gaps",
        "header_rule",
        "user_rule",
    }
)
TABLES: Final = frozenset(
    {"ADVICE", "CONNECTION_FAULTS", "KEY_FILE", "REFUSALS", "SILENCE", "STOPPED"}
)
# Variables that hold what is wrong until it is said.
HOLD: Final = frozenset({"message", "problems", "reason"})
# A bug says these, and only a traceback shows them.
BUGS: Final = frozenset(
    {"AssertionError", "ConnectionError", "KeyError", "RuntimeError", "TypeError"}
)
# What these say is for whoever writes a test or makes rules; or the messages are those of a
# billing service.
OTHERS: Final = (
    "metrics/samples.py",
    "pb",
    "rules",
    "simulator/clock.py",
    "simulator/failures.py",
    "simulator/service.py",
)


class Message(NamedTuple):
    """A text that people may see, and where it is said."""

    text: str
    file: str


def messages() -> Iterator[Message]:
    """Yield every message of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = str(path.relative_to(PACKAGE))
        if not file.startswith(OTHERS):
            for text in sorted(set(_texts(ast.parse(path.read_text())))):
                yield Message(text, file)


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for said in _said(node):
            for text in _strings(said):
                # A word is a name, and what has none is put together from messages.
                if " " in text.strip() and re.search("[a-z]{2}", text):
                    yield text


def _said(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the expressions whose texts people see."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        if _name(node.exc.func) not in BUGS:
            yield from node.exc.args
    elif isinstance(node, ast.Call) and node.args:
        if _name(node.func) in LEVELS:
            yield node.args[0]
        elif _name(node.func) in TAKE or _receiver(node.func) in HOLD:
            yield from node.args
    elif isinstance(node, ast.FunctionDef) and node.name in RETURN:
        ends = (n for n in ast.walk(node) if isinstance(n, (ast.Return, ast.Yield)))
        yield from (end.value for end in ends if end.value)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {_name(each) for each in targets}
        if names & TABLES:
            yield from _values(node.value)
        elif names & HOLD:
            yield node.value


def _receiver(node: ast.AST) -> str:
    """Return what a method is called on."""
    return _name(node.value) if isinstance(node, ast.Attribute) else ""


def _values(table: ast.expr) -> Iterator[ast.expr]:
    """Yield what a table has at the end of each row."""
    if isinstance(table, ast.Dict):
        yield from table.values
    elif isinstance(table, ast.Tuple):
        yield from (row.elts[-1] for row in table.elts if isinstance(row, ast.Tuple))
    else:
        yield table


def _name(node: ast.AST) -> str:
    """Return the last part of a name, that of a mapping for an item of it."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _strings(node: ast.AST) -> Iterator[str]:
    """Yield the strings of an expression, each whole."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else GAP for each in node.values]
        yield "".join(map(str, parts))
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                yield from _strings(each.value)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def covers(pattern: str, text: str) -> bool:
    """Tell whether a documented message is one of the source, `…` in it being anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split(GAP))), text, re.DOTALL) is not None
