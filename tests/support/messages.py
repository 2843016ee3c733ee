"""Hypothesis strategies: any message that the API's types allow, as well as likely ones."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

FD = FieldDescriptor

# Few different texts and numbers, so that the same labels come twice.
TEXT = st.one_of(
    st.sampled_from(["", "gold", "Gold", "paid", "OUTSTANDING", "card_declined", 'a"b\\c\nd', "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.integers(0, 30).map("tier {}".format),
    st.integers(0, 3).map(f"{'long ' * 60}{{}}".format),
)
AMOUNT = st.one_of(
    st.integers(-100_000, 100_000).map(lambda cents: cents / 100),
    st.floats(width=64),
)
SECONDS = st.one_of(
    st.integers(1_700_000_000, 1_900_000_000), st.integers(-(2**63), 2**63 - 1), st.just(0)
)
ENUM = st.one_of(st.integers(0, 30), st.integers(-(2**31), 2**31 - 1))

SCALARS = {
    FD.TYPE_DOUBLE: AMOUNT,
    FD.TYPE_STRING: TEXT,
    FD.TYPE_INT64: SECONDS,
    FD.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FD.TYPE_ENUM: ENUM,
    FD.TYPE_BYTES: st.binary(max_size=8),
}


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Any:
    """Return a message with any of its fields set to anything of their types."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        count = draw(st.integers(0, 4 if field.is_repeated else 1))
        for _ in range(count):
            if field.message_type is None:
                value = draw(SCALARS[field.type])
                if field.is_repeated:
                    getattr(message, field.name).append(value)
                else:
                    setattr(message, field.name, value)
            else:
                value = draw(messages(GetMessageClass(field.message_type)))  # type: ignore[arg-type]
                if field.is_repeated:
                    getattr(message, field.name).append(value)
                else:
                    getattr(message, field.name).CopyFrom(value)
    return message
