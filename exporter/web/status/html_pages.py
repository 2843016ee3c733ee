"""Makes HTML: nothing in it runs, nothing is loaded, and whatever is put in is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from exporter.api.proxy import Proxy
from exporter.metrics.report import MONTH_TO_DATE
from exporter.model import InvoiceDetail, OrganizationState, Reason
from exporter.polling.key_records import DiscoveryStatus
from exporter.polling.poller import Progress
from exporter.state.ledger import STORED
from exporter.web.status import days, templates
from exporter.web.status.bars import bars
from exporter.web.status.detail import MAX_OF_PERIOD, detail
from exporter.web.status.failing import failing
from exporter.web.status.table import COLUMNS, FILTERS, Query, table
from exporter.web.summary import OVERDUE, OWED, PageContext, Summary

if TYPE_CHECKING:
    import jinja2

DOTS: Final = {".", ".."}
REASONS: Final[Mapping[str, str]] = {
    Reason.NAN: "not a number, or a sum that includes one",
    Reason.INFINITY: "infinite, or a sum that includes an infinite part",
    Reason.DUPLICATE: "another with the same id is shown",
    Reason.LIMIT: "there are more series than limits.max_series",
}


@dataclass(frozen=True, slots=True)
class ExporterFacts:
    """What there is to say of the exporter itself."""

    uptime: float  # seconds
    configuration_hash: str
    progress: Progress
    ready: bool
    unpolled: int  # organizations
    settled: bool = True  # whether it is known which organizations there are
    discovery: DiscoveryStatus | None = None  # how discovery fares
    proxy: Proxy | None = None  # which the API is reached through
    kept_days: int = STORED  # of the ledger
    is_stored: bool = True  # what is polled and counted


class StatusPages:
    """Renders the status page, and the one of an organization."""

    def __init__(self, *, version: str, telemetry_path: str, links: str = "") -> None:
        """Read no template yet. `links` stands before each link: nothing, or a path."""
        self._fixed: Mapping[str, Any] = {
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

    @cached_property
    def _environment(self) -> jinja2.Environment:
        made = templates.environment(templates.PAGES)
        made.filters["address"] = _address
        made.globals["style"] = made.get_template("style.css").render()
        return made

    @cached_property
    def security_policy(self) -> str:
        """The content security policy of the pages."""
        style = str(self._environment.globals["style"])
        return f"{templates.policy(style)}; form-action 'self'; frame-ancestors 'none'"

    def status(
        self,
        organizations: tuple[OrganizationState, ...],
        context: PageContext,
        facts: ExporterFacts,
        parameters: Mapping[str, str],
    ) -> str:
        """Return the status page as HTML. `parameters` are those of the URL.

        The first page takes longer, for it loads what makes pages.
        """
        rows = [Summary(state, context) for state in organizations]
        shown = table(rows, Query.of(parameters))
        return self._environment.get_template("status.html").render(
            self._fixed,
            table=shown,
            pictures={row.id: bars(days.whole(row)) for row in shown.rows if row.windows},
            total=len(rows),
            shared={name for name, n in Counter(row.name for row in rows).items() if n > 1},
            failing=failing(rows),
            facts=facts,
            now=context.time,
            links=self._links,
        )

    def organization(
        self, state: OrganizationState, context: PageContext, invoice_detail: InvoiceDetail
    ) -> str:
        """Return the page of an organization as HTML."""
        summary = Summary(state, context)
        return self._environment.get_template("organization.html").render(
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
