"""What is counted of an answer before it is decoded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from exporter.api import wire
from exporter.api.billing import BillingError, decoded
from exporter.api.wire import MAX_ELEMENTS, MAX_FIELDS, MalformedError, TooManyError
from exporter.pb import app_pb2, auth_pb2
from exporter.pb import billing_pb2 as pb

USAGE, INVOICES = pb.GetCurrentMonthUsageResponse, pb.GetInvoicesSummaryResponse
LONG = b"\xa2\x7d\x81\x80\x03" + b"x" * 49_153  # an unknown text, so that no answer is too short


def varint(number: int) -> bytes:
    """Return a number as it is on the wire."""
    written = b""
    while number >= 0x80:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """Return a text, or a message, as it is on the wire."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def costs(count: int) -> bytes:
    """Return a source with so many costs."""
    return field(14, field(2, b"\x0a\x00" * count))


def refused(message: type, raw: bytes) -> type[Exception] | None:
    """Return what an answer is refused with."""
    try:
        wire.check(message, raw)
    except ValueError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("message", "element"),
    [
        (USAGE, field(14, b"")),
        (INVOICES, field(2, b"")),
        (INVOICES, b"\x78\x00"),
        (INVOICES, field(15, b"")),
        (INVOICES, b"\x7b\x7c"),
        (INVOICES, b"\x09" + bytes(8)),
        (app_pb2.ListOrganizationsResponse, field(1, b"")),
        (auth_pb2.AuthenticateResponse, field(1, b"")),
    ],
    ids=[
        "sources", "invoices", "unknown numbers", "unknown texts", "unknown groups",
        "a number again", "organizations", "a token again",
    ],
)  # fmt: skip
def test_too_many_elements_are_refused_before_they_are_decoded(
    message: type, element: bytes
) -> None:
    """Of any kind: an unknown one, or one that ought to come once, takes as long to decode."""
    assert refused(message, LONG + element * MAX_ELEMENTS) is None
    assert refused(message, LONG + element * (MAX_ELEMENTS + 2)) is TooManyError


def test_elements_are_counted_over_the_whole_answer() -> None:
    """Not in each message for itself; and each kind for itself."""
    assert refused(USAGE, LONG + costs(MAX_ELEMENTS)) is None
    assert refused(USAGE, LONG + costs(MAX_ELEMENTS // 2) * 2) is None
    assert refused(USAGE, LONG + costs(MAX_ELEMENTS // 2) * 2 + costs(1)) is TooManyError
    inner = field(14, field(2, LONG + b"\x78\x00" * (MAX_ELEMENTS + 2)))
    assert refused(USAGE, inner) is TooManyError


def test_a_new_field_in_every_element_is_none_too_many() -> None:
    """The API grows: what comes once in each message is not repeated."""
    invoice = field(2, field(1, b"INV-1") + field(20, b"new") + b"\xa8\x01\x01")
    assert refused(INVOICES, invoice * MAX_ELEMENTS) is None


def test_a_message_has_no_thousands_of_fields() -> None:
    """What comes once is counted, too, from some number on: it takes as long."""
    several = b"".join(field(number, b"") for number in range(100, 100 + MAX_ELEMENTS))
    assert refused(INVOICES, LONG + several) is None
    assert refused(INVOICES, LONG + several + b"\x7a\x00" * MAX_FIELDS) is TooManyError


def test_the_message_says_what_is_wrong_and_nothing_of_the_answer() -> None:
    """As for any other answer that is no good."""
    with pytest.raises(BillingError, match="has more than 20000 elements of a kind") as caught:
        decoded("GetInvoicesSummary", INVOICES, field(2, field(1, b"secret")) * (MAX_ELEMENTS + 1))
    assert caught.value.code == "INVALID_ANSWER"
    with pytest.raises(BillingError, match="does not parse"):
        decoded("GetInvoicesSummary", INVOICES, LONG + b"\x12\x05secret")


@pytest.mark.parametrize(
    "end",
    [
        b"\x00", b"\x07\x00", b"\x7e\x00", b"\x78", b"\x78\x80", b"\x78" + b"\x80" * 10 + b"\x00",
        b"\x7a\x02x", b"\x7a", b"\x79\x00", b"\x7d\x00", b"\x7b", b"\x7b\x84\x01", b"\x7c",
        b"\x04", b"\x80" * 5 + b"\x10\x00", b"\x12\x03\x0a\x05x", b"\x7b" * 200 + b"\x7c" * 200,
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(end: bytes) -> None:
    """Numbers, types, lengths and groups: nothing is guessed, nothing read past its end."""
    assert refused(INVOICES, LONG + end) is MalformedError
    with pytest.raises(DecodeError):
        INVOICES.FromString(LONG + end)


VARINTS = st.integers(0, 2**64 - 1).map(varint)
NUMBERS = st.one_of(st.integers(1, 16), st.integers(1, 2**29 - 1))


def fields(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return messages made of fields that contain such bytes."""
    one = st.one_of(
        st.builds(lambda n, value: varint(n << 3) + value, NUMBERS, VARINTS),
        st.builds(lambda n, value: varint(n << 3 | 1) + value, NUMBERS, st.binary(min_size=8)),
        st.builds(lambda n, value: varint(n << 3 | 5) + value[:4], NUMBERS, st.binary(min_size=4)),
        st.builds(field, NUMBERS, inner),
        st.builds(lambda n, value: varint(n << 3 | 3) + value + varint(n << 3 | 4), NUMBERS, inner),
    )
    return st.lists(one, max_size=4).map(b"".join)


MESSAGES = st.one_of(st.recursive(st.just(b""), fields, max_leaves=8), st.binary(max_size=40))


@given(MESSAGES, st.sampled_from([USAGE, INVOICES]))
def test_nothing_is_refused_that_a_decoder_takes(raw: bytes, message: type[pb.UsageCost]) -> None:
    """Whatever it holds: fields of other types, groups, unknown ones in any depth."""
    if refused(message, LONG + raw) is not None:
        with pytest.raises(DecodeError):
            message.FromString(LONG + raw)


def answers() -> Iterable[type]:
    """Return the answers that are decoded."""
    return [USAGE, INVOICES, pb.GetOrgBillingInformationResponse, pb.GetInvoicePdfResponse,
            app_pb2.ListOrganizationsResponse, auth_pb2.AuthenticateResponse]  # fmt: skip


@pytest.mark.parametrize("message", answers())
def test_every_answer_can_be_checked(message: type) -> None:
    """None has a packed field, of which one could hold millions of elements."""
    assert refused(message, LONG) is None
