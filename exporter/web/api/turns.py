"""Long work on the event loop, in slices: between two of them others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

SLICE: Final = 0.002  # seconds


async def in_turns(items: Iterable[T], monotonic: Callable[[], float]) -> AsyncIterator[T]:
    """Yield items. To make one, and to use it, should take far less than a slice."""
    began = monotonic()
    for item in items:
        yield item
        if monotonic() - began > SLICE:
            await asyncio.sleep(0)
            began = monotonic()
