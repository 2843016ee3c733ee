"""A start while another process has the storage: a command that copies it, or an exporter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.model import SavedOrganization, Spend, Tally
from exporter.state.storage import LOCKED, LOOK, LockedError, Storage, StorageError
from support.virtual import run

ACME = SavedOrganization("acme", {}, Spend(5.0, Tally(1.5, 0.1, 7.0), {}))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Storage]:
    """Return what another process has open."""
    with closing(Storage(tmp_path)) as storage:
        storage.save([ACME], [])
        yield storage


@pytest.mark.parametrize("seconds", [0.0, 0.05, 2.5, LOCKED - LOOK])
def test_a_start_waits_for_who_has_it_for_a_moment(
    tmp_path: Path, other: Storage, seconds: float
) -> None:
    """And goes on as soon as the folder is free."""

    async def scenario() -> None:
        async def let_go() -> None:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(other.close)

        with closing(Storage(tmp_path)) as own:
            stored, _ = await asyncio.gather(own.read_when_free(), let_go())
            assert stored.organizations == {"acme": ACME}
            taken = asyncio.get_running_loop().time() - seconds
            assert -1e-9 <= taken <= 2 * LOOK  # a sum of many sleeps is not exact

    run(scenario())


def test_a_start_gives_up_after_five_seconds(tmp_path: Path, other: Storage) -> None:
    """Another exporter keeps it: two would overwrite each other's counters."""

    async def scenario() -> None:
        with closing(Storage(tmp_path)) as own:
            with pytest.raises(LockedError, match=r"in use by another process: give each its own"):
                await own.read_when_free()
            assert LOCKED == 5.0 <= asyncio.get_running_loop().time() <= 5.0 + 2 * LOOK

    run(scenario())
    assert other.read().organizations == {"acme": ACME}


def test_no_other_error_is_waited_for(tmp_path: Path) -> None:
    """A folder that cannot be used is told at once: the exporter serves meanwhile."""
    (tmp_path / "file").touch()

    async def scenario() -> None:
        with pytest.raises(StorageError, match="cannot use the storage folder"):
            await Storage(tmp_path / "file" / "state").read_when_free()
        assert asyncio.get_running_loop().time() == 0

    run(scenario())
