"""Looks for reference cycles a little at a time, often, instead of long and rarely.

Python's collector starts when much more was allocated than freed. Here each answer takes the place
of the one before, so the two keep pace, and the objects to look at become ever more until then:
with ten thousand organizations a pass took a tenth of a second, and a full one a third, in which
nobody is answered.
"""

from __future__ import annotations

import gc
from typing import Final

EVERY: Final = 0.05  # seconds; what is polled meanwhile is looked through in a few milliseconds
FULL_EVERY: Final = 3600.0  # seconds; little is left for it: hardly anything here makes cycles
# But connections do, of five to ten kilobytes, which are old when they end. Scrapers keep theirs.
MANY: Final = 2000  # connections, after which there is a full pass
NOT_BEFORE: Final = 5.0  # seconds, however many there are


class Garbage:
    """What is left to collect. While nothing happens there is none, so no clock asks for it."""

    def __init__(self, now: float) -> None:
        """Begin at a time on the monotonic clock."""
        self._connections = 0
        self._looked = self._looked_fully = now

    def note_connection(self) -> None:
        """Count a connection, which will be garbage one day."""
        self._connections += 1

    def collect(self, now: float) -> bool:
        """Look at what is young, or at everything, if it is time to; tells whether it was."""
        if now - self._looked < EVERY:
            return False
        self._looked = now
        fully = NOT_BEFORE if self._connections >= MANY else FULL_EVERY
        if now - self._looked_fully < fully:
            gc.collect(1)
        else:
            self._connections, self._looked_fully = 0, now
            gc.collect()
        return True
