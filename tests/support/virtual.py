"""An event loop whose time passes only when everything waits: hours of polling in no time."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_795_435_200.0  # 2026-11-23T12:00:00Z


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, moves the loop's time there."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.threads or timeout is None:
            # What a thread does takes no time, but has to be awaited.
            return super().select(10)
        self.loop.now += timeout
        self.loop.waits += 1
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        self.waits = 0  # how often time has passed: each is a wake-up of the process
        self.threads = 0
        super().__init__(selector)

    def time(self) -> float:
        """Return seconds since the loop began."""
        return self.now

    def run_in_executor(  # type: ignore[override] # the base's signature needs Python 3.11's *Ts
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run in a thread, during which time stands still."""
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)

        def done(_: asyncio.Future[T]) -> None:
            self.threads -= 1

        future.add_done_callback(done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - asyncio's
        """Await the threads' end, during which time stands still, too."""
        self.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads -= 1


class Hang:
    """What a thread waits for that hangs; time passes meanwhile, and is to be over in the end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self._hanging = 0

    def wait(self) -> None:
        """Hang until it is over."""
        self._loop.call_soon_threadsafe(self._count)
        self._over.wait()

    def _count(self) -> None:
        if not self._over.is_set():
            self._hanging += 1
            self._loop.threads -= 1

    def end(self) -> None:
        """Let those that hang go on."""
        self._over.set()
        self._loop.threads += self._hanging


def waits() -> int:
    """Return how often the running loop has waited for time to pass."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.waits


class VirtualClock:
    """The clocks of a virtual loop. `jump` sets the wall clock without time passing."""

    def __init__(self) -> None:
        self.offset = START

    def time(self) -> float:
        """Return Unix seconds."""
        return self.offset + self.monotonic()

    def monotonic(self) -> float:
        """Return seconds since the loop began."""
        return asyncio.get_running_loop().time()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self.offset += seconds


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
