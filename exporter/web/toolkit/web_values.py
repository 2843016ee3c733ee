"""The rules of single values of the web configuration. No message repeats the value."""

from __future__ import annotations

import re

from exporter.base.text import is_text
from exporter.config.values import string

# Of 22 characters the last one of a salt has two bits only: bcrypt refuses others.
_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
MIN_COST = 4  # bcrypt's own
# A cost of 16 is seconds for every new password; above, a stop would have to wait for it.
MAX_COST = 16

_GO_DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+")
_GO_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

# Of these, the toolkit leaves the value of those with None to the user.
HEADERS: dict[str, tuple[str, ...] | None] = {
    "Content-Security-Policy": None,
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": None,
    "Strict-Transport-Security": None,
}


def pem(value: object) -> str:
    """Return text of several lines; what it holds is checked where it is used."""
    if not isinstance(value, str) or "-----BEGIN " not in value:
        raise ValueError("must be PEM text: write it after | on lines of its own")
    return value


def strings(value: object) -> tuple[str, ...]:
    """Return a list of strings that is not empty."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list with at least one item, each after a -")
    return tuple(string(item) for item in value)


def go_duration(value: object) -> float:
    """Return seconds from a duration in Go's notation, such as 1m30s or 0.5s; 0 needs no unit."""
    if value == "0" or (value == 0 and not isinstance(value, bool)):
        return 0.0
    if not isinstance(value, str) or not _GO_DURATION.fullmatch(value):
        raise ValueError("must be a duration with a unit, such as 1s or 100ms, or 0")
    return sum(float(number) * _SECONDS[unit] for number, unit in _GO_PART.findall(value))


def header_rule(name: str, value: object) -> str | None:
    """Return the rule that a response header breaks, if any."""
    if name not in HEADERS:
        return f"cannot be set here: only {', '.join(HEADERS)}"
    if value is None or value == "":  # as in the toolkit, this leaves it out
        return None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return "must be a string of printable ASCII characters"
    allowed = HEADERS[name]
    if allowed is not None and value not in allowed:
        return f"must be {' or '.join(allowed)}"
    return None


def user_rule(name: str, value: object) -> str | None:
    """Return the rule that a user breaks, if any. It does not name the user."""
    if not name or ":" in name or not is_text(name):
        return "has a user name that is empty or contains a colon or a control character"
    match = _BCRYPT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return "has a user whose password is not a bcrypt hash: make one with htpasswd -nBC 10"
    if not MIN_COST <= int(match["cost"]) <= MAX_COST:
        return f"has a user whose bcrypt cost is not between {MIN_COST} and {MAX_COST}"
    return None


def bcrypt_cost(hashed: str) -> int:
    """Return the cost of a valid hash: the binary logarithm of its rounds."""
    return int(hashed[4:6])
