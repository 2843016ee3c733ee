"""YAML text -> a tree of values that know their lines.

The tree is built from parse events, in a loop. Composing it with PyYAML would recurse on the
C stack, which a deeply nested file overflows, and would follow aliases without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from exporter.base.text import from_system
from exporter.config.problem import ConfigError, Problem

KeyPath = tuple[str | int, ...]
"""Where a value is: `("organizations", 3, "budget_usd")`."""

MAX_DEPTH = 32
MAX_NODES = 500_000  # with aliases unfolded; 10 000 organizations with every key have 120 000

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")

# What a scalar without quotes means. YAML 1.1 has more, of which people are rarely aware: `no`
# and `on` are booleans there, 12:30 is 750, 010 is 8. Here those are strings. Everything that
# is not a string here is not one in YAML 1.1 either, so PyYAML writes no string that would be
# read as something else.
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INTEGER = re.compile("[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?")


@dataclass(frozen=True, slots=True)
class Unexpanded:
    """In place of a string whose `${NAME}` could not be expanded."""

    rule: str


@dataclass(slots=True)
class Node:
    """A value of the file: a scalar, Unexpanded, a list of nodes or a dict of nodes."""

    value: Any
    line: int  # counted from 1
    size: int = 1  # nodes in it, aliases unfolded

    def plain(self) -> object:
        """Return the value without the nodes."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def line_of(self, path: KeyPath) -> int:
        """Return the line of the value at `path`, or of the innermost that encloses it."""
        node = self
        for part in path:
            children: Any = node.value
            known = isinstance(children, dict) and part in children
            if not known and not isinstance(children, list):
                break
            node = children[part]
        return node.line


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file."""

    root: Node  # of None if the file is empty
    duplicates: list[tuple[KeyPath, int]]  # keys given again, and the line of that


def parse(
    text: str, file: str, environ: Mapping[str, str], loader: type[Any] = _LOADER
) -> Document:
    """Parse one YAML document and expand the `${NAME}` in its values.

    What was expanded is not parsed again: a variable cannot add keys. Raises ConfigError with
    one problem if the text is not YAML, or YAML that a configuration has no use for.
    """
    try:
        _refuse_control_characters(text)
        builder = _Builder(environ)
        for event in yaml.parse(text, Loader=loader):
            builder.handle(event)
    except _Refused as refused:
        raise ConfigError([Problem(file, refused.line, "", refused.rule)]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(file, error, loader)]) from None
    return Document(builder.root or Node(None, 1), builder.duplicates)


def _syntax_problem(file: str, error: yaml.MarkedYAMLError, loader: type[Any]) -> Problem:
    mark, context_mark = error.problem_mark, error.context_mark
    # The scanner of PyYAML itself quotes what it found, which may be a secret.
    reason = "syntax error" if loader is yaml.SafeLoader else error.problem
    if mark and context_mark and context_mark.line < mark.line:
        reason = f"{reason} {error.context} from line {context_mark.line + 1} on"
    line = mark.line + 1 if mark else None
    #: The line is where it was noticed; the cause is there or above, often a tab or an open quote.
    return Problem(file, line, "", f"is not valid YAML: {reason}")


class _Refused(Exception):  # noqa: N818 - never seen outside
    """YAML that is not for a configuration."""

    def __init__(self, line: int, rule: str) -> None:
        self.line, self.rule = line, rule


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Node
    anchor: str | None
    key: str | int | None = None  # of the child to come; None: a mapping that waits for a key


@dataclass(slots=True)
class _Builder:
    """Builds the tree, one event at a time."""

    environ: Mapping[str, str]
    root: Node | None = None
    documents: int = 0
    duplicates: list[tuple[KeyPath, int]] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)

    def handle(self, event: yaml.Event) -> None:
        """Take the next event; those not named here say nothing."""
        match event:
            case yaml.ScalarEvent():
                self.scalar(event)
            case yaml.MappingStartEvent():
                self.start(event, _Open(Node({}, _line(event)), event.anchor))
            case yaml.SequenceStartEvent():
                self.start(event, _Open(Node([], _line(event)), event.anchor, key=0))
            case yaml.CollectionEndEvent():
                collection = self.stack.pop()
                self.add(collection.node, collection.anchor)
            case yaml.AliasEvent():
                self.alias(event)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise _Refused(_line(event), "is a second document: keep one, without ---")

    def start(self, event: yaml.CollectionStartEvent, collection: _Open) -> None:
        _refuse_tag(event)
        if self.wants_key():
            raise _Refused(_line(event), "is a list or mapping used as a key: keys are plain words")
        if len(self.stack) == MAX_DEPTH:
            raise _Refused(_line(event), f"is nested deeper than {MAX_DEPTH} levels")
        self.stack.append(collection)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        _refuse_tag(event)
        if self.wants_key():
            self.key(event)
        else:
            plain = event.implicit[0]  # without quotes
            value: object = _plain_scalar(event.value) if plain else event.value
            if isinstance(value, str) and "${" in value:
                value = _expand(value, self.environ)
            self.add(Node(value, _line(event)), event.anchor)

    def key(self, event: yaml.ScalarEvent) -> None:
        if event.value == "<<":
            raise _Refused(_line(event), "merge keys (<<) are not supported: repeat the keys")
        mapping = self.stack[-1]
        mapping.key = event.value
        if mapping.key in mapping.node.value:
            path = tuple(collection.key for collection in self.stack if collection.key is not None)
            self.duplicates.append((path, _line(event)))

    def alias(self, event: yaml.AliasEvent) -> None:
        if self.wants_key():
            raise _Refused(_line(event), "is an alias used as a key: keys are plain words")
        # An anchor is known once its value is complete, so nothing can contain itself.
        node = self.anchors.get(event.anchor or "")
        if node is None:
            raise _Refused(_line(event), "is an alias of an anchor that does not end before it")
        self.add(Node(node.value, _line(event), node.size), None)

    def add(self, node: Node, anchor: str | None) -> None:
        """Put a complete node where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if isinstance(parent.key, int):
            parent.node.value.append(node)
            parent.key += 1
        else:
            parent.node.value.setdefault(parent.key, node)
            parent.key = None
        parent.node.size += node.size
        if parent.node.size > MAX_NODES:
            raise _Refused(node.line, f"has more than {MAX_NODES} values, with aliases expanded")

    def wants_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].key is None


def _refuse_control_characters(text: str) -> None:
    """Do first what YAML would do, which says the place in bytes or in characters, no line."""
    if forbidden := _FORBIDDEN.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        raise _Refused(line, f"must not contain the character U+{ord(forbidden[0]):04X}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _refuse_tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.tag is not None:
        raise _Refused(_line(event), "has a YAML tag (!): write the plain value, quoted if needed")


def _plain_scalar(text: str) -> str | float | bool | None:
    """Return what a scalar without quotes means."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _expand(text: str, environ: Mapping[str, str]) -> str | Unexpanded:
    """Put the environment into a string: `${NAME}` is the variable, `$${` a literal `${`.

    White space at the ends of a variable is not part of it, as Secrets of Kubernetes often end in
    a line end.
    """
    matches = list(_VARIABLE.finditer(text))
    if any(match[0] == "${" for match in matches):
        #: Often in a regular expression or a key.
        return Unexpanded("has a ${ without a name and a }: write $${ for a literal ${")
    unset = {match[1] for match in matches if match[1]} - environ.keys()
    if "CREDENTIALS_DIRECTORY" in unset:
        return Unexpanded(
            #: The package's unit and commands in a shell have no such folder.
            "needs CREDENTIALS_DIRECTORY, which systemd sets only for a service with "
            "LoadCredential=: elsewhere, name the file itself"
        )
    if unset:
        return Unexpanded(
            #: A service does not read your shell's.
            f"needs environment variables that are not set: {', '.join(sorted(unset))}"
        )
    return _VARIABLE.sub(
        lambda match: from_system(environ[match[1]]).strip() if match[1] else "${", text
    )
