"""Messages as they are kept: all but the shortest are compressed, for they are read seldom."""

from __future__ import annotations

from typing import Final

from isal import isal_zlib

LONG: Final = 64 * 1024  # bytes; few are
SHORT: Final = 256  # bytes: nothing is gained
# No message begins with it, for there is no field 0. Behind it are the size and what is compressed.
MARK: Final = b"\0"
HEAD: Final = 5  # bytes
# Level 0 takes 5 us for most messages, and makes two thirds of what level 1 makes in 20.
FAST, SMALL = 0, 1


def packed(message: bytes) -> bytes:
    """Return a serialized message as it is kept."""
    if len(message) <= SHORT and not message.startswith(MARK):
        return message
    return _compressed(message, FAST if len(message) <= LONG else SMALL)


def squeezed(kept: bytes) -> bytes:
    """Return a message that is kept, to be kept for long and hardly ever read."""
    return kept if size(kept) > LONG else _compressed(unpacked(kept), SMALL)


def size(kept: bytes) -> int:
    """Return the size of the message that is kept so, in bytes."""
    return int.from_bytes(kept[len(MARK) : HEAD]) if kept.startswith(MARK) else len(kept)


def unpacked(kept: bytes) -> bytes:
    """Return the serialized message that is kept so."""
    return isal_zlib.decompress(kept[HEAD:]) if kept.startswith(MARK) else kept


def _compressed(message: bytes, level: int) -> bytes:
    head = MARK + len(message).to_bytes(HEAD - len(MARK))
    return head + isal_zlib.compress(message, level)
