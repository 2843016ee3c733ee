"""Makes HTML: nothing in it runs, nothing is loaded, and whatever is put in is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from exporter.metrics.report import MONTH_TO_DATE
from exporter.model import InvoiceDetail, OrganizationState, Reason
from exporter.web.facts import ExporterFacts, awaited
from exporter.web.status import days, templates
from exporter.web.status.bars import bars
from exporter.web.status.detail import MAX_OF_PERIOD, detail
from exporter.web.status.failing import failing
from exporter.web.status.table import COLUMNS, FILTERS, Query, table
from exporter.web.status.troubles import troubles
from exporter.web.summary import OVERDUE, OWED, PageContext, Summary

DOTS: Final = {".", ".."}
REASONS: Final[Mapping[str, str]] = {
    Reason.NAN: "not a number, or a sum that includes one",
    Reason.INFINITY: "infinite, or a sum that includes an infinite part",
    Reason.DUPLICATE: "another with the same id is shown",
    Reason.LIMIT: "there are more series than limits.max_series",
}


class StatusPages:
    """Renders the status page, and the one of an organization."""

    def __init__(self, *, version: str, telemetry_path: str, links: str = "") -> None:
        """Read the templates. `links` stands before each link: nothing, or a path."""
        environment = templates.environment(templates.PAGES)
        environment.filters["address"] = _address
        style = environment.get_template("style.css").render()
        self.security_policy = (
            f"{templates.policy(style)}; form-action 'self'; frame-ancestors 'none'"
        )
        self._status = environment.get_template("status.html")
        self._organization = environment.get_template("organization.html")
        self._fixed: Mapping[str, Any] = {
            "style": style,
            "version": version,
            "telemetry_path": telemetry_path.removeprefix("/"),
            "columns": COLUMNS,
            "filters": FILTERS,
            "reasons": REASONS,
            "MONTH_TO_DATE": MONTH_TO_DATE,
            "OWED": OWED,
            "OVERDUE": OVERDUE,
            "MAX_OF_PERIOD": MAX_OF_PERIOD,
        }
        self._links = links

    def status(
        self,
        organizations: tuple[OrganizationState, ...],
        context: PageContext,
        facts: ExporterFacts,
        parameters: Mapping[str, str],
    ) -> str:
        """Return the status page as HTML. `parameters` are those of the URL."""
        rows = [Summary(state, context) for state in organizations]
        shown = table(rows, Query.of(parameters))
        return self._status.render(
            self._fixed,
            table=shown,
            pictures={row.id: bars(days.whole(row)) for row in shown.rows if row.windows},
            total=len(rows),
            shared={name for name, n in Counter(row.name for row in rows).items() if n > 1},
            troubles=troubles(facts, context),
            failing=failing(rows),
            facts=facts,
            awaited=awaited(facts.unpolled, settled=facts.settled),
            now=context.time,
            links=self._links,
        )

    def organization(
        self, state: OrganizationState, context: PageContext, invoice_detail: InvoiceDetail
    ) -> str:
        """Return the page of an organization as HTML."""
        summary = Summary(state, context)
        return self._organization.render(
            self._fixed,
            it=detail(summary, invoice_detail),
            failing=failing([summary]),
            now=context.time,
            links=self._links or "../",
        )


def _address(org_id: str, above: str = "", below: str = "") -> str:
    """Return the path of what there is of an organization, below that of all pages.

    Clients resolve dots between slashes, escaped ones too, and some proxies decode a slash. In a
    query nobody does.
    """
    escaped = quote(org_id, safe="")
    if "/" in org_id or DOTS & set(org_id.split("\\")):
        return f"{above}organizations/{below}?id={escaped}"
    return f"{above}organizations/{escaped}{below}"
