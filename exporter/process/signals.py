"""Heeds signals while something runs, and leaves no moment in which one could kill the process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

END_WITHIN: Final = 9.0  # seconds; who sent the signal gives up after ten
FAILED: Final = 1
STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
MANY: Final = 4096


@contextmanager
def heeded(
    handlers: Mapping[signal.Signals, Callable[[], object]], end_within: float = END_WITHIN
) -> Iterator[None]:
    """Call these on the running loop when their signals come, while inside.

    A loop's own handlers leave the default behind, so that a second signal to stop would
    kill the process while it ends. Here the handlers from before come back.

    Told to stop, the process has so many seconds, whatever hangs.
    """
    loop = asyncio.get_running_loop()
    came: set[int] = set()
    deadline = _Deadline(end_within)

    def note(number: int, _frame: FrameType | None) -> None:
        came.add(number)
        if number in STOPPING:
            deadline.start()  # here, since the loop may be what hangs

    def heed() -> None:
        receiving.recv(MANY)
        for number in tuple(came):
            came.discard(number)
            handlers[signal.Signals(number)]()

    receiving, sending = socket.socketpair()
    with receiving, sending:
        receiving.setblocking(False)
        sending.setblocking(False)
        loop.add_reader(receiving, heed)
        outer = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, note) for number in handlers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(outer)
            loop.remove_reader(receiving)


class _Deadline:
    """Ends the process some time after it was started, unless it has ended by itself."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, os._exit, (FAILED,))
        self._timer.daemon = True
        self._started = False

    def start(self) -> None:
        """Start it, if it is not."""
        if not self._started:
            self._started = True
            try:
                self._timer.start()
            except RuntimeError:
                pass  # there can be no more threads; what ends by itself still does
