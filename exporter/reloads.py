"""Reloads of the configuration, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class ReloadQueue:
    """Whoever asks while a reload is under way gets the next one, and those who wait share it."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._waiting: list[asyncio.Future[str | None]] = []

    def request(self) -> None:
        """Ask for a reload, and do not wait for it."""
        self._requested.set()

    async def reload(self) -> str | None:
        """Ask for a reload; returns what is wrong with the configuration if the old one stays."""
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._requested.set()
        return await done

    async def run(self, reload: Callable[[], Awaitable[str | None]]) -> None:
        """Make the reloads that are asked for, until cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            waiting, self._waiting = self._waiting, []
            error = await reload()
            for done in waiting:
                if not done.done():  # cancelled: nobody waits any more
                    done.set_result(error)
