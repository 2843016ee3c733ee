"""What values.schema.json has from the exporter's configuration and the comments of values.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from exporter.config import keys
from exporter.flags import MAX_SHARDS
from generate.values_table import Value


def configuration() -> dict[str, Any]:
    """Return the schema of the value `config`: the keys there are, so that others are refused.

    It has no types. Any value may be a `${NAME}` in their place, and the exporter checks them.
    """
    root: dict[str, Any] = _mapping("The configuration of the exporter.")
    places = {"": root}
    for key in keys():
        parent, _, name = key.path.rpartition(".")
        described: dict[str, Any] = {"description": key.description}
        if key.type == "mapping":
            described = _mapping(key.description)
            places[key.path] = described
        elif key.type == "list of mappings":
            item = _mapping("")
            del item["description"]
            described |= {"type": "array", "items": item}
            places[f"{key.path}[]"] = item
        places[parent]["properties"][name] = described
    return root


def _mapping(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {},
    }


def fill(text: str, described: Iterable[Value]) -> str:
    """Return values.schema.json with what the exporter and values.yaml say of it."""
    schema = json.loads(text)
    for value in described:
        node = schema
        for name in value.key.split("."):
            node = node["properties"][name]
        node["description"] = value.meaning
    config = configuration()
    config["type"] = "object"
    schema["definitions"]["config"] = config
    schema["properties"]["replicas"]["maximum"] = MAX_SHARDS
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
