"""How each number of one organization came to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from google.protobuf import text_format
from google.protobuf.message import Message

from exporter.base.plain import HALF_A_CENT
from exporter.metrics import fragments, render
from exporter.metrics.catalog import COLLECTORS, Collector
from exporter.metrics.closed import ClosedBill, closed_periods
from exporter.metrics.extract.billing_information import BillingInformation
from exporter.metrics.extract.invoices import Invoice, Invoices
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import enum_label, exact_sum, label_text
from exporter.model import CollectorState, InvoiceDetail, Metric, Organization, Reason
from exporter.pb import billing_pb2 as pb
from exporter.polling.schedule import Unit
from exporter.state.day_rows import DAY
from exporter.state.history import PastPoll, polls
from exporter.web.status import days
from exporter.web.status.bars import Bars, bars
from exporter.web.status.changes import Changes, changes
from exporter.web.status.course import Course, course
from exporter.web.summary import Summary

# What a page shows of an answer, which may have 4 MiB.
MAX_RECEIVED: Final = 64 * 1024  # bytes of a message, to be shown as it came
MAX_SOURCES: Final = 100
MAX_COSTS: Final = 100  # of a source
MAX_INVOICES: Final = 200
MAX_OF_PERIOD: Final = 10  # invoices beside a period that has ended
MAX_LINES: Final = 100  # of a metric


class Withholding(NamedTuple):
    """Samples of a metric that are not shown, and why."""

    metric: Metric
    reason: str
    samples: int


class Shown(NamedTuple):
    """A metric as it is on /metrics."""

    metric: Metric
    lines: Sequence[str]
    more: int


class Cost(NamedTuple):
    """What a source costs of one type, as received."""

    resource_type: str
    usd: float


class UsageSource(NamedTuple):
    """A source of costs, as received. Without a bill the amounts are None."""

    source_type: str
    tier: str
    costs: Sequence[Cost]
    more: int  # costs
    gross: float | None
    discount: float | None
    net: float | None


class UsageDetail(NamedTuple):
    """The month so far: what came, and what is made of it. US dollars."""

    view: Usage
    sources: Sequence[UsageSource]
    more: int  # sources
    older: Sequence[Cost]  # the totals of the older shape, where no source is given
    costs: float
    gross: float
    discount: float
    net: float
    difference: float  # subtotal minus net

    @property
    def subtotal_is(self) -> str:
        """What the API's subtotal, which it does not define, comes to here."""
        subtotal = self.view.subtotal
        if math.isclose(subtotal, self.net, abs_tol=HALF_A_CENT):
            return "the sum after discounts"
        if math.isclose(subtotal, self.gross, abs_tol=HALF_A_CENT):
            return "the sum before discounts"
        return "neither the sum after discounts nor the sum before them"


class BilledInvoice(NamedTuple):
    """An invoice as received, and what is made of it."""

    invoice: Invoice
    status: str  # as received
    state: str
    duplicate: bool  # another one before it has its id


class InvoicesDetail(NamedTuple):
    """All invoices, and what is made of them."""

    view: Invoices
    listed: Sequence[BilledInvoice]  # the newest first
    more: int
    unpaid: float  # US dollars
    overdue: float  # US dollars


@dataclass(frozen=True, slots=True)
class CollectorDetail:
    """One collector: how it is polled, and what it brought."""

    collector: Collector[Any, Any]
    state: CollectorState
    polls: Sequence[PastPoll]  # the newest first
    next_poll: float | None  # seconds from now
    current: bool
    received: str | None  # the message as text; None if it is too long, or there is none
    size: int  # of the message, in bytes
    withheld: Sequence[Withholding]
    shown: Sequence[Shown]


@dataclass(frozen=True, slots=True)
class Detail:
    """One organization."""

    summary: Summary
    organization: Organization
    collectors: Sequence[CollectorDetail]
    usage: UsageDetail | None
    invoices: InvoicesDetail | None
    closed: Sequence[ClosedBill]  # periods that have ended, the newest first
    windows: Sequence[days.Window]
    days: Sequence[days.DayDetail]  # of the ledger, the newest first
    picture: Bars | None  # of them
    changes: Changes | None  # of the last day and week
    course: Course | None  # of the current period
    billing: BillingInformation | None


def detail(summary: Summary, invoice_detail: InvoiceDetail) -> Detail:
    """Return all there is to say. Reads the answers again, as they were kept: no personal data."""
    collectors = []
    views: dict[str, tuple[Any, Any]] = {}
    for collector in COLLECTORS:
        state = summary.state.collectors.get(collector.name)
        if state is None:
            continue
        message = None
        if (read := summary.reread(collector, invoice_detail)) is not None:
            message, _ = views[collector.name] = read
        collectors.append(_collector(summary, collector, state, message, views))
    usage, invoices, billing = (
        views.get(name) for name in ("usage", "invoices", "billing_information")
    )
    spend = summary.report.spend
    listed = days.listed(summary)
    return Detail(
        summary,
        summary.state.organization,
        collectors,
        None if usage is None else _usage(*usage),
        None if invoices is None else _invoices(*invoices),
        () if spend is None else closed_periods(spend, None if invoices is None else invoices[1]),
        days.windows(summary),
        listed,
        _picture(summary, listed),
        changes(summary),
        course(summary),
        None if billing is None else cast("BillingInformation", billing[1]),
    )


def _picture(summary: Summary, listed: Sequence[days.DayDetail]) -> Bars | None:
    spikes = {int(each.start // DAY) for each in listed if each.compared and each.compared.is_spike}
    whole = days.whole(summary)
    return bars(whole, spikes) if any(not day.is_unknown for _, day in whole) else None


def _collector(
    summary: Summary,
    collector: Collector[Any, Any],
    state: CollectorState,
    message: Message | None,
    views: Mapping[str, tuple[Any, Any]],
) -> CollectorDetail:
    organization = summary.state.organization
    due = summary.context.next_poll(Unit(organization.id, collector.name))
    withheld: list[Withholding] = []
    shown: list[Shown] = []
    current = summary.report.current.get(collector.name)
    if current is not None:
        view = views[collector.name][1]
        texts = fragments.unpacked(current.reading.fragments)
        for spec, text in zip(collector.specs, texts, strict=True):
            reasons = sorted(render.lines([spec], organization, view).withheld.items())
            withheld += [Withholding(spec, reason, n) for reason, n in reasons]
            if not text:
                continue
            lines = text.decode().removesuffix("\n").split("\n")
            if summary.context.limit.withholds(organization.id, per_invoice=spec.per_invoice):
                withheld.append(Withholding(spec, Reason.LIMIT, len(lines)))
            else:
                shown.append(Shown(spec, lines[:MAX_LINES], max(0, len(lines) - MAX_LINES)))
    size = message.ByteSize() if message is not None else 0
    short = message is not None and size <= MAX_RECEIVED
    return CollectorDetail(
        collector,
        state,
        polls(state.history),
        None if due is None else due - summary.context.monotonic,
        current is not None,
        text_format.MessageToString(cast("Message", message), as_utf8=True) if short else None,
        size,
        withheld,
        shown,
    )


def _usage(message: pb.GetCurrentMonthUsageResponse, view: Usage) -> UsageDetail:
    received = message.resource_usage_costs_by_source
    older: Sequence[Cost] = ()
    if not received:
        older = tuple(
            Cost(field.name, value)
            for field, value in message.ListFields()
            if isinstance(value, float) and field.name != "subtotal"
        )
    return UsageDetail(
        view,
        [_source(source) for source in received[:MAX_SOURCES]],
        max(0, len(received) - MAX_SOURCES),
        older,
        costs=exact_sum(cost for costs in view.costs.values() for cost in costs),
        gross=view.gross,
        discount=view.discount,
        net=view.month_to_date,
        difference=view.subtotal - view.month_to_date,
    )


def _source(source: pb.ResourceUsageCostsBySource) -> UsageSource:
    bill = source.resource_usage_costs if source.HasField("resource_usage_costs") else None
    costs = bill.usage_costs if bill is not None else ()
    return UsageSource(
        enum_label(pb.SourceType, "SOURCE_TYPE_", source.source_type),
        label_text(source.tier_name),
        [
            Cost(enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", cost.resource_type), cost.cost)
            for cost in costs[:MAX_COSTS]
        ],
        max(0, len(costs) - MAX_COSTS),
        None if bill is None else bill.total_without_discount,
        None if bill is None else bill.discount,
        None if bill is None else bill.total_with_discount,
    )


def _invoices(message: pb.GetInvoicesSummaryResponse, view: Invoices) -> InvoicesDetail:
    overdue = {id(invoice) for invoice in view.overdue}
    seen: set[str] = set()
    billed = []
    for received, invoice in zip(message.invoices, view.all, strict=True):
        status = label_text(received.status)
        state = "overdue" if id(invoice) in overdue else _state(invoice)
        billed.append(BilledInvoice(invoice, status, state, invoice.id in seen))
        seen.add(invoice.id)
    billed.sort(key=lambda each: -(each.invoice.issued or 0.0))
    return InvoicesDetail(
        view,
        billed[:MAX_INVOICES],
        max(0, len(billed) - MAX_INVOICES),
        exact_sum(invoice.usd for invoice in view.unpaid),
        exact_sum(invoice.usd for invoice in view.overdue),
    )


def _state(invoice: Invoice) -> str:
    """Say whether somebody still has to pay."""
    if not math.isfinite(invoice.usd):
        return "unknown"
    if invoice.unpaid:
        return "unpaid"
    return "credit" if invoice.usd < 0 else "settled"
