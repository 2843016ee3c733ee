"""Threads for files that may hang, as those on a share whose server is gone.

They are not asyncio's own, which pages and polls need, and the process does not wait for them at
its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Any, Final, ParamSpec, TypeVar

HANGS: Final = "its file system hangs"
T = TypeVar("T")
P = ParamSpec("P")


class _Daemons(Executor):
    """Runs each call in a thread of its own that may outlive everything."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on, nothing stops it

        def call() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=call, name="files", daemon=True).start()
        return future


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what a function returns, from a thread. Raises TimeoutError after so many seconds."""
    return _Daemons().submit(function).result(seconds)


class FileThreads:
    """Runs what blocks on files, so much of it at a time.

    A call that took longer goes on, for a thread cannot be stopped. Until it ends, calls of the
    same lane fail at once, so that there are never more threads that hang than places.
    """

    def __init__(self, places: int) -> None:
        self._most = places
        self._places = asyncio.Semaphore(places)
        self._executor = _Daemons()
        self._overdue: Counter[Hashable] = Counter()

    async def run(
        self, seconds: float | None, lane: Hashable, function: Callable[..., T], *args: Any
    ) -> T:
        """Return what the function returns, or raise what it raises.

        Raises TimeoutError, which says why, after so many seconds; None is for ever.
        """
        if self._overdue[lane] or self._overdue.total() >= self._most:
            raise TimeoutError(HANGS)
        running: asyncio.Future[T] | None = None
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
                try:
                    loop = asyncio.get_running_loop()
                    running = loop.run_in_executor(self._executor, function, *args)
                except RuntimeError as error:
                    self._places.release()
                    raise TimeoutError("there is no thread to read it in") from error
                running.add_done_callback(self._ended)
                return await asyncio.shield(running)
        except TimeoutError as error:
            if running is not None and not running.done():
                self._overdue[lane] += 1
                running.add_done_callback(lambda _: self._overdue.subtract([lane]))
            raise error if error.args else TimeoutError(HANGS) from None

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._places.release()
        if not running.cancelled():
            running.exception()  # of one that nobody waits for any more, too
