"""Messages as they are kept: long ones are compressed, or a few of them would fill the memory."""

from __future__ import annotations

from typing import Final

from isal import isal_zlib

LONG: Final = 64 * 1024  # bytes
MARK: Final = b"\0"  # no message begins with it, for there is no field 0; what does is compressed


def packed(message: bytes) -> bytes:
    """Return a serialized message as it is kept."""
    brief = len(message) <= LONG and not message.startswith(MARK)
    return message if brief else MARK + isal_zlib.compress(message, 1)


def squeezed(kept: bytes) -> bytes:
    """Return a message that is kept, to be kept for long and hardly ever read."""
    return kept if kept.startswith(MARK) else MARK + isal_zlib.compress(kept, 1)


def size(kept: bytes) -> int:
    """Return the size of the message that is kept so, or, of a long one, some that is long."""
    return LONG if kept.startswith(MARK) else len(kept)


def unpacked(kept: bytes) -> bytes:
    """Return the serialized message that is kept so."""
    return isal_zlib.decompress(kept[len(MARK) :]) if kept.startswith(MARK) else kept
