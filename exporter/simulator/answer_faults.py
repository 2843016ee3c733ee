"""Faults of answers: what is wrong with a message, or with its bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.pb import billing_pb2 as pb
from exporter.simulator import ledger, messages
from exporter.simulator.accounts import Account
from exporter.simulator.injection import Injected
from exporter.simulator.scenarios import INVOICES

# Of the year 1, as some languages send a date that is not set.
ZERO_DATE: Final = Timestamp(seconds=-62_135_596_800)
UNPARSABLE: Final = b"\xff" * 16  # no field's number is that long
UNKNOWN_FIELD: Final = b"\xfa\x7f"  # the tag of field 2047, of bytes
ABSURD: Final = 1e300  # US dollars
ODD: Final = (
    "\"quoted\" \\ and 'so'\non two lines {of=braces} \u2028\u202e " + "very " * 60 + "long"
)


EMPTY_SOURCE: Final = pb.GetCurrentMonthUsageResponse(
    resource_usage_costs_by_source=[pb.ResourceUsageCostsBySource()]
).SerializeToString()
EMPTY_INVOICE: Final = pb.GetInvoicesSummaryResponse(
    invoices=[pb.InvoiceSummary()]
).SerializeToString()


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer is about, and when: `moment` is simulated time, `wall` turns it to real."""

    method: str
    account: Account
    moment: float  # Unix seconds
    wall: messages.Wall


def distort(message: Message | bytes, hits: Iterable[Injected], context: AnswerContext) -> bytes:
    """Return the bytes to send instead of `message`, which stays as it is.

    Bytes, where a message was replaced by some, are beyond the reach of what changes messages.
    """
    hits = tuple(hits)
    if isinstance(message, Message):
        if hits:
            copy = type(message)()
            copy.CopyFrom(message)
            message = copy
        for hit in hits:
            if change := CHANGES.get(hit.fault.name):
                change(message, hit, context)
        message = message.SerializeToString()
    for hit in hits:
        if replace := REPLACEMENTS.get(hit.fault.name):
            message = replace(message, hit, context)
    return message


# --- Amounts and dates, wherever they are -------------------------------------------------


def _amounts(message: Any) -> Iterator[tuple[Any, str]]:
    """Yield (message, field) of each amount that is set; those of parts before those of wholes."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type is not Timestamp.DESCRIPTOR:
            for part in value if field.is_repeated else (value,):
                yield from _amounts(part)
    for field, _ in message.ListFields():
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            yield message, field.name


def _change_amounts(message: Any, hit: Injected, change: Callable[[float], float]) -> None:
    most = hit.fault.value("amounts")
    for place, (owner, name) in enumerate(tuple(_amounts(message))):
        if most is None or place < most:
            setattr(owner, name, change(getattr(owner, name)))


def _nan(message: Any, hit: Injected, _: AnswerContext) -> None:
    _change_amounts(message, hit, lambda _: math.nan)


def _infinity(message: Any, hit: Injected, _: AnswerContext) -> None:
    _change_amounts(message, hit, lambda _: math.inf)


def _negative(message: Any, hit: Injected, _: AnswerContext) -> None:
    _change_amounts(message, hit, lambda amount: -abs(amount))


def _absurd(message: Any, hit: Injected, _: AnswerContext) -> None:
    _change_amounts(message, hit, lambda _: ABSURD)


def _dated(message: Any) -> Iterator[tuple[Any, str]]:
    """Yield (message, field) of each date that an answer has a place for."""
    for owner in (message, *getattr(message, "invoices", ())):
        for field in owner.DESCRIPTOR.fields:
            if field.message_type is Timestamp.DESCRIPTOR:
                yield owner, field.name


def _missing_dates(message: Any, _: Injected, __: AnswerContext) -> None:
    for owner, name in _dated(message):
        owner.ClearField(name)


def _zero_dates(message: Any, _: Injected, __: AnswerContext) -> None:
    for owner, name in _dated(message):
        getattr(owner, name).CopyFrom(ZERO_DATE)


# --- Usage --------------------------------------------------------------------------------


def _period_not_advancing(message: Any, hit: Injected, context: AnswerContext) -> None:
    first = hit.memory.setdefault(context.account.id, ledger.period_at(context.moment))
    if context.moment >= first.end:
        _replace_usage(message, first, context)


def _period_in_past(message: Any, _: Injected, context: AnswerContext) -> None:
    current = ledger.period_at(context.moment)
    _replace_usage(message, ledger.period_at(current.start - 1), context)


def _replace_usage(message: Any, period: ledger.Period, context: AnswerContext) -> None:
    usage = ledger.final_usage(context.account, period)
    message.CopyFrom(messages.current_month_usage(context.account, usage, context.wall))


def _deprecated_only(message: Any, _: Injected, __: AnswerContext) -> None:
    message.ClearField("resource_usage_costs_by_source")


def _duplicate_sources(message: Any, _: Injected, __: AnswerContext) -> None:
    sources = message.resource_usage_costs_by_source
    for source in sources:
        for owner, name in tuple(_amounts(source)):
            setattr(owner, name, getattr(owner, name) / 2)
    sources.extend(tuple(sources))


def _vanishing_cost(message: Any, _: Injected, __: AnswerContext) -> None:
    for source in message.resource_usage_costs_by_source[:1]:
        costs = source.resource_usage_costs
        if costs.usage_costs and costs.total_without_discount:
            gone = costs.usage_costs.pop(0).cost
            left = 1 - gone / costs.total_without_discount
            message.subtotal -= costs.total_with_discount * (1 - left)
            costs.total_without_discount *= left
            costs.total_with_discount *= left
            costs.discount *= left


def _tier_change(message: Any, _: Injected, __: AnswerContext) -> None:
    for source in message.resource_usage_costs_by_source:
        source.tier_name = f"{source.tier_name} changed".lstrip()


def _credit(message: Any, hit: Injected, _: AnswerContext) -> None:
    usd = hit.fault.value("usd") or 0.0
    for source in message.resource_usage_costs_by_source[:1]:
        source.resource_usage_costs.discount += usd
        source.resource_usage_costs.total_with_discount -= usd
    message.discount_amount += usd
    message.total_usage_with_discount -= usd
    message.subtotal -= usd


# --- Enums and texts ----------------------------------------------------------------------


def _unknown_enums(message: Any, _: Injected, __: AnswerContext) -> None:
    if isinstance(message, pb.GetOrgBillingInformationResponse):
        message.type = 9  # type: ignore[assignment] # that is the point
        return
    source = message.resource_usage_costs_by_source.add(source_type=9)
    for number in (97, 98):
        source.resource_usage_costs.usage_costs.add(resource_type=number, cost=1.0)
    source.resource_usage_costs.total_without_discount = 2.0
    source.resource_usage_costs.total_with_discount = 2.0


def _odd_texts(message: Any, _: Injected, __: AnswerContext) -> None:
    match message:
        case pb.GetCurrentMonthUsageResponse():
            for source in message.resource_usage_costs_by_source:
                source.tier_name = ODD
        case pb.GetOrgBillingInformationResponse():
            message.billing_tier = message.method.brand = ODD
        case _:
            for invoice in message.invoices:
                invoice.status = invoice.last_payment_failure_reason = ODD


# --- Invoices -----------------------------------------------------------------------------


def _duplicate_invoices(message: Any, _: Injected, __: AnswerContext) -> None:
    message.invoices.extend(tuple(message.invoices))


def _shuffled_invoices(message: Any, hit: Injected, _: AnswerContext) -> None:
    invoices = list(message.invoices)
    hit.rng.shuffle(invoices)
    del message.invoices[:]
    message.invoices.extend(invoices)


CHANGES: Final[Mapping[str, Callable[[Any, Injected, AnswerContext], None]]] = {
    "nan": _nan,
    "infinity": _infinity,
    "negative": _negative,
    "absurd": _absurd,
    "missing-dates": _missing_dates,
    "zero-dates": _zero_dates,
    "period-not-advancing": _period_not_advancing,
    "period-in-past": _period_in_past,
    "deprecated-only": _deprecated_only,
    "duplicate-sources": _duplicate_sources,
    "vanishing-cost": _vanishing_cost,
    "tier-change": _tier_change,
    "credit": _credit,
    "unknown-enums": _unknown_enums,
    "odd-texts": _odd_texts,
    "duplicate-invoices": _duplicate_invoices,
    "shuffled-invoices": _shuffled_invoices,
}


# --- Bytes --------------------------------------------------------------------------------


def _frozen(raw: bytes, hit: Injected, context: AnswerContext) -> bytes:
    first: bytes = hit.memory.setdefault((context.method, context.account.id), raw)
    return first


def _huge(raw: bytes, hit: Injected, _: AnswerContext) -> bytes:
    """Append a field that no client knows, so that the answer could be read but for its size."""
    length = int(hit.fault.value("size") or 0) << 20
    digits = bytes(length >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21))
    return raw + UNKNOWN_FIELD + digits + bytes((length >> 28,)) + bytes(length)


def _crowded(raw: bytes, hit: Injected, context: AnswerContext) -> bytes:
    """Append empty sources or invoices: a few bytes each, that are costly to read."""
    part = EMPTY_INVOICE if context.method == INVOICES else EMPTY_SOURCE
    return raw + part * int(hit.fault.value("parts") or 0)


REPLACEMENTS: Final[Mapping[str, Callable[[bytes, Injected, AnswerContext], bytes]]] = {
    "frozen": _frozen,
    "empty": lambda _, __, ___: b"",
    # Without its last byte, a message never parses: the last field is cut.
    "truncated": lambda raw, _, __: raw[:-1],
    "garbage": lambda _, __, ___: UNPARSABLE,
    "huge": _huge,
    "crowded": _crowded,
}
ON_ANSWER: Final = frozenset(CHANGES) | frozenset(REPLACEMENTS)
