"""Pure: what limits.max_series keeps off the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.page.organization_lines import OrganizationLines


class Limit(NamedTuple):
    """What is withheld. Per-invoice series go first, then whole organizations, from the end."""

    without_invoices: bool = False
    organizations: int = 0
    samples: int = 0
    first: str | None = None  # id of the first organization that is withheld; so are all after it

    def withholds(self, org_id: str, *, per_invoice: bool = False) -> bool:
        """Say whether the series of an organization, or those of its invoices, are off the page."""
        if per_invoice and self.without_invoices:
            return True
        return self.first is not None and org_id >= self.first


def limit_for(lines: Mapping[str, OrganizationLines], max_series: int) -> tuple[Limit, int]:
    """Return what has to be withheld of these organizations, by id, and how many series are left.

    Never half of an organization.
    """
    everything = sum([each.series for each in lines.values()])
    if everything <= max_series:
        return Limit(), everything
    shown = everything - sum([each.per_invoice for each in lines.values()])
    withheld, first = 0, None
    for org_id in sorted(lines, reverse=True):
        if shown <= max_series:
            break
        shown -= lines[org_id].series - lines[org_id].per_invoice
        withheld, first = withheld + 1, org_id
    return Limit(True, withheld, everything - shown, first), shown
