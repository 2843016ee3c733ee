"""Clients that have connected and said nothing yet.

All that one of them costs is a file descriptor: what speaks HTTP or TLS with it is made when its
first byte has come. Sockets are looked at without a task for each, and closed at once, so that
a flood of them is counted exactly.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

# Takes a client that begins to speak, and since when it is there, by the loop's clock.
Speaks = Callable[[socket.socket, float], None]


class Newcomers:
    """Sockets of clients that have said nothing, in the order in which they came."""

    def __init__(self) -> None:
        self._since: dict[socket.socket, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    @property
    def oldest(self) -> float | None:
        """Since when the one that waits for longest is there."""
        return next(iter(self._since.values()), None)

    def add(self, accepted: socket.socket, speaks: Speaks) -> None:
        """Wait until there is something to read, then hand it on."""
        loop = asyncio.get_running_loop()
        self._since[accepted] = loop.time()

        def readable() -> None:
            loop.remove_reader(accepted)
            speaks(accepted, self._since.pop(accepted))

        loop.add_reader(accepted, readable)

    def close_oldest(self) -> None:
        """Close the one that waits for longest."""
        accepted = next(iter(self._since))
        del self._since[accepted]
        asyncio.get_running_loop().remove_reader(accepted)
        accepted.close()

    def close_before(self, time: float) -> None:
        """Close those that were there before a time."""
        while self.oldest is not None and self.oldest < time:
            self.close_oldest()
