"""The rules that queries need, and no others: they take promtool less time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from rules.harness import FILES
from rules.inference import metrics


def only_needed(queries: Iterable[str], folder: Path) -> Path:
    """Return a file in a folder with the recorded series that these queries need."""
    document = yaml.safe_load(FILES[0].read_text())
    groups = document["groups"]
    exprs: Mapping[str, str] = {r["record"]: r["expr"] for group in groups for r in group["rules"]}
    needed, left = set[str](), {name for query in queries for name in metrics(query)}
    while left:
        needed |= left
        left = {n for name in left if name in exprs for n in metrics(exprs[name])} - needed
    for group in groups:
        group["rules"] = [rule for rule in group["rules"] if rule["record"] in needed]
    made = folder / "needed.yml"
    made.write_text(yaml.safe_dump(document))
    return made
