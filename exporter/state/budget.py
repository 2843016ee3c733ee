"""The daily ceiling on requests, which holds whatever becomes of the process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.api.billing import BillingError
from exporter.metrics.telemetry import Telemetry
from exporter.model import Cause, Clock
from exporter.state.place import StorageError
from exporter.state.rows import day_after

if TYPE_CHECKING:  # or SQLite would be there without a storage
    from exporter.state.storage import Storage

# Requests are reserved on disk before they are sent, this share of the day's at a time. A
# process that is killed loses what it had reserved and not sent.
BLOCK_SHARE = 0.005


class Budget:
    """Hands out the requests of a UTC day, of which there are `limit`.

    Without a storage that could be opened there are none: a ceiling that a restart forgets is
    no ceiling.
    """

    def __init__(
        self, limit: int, storage: Storage | None, telemetry: Telemetry, clock: Clock
    ) -> None:
        self._limit = limit
        self._block = max(1, int(limit * BLOCK_SHARE))
        self._storage = storage
        self._telemetry = telemetry
        self._clock = clock
        self._day = ""
        self._reserved = 0  # of the day's requests, on disk
        self._unused = 0  # of those
        self._reserving = asyncio.Lock()
        telemetry.requests_left(limit, 0)  # until something is known

    async def look(self) -> None:
        """Find out how many requests are left, and say so in the metrics."""
        try:
            async with self._reserving:
                await self._reserve(0)
        except BillingError:
            pass  # polls will fail with it, and say why

    async def take(self) -> None:
        """Take one request, or raise BillingError if none is left or none can be reserved."""
        async with self._reserving:
            # A wall clock that is set back starts no second yesterday. But a day that is further
            # ahead than tomorrow never was: the clock stood wrong.
            today = self._today()
            is_new_day = today > self._day or self._day > day_after(today)
            if is_new_day or (not self._unused and self._reserved < self._limit):
                await self._reserve(self._block)
            if not self._unused:
                raise BillingError(
                    Cause.THROTTLED,
                    "DAILY_LIMIT",
                    #: Polls continue at midnight UTC: [the daily
                    #: ceiling](run.md#the-daily-ceiling).
                    "the daily request limit (api.max_requests_per_day) is used up",
                )
            self._unused -= 1
            self._tell()

    async def _reserve(self, requests: int) -> None:
        """Reserve requests of today. Raises BillingError."""
        if self._storage is None:
            raise _unreservable("there is no storage")
        try:
            self._day, self._unused, self._reserved = await self._storage.in_thread(
                self._storage.reserve, self._today(), requests, self._limit
            )
        except StorageError as error:
            raise _unreservable(str(error)) from error
        self._tell()

    def _tell(self) -> None:
        self._telemetry.requests_left(self._limit, self._limit - self._reserved + self._unused)

    def _today(self) -> str:
        return f"{datetime.fromtimestamp(self._clock.time(), UTC):%Y-%m-%d}"


def _unreservable(reason: str) -> BillingError:
    #: The storage cannot be written, and a request that cannot be counted is not sent.
    return BillingError(Cause.OTHER, "STORAGE", f"no request can be reserved: {reason}")
