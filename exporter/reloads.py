"""Reloads of the configuration, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

MOST_WAITING: Final = 16  # who asked over HTTP


class NoReloadError(Exception):
    """Too many wait for a reload, or there will be none any more."""


class ReloadQueue:
    """A request that comes during a reload gets the next one, shared by all that wait."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._waiting: set[asyncio.Future[str | None]] = set()
        self._ended = False

    def request(self) -> None:
        """Ask for a reload, and do not wait for it."""
        self._requested.set()

    async def reload(self) -> str | None:
        """Ask for a reload; returns what is wrong with the configuration if the old one stays.

        Raises NoReloadError if too many wait for one, or there will be none any more.
        """
        if self._ended or len(self._waiting) >= MOST_WAITING:
            raise NoReloadError
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.add(done)
        self._requested.set()
        try:
            return await done
        finally:
            self._waiting.discard(done)

    async def run(self, reload: Callable[[], Awaitable[str | None]]) -> None:
        """Make the reloads that are asked for, until cancelled."""
        try:
            while True:
                await self._requested.wait()
                self._requested.clear()
                waiting = [*self._waiting]
                error = await reload()
                for done in waiting:
                    if not done.done():  # cancelled: nobody waits any more
                        done.set_result(error)
        finally:
            self._ended = True
            for done in self._waiting:
                if not done.done():
                    done.set_exception(NoReloadError())
