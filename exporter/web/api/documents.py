"""JSON, put together of parts: to make a long document at once would hold up all others.

It is in ASCII, so that a terminal acts upon no name in it, with a line for each member of a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def encoded(value: object) -> bytes:
    """Return a value as JSON. Raises ValueError for a number that is none."""
    return json.dumps(value, allow_nan=False).encode()


def object_of(head: Mapping[str, Any], **lists: Iterable[bytes] | None) -> bytes:
    """Return an object that has lists, of what is JSON already, behind its other members."""
    members = [b"%s: %s" % (encoded(name), encoded(value)) for name, value in head.items()]
    for name, items in lists.items():
        text = b"null" if items is None else b"[\n%s\n]" % b",\n".join(items)
        members.append(b"%s: %s" % (encoded(name), text))
    return b"{%s}" % b", ".join(members)
