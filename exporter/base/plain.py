"""Numbers and times as programs get them, in JSON and CSV alike."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

HALF_A_CENT: Final = 0.005  # US dollars: less shows no difference


def moment(seconds: float | None) -> str | None:
    """Return Unix seconds as RFC 3339 in UTC; None if unset, or beyond the calendar."""
    if seconds is None:
        return None
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace(
        "+00:00", "Z"
    )


def share(part: float | None, whole: float | None) -> float | None:
    """Return a part as a share of a whole, 1 being all of it; None if either is unknown."""
    return part / whole if part is not None and whole else None


def number(value: float | None) -> float | None:
    """Return an amount unrounded, None for what is no number."""
    return value + 0.0 if value is not None and math.isfinite(value) else None
