"""Pure: what the series of an organization were in the past, as far as its invoices tell.

An invoice says when it was issued, when it was due and when it was paid. So the answer that the
billing API would have given at a past moment can be put together, for some of its fields, and the
exporter's own view and extractors make the samples: same names, same labels, same sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from exporter.metrics import render
from exporter.metrics.catalog import INVOICE, INVOICES
from exporter.metrics.extract import invoices
from exporter.metrics.extract.invoices import SETTLED, Invoices
from exporter.metrics.extract.values import Samples, exact_sum, unix_time
from exporter.model import ORG, InvoiceDetail, Metric, MetricSpec, Organization, Sample
from exporter.pb import billing_pb2 as pb


def _invoice_amount(view: Invoices) -> Samples:
    for invoice in view.shown:
        yield Sample((invoice.id,), invoice.usd)


def _invoiced(view: Invoices) -> Samples:
    yield Sample((), exact_sum(invoice.usd for invoice in view.all))


# What no live series says, for a reason: live, an amount has its invoice's status as a label, and
# which status an unpaid invoice had on a past day is in no answer.
OWN: Final[tuple[MetricSpec[Invoices], ...]] = (
    MetricSpec(
        "viam_billing_backfill_invoice_amount_usd",
        "Amount of an invoice at a past moment, as polled when it was backfilled. Live, "
        "viam_billing_invoice_amount_usd has it, with the status as well.",
        INVOICE,
        extract=_invoice_amount,
    ),
    MetricSpec(
        "viam_billing_backfill_invoiced_usd",
        "Sum of all invoices dated up to a past moment, as polled when it was backfilled.",
        ORG,
        extract=_invoiced,
    ),
)

# Live names that follow from the dates of invoices alone.
FROM_DATES: Final = frozenset(
    {
        "viam_billing_invoice_latest_amount_usd",
        "viam_billing_invoice_previous_median_amount_usd",
        "viam_billing_backfill_invoiced_usd",
    }
)
# And those that also need to know when each was paid.
FROM_PAYMENTS: Final = frozenset(
    {
        "viam_billing_invoices_unpaid",
        "viam_billing_invoices_unpaid_amount_usd",
        "viam_billing_invoices_overdue",
        "viam_billing_invoices_overdue_amount_usd",
        "viam_billing_invoice_next_due_timestamp_seconds",
        "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds",
        "viam_billing_invoice_issued_timestamp_seconds",
        "viam_billing_invoice_due_timestamp_seconds",
        "viam_billing_invoice_paid_timestamp_seconds",
        "viam_billing_backfill_invoice_amount_usd",
    }
)
SPECS: Final[tuple[MetricSpec[Invoices], ...]] = tuple(
    spec for spec in (*INVOICES, *OWN) if spec.name in FROM_DATES | FROM_PAYMENTS
)


class Span(NamedTuple):
    """A time during which nothing changed: from `start`, up to but without `end`."""

    start: float  # Unix seconds
    end: float
    lines: Mapping[str, Sequence[str]]  # metric -> samples without their time


class History(NamedTuple):
    """The past of an organization."""

    spans: Sequence[Span]
    uncertain_from: float  # Unix seconds, from which on not all payments are known; or infinity


def history(
    organization: Organization,
    answer: pb.GetInvoicesSummaryResponse,
    detail: InvoiceDetail,
    labels: tuple[tuple[str, str], ...],
    end: float,
) -> History:
    """Return the past up to `end`, Unix seconds, with more labels on each sample."""
    uncertain = uncertain_from(answer)
    moments = sorted({m for i in answer.invoices for m in _moments(i) if m <= end})
    spans = []
    for start, stop in pairwise([*moments, end]):
        then = as_of(answer, start)
        view = invoices.view(then, start, detail=detail.detail, limit=detail.limit)
        lines = {
            spec.name: render.lines(spec, organization, view, labels).text.decode().splitlines()
            for spec in SPECS
            if spec.name in FROM_DATES or start < uncertain
        }
        spans.append(Span(start, stop, lines))
    return History(spans, uncertain)


def as_of(answer: pb.GetInvoicesSummaryResponse, moment: float) -> pb.GetInvoicesSummaryResponse:
    """Return an answer with the invoices that there were at `moment`, paid or outstanding."""
    then = pb.GetInvoicesSummaryResponse()
    for invoice in answer.invoices:
        issued, paid = unix_time(invoice.invoice_date), _paid(invoice)
        if issued is None or issued > moment:
            continue
        old = then.invoices.add()
        old.CopyFrom(invoice)
        old.ClearField("last_payment_failure_reason")
        old.ClearField("last_payment_failure_at")
        if paid is not None and paid <= moment:
            old.status = "paid"
        else:
            old.status = "outstanding"
            old.ClearField("paid_date")
    return then


def uncertain_from(answer: pb.GetInvoicesSummaryResponse) -> float:
    """Return from when on it is not known which invoices were unpaid; infinity if it is known.

    An amount that is settled without a date of payment was unpaid until nobody knows when; one
    without a date of its own, from nobody knows when.
    """
    return min(
        (
            unix_time(invoice.invoice_date) or -math.inf
            for invoice in answer.invoices
            if math.isfinite(invoice.invoice_amount)
            and invoice.invoice_amount > 0
            and (
                unix_time(invoice.invoice_date) is None
                or (_is_settled(invoice) and _paid(invoice) is None)
            )
        ),
        default=math.inf,
    )


def sample_times(span: Span, step: float, since: float, end: float) -> Iterator[int]:
    """Yield the multiples of `step` within a span, from `since` up to `end`, in Unix seconds."""
    time = math.ceil(max(span.start, since) / step) * step
    while time <= end and (time < span.end or span.end == end):
        yield int(time)
        time += step


def write(
    histories: Sequence[History],
    step: float,
    since: float,
    end: float,
    put: Callable[[str], Any],
) -> int:
    """Write the samples of all organizations as OpenMetrics, and return how many there are.

    Each family and each series stands at a stretch, and within a series, time goes on.
    """
    count = 0
    for spec in SPECS:
        put(render.header(_described(spec), render.Format.OPENMETRICS).decode())
        for each in histories:
            for spans in _series(each, spec.name).values():
                for span, line in spans:
                    times = [*sample_times(span, step, since, end)]
                    put("".join(f"{line} {time}\n" for time in times))
                    count += len(times)
    put("# EOF\n")
    return count


def _series(past: History, name: str) -> Mapping[str, Sequence[tuple[Span, str]]]:
    """Return the samples of a metric by their series, in the order of time."""
    found: dict[str, list[tuple[Span, str]]] = {}
    for span in past.spans:
        for line in span.lines.get(name, ()):
            found.setdefault(line.rpartition(" ")[0], []).append((span, line))
    return found


def _described(spec: MetricSpec[Invoices]) -> Metric:
    return Metric(spec.name, spec.help, spec.labels, spec.type)


def _is_settled(invoice: pb.InvoiceSummary) -> bool:
    return invoice.status.lower() in SETTLED


def _paid(invoice: pb.InvoiceSummary) -> float | None:
    """Return when an invoice was paid; a date on one that is still owed does not count."""
    return unix_time(invoice.paid_date) if _is_settled(invoice) else None


def _moments(invoice: pb.InvoiceSummary) -> Iterator[float]:
    """Yield when something changed, from the invoice's date on."""
    issued = unix_time(invoice.invoice_date)
    if issued is not None:
        yield issued
        for moment in (unix_time(invoice.due_date), _paid(invoice)):
            if moment is not None and moment > issued:
                yield moment
