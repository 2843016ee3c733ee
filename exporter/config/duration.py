"""Durations in the notation of Prometheus."""

from __future__ import annotations

import re

# Unit, its milliseconds, and whether it is written only when nothing smaller is left over:
# 8 days are `8d`, but 36 hours stay `36h`. Largest first, as Prometheus wants them.
_UNITS = (
    ("y", 31_536_000_000, True),
    ("w", 604_800_000, True),
    ("d", 86_400_000, True),
    ("h", 3_600_000, False),
    ("m", 60_000, False),
    ("s", 1000, False),
    ("ms", 1, False),
)
_NOTATION = re.compile("".join(rf"(?:([0-9]{{1,18}}){unit})?" for unit, _, _ in _UNITS))
_LONGEST_MS = 2**63 // 1_000_000  # Prometheus counts nanoseconds in a signed 64-bit integer


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `1h30m`, `15s` or `100ms`.

    Units are y, w, d, h, m, s and ms, each at most once, in this order. Raises ValueError if
    `text` is anything else, if it is not above zero, and if Prometheus could not hold it.
    """
    match = _NOTATION.fullmatch(text)
    if not text or match is None:
        raise ValueError("must be a duration with a unit, such as 15m or 1h30m")
    milliseconds = sum(
        int(count or 0) * unit_ms
        for count, (_, unit_ms, _) in zip(match.groups(), _UNITS, strict=True)
    )
    if milliseconds == 0:
        raise ValueError("must be above zero")
    if milliseconds > _LONGEST_MS:
        raise ValueError("must not be longer than 292 years")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """Return a duration of 0 or more seconds as Prometheus prints it, to the millisecond."""
    left = round(seconds * 1000)
    text = ""
    for unit, unit_ms, only_whole in _UNITS:
        if left >= unit_ms and not (only_whole and left % unit_ms):
            text += f"{left // unit_ms}{unit}"
            left %= unit_ms
    return text or "0s"
