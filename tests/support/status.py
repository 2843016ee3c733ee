"""The pages for people without a server: states made of messages, and HTML taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from typing import Any

from google.protobuf.message import Message

from exporter.metrics.catalog import COLLECTORS
from exporter.model import (
    ClosedPeriod,
    ClosedPeriods,
    CollectorState,
    InvoiceDetail,
    Moment,
    Organization,
    OrganizationState,
    Spend,
    Tally,
)
from exporter.pb import billing_pb2 as pb
from exporter.polling import answers
from exporter.polling.poller import Progress
from exporter.polling.schedule import Unit
from exporter.state.ledger import IN_MEMORY
from exporter.web.facts import ExporterFacts
from exporter.web.status import StatusPages
from exporter.web.summary import PageContext
from support.reader import organization
from support.virtual import START

DAY = 86_400
ALL = InvoiceDetail("all", 1000)
FACTS = ExporterFacts(7200.0, "0123456789ab", Progress(3, 1, 0), ready=True, unpolled=0)
# What has no end tag.
VOID = {"meta", "link", "input", "rect"}


def nowhere(_unit: Unit) -> float | None:
    """Poll a minute from now."""
    return 160.0


CONTEXT = PageContext(START, 100.0, nowhere)


def usage(
    *nets: float, discount: float = 0.0, subtotal: float | None = None, **fields: Any
) -> pb.GetCurrentMonthUsageResponse:
    """Return an answer in the middle of a period of 30 days, with a source for each net cost."""
    answer = pb.GetCurrentMonthUsageResponse(
        subtotal=sum(nets) if subtotal is None else subtotal, **fields
    )
    answer.start_date.FromSeconds(int(START) - 15 * DAY)
    answer.end_date.FromSeconds(int(START) + 15 * DAY)
    for net in nets:
        source = answer.resource_usage_costs_by_source.add(source_type="SOURCE_TYPE_ORG")
        source.resource_usage_costs.total_with_discount = net
        source.resource_usage_costs.discount = discount
        source.resource_usage_costs.total_without_discount = net + discount
        source.resource_usage_costs.usage_costs.add(
            resource_type="USAGE_COST_TYPE_PER_MACHINE", cost=net + discount
        )
    return answer


def invoices(*invoices: Mapping[str, Any], balance: float = 0.0) -> pb.GetInvoicesSummaryResponse:
    """Return an answer. Times of invoices are days from now."""
    answer = pb.GetInvoicesSummaryResponse(outstanding_balance=balance)
    for fields in invoices:
        invoice = answer.invoices.add()
        for name, value in fields.items():
            if name.endswith(("_date", "_at")):
                getattr(invoice, name).FromSeconds(int(START + value * DAY))
            else:
                setattr(invoice, name, value)
    return answer


def ended(usd: float, end: float = START - 15 * DAY, start: float | None = None) -> Spend:
    """Return counters of an organization of which a period has ended that cost so much."""
    period = ClosedPeriod(start, end, usd, max(0.0, end - 900))
    return Spend(START, Tally(12.0, 3.0, 1.0), {}, closed=ClosedPeriods().plus(period))


def state(
    organization_: Organization | None = None,
    *messages: Message,
    received: float = 100.0,
    **changes: Any,
) -> OrganizationState:
    """Return what polls left behind: a success of each collector that has a message.

    `received` is on the monotonic clock; `changes` are those of every collector.
    """
    organization_ = organization_ or organization(max_age=3600.0)
    collectors: dict[str, CollectorState] = {}
    spend, forecast = None, None
    for collector in COLLECTORS:
        known = CollectorState()
        for message in messages:
            if isinstance(message, collector.message):
                now = Moment(START, received)
                raw = message.SerializeToString()
                before = OrganizationState(organization_, {collector.name: known})
                unit = Unit(organization_.id, collector.name)
                taken = answers.taken_in(before, unit, raw, ALL, now, IN_MEMORY)
                spend, forecast = taken.spend or spend, taken.forecast or forecast
                known = CollectorState(taken.answer, polled=True, attempted=START, duration=0.25)
        collectors[collector.name] = known._replace(**changes)
    return OrganizationState(organization_, collectors, spend, forecast=forecast)


@cache
def pages() -> StatusPages:
    """Return what renders the pages, made once: reading the templates takes a while."""
    return StatusPages(version="1.2.3", telemetry_path="/metrics")


def status(
    *states: OrganizationState,
    facts: ExporterFacts = FACTS,
    context: PageContext = CONTEXT,
    asked: Mapping[str, str] | None = None,
    **parameters: str,
) -> Html:
    """Return the status page of some organizations, asked for with some parameters."""
    return Html.of(pages().status(states, context, facts, {**(asked or {}), **parameters}))


def page(state: OrganizationState, context: PageContext = CONTEXT) -> Html:
    """Return the page of an organization."""
    return Html.of(pages().organization(state, context, ALL))


@dataclass
class Html(HTMLParser):
    """A page taken apart. Elements that are not closed in turn fail the test."""

    tags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # with attributes' names
    attributes: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)  # of tables, cell by cell
    text: str = ""
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, html: str) -> Html:
        """Take a page apart."""
        parsed = cls()
        parsed.feed(html)
        parsed.close()
        assert not parsed._open, parsed._open
        return parsed

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        """Note an element."""
        attrs = list(attrs)
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        attrs = list(attrs)
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element, which must be the last one begun."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text, but not that of the style."""
        if "style" not in self._open:
            self.text += data
            if {"td", "th"} & set(self._open):
                self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        """Return the only row that begins with a text, its white space made one space."""
        rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        (found,) = [row for row in rows if row and row[0] == first]
        return found

    def column(self, place: int = 0) -> list[str]:
        """Return a column of the status page's table, without head and sum."""
        return [
            " ".join(row[place].split())
            for row in self.rows[1:]
            if not row[0].startswith(("All ", "No organization"))
        ]

    def links(self) -> list[str]:
        """Return where links lead."""
        return [value for name, value in self.attributes if name == "href"]
