"""The tables of docs/api.md, from the JSON Schema of the API's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from generate.steps import ROOT

SCHEMA: Final = ROOT / "docs" / "api.schema.json"
# Parts that have a table, by the heading that it stands below.
HEADINGS: Final = {
    "Organizations": "all-organizations",
    "Organization": "organizations-in-a-line",
    "Failure": "failures",
    "Withheld": "withheld-samples",
    "Shard": "shard",
    "WholeOrganization": "one-organization",
    "ForecastMethod": "forecast-methods",
    "Cost": "costs",
    "Invoice": "invoices",
    "ClosedPeriod": "closed-periods",
    "ExpectedDay": "expected-days",
    "Cause": "causes-of-a-spike",
    "Days": "days",
    "Day": "each-day",
    "PeriodOfDay": "periods-of-a-day",
}


def members(part: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of each member of a part of the schema."""
    parts = json.loads(SCHEMA.read_text())["$defs"]
    for name, member in parts[part]["properties"].items():
        resolved = parts[member["$ref"].rpartition("/")[2]] if "$ref" in member else {}
        description = member.get("description") or resolved["description"]
        yield f"`{name}`", _type(member, parts), description


def _type(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _link(name) if name in HEADINGS else _type(parts[name], parts) or name.lower()
    if "anyOf" in schema:
        return " or ".join(_type(each, parts) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(_named(each, schema, parts) for each in types)


def _named(kind: str, schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    if kind == "array":
        return f"list of {_type(schema['items'], parts)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type(schema['additionalProperties'], parts)}s"
    if kind == "string" and "T[0-9]" in schema.get("pattern", ""):
        return "time"
    if kind == "string" and "pattern" in schema:
        return "date"
    return {"null": "`null`"}.get(kind, kind)


def _link(part: str) -> str:
    return f"[{HEADINGS[part].replace('-', ' ')}](#{HEADINGS[part]})"
