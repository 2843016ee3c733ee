"""Nodes -> the sections of the schema, keeping what is right when something is wrong.

A key that is wrong is reported and gets its default, so that the rules between the other keys can
still be checked, and one run shows all that has to be corrected.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from exporter.config.problem import ConfigError, Problem
from exporter.config.schema import CredentialsConfig
from exporter.config.sections import Context, Section, WrongValueError, keys_of
from exporter.config.yaml_nodes import KeyPath, Node

SectionT = TypeVar("SectionT", bound=Section)

_WORD = re.compile("[a-zA-Z0-9_-]{1,31}")  # an API key of Viam has 32 characters


@dataclass(slots=True)
class Report:
    """Collects the problems of a file and knows which of its keys they touch."""

    file: str
    root: Node
    problems: list[Problem] = field(default_factory=list)
    _invalid: set[KeyPath] = field(default_factory=set)
    _around_invalid: set[KeyPath] = field(default_factory=set)

    def add(self, path: KeyPath, rule: str, line: int | None = None) -> None:
        """Report that the value at `path` breaks a rule."""
        line = self.root.line_of(path) if line is None else line
        self.problems.append(Problem(self.file, line, key_text(path), rule))

    def add_invalid(self, path: KeyPath, rule: str) -> None:
        """Report a value that cannot even be compared with others."""
        self.add(path, rule)
        self._invalid.add(path)
        self._around_invalid.update(path[:length] for length in range(len(path)))

    def sound(self, *paths: KeyPath) -> bool:
        """Tell whether no value at, under or around any of the paths is invalid."""
        return not any(
            path in self._around_invalid
            or any(path[:length] in self._invalid for length in range(len(path) + 1))
            for path in paths
        )

    def raise_if_any(self) -> None:
        """Raise ConfigError if anything was reported."""
        if self.problems:
            raise ConfigError(self.problems)


def key_text(path: KeyPath) -> str:
    """Return a path as people write it, `organizations[3].labels.team`, as far as it is safe.

    A forgotten space or stray braces can make a key of a secret. So the text ends before a key
    that is no word, and under `credentials` before one that is no known one, nor a slip of one.
    """
    text = ""
    for index, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _WORD.fullmatch(part) or (
            "credentials" in path[:index]
            and not any(_is_slip(part, known) for known in keys_of(CredentialsConfig))
        ):
            break
        else:
            text += f".{part}" if text else part
    return text


def _is_slip(word: str, known: str) -> bool:
    """Tell whether a word is another one, but for one letter or two that changed places.

    Case, `_` and `-` do not count. What differs is so little that it can be shown whatever it is.
    """
    word, known = (re.sub("[_-]", "", text).lower() for text in (word, known))
    while word and known and word[0] == known[0]:
        word, known = word[1:], known[1:]
    return (
        known in {word, word[1:]}
        or word == known[1:]
        or word[1:] == known[1:]
        or (word[1::-1] == known[:2] and word[2:] == known[2:])
    )


def read(
    section: type[SectionT], node: Node, report: Report, context: Context, path: KeyPath = ()
) -> SectionT:
    """Return a section with the valid values of a mapping, and report the others.

    `given` names the keys that are there and not null, valid or not. A required value that is
    not valid is missing as an attribute: ask `Report.sound` before using it.
    """
    children = node.value
    if not isinstance(children, dict):
        report.add_invalid(path, f"must be a mapping of {', '.join(keys_of(section))}")
        return section.of(frozenset(), {})
    keys = keys_of(section)
    values: dict[str, Any] = {}
    for name, child in children.items():
        here = (*path, name)
        key = keys.get(name)
        if key is None:
            report.add_invalid(here, unknown_key(name, keys))
        elif key.section is None:
            try:
                values[name] = key.read(child.plain(), context)
            except WrongValueError as error:
                for place, rule in error.problems:
                    report.add_invalid((*here, *place), rule)
        elif child.value is not None:  # a section may be empty, as when all is commented out
            read_it = _read_all if key.many else read
            values[name] = read_it(key.section, child, report, context, here)
    for key in keys.values():
        if key.required and key.name not in children:
            report.add_invalid((*path, key.name), "is required")
    given = {name for name, child in children.items() if child.value is not None}
    return section.of(given, values)


def _read_all(
    section: type[SectionT], node: Node, report: Report, context: Context, path: KeyPath
) -> list[SectionT]:
    """Return a section for each item of a list."""
    if not isinstance(node.value, list):
        report.add_invalid(path, "must be a list, with a - before each item")
        return []
    return [
        read(section, item, report, context, (*path, index))
        for index, item in enumerate(node.value)
    ]


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return the rule that a key breaks which is none of those that are known."""
    nearest = get_close_matches(key[:64], known, n=1)
    if nearest:
        return f"unknown key: did you mean {nearest[0]}?"
    return f"unknown key: the known ones are {', '.join(known)}"
