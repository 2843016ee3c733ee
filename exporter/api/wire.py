"""Counts what a message is made of before it is decoded, which cannot be interrupted.

A decoder makes an object of two bytes: four megabytes of them take a tenth of a second or more, and
many times their size. Here each field is passed over, as protobuf's encoding has it: a tag, and a
value whose length the tag's wire type gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Final, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

MAX_ELEMENTS: Final = 20_000
SMALLEST: Final = 2  # bytes of an element: a tag, and a value or a length
DEPTH: Final = 100  # as decoders have it
MAX_FIELDS: Final = 100  # of a message that are told apart; ours have up to fifteen

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
WIRE_TYPES: Final = {VARINT, FIXED64, LENGTH, GROUP, FIXED32}  # of what has a value
MORE: Final = 0x80  # set in each byte of a varint but the last
LONGEST_VARINT: Final = 10  # bytes
MAX_TAG: Final = 2**32

# By tag, of those that are repeated or messages: what to count them as, and what is in one.
Fields = Mapping[int, tuple[str | None, "Fields | None"]]
AGAIN: Final = "a field that comes again"  # as what those that are not repeated are counted


class MalformedError(ValueError):
    """No decoder would take it."""


class TooManyError(ValueError):
    """It has more elements of a kind than an answer may have."""


def check(message: type[Message], raw: bytes) -> None:
    """Raise MalformedError or TooManyError unless an answer may be decoded.

    Counted are the elements of each repeated field, and fields that come again in one message
    although they are not repeated, or not known. Texts are left to the decoder.
    """
    if len(raw) > SMALLEST * MAX_ELEMENTS:
        try:
            _Scanner(raw).message(_fields(cast("Descriptor", message.DESCRIPTOR)), 0, len(raw))
        except IndexError:
            raise MalformedError from None


class _Scanner:
    """Reads on where it is told to. Raises IndexError after the end."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._elements: Counter[str] = Counter()
        self._depth = 0

    def message(self, fields: Fields, at: int, end: int, group: int = 0) -> int:
        """Pass over a message, which ends there, or where the group does, and return that place."""
        self._depth += 1
        if self._depth > DEPTH:
            raise MalformedError
        seen: set[int] = set()
        while at < end:
            tag, at = self._varint(at)
            if tag & 7 == END_GROUP and group and tag >> 3 == group:
                group = 0
                break
            kind, inner = fields.get(tag, (None, None))
            if kind is not None or tag in seen or len(seen) == MAX_FIELDS:
                self._count(kind or AGAIN)
            else:
                seen.add(tag)
            at = self._value(tag, inner, at, end)
        if at > end or group:
            raise MalformedError
        self._depth -= 1
        return at

    def _value(self, tag: int, inner: Fields | None, at: int, end: int) -> int:
        """Pass over the value that follows a tag."""
        number, wire_type = tag >> 3, tag & 7
        if not number or tag >= MAX_TAG or wire_type not in WIRE_TYPES:
            raise MalformedError
        if wire_type == VARINT:
            return self._varint(at)[1]
        if wire_type == GROUP:
            return self.message({}, at, end, number)
        if wire_type != LENGTH:
            return at + (8 if wire_type == FIXED64 else 4)
        length, at = self._varint(at)
        if at + length > end:
            raise MalformedError
        return at + length if inner is None else self.message(inner, at, at + length)

    def _count(self, kind: str) -> None:
        self._elements[kind] += 1
        if self._elements[kind] > MAX_ELEMENTS:
            raise TooManyError

    def _varint(self, at: int) -> tuple[int, int]:
        """Return the number that begins there, and where it ends."""
        byte = self._raw[at]
        if byte < MORE:
            return byte, at + 1
        value = 0
        for index in range(LONGEST_VARINT):
            byte = self._raw[at + index]
            value |= (byte & ~MORE) << 7 * index
            if byte < MORE:
                return value, at + index + 1
        raise MalformedError


@cache
def _fields(message: Descriptor) -> Fields:
    made: dict[int, tuple[str | None, Fields | None]] = {}
    for field in message.fields:
        inner = None if field.message_type is None else _fields(field.message_type)
        if field.is_packed:
            raise TypeError(f"{field.full_name}: many numbers would pass for one element")
        if field.is_repeated or inner is not None:
            kind = field.full_name if field.is_repeated else None
            made[field.number << 3 | LENGTH] = kind, inner
    return made
