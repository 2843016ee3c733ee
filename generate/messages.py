"""What the log and errors say, for docs/messages.md: from the code, with what to do.

A comment that begins with `#:` explains the message on the line below it.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from generate.steps import ROOT

GAP: Final = "…"  # for what is put in while the program runs
# How argparse is told of wrong usage.
USAGE: Final = frozenset({"command_line.error", "self._refuse"})
LEVELS: Final = frozenset({"warning", "error", "critical", "exception"})
# The section of a message that is no line of the log, by the folder below exporter/.
SECTIONS: Final[Mapping[str, str]] = {
    "api": "polls",
    "polling": "polls",
    "config": "configuration",
    "web": "configuration",
    "tool": "viam-billing",
    "rules": "viam-billing",
    "simulator": "viam-billing",
    "state": "storage",
}


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A text with gaps, the section that it belongs to, and in Markdown what to do, if it says."""

    section: str
    text: str
    advice: str = ""


def messages(folder: Path = ROOT / "exporter") -> list[Message]:
    """Return every warning and error of the log, and what our own errors say, each once."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}
    errors = {argparse.ArgumentTypeError.__name__} | {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    }
    found: dict[tuple[str, str], str] = {}
    for path, tree in trees.items():
        room = path.relative_to(folder).parts[0]
        section = SECTIONS.get(room, "start")
        advice = dict(_explained(path.read_text(), tree))
        logged = set(_logged(tree))
        for text in {*logged, *_raised(tree, errors), *advice}:
            key = "log" if text in logged else section, text
            found[key] = found.get(key) or advice.get(text, "")
    return sorted(Message(section, text, advice) for (section, text), advice in found.items())


def strings(node: ast.AST) -> Iterator[str]:
    """Yield the strings of an expression, each whole, with gaps where values are put in."""
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


def _logged(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and ast.unparse(node.func) not in USAGE
        ):
            for message in node.args[:1]:
                yield from strings(message)


def _raised(tree: ast.AST, errors: Iterable[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (
            ast.unparse(node.func).rpartition(".")[2] in errors or ast.unparse(node.func) in USAGE
        ):
            for argument in node.args:
                # A single word is a name, and what has none is put together from other messages.
                yield from (s for s in strings(argument) if re.search("[a-z]{2} | [a-z]{2}", s))


def _explained(source: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each message below a comment that explains it, and what the comment says."""
    below: dict[int, str] = {}
    lines: list[str] = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("#: "):
            lines.append(line.lstrip()[3:])
        elif lines:
            below[number], lines = " ".join(lines), []
    starting: dict[int, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            starting.setdefault(node.lineno, []).append(next(strings(node)))
    for number, text in below.items():
        first = min(line for line in starting if line >= number)
        yield max(starting[first], key=len), text


def table(section: str) -> str:
    """Return the messages of a section, those that are explained as a table and then the others."""
    mine = [message for message in messages() if message.section == section]
    rows = [f"| {_code(m.text)} | {m.advice} |\n" for m in mine if m.advice]
    plain = [f"- {_code(m.text)}\n" for m in mine if not m.advice]
    head = ["| message | what to do |\n", "| --- | --- |\n"]
    return "".join([*head, *rows, "\n", *plain])


def _code(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
