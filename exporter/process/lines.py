"""Lines on standard error, for which nobody ever waits."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 1 << 20  # bytes that wait: some thousand lines


class Lines:
    """Writes lines to a file descriptor, in order, in a thread of its own.

    Writing to a pipe that nobody reads blocks. Lines that find too many waiting, or that
    cannot be written, are dropped and counted.
    """

    def __init__(self, descriptor: int | None, most: int = MOST) -> None:
        """Write to `descriptor`, None if there is none; at most so many bytes wait."""
        self._descriptor = descriptor
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._size = 0  # of what waits, and of what is being written
        self._torn = False
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._dropped = 0
        self._count: Callable[[int], object] | None = None

    def count_dropped(self, count: Callable[[int], object]) -> None:
        """Call this with how many lines were dropped so far, and then whenever some are."""
        with self._changed:
            count(self._dropped)
            self._count = count

    def put(self, text: str) -> None:
        """Have a line written, or several that belong together, and do not wait for it."""
        data = (text + "\n").encode(errors="backslashreplace")
        with self._changed:
            if self._size + len(data) > self._most or not self._writes():
                self._drop()
                return
            self._waiting.append(data)
            self._size += len(data)
            self._changed.notify_all()

    def flush(self, within: float) -> None:
        """Wait until all is written, at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, within)

    def _drop(self) -> None:
        self._dropped += 1
        if self._count is not None:
            self._count(1)

    def _writes(self) -> bool:
        """Tell whether there is a thread that writes, and make it if there is none yet."""
        if self._thread is None and self._descriptor is not None:
            # A daemon, for the process has to end also while it is stuck.
            thread = threading.Thread(
                target=self._write_all, args=(self._descriptor,), name="lines", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # there can be no more of them now
                return False
            self._thread = thread
        return self._thread is not None

    def _write_all(self, descriptor: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting[0]
            written = self._write(descriptor, data)
            with self._changed:
                self._waiting.popleft()
                self._size -= len(data)
                if not written:
                    self._drop()
                self._changed.notify_all()

    def _write(self, descriptor: int, data: bytes) -> bool:
        """Write a line whole. Tells whether it could be."""
        if self._torn:  # what was begun is no line, and the next one is not part of it
            data = b"\n" + data
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(descriptor, rest) :]
                except BlockingIOError:  # another process that has it open made it so
                    poll = select.poll()
                    poll.register(descriptor, select.POLLOUT)
                    poll.poll()
        except OSError:  # the reader is gone, or the disk is full
            self._torn = self._torn or len(rest) < len(data)
            return False
        self._torn = False
        return True
