"""Nodes -> the models of the schema, keeping what is right when something is wrong.

Pydantic alone gives a whole model or none. Here a field that is wrong is reported and gets its
default, so that the rules between the other fields can still be checked, and one run shows
everything there is to mend.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from exporter.config.problem import ConfigError, Problem
from exporter.config.schema import CredentialsConfig
from exporter.config.values import Context
from exporter.config.yaml_nodes import KeyPath, Node, Unexpanded

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)

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
            and not any(_is_slip(part, known) for known in CredentialsConfig.model_fields)
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
    model: type[ModelT], node: Node, report: Report, context: Context, path: KeyPath = ()
) -> ModelT:
    """Return `model` with the valid fields of a mapping, and report the others.

    `model_fields_set` names the fields that are given and not null, valid or not. A required
    field that is not valid is missing as an attribute: ask `Report.sound` before using it.
    """
    children = node.value
    if not isinstance(children, dict):
        report.add_invalid(path, f"must be a mapping of {', '.join(model.model_fields)}")
        return model.model_construct()
    values: dict[str, Any] = {}
    for name, child in children.items():
        here = (*path, name)
        info = _fields(model).get(name)
        if info is None:
            report.add_invalid(here, unknown_key(name, model.model_fields))
        elif info.nested is None:
            try:
                values[name] = info.adapter.validate_python(child.plain(), context=context)
            except ValidationError as error:
                for detail in error.errors():
                    report.add_invalid((*here, *_location(detail)), _rule(detail))
        elif child.value is not None:  # a section may be empty, as when all is commented out
            read_it = _read_all if info.many else read
            values[name] = read_it(info.nested, child, report, context, here)
    for name, info in _fields(model).items():
        if info.required and name not in children:
            report.add_invalid((*path, name), "is required")
    given = {name for name, child in children.items() if child.value is not None}
    return model.model_construct(given, **values)


def _read_all(
    model: type[ModelT], node: Node, report: Report, context: Context, path: KeyPath
) -> list[ModelT]:
    """Return a model for each item of a list."""
    if not isinstance(node.value, list):
        report.add_invalid(path, "must be a list, with a - before each item")
        return []
    return [
        read(model, item, report, context, (*path, index)) for index, item in enumerate(node.value)
    ]


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return the rule that a key breaks which is none of those that are known."""
    nearest = get_close_matches(key[:64], known, n=1)
    if nearest:
        return f"unknown key: did you mean {nearest[0]}?"
    return f"unknown key: the known ones are {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class _Field:
    """What `read` has to know of a field."""

    required: bool
    nested: type[BaseModel] | None
    many: bool
    adapter: TypeAdapter[Any]


@cache  # making an adapter takes longer than reading a hundred organizations
def _fields(model: type[BaseModel]) -> dict[str, _Field]:
    return {
        name: _Field(
            info.is_required(), *nested_model(info), TypeAdapter(info.rebuild_annotation())
        )
        for name, info in model.model_fields.items()
    }


def nested_model(info: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """Return the model in `Model`, `Model | None` or `list[Model]`, and whether in a list."""
    for inner in get_args(info.annotation) or (info.annotation,):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, get_origin(info.annotation) is list
    return None, False


def _location(detail: ErrorDetails) -> KeyPath:
    """Return where in the value it is; pydantic marks an error of a mapping's key itself."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _rule(detail: ErrorDetails) -> str:
    """Say in our words what pydantic found, without the value."""
    if isinstance(detail["input"], Unexpanded):
        return detail["input"].rule
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":  # from `values`
        return str(context["error"])
    if detail["type"] == "literal_error":
        choices: str = context["expected"]
        return "must be " + choices.replace("'", "")
    return "must be a mapping"
