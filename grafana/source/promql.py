"""Pieces of expressions.

A metric of the exporter may come from several replicas and shards: `most` counts an organization
once before anything is added up. What the rules record has no label `job`, and is counted once.
"""

from __future__ import annotations

from typing import Final

from exporter.metrics import catalog

BY_ORGANIZATION: Final = frozenset(spec.name for spec in catalog.SPECS)
JOB: Final = 'job=~"$job"'
ORGANIZATION: Final = 'org_id=~"$organization"'


def metric(name: str, *matchers: str) -> str:
    """Return a selector of a metric: of the jobs and the organizations that are chosen."""
    chosen = [JOB]
    if name in BY_ORGANIZATION:
        chosen.append(ORGANIZATION)
    return f"{name}{{{','.join([*chosen, *matchers])}}}"


def recorded(name: str, *matchers: str) -> str:
    """Return a selector of what a rule records of the organizations that are chosen."""
    return f"{name}{{{','.join([ORGANIZATION, *matchers])}}}"


def most(labels: str, selector: str) -> str:
    """Return the greatest of several replicas or shards, by these labels."""
    return f"max by ({labels}) ({selector})"


def by_id(name: str, *matchers: str) -> str:
    """Return a metric, or a recorded series, by nothing but the id of the organization."""
    select = recorded if ":" in name else metric
    return most("org_id", select(name, *matchers))


def named(name: str, *matchers: str) -> str:
    """Return a metric of organizations by id and name."""
    return most("org_id, org_name", metric(name, *matchers))


def day_ahead(expression: str) -> str:
    """Return a recorded increase of a day where that day begins, not where it ends."""
    return f"{expression} offset -1d"
