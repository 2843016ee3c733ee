"""Keys, and the access tokens granted for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from exporter.simulator.accounts import Account
from exporter.simulator.simulated_clock import SimulatedClock


@dataclass(slots=True)
class Grant:
    """What a token stands for."""

    api_key_id: str
    expires: float  # by the monotonic clock; infinity if never
    used: bool = False


class Tokens:
    """Every key of the accounts, and the tokens that are alive."""

    def __init__(self, accounts: Iterable[Account], clock: SimulatedClock, rng: Random) -> None:
        self._keys = {account.api_key_id: account.api_key for account in accounts}
        self._grants: dict[str, Grant] = {}  # by token, oldest first
        self._clock = clock
        self._rng = rng

    def accepts_key(self, api_key_id: str, api_key: str) -> bool:
        """Tell whether id and key belong together."""
        return self._keys.get(api_key_id) == api_key

    def grant(self, api_key_id: str, lifetime: float) -> str:
        """Return a new token that lives for `lifetime` seconds of real time."""
        now = self._clock.monotonic()
        self._forget_expired(now)
        token = f"{self._rng.getrandbits(256):064x}"
        self._grants[token] = Grant(api_key_id, now + lifetime)
        return token

    def find(self, token: str) -> Grant | None:
        """Return what a token stands for, None if it is not alive."""
        grant = self._grants.get(token)
        return grant if grant and self._clock.monotonic() < grant.expires else None

    def revoke(self, token: str) -> None:
        """Forget one token."""
        self._grants.pop(token, None)

    def revoke_all(self) -> None:
        """Forget all tokens: every client has to authenticate again."""
        self._grants.clear()

    def rotate(self, old_id: str, api_key_id: str, api_key: str) -> None:
        """Replace a key. The old one and its tokens are dead at once."""
        del self._keys[old_id]
        self._keys[api_key_id] = api_key
        self._grants = {t: g for t, g in self._grants.items() if g.api_key_id != old_id}

    def _forget_expired(self, now: float) -> None:
        """Drop the oldest tokens, up to the first that is alive. Most live equally long."""
        while self._grants:
            oldest = next(iter(self._grants))
            if self._grants[oldest].expires > now:
                return
            del self._grants[oldest]
