"""An organization as programs get it: in a line, and whole. The numbers are those of the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.base import plain
from exporter.forecast import ahead
from exporter.forecast.expectation import KEPT
from exporter.forecast.outlook import Said
from exporter.metrics import fragments, parts
from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.closed import ClosedBill, closed_periods
from exporter.metrics.extract.invoices import Invoice, Invoices
from exporter.metrics.extract.usage import Usage, view
from exporter.model import InvoiceDetail, Reason, Spend
from exporter.pb import billing_pb2 as pb
from exporter.state.ledger import between
from exporter.state.listing import text_of
from exporter.web.api.documents import encoded, object_of
from exporter.web.summary import OUTSTANDING, PERIOD_END, PERIOD_START, USAGE, Summary

NO_DETAIL = InvoiceDetail("none", 0)  # all invoices are listed, whichever have series


def line(of: Summary) -> dict[str, Any]:
    """Return an organization in a line. What is not known is None. Amounts are US dollars."""
    forecast = of.forecast
    return {
        "org_id": of.id,
        "org_name": of.name,
        "up": of.report.up,
        "period_start": plain.moment(of.value(PERIOD_START)),
        "period_end": plain.moment(of.value(PERIOD_END)),
        "month_to_date_usd": plain.number(of.month_to_date),
        "forecast_usd": plain.number(of.forecast_usd),
        "forecast_lower_usd": None if forecast is None else plain.number(forecast.lower),
        "forecast_upper_usd": None if forecast is None else plain.number(forecast.upper),
        "forecast_method": None if forecast is None else forecast.method,
        "budget_usd": plain.number(of.budget),
        "budget_used": plain.number(of.budget_used),
        "budget_exhausted_at": None if forecast is None else plain.moment(forecast.exhausted),
        "outstanding_balance_usd": plain.number(of.value(OUTSTANDING)),
        "unpaid_usd": plain.number(of.owed),
        "overdue_usd": plain.number(of.overdue),
        "last_success": plain.moment(of.last_success),
        "failures": _failures(of),
        "withheld": _withheld(of),
    }


def method(said: Said) -> dict[str, Any]:
    """Return what a method of the forecast says, as programs get it."""
    return {
        "name": said.name,
        "forecast_usd": plain.number(said.usd),
        "weight": said.weight,
        "past_error": plain.number(said.error),
    }


def whole(of: Summary, ended: Mapping[float, bytes], unread: str | None = None) -> bytes:
    """Return an organization with what its bill is made of, as JSON.

    `ended` has the last usage answer of periods that have ended, by their ends, where it is kept;
    `unread` says why others could not be read. Reads the answers again, as they were kept, which
    may take long: they may have 4 MiB.
    """
    views = {
        collector.name: read[1]
        for collector in COLLECTORS
        if collector.name in of.current and (read := of.reread(collector, NO_DETAIL))
    }
    usage: Usage | None = views.get(USAGE)
    invoices: Invoices | None = views.get("invoices")
    head = {
        "generated_at": plain.moment(of.context.time),
        **line(of),
        "usage_seen_at": plain.moment(of.current[USAGE].received) if USAGE in of.current else None,
        **_totals(usage),
        "subtotal_usd": None if usage is None else plain.number(usage.subtotal),
        "forecast_closed_period_error": None
        if of.forecast is None
        else plain.number(of.forecast.past_error),
        "budget_exhausted_is_estimated": of.forecast.is_exhausted_estimated
        if of.forecast is not None and of.forecast.is_over
        else None,
        "closed_costs_unread": unread,
    }
    spend = of.report.spend
    listed = None if invoices is None else parts.every_invoice(invoices)
    return object_of(
        head,
        forecast_methods=None if of.forecast is None else map(_method, of.methods),
        costs=None if usage is None else map(encoded, parts.costs(usage)),
        invoices=None if listed is None else (_invoice(*each) for each in listed),
        closed_periods=None
        if spend is None
        else (_closed(each, ended) for each in closed_periods(spend, invoices)),
        expected_days=None if spend is None else map(encoded, _expected_days(spend)),
    )


def _totals(usage: Usage | None) -> dict[str, Any]:
    return {
        "gross_usd": None if usage is None else plain.number(usage.gross),
        "discount_usd": None if usage is None else plain.number(usage.discount),
    }


def _expected_days(spend: Spend) -> Iterator[dict[str, Any]]:
    """Yield the whole days that something was expected of, the oldest first."""
    if spend.ledger is None:
        return
    answered = spend.ledger.windows.answered
    days = between(spend.ledger, 0, answered)
    for number, found in ahead.compared(spend, days, answered - KEPT, answered).items():
        more = found.more if found.is_spike else ()
        yield {
            "date": text_of(number),
            "expected_usd": plain.number(found.expected.usd),
            "expected_upper_usd": plain.number(found.expected.upper),
            "is_spike": found.is_spike,
            "above_usd": plain.number(found.above),
            "causes": [{"resource_type": name, "above_usd": usd} for name, usd in more],
        }


def _invoice(received: Invoice, overdue: bool) -> bytes:  # noqa: FBT001 - as it is yielded
    return encoded(parts.invoice(received, overdue=overdue))


def _method(said: Said) -> bytes:
    return encoded(method(said))


def _closed(period: ClosedBill, ended: Mapping[float, bytes]) -> bytes:
    invoices, message = period.invoices, ended.get(period.period.end)
    listed = None if invoices is None else (_invoice(*each) for each in invoices)
    usage = None if message is None else view(pb.GetCurrentMonthUsageResponse.FromString(message))
    costs = None if usage is None else map(encoded, parts.costs(usage))
    return object_of({**period.plain(), **_totals(usage)}, costs=costs, invoices=listed)


def _failures(of: Summary) -> list[dict[str, Any]]:
    return [
        {
            "collector": name,
            "cause": str(state.failure.cause),
            "since": plain.moment(state.failing_since),
            "reason": state.failure.message,
        }
        for name, state in of.state.collectors.items()
        if state.failure is not None
    ]


def _withheld(of: Summary) -> list[dict[str, Any]]:
    """Return what is kept off /metrics, of the data that is current."""
    found: list[dict[str, Any]] = []
    for collector in COLLECTORS:
        answer = of.report.current.get(collector.name)
        if answer is None:
            continue
        samples = Counter(answer.reading.withheld)
        texts = fragments.unpacked(answer.reading.fragments)
        for spec, lines in zip(collector.specs, texts, strict=True):
            if of.context.limit.withholds(of.id, per_invoice=spec.per_invoice):
                samples[Reason.LIMIT] += lines.count(b"\n")
        found += [
            {"collector": collector.name, "reason": str(reason), "samples": count}
            for reason, count in sorted(samples.items())
            if count
        ]
    return found
