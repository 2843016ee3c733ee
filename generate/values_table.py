"""The table of a chart's values, from the comments in its values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

NO_COMMENT = "values.yaml:{line}: {key} has no comment above it"


class Value(NamedTuple):
    """A row: a value with what its comment says, or a section of them."""

    key: str  # such as `image.tag`
    default: str | None  # as JSON; None for a section
    meaning: str


def values(text: str) -> list[Value]:
    """Return what the comments describe. Raises ValueError for a value without one.

    A comment ends right above its key. Where it is above a mapping whose keys have none, it is
    about the mapping as a whole.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_values(root, text.splitlines(), ""))


def _values(node: Any, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line
        comment = _comment(lines, line)
        if _is_section(value, lines):
            if comment:
                yield Value(name, None, comment)
            yield from _values(value, lines, f"{name}.")
        elif comment:
            default = yaml.safe_load(yaml.serialize(value))
            yield Value(name, json.dumps(default, ensure_ascii=False), comment)
        else:
            raise ValueError(NO_COMMENT.format(line=line + 1, key=name))


def _is_section(node: Any, lines: list[str]) -> bool:
    """Tell whether the keys of a mapping have comments of their own."""
    return isinstance(node, yaml.MappingNode) and any(
        _comment(lines, key.start_mark.line) for key, _ in node.value
    )


def _comment(lines: list[str], line: int) -> str:
    """Return the comment that ends above a line, as one line."""
    indent = re.match(" *", lines[line])
    marker = f"{indent[0] if indent else ''}# "
    words: list[str] = []
    while line > 0 and lines[line - 1].startswith(marker):
        line -= 1
        words.insert(0, lines[line].removeprefix(marker))
    return " ".join(words)


def table(text: str) -> str:
    """Return the table as Markdown."""
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for key, default, meaning in values(text):
        shown = "" if default is None else f"`{default}`"
        rows.append(f"| `{key}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"
