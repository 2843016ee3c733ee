"""Threads that hang cost one thread each, and nobody waits for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from exporter.base.file_threads import FileThreads, within
from support.virtual import Hang, run


def names() -> int:
    """Return how many threads there are for files."""
    return sum(thread.name == "files" for thread in threading.enumerate())


def test_what_a_call_returns_and_raises_comes_back() -> None:
    """Also an error of the system that says time-out: it has its own words."""

    async def scenario() -> None:
        threads = FileThreads(1)
        assert await threads.run(1.0, "lane", int, "5") == 5
        with pytest.raises(ValueError, match="invalid literal"):
            await threads.run(1.0, "lane", int, "five")

        def fail() -> None:
            raise TimeoutError(110, "Connection timed out")

        with pytest.raises(TimeoutError, match="Connection timed out"):
            await threads.run(1.0, "lane", fail)

    run(scenario())


def test_a_call_that_is_overdue_is_not_made_again_until_it_ends() -> None:
    """Others of its lane fail at once; those of another lane have the places that are left."""

    async def scenario() -> None:
        loop, before = asyncio.get_running_loop(), names()
        threads, hang = FileThreads(2), Hang()
        for seconds in (5.0, 0.0, 0.0):
            started = loop.time()
            with pytest.raises(TimeoutError, match="its file system hangs"):
                await threads.run(5.0, "bad", hang.wait)
            assert loop.time() == started + seconds
        assert names() == before + 1
        assert await threads.run(5.0, "good", int, "5") == 5
        with pytest.raises(TimeoutError):
            await threads.run(5.0, "another", hang.wait)
        with pytest.raises(TimeoutError):  # no place is left
            await threads.run(5.0, "good", int, "5")
        hang.end()
        await asyncio.sleep(1)
        assert await threads.run(5.0, "bad", int, "5") == 5

    run(scenario())


def test_a_caller_that_is_cancelled_leaves_its_place_when_the_call_ends() -> None:
    """Cancelled or not, a thread that runs is one."""

    async def scenario() -> None:
        threads, hang = FileThreads(1), Hang()
        calling = asyncio.create_task(threads.run(None, None, hang.wait))
        await asyncio.sleep(1)
        calling.cancel()
        with pytest.raises(TimeoutError):
            await threads.run(5.0, None, int, "5")
        hang.end()
        assert await threads.run(5.0, None, int, "5") == 5

    run(scenario())


def test_a_function_is_given_up_after_a_deadline() -> None:
    """Where there is no event loop yet."""
    over = threading.Event()
    assert within(30.0, lambda: 5) == 5
    with pytest.raises(TimeoutError):
        within(0.01, over.wait)
    over.set()
