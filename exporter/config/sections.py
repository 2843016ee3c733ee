"""What a section of a file is: a frozen dataclass that knows how each of its keys is read.

A type says so in its annotation: `Annotated[float, Kind("duration", parsed)]`. Beside those there
are `Literal` of strings, mappings, `X | None`, other sections and lists of sections. Why sections
are no models of pydantic: docs/adr/0021-what-is-loaded.md
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from exporter.config.yaml_nodes import KeyPath, Unexpanded

SectionT = TypeVar("SectionT", bound="Section")


@dataclass(frozen=True, slots=True)
class Context:
    """What the values of a file depend on."""

    folder: Path  # where relative paths start
    reserved_labels: Collection[str]  # that metrics use themselves


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values: its name in the reference, how it is read, and how it is written.

    `read` takes what stands in the file, and the Context if the kind needs it, and raises
    ValueError with the rule that is broken.
    """

    words: str
    read: Callable[..., object]
    write: Callable[[Any], object] = lambda value: value
    needs_context: bool = False


def field(*, default: Any = MISSING, default_factory: Any = MISSING, description: str) -> Any:
    """Return the declaration of a key, which is required without a default."""
    return dataclasses.field(
        default=default, default_factory=default_factory, metadata={"description": description}
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Section:
    """A mapping of the file. What is made in code is not checked."""

    given: ClassVar[AbstractSet[str]] = frozenset()  # keys that the file has, and are not null

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def of(cls, given: AbstractSet[str], values: Mapping[str, object]) -> Self:
        """Return a section with these values, and defaults for the others.

        A required value that is missing is missing as an attribute.
        """
        made = object.__new__(cls)
        defaults = {name: key.default for name, key in keys_of(cls).items() if not key.required}
        vars(made).update({**defaults, **values}, given=given)
        return made

    def plain(self) -> dict[str, object]:
        """Return the values by key, as they stand in a file."""
        return {name: key.write(getattr(self, name)) for name, key in keys_of(type(self)).items()}


class WrongValueError(Exception):
    """What is wrong with a value, and where in it: each rule with its place."""

    def __init__(self, problems: Collection[tuple[KeyPath, str]]) -> None:
        super().__init__()
        self.problems = problems


@dataclass(frozen=True, slots=True)
class KeyOfSection:
    """A key of a section."""

    name: str
    annotation: Any
    description: str  # empty where the section below says it
    required: bool
    default: Any
    section: type[Section] | None = None  # what is below
    many: bool = False  # whether that is a list

    def read(self, value: object, context: Context) -> Any:
        """Return what a value comes to. Raises WrongValueError."""
        return _read(self.annotation, value, context)

    def write(self, value: Any) -> object:
        """Return a value as it stands in a file."""
        kind = _kind(self.annotation)
        return value if value is None or kind is None else kind.write(value)


def keys_of(section: type[Section]) -> Mapping[str, KeyOfSection]:
    """Return the keys of a section by name, in the order of the file."""
    return _keys_of(section)  # type: ignore[arg-type]  # mypy takes it for one that is made


@cache
def _keys_of(section: Any) -> Mapping[str, KeyOfSection]:
    annotations = get_type_hints(section, include_extras=True)
    return {
        each.name: KeyOfSection(
            each.name,
            annotations[each.name],
            each.metadata.get("description", ""),
            each.default is MISSING and each.default_factory is MISSING,
            each.default if each.default_factory is MISSING else each.default_factory(),
            *_below(annotations[each.name]),
        )
        for each in dataclasses.fields(section)
    }


def _below(annotation: Any) -> tuple[type[Section] | None, bool]:
    """Return the section in `Section`, `Section | None` or `list[Section]`; whether in a list."""
    for inner in get_args(annotation) or (annotation,):
        if isinstance(inner, type) and issubclass(inner, Section):
            return inner, get_origin(annotation) is list
    return None, False


def _kind(annotation: Any) -> Kind | None:
    """Return the kind in `Annotated[X, kind]` or `Annotated[X, kind] | None`."""
    for each in (annotation, *get_args(annotation)):
        if get_origin(each) is Annotated:
            return next(extra for extra in each.__metadata__ if isinstance(extra, Kind))
    return None


def words_of(annotation: Any) -> str:
    """Return what the reference calls a type."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(arguments)
    if get_origin(annotation) is dict:
        return f"mapping of {words_of(arguments[0])} to {words_of(arguments[1])}"
    kind = _kind(annotation)
    return words_of(arguments[0]) if kind is None else kind.words


def _read(annotation: Any, value: object, context: Context) -> object:
    if isinstance(value, Unexpanded):
        raise WrongValueError([((), value.rule)])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind = next(extra for extra in annotation.__metadata__ if isinstance(extra, Kind))
        try:
            return kind.read(value, context) if kind.needs_context else kind.read(value)
        except ValueError as error:
            raise WrongValueError([((), str(error))]) from None
    if origin is Literal:
        if value in arguments:
            return value
        *most, last = arguments
        raise WrongValueError([((), f"must be {', '.join(most)} or {last}")])
    if origin is dict:
        return _read_mapping(arguments, value, context)
    return None if value is None else _read(arguments[0], value, context)  # X | None


def _read_mapping(types: tuple[Any, ...], value: object, context: Context) -> object:
    if not isinstance(value, dict):
        raise WrongValueError([((), "must be a mapping")])
    problems: list[tuple[KeyPath, str]] = []
    found = {}
    for name, child in value.items():
        for part, annotation in zip((name, child), types, strict=True):
            try:
                found[name] = _read(annotation, part, context)
            except WrongValueError as error:
                problems += [((name, *path), rule) for path, rule in error.problems]
    if problems:
        raise WrongValueError(problems)
    return found
