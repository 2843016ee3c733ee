"""Who waits for a reload, and who need not."""

from __future__ import annotations

import asyncio

import pytest

from exporter.reloads import MOST_WAITING, NoReloadError, ReloadQueue
from support.virtual import run


def test_whoever_waits_when_it_stops_is_told_so() -> None:
    """Else an open request would hold up the end, until the process is killed."""

    async def scenario() -> None:
        queue, never = ReloadQueue(), asyncio.Event()

        async def reload() -> str | None:
            await never.wait()
            return None

        running = asyncio.create_task(queue.run(reload))
        waiting = [asyncio.create_task(queue.reload()) for _ in range(3)]
        await asyncio.sleep(1)
        running.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in results] == [NoReloadError] * 3
        with pytest.raises(NoReloadError):
            await queue.reload()

    run(scenario())


def test_few_may_wait_for_a_reload() -> None:
    """Each holds a connection that cannot be closed for another; those who wait share a reload."""

    async def scenario() -> None:
        queue, made = ReloadQueue(), 0

        async def reload() -> str | None:
            nonlocal made
            made += 1
            await asyncio.sleep(1)
            return "wrong"

        waiting = [asyncio.create_task(queue.reload()) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(NoReloadError):
            await queue.reload()
        running = asyncio.create_task(queue.run(reload))
        assert await asyncio.gather(*waiting) == ["wrong"] * MOST_WAITING
        assert made == 1
        assert await queue.reload() == "wrong"
        running.cancel()

    run(scenario())
