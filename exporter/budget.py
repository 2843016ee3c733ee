"""The daily ceiling on requests, which holds whatever becomes of the process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from exporter.billing import BillingError
from exporter.model import Cause, Clock
from exporter.storage import Storage, StorageError
from exporter.telemetry import Telemetry

# Requests are reserved on disk before they are sent, this share of the day's at a time. A
# process that is killed loses what it had reserved and not sent.
BLOCK_SHARE = 0.005


class Budget:
    """Hands out the requests of a UTC day, of which there are `limit`."""

    def __init__(self, limit: int, storage: Storage, telemetry: Telemetry, clock: Clock) -> None:
        self._limit = limit
        self._block = max(1, int(limit * BLOCK_SHARE))
        self._storage = storage
        self._telemetry = telemetry
        self._clock = clock
        self._day = ""
        self._reserved = 0  # of the day's requests, on disk
        self._unused = 0  # of those
        self._reserving = asyncio.Lock()

    async def take(self) -> None:
        """Take one request, or raise BillingError if none is left or none can be reserved."""
        async with self._reserving:
            # A wall clock that is set back starts no second yesterday.
            day = max(self._day, f"{datetime.fromtimestamp(self._clock.time(), UTC):%Y-%m-%d}")
            if day != self._day or not self._unused:
                await self._reserve(day)
            self._unused -= 1
            self._telemetry.requests_left(self._limit, self._limit - self._reserved + self._unused)

    async def _reserve(self, day: str) -> None:
        try:
            granted = await asyncio.to_thread(self._storage.reserve, day, self._block, self._limit)
            self._reserved = await asyncio.to_thread(self._storage.reserved, day)
        except StorageError as error:
            raise BillingError(
                Cause.OTHER, "STORAGE", f"no request can be reserved: {error}"
            ) from error
        self._day, self._unused = day, granted
        if not granted:
            self._telemetry.requests_left(self._limit, 0)
            raise BillingError(
                Cause.THROTTLED,
                "DAILY_LIMIT",
                "the requests of the day (api.max_requests_per_day) are used up",
            )
