"""Our exporter with clocks that run faster: what takes it an hour is seen in minutes.

Takes how many times as fast, and then the exporter's own arguments.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from typing import Final

from exporter import cli
from exporter.process.clock import SystemClock

FACTOR: Final = float(sys.argv[1])
BEGAN: Final = time.monotonic()
BEGAN_AT: Final = time.time()


class Selector(selectors.DefaultSelector):
    """Waits for a shorter time than it is asked to."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, after the time that the hurried clock takes at most."""
        found: list[tuple[selectors.SelectorKey, int]] = super().select(
            None if timeout is None else timeout / FACTOR
        )
        return found


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop on the hurried clock."""

    def __init__(self) -> None:
        super().__init__(Selector())

    def time(self) -> float:
        """Return seconds since some moment."""
        return monotonic()


class Policy(asyncio.DefaultEventLoopPolicy):
    """Makes such loops."""

    _loop_factory = HurriedLoop


def monotonic() -> float:
    """Return seconds since some moment, on the hurried clock."""
    return BEGAN + FACTOR * (time.monotonic() - BEGAN)


def wall_time() -> float:
    """Return Unix seconds, on the hurried clock."""
    return BEGAN_AT + monotonic() - BEGAN


if __name__ == "__main__":
    SystemClock.monotonic = staticmethod(monotonic)
    SystemClock.time = staticmethod(wall_time)
    asyncio.set_event_loop_policy(Policy())
    sys.exit(cli.main(sys.argv[2:]))
