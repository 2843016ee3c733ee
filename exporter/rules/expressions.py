"""Expressions that many rules are made of.

An organization may be on the pages of several exporters: replicas, or two shards while it moves.
So every rule reduces to the organization's id first, and puts its readable name on last: the name
is what changes.
"""

from __future__ import annotations

from exporter.rules.series import PICKED, SEEN

START = "viam_billing_usage_period_start_timestamp_seconds"
END = "viam_billing_usage_period_end_timestamp_seconds"


def by_organization(metric: str, *labels: str) -> str:
    """One value for each organization, and each value of other labels, of a gauge."""
    return f"max by ({', '.join(('org_id', *labels))}) ({metric})"


def picked(metric: str, *labels: str) -> str:
    """Return the same of the exporter that is picked for each organization.

    Amounts that belong together come from one exporter so.
    """
    return by_organization(f"{metric} and on (job, instance, org_id) {PICKED}", *labels)


def picked_or_any(metric: str, *labels: str) -> str:
    """Return the same, or what any other exporter has where the picked one has nothing."""
    return f"{picked(metric, *labels)} or {by_organization(metric, *labels)}"


def lately(gauge: str, window: str) -> str:
    """Return a gauge's last value, though a scrape or two were missed."""
    return f"last_over_time({gauge}[{window}])"


def named(expr: str) -> str:
    """Put the readable name on what has only the organization's id, and drop those that left."""
    return f"({expr}) * on (org_id) group_left (org_name) ({SEEN} > bool 0)"
