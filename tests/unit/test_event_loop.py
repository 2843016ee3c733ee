"""Turns of the event loop."""

from __future__ import annotations

import asyncio
import time

from exporter.process import event_loop
from exporter.process.event_loop import LONG, Turns


def test_a_turn_that_took_long_is_for_others() -> None:
    """Of many who want to work at once, each has a turn of its own, in the order that they came."""
    turns, ended = Turns(), 0
    worked: list[tuple[int, int]] = []

    def end(_seconds: float) -> None:
        nonlocal ended
        ended += 1

    async def work(number: int) -> None:
        await turns.share()
        until = time.monotonic() + 2 * LONG
        while time.monotonic() < until:
            pass
        worked.append((number, ended))

    async def main() -> None:
        await asyncio.gather(*map(work, range(5)))

    turns.took = end
    event_loop.run(main(), turns)
    assert [number for number, _ in worked] == [*range(5)]
    assert len({turn for _, turn in worked}) == len(worked)


def test_on_another_loop_nobody_waits() -> None:
    """Where nothing tells when a turn begins."""

    async def main() -> None:
        turns = Turns()
        async with asyncio.timeout(30):
            await turns.share()

    asyncio.run(main())
