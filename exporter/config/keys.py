"""The reference of the configuration file, made from its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import getdoc

from exporter.config.schema import ConfigFile
from exporter.config.sections import KeyOfSection, Section, keys_of, words_of


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


def _keys(section: type[Section], prefix: str) -> Iterator[Key]:
    for key in keys_of(section).values():
        path = prefix + key.name
        if key.section is None:
            words = words_of(key.annotation)
            yield Key(path, words, _default(key), key.description)
        else:
            words = "list of mappings" if key.many else "mapping"
            description = key.description or getdoc(key.section) or ""
            yield Key(path, words, _default(key), description)
            yield from _keys(key.section, f"{path}[]." if key.many else f"{path}.")


def _default(key: KeyOfSection) -> str | None:
    """Return a default as it would stand in a file."""
    if key.required:
        return None
    if isinstance(key.default, Section):
        return "{}"
    default = key.write(key.default)
    return default if isinstance(default, str) else json.dumps(default)
