"""The reference of the configuration file, made from its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import getdoc
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.config.duration import format_duration
from exporter.config.fields import nested_model
from exporter.config.schema import ConfigFile


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration file."""

    path: str  # such as `organizations[].credentials.api_key_id`
    type: str  # in words: `duration`, `none | open | all`, `mapping`
    default: str | None  # as it stands in a file; None for a required key
    description: str  # a sentence or more, Markdown


def keys() -> list[Key]:
    """Return every key of the file, sections before what is in them, in the file's order."""
    return list(_keys(ConfigFile, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        path = prefix + name
        nested, many = nested_model(info)
        if nested is None:
            words = _words(info.rebuild_annotation())
            yield Key(path, words, _default(info, words), info.description or "")
        else:
            words = "list of mappings" if many else "mapping"
            yield Key(path, words, _default(info, words), info.description or getdoc(nested) or "")
            yield from _keys(nested, f"{path}[]." if many else f"{path}.")


def _words(annotation: object) -> str:
    """Say what a type is; the words stand beside the types in `values`."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        words = [extra for extra in arguments[1:] if isinstance(extra, str)]
        return words[0] if words else _words(arguments[0])
    if get_origin(annotation) is Literal:
        return " | ".join(arguments)
    if get_origin(annotation) is dict:
        return f"mapping of {_words(arguments[0])} to {_words(arguments[1])}"
    return _words(arguments[0])  # X | None


def _default(info: FieldInfo, words: str) -> str | None:
    """Return a default as it would stand in a file."""
    if info.is_required():
        return None
    default = info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "{}"
    if isinstance(default, float) and words == "duration":
        return format_duration(default)
    return default if isinstance(default, str) else json.dumps(default)
