"""Answers that are long: few of them are in memory at once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager, nullcontext

from exporter.polling.schedule import Unit

LONG = 256 * 1024  # bytes; an answer of more is long
AT_ONCE = 4


class LongAnswers:
    """Has those wait for each other that gave a long answer the last time."""

    def __init__(self) -> None:
        self._units: set[Unit] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def turn(self, unit: Unit) -> AbstractAsyncContextManager[object]:
        """Wait for a place, and hold it while inside, if the last answer was long."""
        return self._places if unit in self._units else nullcontext()

    def note(self, unit: Unit, raw: bytes) -> None:
        """Remember whether an answer is long."""
        (self._units.add if len(raw) > LONG else self._units.discard)(unit)

    def keep(self, units: Collection[Unit]) -> None:
        """Forget all others."""
        self._units.intersection_update(units)
