"""Our exporter with clocks that run faster: what takes it an hour is seen in minutes.

Takes how many times as fast, and then the exporter's own arguments.
"""

from __future__ import annotations

import asyncio
import sys
import time
from selectors import BaseSelector, SelectorKey
from typing import Final

from exporter import cli
from exporter.process.clock import SystemClock

FACTOR: Final = float(sys.argv[1])
BEGAN: Final = time.monotonic()
BEGAN_AT: Final = time.time()


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop on the hurried clock, which therefore waits for a shorter time."""

    def __init__(self, selector: BaseSelector) -> None:
        super().__init__(selector)
        wait = selector.select

        def select(timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
            return wait(None if timeout is None else timeout / FACTOR)

        vars(selector)["select"] = select

    def time(self) -> float:
        """Return seconds since some moment."""
        return monotonic()


def monotonic() -> float:
    """Return seconds since some moment, on the hurried clock."""
    return BEGAN + FACTOR * (time.monotonic() - BEGAN)


def wall_time() -> float:
    """Return Unix seconds, on the hurried clock."""
    return BEGAN_AT + monotonic() - BEGAN


if __name__ == "__main__":
    SystemClock.monotonic = staticmethod(monotonic)
    SystemClock.time = staticmethod(wall_time)
    # The exporter makes its loop by this name.
    vars(asyncio)["SelectorEventLoop"] = HurriedLoop
    sys.exit(cli.main(sys.argv[2:]))
