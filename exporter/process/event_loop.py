"""asyncio's event loop, whose turns are known: how long they take, and when they end.

What is due now and then is done at their end, so that nothing has to wake the process for it.
"""

from __future__ import annotations

import asyncio
import gc
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

from exporter.process.garbage import Garbage

LONG = 0.005  # seconds after which a turn is for others


class Turns:
    """Turns of the loop: each begins when it has waited, and ends before it waits again."""

    def __init__(self) -> None:
        self.garbage = Garbage(time.monotonic())
        self.took: Callable[[float], object] = lambda _seconds: None
        self._began = math.inf  # on another loop than `run` makes, nothing tells of turns

    def begin(self) -> None:
        """Note that the loop has waited."""
        self._began = time.monotonic()

    async def share(self) -> None:
        """Wait for a turn that has not taken long yet: in the order of those who wait.

        Answers come in dozens at once, and a scrape that came with them would wait for them all.
        """
        while time.monotonic() - self._began > LONG:  # noqa: ASYNC110 - turns come by themselves
            await asyncio.sleep(0)

    def end(self) -> None:
        """Collect garbage, and tell how many seconds the turn took with that."""
        now = time.monotonic()
        if self.garbage.collect(now):
            now = time.monotonic()
        self.took(now - self._began)


class _Selector(selectors.DefaultSelector):
    turns: Turns

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns.end()
        try:
            return super().select(timeout)
        finally:
            self.turns.begin()


def run(main: Coroutine[Any, Any, None], turns: Turns) -> None:
    """Run as `asyncio.run` does. Python's own collector is off meanwhile."""

    def loop() -> asyncio.AbstractEventLoop:
        selector = _Selector()
        selector.turns = turns
        turns.begin()
        return asyncio.SelectorEventLoop(selector)

    gc.disable()
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(main)
    finally:
        gc.enable()
