"""Times as people and programs write them: RFC 3339, or Unix seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

RULE: Final = "must be a time as RFC 3339 or Unix seconds, such as 2026-11-23T14:30:00Z"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
END: Final = 253_402_300_800.0  # Unix seconds: the year 10000

_RFC_3339: Final = re.compile(
    # From 3.14 on, Python would take the hour 24.
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_UNIX: Final = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)


def parsed(text: str) -> float:
    """Return a time in Unix seconds, before the year 10000. Raises ValueError with the rule."""
    if _UNIX.fullmatch(text):
        seconds = float(text)
    elif _RFC_3339.fullmatch(text):
        try:
            seconds = (datetime.fromisoformat(text.upper()) - EPOCH) / timedelta(seconds=1)
        except ValueError:  # there is no such day
            raise ValueError(RULE) from None
    else:
        raise ValueError(RULE)
    if seconds >= END:  # mostly milliseconds
        raise ValueError(RULE)
    return seconds
