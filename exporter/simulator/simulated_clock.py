"""Simulated time: a calendar that may run faster than the wall clock."""

from __future__ import annotations

from exporter.model import Clock


class SimulatedClock:
    """A calendar that starts with the wall clock and runs `speed` times as fast.

    Costs and months follow simulated time. Clients live in wall time, so whatever is sent to
    them goes through `wall`. At speed 1 both are the same; at 8640 a month takes five minutes.
    """

    def __init__(self, clock: Clock, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError("the speed of a simulated clock must be above 0")
        self._clock = clock
        self._speed = speed
        self._start = clock.time()

    def time(self) -> float:
        """Return the simulated moment that it is now, in Unix seconds."""
        return self._start + (self._clock.time() - self._start) * self._speed

    def wall(self, moment: float) -> float:
        """Return when the wall clock shows the simulated `moment`, both in Unix seconds."""
        return self._start + (moment - self._start) / self._speed

    def monotonic(self) -> float:
        """Return seconds of the real clock: for lifetimes, which no speed shortens."""
        return self._clock.monotonic()
