"""What an access token says of itself. Viam's are JSON Web Tokens, but any text may come."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Lifetime(NamedTuple):
    """How long a token lives, and nothing else of it."""

    is_jwt: bool
    seconds: float | None  # from `iat` to `exp`, if it has both


def expiry(token: str) -> float:
    """Return until when a token says that it lives, in Unix seconds; infinity if it does not."""
    expires = _number(_claims(token) or {}, "exp")
    return math.inf if expires is None else expires


def lifetime(token: str) -> Lifetime:
    """Return how long a token says that it lives."""
    claims = _claims(token)
    if claims is None:
        return Lifetime(is_jwt=False, seconds=None)
    issued, expires = _number(claims, "iat"), _number(claims, "exp")
    if issued is None or expires is None or not math.isfinite(expires - issued):
        return Lifetime(is_jwt=True, seconds=None)
    return Lifetime(is_jwt=True, seconds=expires - issued)


def _claims(token: str) -> Mapping[str, Any] | None:
    """Return the claims of a JSON Web Token, None for any other text."""
    parts = token.split(".")
    if len(parts) != len(("header", "claims", "signature")):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
