"""What of an answer may be saved: a row for each field, and a pseudonym for each name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.catalog import COLLECTORS
from exporter.pb import billing_pb2 as pb
from exporter.tool.disguise import FIELDS, Disguise, Use, headers

KEY = bytes(32)
IT = Disguise(KEY, 0.5)
# By wire type: a number, eight bytes, bytes, a group that holds a field, four bytes.
UNKNOWN = (
    (98, 0, b"\x90\x06\x05"),
    (97, 1, b"\x89\x06" + b"SECRET12"),
    (96, 2, b"\x82\x06\x06SECRET"),
    (95, 3, b"\xfb\x05\x92\x06\x06SECRET\xfc\x05"),
    (94, 5, b"\xf5\x05SECR"),
)


def messages(descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yield a message and all that are in it."""
    yield descriptor
    for field in descriptor.fields:
        if field.message_type is not None and field.message_type is not Timestamp.DESCRIPTOR:
            yield from messages(field.message_type)


def test_each_message_has_a_row_and_no_text_is_kept() -> None:
    """A row names fields that there are, each with a use that fits its type."""
    known = {
        each.full_name: each for one in COLLECTORS for each in messages(one.message.DESCRIPTOR)
    }
    assert FIELDS.keys() == known.keys()
    for name, row in FIELDS.items():
        fields = {field.name: field for field in known[name].fields}
        assert row.keys() <= fields.keys()
        for field, use in row.items():
            it = fields[field]
            is_text = it.type in {it.TYPE_STRING, it.TYPE_BYTES}
            assert is_text == (use in {Use.NAME, Use.WORD})
            of_parts = it.message_type is not None and it.message_type is not Timestamp.DESCRIPTOR
            assert of_parts == (use is Use.PARTS)


def test_nothing_personal_has_a_use() -> None:
    """The fields that must not get out, by name: they are told to be set, and no more."""
    answer = pb.GetOrgBillingInformationResponse(
        type=pb.PAYMENT_METHOD_TYPE_CARD, billing_email="me@example.com", billing_tier="gold"
    )
    answer.method.brand, answer.method.last_four_digits = "Visa", "4242"
    bank = answer.method_us_bank_account
    bank.bank_name, bank.account_type, bank.routing_number = "Bank", "checking", "110000000"
    bank.last_four_digits_account_number = "6789"
    bank.verification_info.arrival_date = 5
    bank.verification_info.hosted_verification_page_url = "https://example.com"
    got = IT.answer(answer)
    assert got.answer == {
        "type": "PAYMENT_METHOD_TYPE_CARD",
        "method": {"brand": "Visa"},
        "billing_tier": IT.name("billing_tier", "gold"),
        "method_us_bank_account": {"verification_info": {}},
    }
    assert got.left_out == [
        "GetOrgBillingInformationResponse.billing_email",
        "PaymentMethodCard.last_four_digits",
        "PaymentMethodUSBankAccount.account_type",
        "PaymentMethodUSBankAccount.bank_name",
        "PaymentMethodUSBankAccount.last_four_digits_account_number",
        "PaymentMethodUSBankAccount.routing_number",
        "VerificationInfo.arrival_date",
        "VerificationInfo.hosted_verification_page_url",
    ]


def test_of_unknown_fields_number_and_wire_type_are_told() -> None:
    """Wherever they are, how often, and nothing of what is in them."""
    answer = pb.GetInvoicesSummaryResponse()
    for _ in range(2):
        answer.invoices.add().MergeFromString(b"".join(raw for _, _, raw in UNKNOWN))
    answer.MergeFromString(UNKNOWN[2][2])
    answer.invoices[0].due_date.MergeFromString(UNKNOWN[0][2])
    got = IT.answer(answer)
    assert got.unknown_fields == [
        {"message": message, "number": number, "wire_type": wire_type, "times": times}
        for message, number, wire_type, times in (
            ("google.protobuf.Timestamp", 98, 0, 1),
            ("viam.app.v1.GetInvoicesSummaryResponse", 96, 2, 1),
            *(("viam.app.v1.InvoiceSummary", n, w, 2) for n, w, _ in reversed(UNKNOWN)),
        )
    ]
    assert "SECR" not in str(got)


@pytest.mark.parametrize("status", ["paid", "Payment Processing", "past-due", "VOID"])
def test_words_of_the_api_are_kept_as_they_are(status: str) -> None:
    """Their spelling is one of the things that nobody has published."""
    (invoice,) = invoices(status=status)
    assert invoice["status"] == status


def invoices(**fields: Any) -> Any:
    """Return what may be shown of an invoice, in a list."""
    answer = pb.GetInvoicesSummaryResponse()
    answer.invoices.add(**fields)
    return IT.answer(answer).answer["invoices"]


def test_other_texts_become_pseudonyms() -> None:
    """The same text the same one, by kind; with another secret, another. Nothing is nothing."""
    (one,) = invoices(status="ask Bob", id="INV-1", last_payment_failure_reason="Bob is away")
    assert (one,) == tuple(
        invoices(status="ask Bob", id="INV-1", last_payment_failure_reason="Bob is away")
    )
    assert not any("Bob" in value or "INV" in value for value in one.values())
    assert IT.name("id", "INV-1") == one["id"] != IT.name("id", "INV-2")
    assert Disguise.at_random().name("id", "INV-1") != one["id"]
    assert IT.organization("INV-1") != Disguise.at_random().organization("INV-1")
    assert IT.name("id", "") == ""


def test_a_time_that_json_has_no_form_for_is_left_out() -> None:
    """Others are kept to the nanosecond, the zero of another language too."""
    answer = pb.GetInvoicesSummaryResponse()
    it = answer.invoices.add()
    it.invoice_date.seconds, it.invoice_date.nanos = -62_135_596_800, 1
    it.due_date.seconds = 10**12
    got = IT.answer(answer)
    assert got.answer["invoices"] == [{"invoice_date": "0001-01-01T00:00:00.000000001Z"}]
    assert got.left_out == ["InvoiceSummary.due_date (a time out of range)"]


@pytest.mark.parametrize(
    ("amounts", "whole"),
    [([1.1, 2.01], True), ([1.1, 2.015], False), ([], None), ([math.nan], None)],
)
def test_whole_cents_are_told(amounts: list[float], whole: object) -> None:
    """Amounts are rounded, so that they could not be told apart afterwards."""
    answer = pb.GetInvoicesSummaryResponse()
    for usd in amounts:
        answer.invoices.add(invoice_amount=usd)
    assert IT.answer(answer).whole_cents is whole


def test_headers_are_shown_if_they_are_known_and_numbers() -> None:
    """Anything may be in the others, in their names too: they are counted."""
    got = headers(
        [
            ("x-ratelimit-remaining", "17"),
            ("retry-after", "Bob's number"),
            ("x-bob", "1"),
            ("grpc-status-details-bin", b"1"),
        ]
    )
    assert got == ({"x-ratelimit-remaining": "17"}, 3)


@given(st.lists(st.floats(), min_size=4, max_size=8), st.floats())
def test_any_amounts_can_be_saved_and_read_back(amounts: list[float], total: float) -> None:
    """Huge ones, infinities and none of a number: they are what a report may be about."""
    usage, billed = pb.GetCurrentMonthUsageResponse(subtotal=total), pb.GetInvoicesSummaryResponse()
    source = usage.resource_usage_costs_by_source.add().resource_usage_costs
    for usd in amounts:
        source.usage_costs.add(cost=usd)
        billed.invoices.add(invoice_amount=usd, status="outstanding")
    source.discount, source.total_with_discount, source.total_without_discount, *_ = amounts
    usage.discount_amount, usage.total_usage_without_discount, *_ = amounts
    billed.outstanding_balance = total
    for answer in (usage, billed):
        shown = IT.answer(answer).answer
        back = ParseDict(json.loads(json.dumps(shown)), type(answer)())
        assert MessageToDict(back, preserving_proto_field_name=True) == shown
