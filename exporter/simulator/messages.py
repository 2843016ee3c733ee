"""What the ledger says, in the messages of the API.

`wall` maps a simulated moment to wall time, Unix seconds both: every time that is sent goes
through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import fsum

from google.protobuf.timestamp_pb2 import Timestamp

from exporter.pb import billing_pb2 as pb
from exporter.simulator import ledger, pdf_writer
from exporter.simulator.accounts import Account, BankAccount, Card

Wall = Callable[[float], float]


def current_month_usage(
    account: Account, usage: ledger.Usage, wall: Wall
) -> pb.GetCurrentMonthUsageResponse:
    """Return the usage by source, and the organization's own in the older shape beside it."""
    answer = pb.GetCurrentMonthUsageResponse(
        start_date=_timestamp(wall(usage.period.start)),
        end_date=_timestamp(wall(usage.period.end)),
        subtotal=usage.subtotal,
    )
    _add_deprecated_totals(answer, usage)
    if not account.deprecated_shape:
        answer.resource_usage_costs_by_source.extend(map(_source, usage.sources))
    return answer


def org_billing_information(
    account: Account, period: ledger.Period, wall: Wall
) -> pb.GetOrgBillingInformationResponse:
    """Return who pays and how. What verifies a bank account arrives when `period` ends."""
    answer = pb.GetOrgBillingInformationResponse(
        billing_email=account.billing_email, billing_tier=account.billing_tier
    )
    match account.payment_method:
        case Card(brand, last_four):
            answer.type = pb.PAYMENT_METHOD_TYPE_CARD
            answer.method.brand = brand
            answer.method.last_four_digits = last_four
        case BankAccount() as bank:
            answer.type = pb.PAYMENT_METHOD_TYPE_USBANKACCOUNT
            answer.method_us_bank_account.bank_name = bank.bank_name
            answer.method_us_bank_account.last_four_digits_account_number = bank.last_four
            answer.method_us_bank_account.routing_number = bank.routing_number
            answer.method_us_bank_account.account_type = bank.account_type
            if bank.verification_url:
                pending = answer.method_us_bank_account.verification_info
                pending.arrival_date = int(wall(period.end))
                pending.hosted_verification_page_url = bank.verification_url
    return answer


def invoices_summary(
    invoices: tuple[ledger.Invoice, ...], moment: float, wall: Wall
) -> pb.GetInvoicesSummaryResponse:
    """Return the invoices as they stand at `moment`; times that are not known yet stay unset."""
    return pb.GetInvoicesSummaryResponse(
        outstanding_balance=ledger.outstanding_balance(invoices, moment),
        invoices=[_invoice(invoice, moment, wall) for invoice in invoices],
    )


def invoice_pdf(account: Account, invoice: ledger.Invoice, wall: Wall) -> bytes:
    """Return the invoice as a PDF file: the same numbers, for people."""
    lines = [
        f"Invoice {invoice.id}",
        "Made by a billing simulator: nobody owes this.",
        "",
        f"Organization: {account.name}",
        f"Date: {_date(wall(invoice.issued))}",
        f"Due: {_date(wall(invoice.due))}",
        "",
    ]
    if invoice.billed:
        usage = ledger.final_usage(account, invoice.billed)
        since, until = _date(wall(invoice.billed.start)), _date(wall(invoice.billed.end))
        lines += [f"Usage from {since} to {until}", *_lines(usage), ""]
    else:
        lines += [f"Fee in advance: {invoice.amount:.2f} USD", ""]
    return pdf_writer.document([*lines, f"Total: {invoice.amount:.2f} USD"])


def _source(source: ledger.SourceUsage) -> pb.ResourceUsageCostsBySource:
    answer = pb.ResourceUsageCostsBySource(source_type=source.source_type, tier_name=source.tier)
    if source.costs:  # the API leaves the message out where nothing was used
        costs = answer.resource_usage_costs
        costs.usage_costs.extend(
            pb.UsageCost(resource_type=resource_type, cost=cost)
            for resource_type, cost in source.costs
        )
        costs.discount = source.discount
        costs.total_with_discount = source.net
        costs.total_without_discount = source.gross
    return answer


def _deprecated_field(name: str) -> str:
    """Return the field of the older shape that a type of cost is part of, empty if of none."""
    if name.endswith("_UPLOAD"):
        return "data_upload_usage_cost"
    if name.endswith("_EGRESS"):
        return "data_egres_usage_cost"
    if name.endswith("_STORAGE"):
        kept = "binary_data" if name == "BINARY_DATA_CLOUD_STORAGE" else "other"
        return f"{kept}_cloud_storage_usage_cost"
    if name in {"REMOTE_CONTROL", "STANDARD_COMPUTE", "PER_MACHINE"}:
        return f"{name.lower()}_usage_cost"
    return ""


_DEPRECATED_FIELDS = {
    number: _deprecated_field(name.removeprefix("USAGE_COST_TYPE_"))
    for name, number in pb.UsageCostType.items()
}


def _add_deprecated_totals(answer: pb.GetCurrentMonthUsageResponse, usage: ledger.Usage) -> None:
    own = [source for source in usage.sources if source.source_type == pb.SOURCE_TYPE_ORG]
    for resource_type, cost in (cost for source in own for cost in source.costs):
        if field := _DEPRECATED_FIELDS.get(resource_type):
            setattr(answer, field, getattr(answer, field) + cost)
    answer.cloud_storage_usage_cost = (
        answer.binary_data_cloud_storage_usage_cost + answer.other_cloud_storage_usage_cost
    )
    answer.discount_amount = fsum(source.discount for source in own)
    answer.total_usage_with_discount = fsum(source.net for source in own)
    answer.total_usage_without_discount = fsum(source.gross for source in own)


def _invoice(invoice: ledger.Invoice, moment: float, wall: Wall) -> pb.InvoiceSummary:
    answer = pb.InvoiceSummary(
        id=invoice.id,
        invoice_date=_timestamp(wall(invoice.issued)),
        invoice_amount=invoice.amount,
        status=invoice.status(moment),
        due_date=_timestamp(wall(invoice.due)),
    )
    if answer.status == "paid":
        answer.paid_date.CopyFrom(_timestamp(wall(invoice.paid)))
    if (failed := invoice.last_failure(moment)) is not None:
        answer.last_payment_failure_reason = invoice.failure
        answer.last_payment_failure_at.CopyFrom(_timestamp(wall(failed)))
    return answer


def _lines(usage: ledger.Usage) -> Iterable[str]:
    for source in usage.sources:
        source_type = pb.SourceType.Name(source.source_type).removeprefix("SOURCE_TYPE_").lower()
        yield f"{source_type} {source.tier}".rstrip()
        for resource_type, cost in source.costs:
            name = pb.UsageCostType.Name(resource_type).removeprefix("USAGE_COST_TYPE_").lower()
            yield f"    {name}: {cost:.2f} USD"
        if discount := round(source.discount, 2):
            yield f"    discount: {-discount:.2f} USD"


def _date(unix_seconds: float) -> str:
    return f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _timestamp(unix_seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(unix_seconds * 1e6))
    return timestamp
