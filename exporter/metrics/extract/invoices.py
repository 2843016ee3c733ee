"""GetInvoicesSummary: what was billed, what is owed and what is late."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from exporter.metrics.extract.values import (
    Samples,
    View,
    exact_sum,
    label_text,
    unix_time,
)
from exporter.model import Reason, Withheld
from exporter.pb import billing_pb2 as pb

MIN_FOR_MEDIAN, MAX_FOR_MEDIAN = 3, 6
A_DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1).toordinal()
LAST_DAYS: Final = 3  # of a month, which are one: a fee of the 31st comes on the 28th, too

STATUSES = ("paid", "outstanding", "payment_processing", "other")
SETTLED = frozenset({"paid", "free", "void"})
FAILURE_REASONS = (
    "card_declined",
    "insufficient_funds",
    "expired_card",
    "incorrect_cvc",
    "incorrect_card_number",
    "authentication_required",
    "processing_error",
    "other",
)


class Place(NamedTuple):
    """Where in its month an invoice is dated, in UTC."""

    day: int  # from 1
    at_end: bool  # one of the month's last days


class Invoice(NamedTuple):
    """One invoice. Times are Unix seconds, None where unset."""

    id: str
    usd: float
    status: str  # one of STATUSES
    unpaid: bool
    issued: float | None
    due: float | None
    paid: float | None
    failure: str | None  # one of FAILURE_REASONS if the last payment failed
    failed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoices(View):
    """All invoices at a moment, which decides what is overdue."""

    outstanding_balance: float
    all: Sequence[Invoice]
    unpaid: Sequence[Invoice]  # somebody still has to pay
    overdue: Sequence[Invoice]  # unpaid, and the due date has passed
    billed: Sequence[Invoice]  # dated and above 0, newest first
    shown: Sequence[Invoice]  # those that have series of their own
    duplicates: Sequence[Invoice]  # those that would, were their id not taken


def view(answer: pb.GetInvoicesSummaryResponse, now: float, *, detail: str, limit: int) -> Invoices:
    """Return what a GetInvoicesSummary answer means at `now` (Unix seconds).

    `detail` (`none`, `open`, `all`) and `limit` say which invoices get series of their own.
    """
    every = [*map(_invoice, answer.invoices)]
    unpaid = [invoice for invoice in every if invoice.unpaid]
    billed = [i for i in every if i.issued is not None and 0 < i.usd < math.inf]
    wanted = {"all": every, "open": unpaid, "none": []}[detail]
    by_id: dict[str, Invoice] = {}
    duplicates = [i for i in wanted if by_id.setdefault(i.id, i) is not i]
    return Invoices(
        outstanding_balance=answer.outstanding_balance,
        all=every,
        unpaid=unpaid,
        overdue=[i for i in unpaid if i.due is not None and i.due <= now],
        billed=sorted(billed, key=newest_first),
        shown=sorted(by_id.values(), key=most_pressing_first)[:limit],
        duplicates=duplicates,
        next_change=min((i.due for i in unpaid if i.due is not None and i.due > now), default=None),
    )


def _invoice(invoice: pb.InvoiceSummary) -> Invoice:
    status = invoice.status.lower()
    usd = invoice.invoice_amount
    reason, failed, failure = invoice.last_payment_failure_reason.lower(), None, None
    if invoice.HasField("last_payment_failure_at"):  # few have
        failed = unix_time(invoice.last_payment_failure_at)
    if reason or failed is not None:
        failure = reason if reason in FAILURE_REASONS else "other"
    # By place: names take twice as long, and there are many.
    return Invoice(
        label_text(invoice.id),
        usd,
        status if status in STATUSES else "other",
        status not in SETTLED and 0 < usd < math.inf,
        unix_time(invoice.invoice_date),
        unix_time(invoice.due_date),
        unix_time(invoice.paid_date),
        failure,
        failed,
    )


def newest_first(invoice: Invoice) -> tuple[float, str]:
    """Return the key by which the newest comes first."""
    return (math.inf if invoice.issued is None else -invoice.issued, invoice.id)


def most_pressing_first(invoice: Invoice) -> tuple[bool, float, str]:
    """Return the key by which what is unpaid comes first, by its due date, then the newest."""
    if invoice.unpaid:
        return (False, math.inf if invoice.due is None else invoice.due, invoice.id)
    return (True, *newest_first(invoice))


def by_status(invoices: Invoices) -> Samples:
    """Number of invoices of each status."""
    statuses = [invoice.status for invoice in invoices.all]
    for status in STATUSES:
        yield (status,), statuses.count(status)


def amount_by_status(invoices: Invoices) -> Samples:
    """Sum of the invoices of each status."""
    amounts: dict[str, list[float]] = {status: [] for status in STATUSES}
    for invoice in invoices.all:
        amounts[invoice.status].append(invoice.usd)
    for status, parts in amounts.items():
        yield (status,), exact_sum(parts)


def unpaid_amount(invoices: Invoices) -> float:
    """Sum of the unpaid invoices."""
    return exact_sum([invoice.usd for invoice in invoices.unpaid])


def overdue_amount(invoices: Invoices) -> float:
    """Sum of the overdue invoices."""
    return exact_sum([invoice.usd for invoice in invoices.overdue])


def oldest_unpaid_due(invoices: Invoices) -> float | None:
    """Earliest due date of an unpaid invoice."""
    return min([i.due for i in invoices.unpaid if i.due is not None], default=None)


@lru_cache(maxsize=4096)  # invoices of all organizations mostly have the same dates
def place(issued: float) -> Place:
    """Return where in its month a date is, in Unix seconds; one beyond the calendar is its end."""
    day = min(int(issued // A_DAY) + EPOCH, date.max.toordinal() - LAST_DAYS)
    then = date.fromordinal(day)
    return Place(then.day, date.fromordinal(day + LAST_DAYS).month != then.month)


def same_kind(one: Place, other: Place) -> bool:
    """Tell whether two invoices are billed for the same thing, as their dates say.

    Usage is billed on the first of a month, a fee on the anniversary of its beginning; either may
    be a day early or late. The first is not the day after the last: that would make usage and the
    fee of a 31st one kind.
    """
    return abs(one.day - other.day) <= 1 or (one.at_end and other.at_end)


def latest_amount(invoices: Invoices) -> float | None:
    """Amount of the newest invoice above 0."""
    return invoices.billed[0].usd if invoices.billed else None


def previous_median_amount(invoices: Invoices) -> float | None:
    """Median of up to six invoices of the newest one's kind before it; none of fewer than three."""
    newest, previous = None, []
    for invoice in invoices.billed:
        if invoice.issued is not None:
            at = place(invoice.issued)
            if newest is None:
                newest = at
            elif same_kind(at, newest):
                previous.append(invoice.usd)
                if len(previous) == MAX_FOR_MEDIAN:
                    break
    return statistics.median(previous) if len(previous) >= MIN_FOR_MEDIAN else None


def payment_failed(invoices: Invoices) -> Samples:
    """Number of unpaid invoices whose last payment failed, for each reason."""
    failures = [invoice.failure for invoice in invoices.unpaid]
    for reason in FAILURE_REASONS:
        yield (reason,), failures.count(reason)


def payment_failed_amount(invoices: Invoices) -> Samples:
    """Sum of unpaid invoices whose last payment failed, for each reason."""
    amounts: dict[str | None, list[float]] = {reason: [] for reason in FAILURE_REASONS}
    for invoice in invoices.unpaid:
        amounts.setdefault(invoice.failure, []).append(invoice.usd)
    for reason in FAILURE_REASONS:
        yield (reason,), exact_sum(amounts[reason])


def payment_last_failure(invoices: Invoices) -> float | None:
    """Newest failure of an unpaid invoice."""
    return max([i.failed for i in invoices.unpaid if i.failed is not None], default=None)


def amount(invoices: Invoices) -> Samples:
    """Amount of each (invoice_id, status)."""
    for invoice in invoices.shown:
        yield (invoice.id, invoice.status), invoice.usd
    yield from (Withheld(Reason.DUPLICATE) for _ in invoices.duplicates)


def issued(invoices: Invoices) -> Samples:
    """Date of each invoice that has one."""
    return _times(invoices, "issued")


def due(invoices: Invoices) -> Samples:
    """Due date of each invoice that has one."""
    return _times(invoices, "due")


def paid(invoices: Invoices) -> Samples:
    """Date of payment of each invoice that has one."""
    return _times(invoices, "paid")


def _times(invoices: Invoices, field: str) -> Samples:
    for invoice in invoices.shown:
        if (seconds := getattr(invoice, field)) is not None:
            yield (invoice.id,), seconds
    for invoice in invoices.duplicates:
        if getattr(invoice, field) is not None:
            yield Withheld(Reason.DUPLICATE)
