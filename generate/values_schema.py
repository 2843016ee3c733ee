"""What values.schema.json has from the exporter, its rules and the comments of values.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from exporter.config import keys
from exporter.flags import MAX_SHARDS
from exporter.rules.rule_settings import Settings
from generate.thresholds import changeable
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


def rules(settings: Settings) -> dict[str, Any]:
    """Return the schemas of what the values say of rules: the alerts and thresholds there are."""
    kinds = {
        name: "mitigatedRule" if a.mitigated else "rule" for name, a in settings.alerts.items()
    }
    names = {
        "disabled": {name: {"type": "boolean"} for name in settings.alerts},
        "customRules": {name: {"$ref": f"#/definitions/{kind}"} for name, kind in kinds.items()},
        "thresholds": {name: _threshold(name, v) for name, v in changeable(settings).items()},
    }
    return {
        name: {"type": "object", "additionalProperties": False, "properties": properties}
        for name, properties in names.items()
    }


def _threshold(name: str, default: str | float) -> dict[str, Any]:
    if isinstance(default, str):
        return {"$ref": "#/definitions/duration"}
    amount = {"type": "number", "minimum": 0}
    return amount | {"maximum": 1} if name.endswith("_share") else amount


def fill(text: str, described: Iterable[Value], settings: Settings) -> str:
    """Return values.schema.json with what the exporter and values.yaml say of it."""
    schema = json.loads(text)
    for value in described:
        node = schema
        for name in value.key.split("."):
            node = node["properties"][name]
        node["description"] = value.meaning
    config = configuration()
    config["type"] = "object"
    schema["definitions"] |= {"config": config, **rules(settings)}
    schema["properties"]["replicas"]["maximum"] = MAX_SHARDS
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
