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


async def collect() -> None:
    """Collect garbage until cancelled."""
    gc.disable()
    try:
        while True:
            for _ in range(int(FULL_EVERY / EVERY)):
                await asyncio.sleep(EVERY)
                gc.collect(1)
            gc.collect()
    finally:
        gc.enable()
