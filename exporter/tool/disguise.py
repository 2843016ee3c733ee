"""Answers of the billing API without anything personal, for others to look at.

A field that is not in FIELDS never gets out. Ids and names become pseudonyms made with a secret
that is thrown away, and amounts are scaled: see `scale`. Of fields that we do not know, number and
wire type are told, and nothing of what is in them.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from random import SystemRandom
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet

from exporter.metrics.cents import SMALLEST
from exporter.metrics.extract.invoices import FAILURE_REASONS, SETTLED, STATUSES
from exporter.pb import billing_pb2 as pb
from exporter.tool.scale import CENTS, HIGHEST, LOWEST, Scale


class Use(Enum):
    """What becomes of a field."""

    KEPT = "kept"  # an enum's number, a time, or an amount that is scaled later
    PARTS = "a message, by its own row"
    NAME = "a pseudonym"
    WORD = "kept if it is one of WORDS, else a pseudonym"


FIELDS: Final[Mapping[str, Mapping[str, Use]]] = {
    "viam.app.v1.GetCurrentMonthUsageResponse": {
        "start_date": Use.KEPT,
        "end_date": Use.KEPT,
        "cloud_storage_usage_cost": Use.KEPT,
        "data_upload_usage_cost": Use.KEPT,
        "data_egres_usage_cost": Use.KEPT,
        "remote_control_usage_cost": Use.KEPT,
        "standard_compute_usage_cost": Use.KEPT,
        "discount_amount": Use.KEPT,
        "total_usage_with_discount": Use.KEPT,
        "total_usage_without_discount": Use.KEPT,
        "per_machine_usage_cost": Use.KEPT,
        "binary_data_cloud_storage_usage_cost": Use.KEPT,
        "other_cloud_storage_usage_cost": Use.KEPT,
        "resource_usage_costs_by_source": Use.PARTS,
        "subtotal": Use.KEPT,
    },
    "viam.app.v1.ResourceUsageCostsBySource": {
        "source_type": Use.KEPT,
        "resource_usage_costs": Use.PARTS,
        "tier_name": Use.NAME,
    },
    "viam.app.v1.ResourceUsageCosts": {
        "usage_costs": Use.PARTS,
        "discount": Use.KEPT,
        "total_with_discount": Use.KEPT,
        "total_without_discount": Use.KEPT,
    },
    "viam.app.v1.UsageCost": {"resource_type": Use.KEPT, "cost": Use.KEPT},
    "viam.app.v1.GetOrgBillingInformationResponse": {
        "type": Use.KEPT,
        "method": Use.PARTS,
        "billing_tier": Use.NAME,
        "method_us_bank_account": Use.PARTS,
    },
    "viam.app.v1.PaymentMethodCard": {"brand": Use.WORD},
    # That it is there is told, as for the message below, and nothing that is in it.
    "viam.app.v1.PaymentMethodUSBankAccount": {"verification_info": Use.PARTS},
    "viam.app.v1.VerificationInfo": {},
    "viam.app.v1.GetInvoicesSummaryResponse": {
        "outstanding_balance": Use.KEPT,
        "invoices": Use.PARTS,
    },
    "viam.app.v1.InvoiceSummary": {
        "id": Use.NAME,
        "invoice_date": Use.KEPT,
        "invoice_amount": Use.KEPT,
        "status": Use.WORD,
        "due_date": Use.KEPT,
        "paid_date": Use.KEPT,
        "last_payment_failure_reason": Use.WORD,
        "last_payment_failure_at": Use.KEPT,
    },
}
CARD_BRANDS: Final = (
    "visa",
    "mastercard",
    "amex",
    "american_express",
    "discover",
    "diners",
    "jcb",
    "unionpay",
)
# Words of the API, in whatever case, with spaces or dashes for underscores.
WORDS: Final = frozenset(
    (*STATUSES, *SETTLED, *FAILURE_REASONS, *CARD_BRANDS, "overdue", "past_due", "open", "draft")
)
# Headers that are written, if their values are plain numbers; others are counted.
HEADERS: Final = frozenset(
    (
        "retry-after",
        "grpc-retry-pushback-ms",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-envoy-upstream-service-time",
    )
)
NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
KEY_BYTES: Final = 32
OUT_OF_RANGE: Final = "a time out of range"


class Disguised(NamedTuple):
    """What may be shown of an answer, as JSON."""

    answer: Mapping[str, Any]
    whole_cents: bool | None  # whether all amounts were, before they were scaled; None without any
    left_out: list[str]  # fields that were set and are not shown
    unknown_fields: list[Mapping[str, Any]]


class Disguise:
    """One secret and one factor, for answers that belong together."""

    def __init__(self, key: bytes, factor: float) -> None:
        self._key = key
        self._scale = Scale(factor)

    @classmethod
    def at_random(cls) -> Disguise:
        """Return one that nobody can repeat or undo: what it is made of is never written."""
        return cls(secrets.token_bytes(KEY_BYTES), SystemRandom().uniform(LOWEST, HIGHEST))

    def organization(self, org_id: str) -> str:
        """Return a UUID in place of an organization's id, the same one each time."""
        return str(UUID(bytes=self._digest("organization", org_id)[:16], version=4))

    def name(self, kind: str, text: str) -> str:
        """Return a word in place of a text, the same one each time. Nothing stays nothing."""
        return f"{kind}-{self._digest(kind, text).hex()[:12]}" if text else ""

    def _digest(self, kind: str, text: str) -> bytes:
        message = f"{kind}\0{text}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, "sha256")

    def answer(self, original: Message) -> Disguised:
        """Return what may be shown of an answer to one of the calls that are polled."""
        left_out: set[str] = set()
        shown = cast("Any", type(original))()
        self._copy(original, shown, left_out)
        cents = _whole_cents(shown)
        match shown:
            case pb.GetCurrentMonthUsageResponse():
                self._scale.usage(shown)
            case pb.GetInvoicesSummaryResponse():
                self._scale.invoices(shown)
        plain = MessageToDict(shown, preserving_proto_field_name=True)
        return Disguised(plain, cents, sorted(left_out), _unknown_fields(original))

    def _copy(self, original: Message, shown: Any, left_out: set[str]) -> None:
        message = original.DESCRIPTOR
        row = FIELDS[message.full_name]
        for field, value in original.ListFields():
            use, name = row.get(field.name), f"{message.name}.{field.name}"
            match use:
                case None:
                    left_out.add(name)
                case Use.PARTS if field.is_repeated:
                    for each in value:
                        self._copy(each, getattr(shown, field.name).add(), left_out)
                case Use.PARTS:
                    part = getattr(shown, field.name)
                    part.SetInParent()
                    self._copy(value, part, left_out)
                case Use.NAME:
                    setattr(shown, field.name, self.name(field.name, value))
                case Use.WORD:
                    setattr(shown, field.name, self._word(field.name, value))
                case _ if isinstance(value, Timestamp):
                    if _is_shown(value):
                        part = getattr(shown, field.name)
                        part.seconds, part.nanos = value.seconds, value.nanos
                    else:
                        left_out.add(f"{name} ({OUT_OF_RANGE})")
                case _:
                    setattr(shown, field.name, value)

    def _word(self, kind: str, text: str) -> str:
        known = re.sub("[ -]", "_", text.lower()) in WORDS
        return text if known else self.name(kind, text)


def headers(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Mapping[str, str], int]:
    """Return the headers that may be shown, and the number of others."""
    shown, others = {}, 0
    for name, value in metadata:
        if name in HEADERS and isinstance(value, str) and NUMBER.fullmatch(value):
            shown[name] = value
        else:
            others += 1
    return shown, others


def _is_shown(time: Timestamp) -> bool:
    """Tell whether JSON has a form for a time."""
    try:
        time.ToJsonString()
    except ValueError:
        return False
    return True


def _messages(message: Message) -> Iterator[Message]:
    """Yield a message and all that are in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                yield from _messages(each)


def _whole_cents(answer: Message) -> bool | None:
    amounts = [
        value
        for message in _messages(answer)
        for field, value in message.ListFields()
        if field.type == FieldDescriptor.TYPE_DOUBLE and math.isfinite(value)
    ]
    if not amounts:
        return None
    return all(abs(each - round(each, CENTS)) < SMALLEST for each in amounts)


def _unknown_fields(answer: Message) -> list[Mapping[str, Any]]:
    found = Counter(
        (message.DESCRIPTOR.full_name, field.field_number, field.wire_type)
        for message in _messages(answer)
        for field in cast("Iterable[Any]", UnknownFieldSet(message))
    )
    return [
        {"message": message, "number": number, "wire_type": wire_type, "times": times}
        for (message, number, wire_type), times in sorted(found.items())
    ]
