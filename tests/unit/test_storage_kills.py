"""A process that is killed at any write leaves counters, days and closed periods of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import Spend
from exporter.state.place import FILE, LOG
from exporter.state.storage import Storage
from support.history import process
from support.meter import Meter
from support.virtual import run

RUN = 25  # days, in which a period ends


class Left(NamedTuple):
    """What a process left on the disk, and what it knew at each write."""

    states: Sequence[Spend]
    before: bytes  # the file before the log is taken into it
    log: bytes
    after: bytes  # and afterwards


@cache
def left() -> Left:
    """Let a process store once a day."""
    with TemporaryDirectory() as folder:
        file, log = Path(folder) / FILE, Path(folder) / LOG
        states = []

        async def scenario() -> tuple[bytes, bytes]:
            async with process(Meter(), Path(folder)) as it:
                for _ in range(RUN):
                    await it.run(1)
                    states.append(it.spend)
                return await asyncio.to_thread(lambda: (file.read_bytes(), log.read_bytes()))

        before, written = run(scenario())
        assert not log.exists()
        return Left(states, before, written, file.read_bytes())


def found(file: bytes, log: bytes) -> Spend | None:
    """Return what the next process finds of the organization."""
    with TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(file)
        (Path(folder) / LOG).write_bytes(log)
        storage = Storage(Path(folder))
        with capture_logs() as logs:
            stored = storage.read()
        storage.close()
    assert logs == []
    assert not stored.complete or not log, "it may have known more"
    saved = stored.organizations.get("o1")
    return None if saved is None else saved.spend


def test_it_is_tried() -> None:
    """There are a write each day, and a period that ended."""
    states = left().states
    assert len({each.month_to_date.spend for each in states}) == RUN
    assert [len([*each.closed]) for each in (states[0], states[-1])] == [0, 1]
    assert found(left().before, left().log) == states[-1]
    assert found(left().after, b"") == states[-1]


SHARE = st.floats(0, 1)  # of a file


@given(SHARE, st.binary(max_size=100))
def test_a_write_that_was_not_finished_never_was(share: float, tail: bytes) -> None:
    """What is there is of one of the writes before it, all of it."""
    log = left().log
    spend = found(left().before, log[: round(share * len(log))] + tail)
    assert spend is None or spend in left().states


@given(SHARE)
def test_a_log_that_was_taken_in_by_half_is_taken_in_again(share: float) -> None:
    """Whatever part of it is in the file, the log has all of it."""
    size = round(share * len(left().after))
    assert found(left().after[:size] + left().before[size:], left().log) == left().states[-1]
