"""Pure functions from the billing API's messages to samples.

In two steps. A *view* says what an answer means, with the API's traps removed: open enums,
the deprecated shape, absent messages, zero times of other languages, free text. The
*extractors* below each view turn it into the samples of one metric and are referred to by
the rows of the catalog.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.model import Sample, Withheld
from exporter.pb import billing_pb2 as pb

Samples = Iterator[Sample | Withheld]
MessageT = TypeVar("MessageT", bound=Message)

MAX_LABEL_LENGTH = 256
MAX_TIERS = 20


# --- Building blocks ----------------------------------------------------------------------


def label_text(text: str) -> str:
    """Return the API's text as a label value: what UTF-8 cannot hold replaced, and cut."""
    return text[:MAX_LABEL_LENGTH].encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def enum_label(enum: EnumTypeWrapper, prefix: str, number: int) -> str:
    """Return the enum's name without its prefix, in lower case; a number that is new keeps it."""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    return value.name.removeprefix(prefix).lower() if value else f"unknown_{number}"


def unix_time(timestamp: Timestamp) -> float | None:
    """Return Unix seconds, or None for an unset time.

    An absent message reads as 0, and the zero time of another language as far below it.
    """
    seconds = timestamp.seconds + timestamp.nanos / 1e9
    return seconds if seconds > 0 else None


def exact_sum(parts: Iterable[float]) -> float:
    """Return the correctly rounded sum; NaN or an infinity if a part, or the sum, is one."""
    parts = list(parts)
    if not all(map(math.isfinite, parts)):
        return math.nan if any(map(math.isnan, parts)) else math.inf
    try:
        return math.fsum(parts)
    except OverflowError:
        return math.inf


def optional(value: float | None) -> Samples:
    """Yield the only sample of a metric that is absent when there is nothing to say."""
    if value is not None:
        yield Sample((), value)


def _unknown(enum: EnumTypeWrapper, numbers: Iterable[int]) -> int:
    return sum(number not in enum.DESCRIPTOR.values_by_number for number in numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the poller asks of every view. Times are Unix seconds."""

    unknown_enums: Mapping[str, int] = field(default_factory=dict)  # enum -> values
    period_end: float | None = None  # the end of the period that the answer speaks of
    next_change: float | None = None  # when samples change although no new answer comes
    billing_tier: str = ""


def keep_known(answer: MessageT) -> MessageT:
    """Return an answer without fields that we do not know: they may hold anything."""
    kept = type(answer)()
    kept.CopyFrom(answer)
    kept.DiscardUnknownFields()
    return kept


# --- Usage --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of the bill. The same labels can come twice."""

    source_type: str
    tier: str
    resource_type: str
    usd: float


@dataclass(frozen=True, slots=True)
class Total:
    """The totals of one source. The same labels can come twice."""

    source_type: str
    tier: str
    gross: float
    discount: float
    net: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(View):
    """The current period's bill so far, in US dollars."""

    costs: tuple[Cost, ...]
    totals: tuple[Total, ...]
    subtotal: float
    period_start: float | None

    @property
    def month_to_date(self) -> float:
        """Net costs of all sources."""
        return exact_sum(total.net for total in self.totals)


def usage(answer: pb.GetCurrentMonthUsageResponse) -> Usage:
    """Return what a GetCurrentMonthUsage answer means."""
    sources = answer.resource_usage_costs_by_source
    costs, totals = _by_source(answer) if sources else _deprecated(answer)
    unknown = {
        "SourceType": _unknown(pb.SourceType, (source.source_type for source in sources)),
        "UsageCostType": _unknown(
            pb.UsageCostType,
            (
                cost.resource_type
                for source in sources
                for cost in source.resource_usage_costs.usage_costs
            ),
        ),
    }
    return Usage(
        costs=costs,
        totals=totals,
        subtotal=answer.subtotal,
        period_start=unix_time(answer.start_date),
        period_end=unix_time(answer.end_date),
        unknown_enums=unknown,
    )


def _by_source(
    answer: pb.GetCurrentMonthUsageResponse,
) -> tuple[tuple[Cost, ...], tuple[Total, ...]]:
    tiers = _tier_labels(source.tier_name for source in answer.resource_usage_costs_by_source)
    costs: list[Cost] = []
    totals: list[Total] = []
    for source in answer.resource_usage_costs_by_source:
        if not source.HasField("resource_usage_costs"):
            continue
        source_type = enum_label(pb.SourceType, "SOURCE_TYPE_", source.source_type)
        tier = tiers[source.tier_name]
        bill = source.resource_usage_costs
        for cost in bill.usage_costs:
            resource_type = enum_label(pb.UsageCostType, "USAGE_COST_TYPE_", cost.resource_type)
            costs.append(Cost(source_type, tier, resource_type, cost.cost))
        totals.append(
            Total(
                source_type,
                tier,
                gross=bill.total_without_discount,
                discount=bill.discount,
                net=bill.total_with_discount,
            )
        )
    return tuple(costs), tuple(totals)


def _tier_labels(names: Iterable[str]) -> Mapping[str, str]:
    """Map tier names to label values, of which there are at most MAX_TIERS and `other`.

    Which names keep a label of their own does not depend on the order they came in.
    """
    distinct = sorted(set(names) - {""})
    kept = {name: label_text(name) for name in distinct[:MAX_TIERS]}
    return {"": ""} | dict.fromkeys(distinct, "other") | kept


def _deprecated(
    answer: pb.GetCurrentMonthUsageResponse,
) -> tuple[tuple[Cost, ...], tuple[Total, ...]]:
    binary = answer.binary_data_cloud_storage_usage_cost
    other = answer.other_cloud_storage_usage_cost
    by_type = {
        # The whole repeats its parts.
        "cloud_storage": 0.0 if binary or other else answer.cloud_storage_usage_cost,
        "binary_data_cloud_storage": binary,
        "other_cloud_storage": other,
        "data_upload": answer.data_upload_usage_cost,
        "data_egress": answer.data_egres_usage_cost,
        "remote_control": answer.remote_control_usage_cost,
        "standard_compute": answer.standard_compute_usage_cost,
        "per_machine": answer.per_machine_usage_cost,
    }
    costs = tuple(Cost("org", "", resource, usd) for resource, usd in by_type.items() if usd)
    total = Total(
        "org",
        "",
        gross=answer.total_usage_without_discount,
        discount=answer.discount_amount,
        net=answer.total_usage_with_discount,
    )
    given = costs or total.gross or total.discount or total.net
    return costs, (total,) if given else ()


def usage_cost(usage: Usage) -> Samples:
    """Cost of each (source_type, tier, resource_type)."""
    for cost in usage.costs:
        yield Sample((cost.source_type, cost.tier, cost.resource_type), cost.usd)


def usage_gross_cost(usage: Usage) -> Samples:
    """Total without discount of each (source_type, tier)."""
    for total in usage.totals:
        yield Sample((total.source_type, total.tier), total.gross)


def usage_discount(usage: Usage) -> Samples:
    """Discount of each (source_type, tier)."""
    for total in usage.totals:
        yield Sample((total.source_type, total.tier), total.discount)


def usage_net_cost(usage: Usage) -> Samples:
    """Total with discount of each (source_type, tier)."""
    for total in usage.totals:
        yield Sample((total.source_type, total.tier), total.net)


def reconciliation_difference(usage: Usage) -> Samples:
    """Subtotal minus month to date."""
    yield Sample((), usage.subtotal - usage.month_to_date)


# --- Billing information ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingInformation(View):
    """How an organization pays: the part of the answer that is neither personal nor secret."""

    payment_method: str
    card_brand: str
    verification_pending: bool


def billing_information(answer: pb.GetOrgBillingInformationResponse) -> BillingInformation:
    """Return what a GetOrgBillingInformation answer means."""
    match answer.type:
        case pb.PAYMENT_METHOD_TYPE_UNSPECIFIED:
            method = "none"
        case pb.PAYMENT_METHOD_TYPE_USBANKACCOUNT:
            method = "us_bank_account"
        case number:
            method = enum_label(pb.PaymentMethodType, "PAYMENT_METHOD_TYPE_", number)
    return BillingInformation(
        payment_method=method,
        card_brand=label_text(answer.method.brand) if method == "card" else "",
        verification_pending=answer.method_us_bank_account.HasField("verification_info"),
        billing_tier=label_text(answer.billing_tier),
        unknown_enums={"PaymentMethodType": _unknown(pb.PaymentMethodType, [answer.type])},
    )


def keep_impersonal(
    answer: pb.GetOrgBillingInformationResponse,
) -> pb.GetOrgBillingInformationResponse:
    """Return the part of an answer that is neither personal nor secret."""
    kept = pb.GetOrgBillingInformationResponse(type=answer.type)
    if answer.HasField("billing_tier"):
        kept.billing_tier = answer.billing_tier
    if answer.HasField("method"):
        kept.method.brand = answer.method.brand
    if answer.method_us_bank_account.HasField("verification_info"):
        kept.method_us_bank_account.verification_info.SetInParent()
    return kept


def payment_method_info(billing: BillingInformation) -> Samples:
    """1 for the payment method and the card's brand."""
    yield Sample((billing.payment_method, billing.card_brand), 1)


# --- Invoices -----------------------------------------------------------------------------

MIN_FOR_MEDIAN, MAX_FOR_MEDIAN = 3, 6

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


@dataclass(frozen=True, slots=True)
class Invoice:
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
    all: tuple[Invoice, ...]
    shown: tuple[Invoice, ...]  # those that have series of their own
    duplicates: tuple[Invoice, ...]  # those that would, were their id not taken
    now: float

    @property
    def unpaid(self) -> list[Invoice]:
        """Invoices that somebody still has to pay."""
        return [invoice for invoice in self.all if invoice.unpaid]

    @property
    def overdue(self) -> list[Invoice]:
        """Unpaid invoices whose due date has passed."""
        return [i for i in self.unpaid if i.due is not None and i.due <= self.now]

    @property
    def billed(self) -> list[Invoice]:
        """Dated invoices above 0, newest first."""
        dated = [i for i in self.all if i.issued is not None and math.isfinite(i.usd) and i.usd > 0]
        return sorted(dated, key=_newest_first)


def invoices(
    answer: pb.GetInvoicesSummaryResponse, now: float, *, detail: str, limit: int
) -> Invoices:
    """Return what a GetInvoicesSummary answer means at `now` (Unix seconds).

    `detail` (`none`, `open`, `all`) and `limit` say which invoices get series of their own.
    """
    every = tuple(map(_invoice, answer.invoices))
    wanted = [i for i in every if detail == "all" or (detail == "open" and i.unpaid)]
    by_id: dict[str, Invoice] = {}
    duplicates = [i for i in wanted if by_id.setdefault(i.id, i) is not i]
    return Invoices(
        outstanding_balance=answer.outstanding_balance,
        all=every,
        shown=tuple(sorted(by_id.values(), key=_most_pressing_first)[:limit]),
        duplicates=tuple(duplicates),
        now=now,
        next_change=min(
            (i.due for i in every if i.unpaid and i.due is not None and i.due > now), default=None
        ),
    )


def _invoice(invoice: pb.InvoiceSummary) -> Invoice:
    status = invoice.status.lower()
    usd = invoice.invoice_amount
    reason = invoice.last_payment_failure_reason.lower()
    failed = unix_time(invoice.last_payment_failure_at)
    failure = reason if reason in FAILURE_REASONS else "other"
    return Invoice(
        id=label_text(invoice.id),
        usd=usd,
        status=status if status in STATUSES else "other",
        unpaid=math.isfinite(usd) and usd > 0 and status not in SETTLED,
        issued=unix_time(invoice.invoice_date),
        due=unix_time(invoice.due_date),
        paid=unix_time(invoice.paid_date),
        failure=failure if reason or failed is not None else None,
        failed=failed,
    )


def _newest_first(invoice: Invoice) -> tuple[float, str]:
    return (math.inf if invoice.issued is None else -invoice.issued, invoice.id)


def _most_pressing_first(invoice: Invoice) -> tuple[bool, float, str]:
    if invoice.unpaid:
        return (False, math.inf if invoice.due is None else invoice.due, invoice.id)
    return (True, *_newest_first(invoice))


def invoices_by_status(invoices: Invoices) -> Samples:
    """Number of invoices of each status."""
    counts = Counter(invoice.status for invoice in invoices.all)
    for status in STATUSES:
        yield Sample((status,), counts[status])


def invoices_amount_by_status(invoices: Invoices) -> Samples:
    """Sum of the invoices of each status."""
    for status in STATUSES:
        yield Sample((status,), exact_sum(i.usd for i in invoices.all if i.status == status))


def unpaid_amount(invoices: Invoices) -> Samples:
    """Sum of the unpaid invoices."""
    yield Sample((), exact_sum(invoice.usd for invoice in invoices.unpaid))


def overdue_amount(invoices: Invoices) -> Samples:
    """Sum of the overdue invoices."""
    yield Sample((), exact_sum(invoice.usd for invoice in invoices.overdue))


def next_due(invoices: Invoices) -> Samples:
    """Earliest due date still to come of an unpaid invoice: when it passes, samples change."""
    yield from optional(invoices.next_change)


def oldest_unpaid_due(invoices: Invoices) -> Samples:
    """Earliest due date of an unpaid invoice."""
    yield from optional(min((i.due for i in invoices.unpaid if i.due is not None), default=None))


def latest_amount(invoices: Invoices) -> Samples:
    """Amount of the newest invoice above 0."""
    yield from optional(next((invoice.usd for invoice in invoices.billed), None))


def previous_median_amount(invoices: Invoices) -> Samples:
    """Median of up to six invoices before the newest; of fewer than three it says nothing."""
    previous = [invoice.usd for invoice in invoices.billed[1 : 1 + MAX_FOR_MEDIAN]]
    enough = len(previous) >= MIN_FOR_MEDIAN
    yield from optional(statistics.median(previous) if enough else None)


def payment_failed(invoices: Invoices) -> Samples:
    """Number of unpaid invoices whose last payment failed, for each reason."""
    counts = Counter(invoice.failure for invoice in invoices.unpaid)
    for reason in FAILURE_REASONS:
        yield Sample((reason,), counts[reason])


def payment_failed_amount(invoices: Invoices) -> Samples:
    """Sum of unpaid invoices whose last payment failed, for each reason."""
    for reason in FAILURE_REASONS:
        yield Sample((reason,), exact_sum(i.usd for i in invoices.unpaid if i.failure == reason))


def payment_last_failure(invoices: Invoices) -> Samples:
    """Newest failure of an unpaid invoice."""
    yield from optional(
        max((i.failed for i in invoices.unpaid if i.failed is not None), default=None)
    )


def invoice_amount(invoices: Invoices) -> Samples:
    """Amount of each (invoice_id, status)."""
    for invoice in invoices.shown:
        yield Sample((invoice.id, invoice.status), invoice.usd)
    yield from (Withheld("duplicate") for _ in invoices.duplicates)


def invoice_issued(invoices: Invoices) -> Samples:
    """Date of each invoice that has one."""
    return _times(invoices, "issued")


def invoice_due(invoices: Invoices) -> Samples:
    """Due date of each invoice that has one."""
    return _times(invoices, "due")


def invoice_paid(invoices: Invoices) -> Samples:
    """Date of payment of each invoice that has one."""
    return _times(invoices, "paid")


def _times(invoices: Invoices, field: str) -> Samples:
    for invoice in invoices.shown:
        if (seconds := getattr(invoice, field)) is not None:
            yield Sample((invoice.id,), seconds)
    for invoice in invoices.duplicates:
        if getattr(invoice, field) is not None:
            yield Withheld("duplicate")
