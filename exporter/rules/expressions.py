"""Expressions that many rules are made of.

An organization may be on the pages of several exporters: replicas, or two shards while it moves.
So every rule reduces to the organization's id first, and puts its readable name on last: the name
is what changes.
"""

from __future__ import annotations

from exporter.rules.series import SEEN

START = "viam_billing_usage_period_start_timestamp_seconds"
END = "viam_billing_usage_period_end_timestamp_seconds"


def by_organization(metric: str, *labels: str) -> str:
    """One value for each organization, and each value of other labels, of a gauge."""
    return f"max by ({', '.join(('org_id', *labels))}) ({metric})"


def lately(gauge: str, window: str) -> str:
    """Return a gauge's last value, though a scrape or two were missed."""
    return f"last_over_time({gauge}[{window}])"


def of_newest_period(metric: str, *labels: str) -> str:
    """One value for each organization, of the exporters that have seen its newest period.

    The largest of all would be the old period's, for as long as one exporter still has it.
    """
    return by_organization(
        f"{metric} unless on (job, instance, org_id) "
        f"({START} < on (org_id) group_left () {by_organization(START)})",
        *labels,
    )


def growth(counter: str, window: str) -> str:
    """What a counter of each organization grew by.

    Each exporter counts for itself, so the increase comes first. A new name begins a new series,
    so an exporter's series of one organization are summed.
    """
    return by_organization(f"sum without (org_name) (increase({counter}[{window}]))")


def growth_of_resource_types(counter: str, known_by: str, window: str) -> str:
    """Return the same by resource type, with what a new type's counter began with.

    A resource type gets its counter with its first cost, which `increase` cannot see. It counts
    whole if the same exporter had the organization, but not the type, when the window began.
    """
    same = "job, instance, org_id"
    new = (
        f"({counter} unless on ({same}, resource_type) {counter} offset {window}) "
        f"and on ({same}) ({known_by} offset {window})"
    )
    return by_organization(
        f"sum without (org_name) ({new}) or sum without (org_name) (increase({counter}[{window}]))",
        "resource_type",
    )


def named(expr: str) -> str:
    """Put the readable name on what has only the organization's id, and drop those that left."""
    return f"({expr}) * on (org_id) group_left (org_name) ({SEEN} > bool 0)"
