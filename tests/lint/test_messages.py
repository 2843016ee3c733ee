"""docs/messages.md is where people look up a message; its words are those of the source.

Nothing here lists what says something: the log is known by its methods, an error by its class.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from support.process import ROOT

PAGE: Final = (ROOT / "docs" / "messages.md").read_text()
TREES: Final = [ast.parse(path.read_text()) for path in (ROOT / "exporter").rglob("*.py")]
NODES: Final = [node for tree in TREES for node in ast.walk(tree)]
GAP: Final = "…"  # for what is put in while the program runs, on the page as well


def strings(node: ast.AST) -> Iterator[str]:
    """Yield the strings of an expression, each whole."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(n.value) if isinstance(n, ast.Constant) else GAP for n in node.values)
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                yield from strings(each.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from strings(child)


def logged() -> Iterator[str]:
    """Yield the messages at levels that ask for attention: `log.error("…")`, by any logger."""
    for node in NODES:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"warning", "error", "critical", "exception"}
        ):
            for message in node.args[:1]:
                yield from strings(message)


def raised() -> Iterator[str]:
    """Yield the words of errors that are our own, or argparse's for a value that is wrong.

    Python's own are bugs, or are put into one of ours.
    """
    errors = {argparse.ArgumentTypeError.__name__} | {
        node.name
        for node in NODES
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    }
    for node in NODES:
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in errors:
            for argument in node.args:
                # A single word is a name, and what has none is put together from other messages.
                yield from (s for s in strings(argument) if re.search("[a-z]{2} | [a-z]{2}", s))


def documented() -> Iterator[str]:
    """Yield the messages of the page: what comes first in a row, or stands in a list."""
    for first in re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", first)
    for item in re.findall(r"^- (`.*(?:\n  .*)*)", PAGE, re.MULTILINE):
        before = re.split(r"`: ", item.replace("\n ", ""))[0] + "`"
        yield from re.findall(r"`([^`]+)`", before)
    for item in re.findall(r"^`reason` may be: (.*(?:\n.+)*?)\. For", PAGE, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", item.replace("\n", " "))


def covered(text: str, entries: Iterable[str]) -> bool:
    """Tell whether the page has a message, `…` on it being anything."""
    patterns = (".*".join(map(re.escape, entry.split(GAP))) for entry in entries)
    return any(re.fullmatch(pattern, text, re.DOTALL) for pattern in patterns)


def test_what_the_page_quotes_is_said() -> None:
    """Else a user searches a log for words that were changed, or that never come."""
    said = {text for tree in TREES for text in strings(tree)}
    quoted = set(documented())
    assert "poll failed" in quoted
    assert {entry for entry in quoted if not any(covered(text, [entry]) for text in said)} == set()


def test_what_the_log_says_of_trouble_is_on_the_page() -> None:
    """Else a user has a warning or an error, and nothing that says what to do about it."""
    said = set(logged())
    assert "poll failed" in said
    assert {text for text in said if not covered(text, documented())} == set()


def test_what_an_error_says_is_on_the_page() -> None:
    """Else a user has a command that ended, or a poll that failed, and nothing to look up."""
    said = set(raised())
    assert "the daily request limit (api.max_requests_per_day) is used up" in said
    assert {text for text in said if not covered(text, documented())} == set()
