"""GetOrgBillingInformation: how an organization pays."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.metrics.extract.values import Samples, View, enum_label, label_text, unknown
from exporter.pb import billing_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingInformation(View):
    """How an organization pays: the part of the answer that is neither personal nor secret."""

    payment_method: str
    card_brand: str
    verification_pending: bool


def view(answer: pb.GetOrgBillingInformationResponse) -> BillingInformation:
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
        unknown_enums=unknown(pb.PaymentMethodType, {answer.type: 1}),
    )


def keep_impersonal(
    answer: pb.GetOrgBillingInformationResponse,
) -> pb.GetOrgBillingInformationResponse:
    """Return the part of an answer that is neither personal nor secret."""
    kept = pb.GetOrgBillingInformationResponse(type=answer.type)
    if answer.HasField("billing_tier"):
        kept.billing_tier = label_text(answer.billing_tier)
    if answer.HasField("method"):
        kept.method.brand = label_text(answer.method.brand)
    if answer.method_us_bank_account.HasField("verification_info"):
        kept.method_us_bank_account.verification_info.SetInParent()
    return kept


def payment_method_info(billing: BillingInformation) -> Samples:
    """1 for the payment method and the card's brand."""
    yield (billing.payment_method, billing.card_brand), 1
