"""Numbers, times and durations as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

MINUS: Final = "\N{MINUS SIGN}"
TOO_LONG: Final = 1e15  # from where on digits are left out: doubles have no cents there

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def usd(amount: float, most_digits: int = 2) -> str:
    """Return US dollars with cents, or with as many digits after the point as it takes, at most."""
    if math.isnan(amount):
        return "not a number"
    if math.isinf(amount):
        return "infinite"
    size = abs(amount)
    if size >= TOO_LONG:
        text = f"{size:.6g}"
    else:
        whole, _, digits = f"{size:,.{most_digits}f}".partition(".")
        text = f"{whole}.{digits[:2]}{digits[2:].rstrip('0')}"
    nothing = not text.strip("0.")
    return f"{MINUS if amount < 0 and not nothing else ''}${text}"


def exact_usd(amount: float) -> str:
    """Return US dollars as received, to a millionth."""
    return usd(amount, most_digits=6)


def share(part: float) -> str:
    """Return a share of a whole as whole percents."""
    if not abs(part) < TOO_LONG:
        return "far above 100%" if part > 0 else f"far below {MINUS}100%"
    text = f"{abs(part):,.0%}"
    return f"{MINUS}{text}" if part < 0 and text != "0%" else text


def signed_usd(amount: float) -> str:
    """Return US dollars with their sign, as of a change."""
    text = usd(amount)
    return f"+{text}" if amount > 0 and text.strip("$0.") else text


def signed_share(part: float) -> str:
    """Return a change as a share of what was before, with its sign."""
    text = share(abs(part))
    if text == "0%":
        return text
    return f"{'+' if part > 0 else MINUS}{text}"


def off(error: float) -> str:
    """Return by which share of the truth something was wrong, and to which side."""
    if not round(100 * error):
        return "within 1%"
    return f"{share(abs(error))} too {'high' if error > 0 else 'low'}"


def moment(unix: float) -> str:
    """Return a time to the second. What no calendar has is given in seconds."""
    when = _datetime(unix)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else f"{unix:.0f} s after 1970"


def day(unix: float) -> str:
    """Return the date of a time, in UTC."""
    when = _datetime(unix)
    return f"{when:%Y-%m-%d}" if when else f"{unix:.0f} s after 1970"


def since(unix: float, now: float) -> str:
    """Say since when something is so, to the minute; the date only if it is not today's."""
    when, today = _datetime(unix), _datetime(now)
    if when is None:
        return f"since {moment(unix)}"
    form = "%H:%M" if today and when.date() == today.date() else "%Y-%m-%d %H:%M"
    return f"since {when:{form}} UTC"


def count(number: int, noun: str) -> str:
    """Return so many of a thing."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def iso_time(unix: float) -> str:
    """Return a time as the attribute `datetime` has it; empty for what no calendar has."""
    when = _datetime(unix)
    return f"{when:%Y-%m-%dT%H:%M:%SZ}" if when else ""


def span(seconds: float) -> str:
    """Return a duration in its two largest units, such as `3 d 4 h`."""
    left = max(0, int(seconds))
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count or len(parts) == 1)


def ago(seconds: float) -> str:
    """Say how long ago something was; a clock that was set back makes nothing the future."""
    return f"{_rough(seconds)} ago"


def ahead(seconds: float) -> str:
    """Say in how long something will be."""
    return f"in {_rough(seconds)}" if seconds > 0 else "now"


def _rough(seconds: float) -> str:
    """Return a duration in its largest unit."""
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{max(0, int(seconds // size))} {unit}"


def _datetime(unix: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(unix, UTC)
    except (OverflowError, ValueError, OSError):
        return None
