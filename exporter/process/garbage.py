"""Looks for reference cycles a little at a time, often, instead of long and rarely.

Python's collector starts when much more was allocated than freed. Here each answer takes the place
of the one before, so the two keep pace, and the objects to look at become ever more until then:
with ten thousand organizations a pass took a tenth of a second, and a full one a third, in which
nobody is answered.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

EVERY: Final = 0.05  # seconds; what is polled meanwhile is looked through in a few milliseconds
FULL_EVERY: Final = 3600.0  # seconds; little is left for it: hardly anything here makes cycles
# But connections do, of five to ten kilobytes, which are old when they end. Scrapers keep theirs.
MANY: Final = 2000  # connections, after which there is a full pass
NOT_BEFORE: Final = 5.0  # seconds, however many there are


class Garbage:
    """What is left to collect."""

    def __init__(self) -> None:
        self._connections = 0

    def note_connection(self) -> None:
        """Count a connection, which will be garbage one day."""
        self._connections += 1

    async def collect(self) -> None:
        """Collect garbage until cancelled."""
        gc.disable()
        try:
            while True:
                await self._often()
                self._connections = 0
                gc.collect()
        finally:
            gc.enable()

    async def _often(self) -> None:
        """Look at what is young, until all is to be looked at."""
        for turn in range(int(FULL_EVERY / EVERY)):
            await asyncio.sleep(EVERY)
            gc.collect(1)
            if self._connections >= MANY and turn * EVERY >= NOT_BEFORE:
                return
