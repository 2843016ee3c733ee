"""What a client may cost, and who keeps count of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exporter.web.toolkit import RateLimit

# Bytes.
LINE = 8190  # of the request line, and of one header; beyond is 431
HEADERS = 32 * 1024  # of a request line and its headers together; beyond is 431
PIECE = 4096  # taken in at once; so exact is the count of them
WRITE = 256 * 1024  # written at once; a client has `Limits.stall` to take each of them
TURN = 4 * 1024 * 1024  # written until others get their turn: one or two milliseconds

HEADER_FIELDS = 64
PAGES = 4  # for people, being made or sent at once; each takes a thread
API_ANSWERS = 4  # for programs, the same; beside the pages, so that these do not wait for programs


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may cost. Times are seconds."""

    handshake: float = 10.0  # for TLS
    headers: float = 10.0  # from the start of a connection, or of a request, to its headers' end
    idle: float = 300.0  # between two requests; longer than any sensible scrape interval
    stall: float = 30.0  # for a client to take what was written at once: 8 KiB a second, or more
    # Until a scrape loses its place when others want it: one that is stalled, or else the longest.
    patience: float = 5.0
    queue: float = 6.0  # for a scrape to wait for a place
    linger: float = 1.0  # to read what a refused request still sends, or else the answer is lost
    check_interval: float = 1.0  # between two checks of all of these, at least
    connections: int = 1000  # above, the one that was idle for longest is ended
    handshakes: int = 100  # of TLS, under way; above, the one that began first is ended
    # Bytes of requests that came and are not answered, whole or not. Above, the connection with
    # most of them is ended.
    unanswered: int = 16 * 1024 * 1024

    @property
    def newcomers(self) -> int:
        """How many connections may be there that never asked for anything."""
        return max(1, self.connections * 9 // 10)


class Full(Exception):  # noqa: N818 - an answer, not an error
    """As many as may be are in flight."""


class TokenBucket:
    """Limits requests to one an interval, with bursts."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limit = RateLimit()
        self._tokens = 0.0
        self._filled = 0.0

    def another(self) -> TokenBucket:
        """Return one for other requests, with the same clock."""
        return TokenBucket(self._monotonic)

    def take(self, limit: RateLimit) -> bool:
        """Tell whether a request may go on. A limit that changed starts with a full bucket."""
        if not limit.interval or limit.burst is None:
            return True
        now = self._monotonic()
        if limit != self._limit:
            self._limit, self._tokens, self._filled = limit, limit.burst, now
        gained = (now - self._filled) / limit.interval
        self._tokens = min(float(limit.burst), self._tokens + gained)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def retry_after(self) -> int:
        """Return whole seconds until there is a token again, at least one."""
        return max(1, math.ceil((1 - self._tokens) * self._limit.interval))
