"""A time of day for output that repeats. It needs nothing that is only there for tests."""

from __future__ import annotations

from datetime import UTC, datetime

NOON = datetime(2025, 6, 20, 12, tzinfo=UTC).timestamp()


class StandingClock:
    """A clock that stands where it is put."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def time(self) -> float:
        """Return the moment that was set."""
        return self.now

    def monotonic(self) -> float:
        """Return the same, as nothing here jumps."""
        return self.now
