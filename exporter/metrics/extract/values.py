"""What all views are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.model import Sample, Withheld
from exporter.pb import billing_pb2 as pb

Samples = Iterator[Sample | Withheld]
MessageT = TypeVar("MessageT", bound=Message)

MAX_LABEL_LENGTH = 256
# The enums of the API that samples are made from; it may know more values than we do.
ENUMS = (pb.PaymentMethodType, pb.SourceType, pb.UsageCostType)


def label_text(text: str) -> str:
    """Return the API's text as a label value: what UTF-8 cannot hold replaced, and cut."""
    text = text[:MAX_LABEL_LENGTH]
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=1024)
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
    try:
        total = math.fsum(parts)
    except (OverflowError, ValueError):  # too large, or infinities of both signs
        total = math.inf
    if math.isfinite(total):
        return total
    return math.nan if any(map(math.isnan, parts)) else math.inf


def unknown(enum: EnumTypeWrapper, numbers: Mapping[int, int]) -> Mapping[str, int]:
    """Return how often numbers came that an enum, one of ENUMS, does not have, by its name.

    Nothing if none did. `numbers` says how often each came.
    """
    count = sum([numbers[number] for number in numbers.keys() - _numbers(enum)])
    return {enum.DESCRIPTOR.name: count} if count else {}


@cache
def _numbers(enum: EnumTypeWrapper) -> frozenset[int]:
    return frozenset(enum.DESCRIPTOR.values_by_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What every view has beside its own fields. Times are Unix seconds."""

    unknown_enums: Mapping[str, int] = field(default_factory=dict)  # enum -> values
    period_end: float | None = None  # the end of the period that the answer speaks of
    next_change: float | None = None  # when samples change although no new answer comes
    billing_tier: str = ""


def keep_known(answer: MessageT) -> MessageT:
    """Rid an answer of fields that we do not know, which may hold anything, and return it."""
    answer.DiscardUnknownFields()
    return answer


def shorten(answer: MessageT) -> MessageT:
    """Cut an answer's texts to the length of labels, as samples are made of them, and return it."""
    _cut(answer, _texts(answer.DESCRIPTOR))
    return answer


class _Texts(NamedTuple):
    """Where texts are in a message: in which of its own fields, and in which messages in it."""

    names: Sequence[str]
    within: Sequence[tuple[FieldDescriptor, _Texts]]


@cache
def _texts(message: Descriptor) -> _Texts:
    names = [field.name for field in message.fields if field.type == FieldDescriptor.TYPE_STRING]
    inner = [
        (field, _texts(field.message_type))
        for field in message.fields
        if field.message_type is not None
    ]
    return _Texts(names, [(field, texts) for field, texts in inner if texts.names or texts.within])


def _cut(message: Message, texts: _Texts) -> None:
    for name in texts.names:
        text = getattr(message, name)
        if len(text) > MAX_LABEL_LENGTH:
            setattr(message, name, text[:MAX_LABEL_LENGTH])
    for part, within in texts.within:
        if part.is_repeated:
            for each in getattr(message, part.name):
                _cut(each, within)
        elif message.HasField(part.name):
            _cut(getattr(message, part.name), within)
