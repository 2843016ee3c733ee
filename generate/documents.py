"""The references in README.md and docs/, from the code.

Prose is written by hand around blocks that begin with `<!-- generated: NAME -->` and end with
`<!-- end -->`; docs/contract.json is generated whole.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from exporter import flags as daemon
from exporter import tool
from exporter.config import keys
from exporter.config.sections import Section, keys_of
from exporter.metrics import catalog, own
from exporter.model import Metric
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import load
from exporter.simulator.scenarios import SCENARIOS
from exporter.tool import past_days, past_invoices
from exporter.web.routes import ENDPOINTS
from exporter.web.toolkit.web_schema import WebConfigKeys
from generate import api_tables, messages
from generate.steps import BLOCK, ROOT, Step

CONTRACT: Final = ROOT / "docs" / "contract.json"

Groups = Mapping[str, Sequence[Metric]]


def metrics() -> Groups:
    """Return every metric by the collector that makes it, or `organization` or `exporter`."""
    by_collector = {collector.name: collector.specs for collector in catalog.COLLECTORS}
    return {
        **by_collector,
        "organization": [spec for section in catalog.SECTIONS for spec in section.specs],
        "exporter": own.METRICS,
        "backfill": (*past_invoices.OWN, *past_days.METRICS),
    }


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of every command and sub-command, by how it is typed."""
    return {
        each.prog: each for root in (daemon.parser(), tool.parser()) for each in _with_subs(root)
    }


def _with_subs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for sub in action.choices.values():
                yield from _with_subs(sub)


def flags(parser: argparse.ArgumentParser) -> Iterator[Mapping[str, Any]]:
    """Yield name, value and help of a command's flags."""
    formatter = parser._get_formatter()  # noqa: SLF001 - argparse has no other way to ask
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if action.option_strings:
            takes_value = action.nargs != 0
            choices = "|".join(map(str, action.choices)) if action.choices else action.metavar
            yield {
                "flag": action.option_strings[-1],
                "value": str(choices or action.dest.upper()) if takes_value else None,
                "repeatable": action.__class__.__name__ == "_AppendAction",
                "description": formatter._expand_help(action),  # noqa: SLF001 - likewise
            }


def contract() -> str:
    """Return the public contract for machines."""
    document = {
        "metrics": [
            {
                "name": metric.name,
                "type": metric.type,
                "unit": metric.unit,
                "labels": list(metric.labels),
                "source": group,
                "help": metric.help,
            }
            for group, members in metrics().items()
            for metric in members
        ],
        "configuration": [
            {"key": key.path, "type": key.type, "default": key.default, "help": key.description}
            for key in keys()
        ],
        "flags": {name: list(flags(parser)) for name, parser in commands().items()},
        "endpoints": [{"path": e.path, "help": e.description} for e in ENDPOINTS],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return what makes each generated block."""
    makers: dict[str, Callable[[], str]] = {
        "configuration": lambda: _table(
            ("key", "type", "default", "meaning"),
            (
                (f"`{k.path}`", k.type, f"`{k.default}`" if k.default else "", k.description)
                for k in keys()
            ),
        ),
        "web-configuration": lambda: _table(("key", "default", "meaning"), web_keys(WebConfigKeys)),
        "endpoints": lambda: _table(
            ("path", "answer"), ((f"`{e.path}`", e.description) for e in ENDPOINTS)
        ),
        "alerts": _alert_table,
        "faults": lambda: _table(
            ("fault", "kind", "what happens", "parameters"),
            (
                (f"`{s.name}`", s.kind, s.description, ", ".join(f"`{p}`" for p in s.parameters))
                for s in SCENARIOS.values()
            ),
        ),
        # Those of viam-billing's commands are in their --help.
        "flags:viam-billing-exporter": lambda: _flag_table(daemon.parser()),
    }
    for group, members in metrics().items():
        makers[f"metrics:{group}"] = lambda members=members: _metric_table(members)  # type: ignore[misc]
    for section in ("start", "log", "storage", "polls", "configuration", "viam-billing"):
        makers[f"messages:{section}"] = lambda section=section: messages.table(section)  # type: ignore[misc]
    for part in api_tables.HEADINGS:
        makers[f"api:{part}"] = lambda part=part: _table(  # type: ignore[misc]
            ("member", "type", "meaning"), api_tables.members(part)
        )
    return makers


def web_keys(section: type[Section], prefix: str = "") -> Iterator[Sequence[str]]:
    """Yield the row of every key of the web configuration, sections before what is in them."""
    for key in keys_of(section).values():
        text = key.description or (key.section and key.section.__doc__) or ""
        plain = key.default is None or isinstance(key.default, (dict, Section))
        default = str(key.default)
        shown = default.lower() if isinstance(key.default, bool) else default
        cell = "" if plain else f"`{shown}`".replace("`0.0`", "`0`")
        yield f"`{prefix}{key.name}`", cell, text
        if key.section:
            yield from web_keys(key.section, f"{prefix}{key.name}.")


def _metric_table(members: Iterable[Metric]) -> str:
    return _table(
        ("metric", "type", "labels", "meaning"),
        (
            (f"`{m.name}`", str(m.type), ", ".join(f"`{label}`" for label in m.labels), m.help)
            for m in members
        ),
    )


def _alert_table() -> str:
    file = yaml.safe_load(files(load())["viam-billing.alerts.yml"])
    return _table(
        ("alert", "severity", "for", "summary"),
        (
            (
                f"[`{rule['alert']}`](runbooks/viam-billing.md#{rule['alert'].lower()})",
                rule["labels"]["severity"],
                rule["for"],
                rule["annotations"]["summary"],
            )
            for group in file["groups"]
            for rule in group["rules"]
        ),
    )


def _flag_table(parser: argparse.ArgumentParser) -> str:
    def typed(flag: Mapping[str, Any]) -> str:
        return f"`{flag['flag']}={flag['value']}`" if flag["value"] else f"`{flag['flag']}`"

    return _table(("flag", "meaning"), ((typed(f), f["description"]) for f in flags(parser)))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def fill(text: str) -> str:
    """Return a document with its generated blocks made anew. Raises KeyError for an unknown one."""
    makers = blocks()
    return BLOCK.sub(lambda match: match[1] + makers[match["name"]]() + match[3], text)


def generated() -> Mapping[Path, str]:
    """Return every generated file with the content it should have."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {CONTRACT: contract()} | {path: fill(path.read_text()) for path in documents}


STEPS: Final = (Step("make generate", generated),)
