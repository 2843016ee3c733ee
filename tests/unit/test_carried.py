"""Days that follow their organization to another storage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import SavedOrganization
from exporter.state import carried
from exporter.state.carried import EVER, Carried
from exporter.state.copies import copied
from exporter.state.day_rows import Day, sound
from exporter.state.ledger import day_of
from exporter.state.place import LockedError, StorageError
from exporter.state.storage import FILE, Storage
from support.history import process
from support.meter import DAY, MIDNIGHT, Meter
from support.virtual import run


def stored(folder: Path, days: int, meter: Meter | None = None) -> Meter:
    """Have a process that counts for so many days, and return what it counts."""
    meter = meter or Meter()

    async def main() -> None:
        async with process(meter, folder) as there:
            await there.run(days)

    run(main())
    return meter


def export(folder: Path) -> str:
    """Return the only organization's line."""
    with copied(folder) as storage:
        (saved,) = storage.read().organizations.values()
        found = carried.taken(storage, saved)
        assert found is not None
        return carried.line(found)


def contents(folder: Path) -> tuple[SavedOrganization, Mapping[int, Day]]:
    """Return what is stored of the only organization, and all its days."""
    with closing(Storage(folder)) as storage:
        (saved,) = storage.read().organizations.values()
        days = storage.days(saved.org_id, 0, EVER)
        return saved, {number: sound(row) for number, row in days.items()}


def add(folder: Path, found: Carried) -> int:
    """Add what is carried to a storage, and return how many days were new."""
    with closing(Storage(folder)) as storage:
        there = storage.read().organizations.get(found.org_id)
        return carried.added(storage, found, there)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what a process exports that saw the end of a period."""
    folder = tmp_path_factory.mktemp("storage") / "s"
    stored(folder, 2, Meter(start=MIDNIGHT - 29 * DAY))
    return export(folder)


def test_an_organization_goes_on_elsewhere_as_after_a_restart(tmp_path: Path) -> None:
    """All its days, counters and closed periods come along, and nothing is lost or doubled."""
    old, new = tmp_path / "old", tmp_path / "new"
    meter = stored(old, 100)
    assert add(new, carried.read(export(old))) == len(contents(old)[1]) > 100
    (before, days), (after, same) = contents(old), contents(new)
    assert days == same
    assert after.spend == before.spend
    assert after.answers == {"usage": before.answers["usage"]}
    meter.clock.jump(2 * DAY)  # until somebody starts the other one
    stored(new, 1, meter)
    _, days = contents(new)
    today = day_of(meter.clock.offset)
    whole = [round(days[number].spend, 2) for number in range(today - 20, today)]
    assert set(whole) <= {30.0, 22.5}
    assert whole.count(22.5) <= 1, "the last day of a period"


def test_one_that_is_counted_already_gets_the_days_before(tmp_path: Path) -> None:
    """Its own stay; what is between is unknown. A second time, nothing is added."""
    old, new = tmp_path / "old", tmp_path / "new"
    meter = stored(old, 50)
    moved = day_of(meter.clock.offset)
    meter.clock.jump(10 * DAY)
    other = Meter(start=MIDNIGHT + 52 * DAY)
    other.clock = meter.clock
    stored(new, 5, other)
    _, own = contents(new)
    found = carried.read(export(old))
    assert add(new, found) == len(found.days)
    assert add(new, found) == 0
    saved, days = contents(new)
    assert {number: days[number] for number in own} == own
    assert days[moved - 1].spend == pytest.approx(30.0)
    seen = meter.clock.offset - 15 * DAY
    assert days[moved].unknown == pytest.approx((moved + 1) * DAY - seen, abs=1.0)
    assert saved.spend is not None
    assert saved.spend.ledger is not None
    windows = saved.spend.ledger.windows
    assert windows.known + windows.others == windows.answered - min(days)
    past = [day for number, day in days.items() if number < windows.answered]
    assert windows.known == sum(day.is_observed for day in past) > 50
    assert [period.end for period in saved.spend.closed] == [MIDNIGHT + 20 * DAY]
    with closing(Storage(new)) as storage:
        assert storage.closed_answer("o1", MIDNIGHT + 20 * DAY)


def test_what_is_carried_is_read_as_it_was_written(line: str) -> None:
    """To the bit."""
    assert carried.line(carried.read(line)) == line


ODD: st.SearchStrategy[object] = st.one_of(
    st.none(), st.integers(), st.text(), st.lists(st.integers()), st.just({})
)


@given(st.data())
def test_a_damaged_line_is_refused(line: str, data: st.DataObject) -> None:
    """Whatever is in its place, nothing but the line's own error comes of it."""
    plain = json.loads(line)
    part = data.draw(st.sampled_from(["", "days"]))
    place = plain[part] if part else plain
    name = data.draw(st.sampled_from(sorted(place)))
    place[name] = data.draw(ODD.filter(lambda value: value != place[name]))
    try:
        found = carried.read(json.dumps(plain))
    except ValueError:
        return
    assert carried.read(carried.line(found)) == found


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "null", "[" * 100_000])
def test_what_is_no_line_is_refused(text: str) -> None:
    """With an error of its own."""
    with pytest.raises(ValueError, match=r"."):
        carried.read(text)


def test_a_storage_in_use_is_not_copied_and_one_that_is_copied_is_left_alone(
    tmp_path: Path,
) -> None:
    """Not a byte of it changes, and an exporter can have it at once."""
    folder = tmp_path / "s"
    stored(folder, 1)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    with copied(folder) as copy:
        assert set(copy.read().organizations) == {"o1"}
        with closing(Storage(folder)) as storage:
            storage.read()
            with pytest.raises(LockedError, match="in use by another process"), copied(folder):
                pass
    assert set(before) == {path.name for path in folder.iterdir()} == {FILE, "lock"}
    assert before[FILE] == ((folder / FILE).stat().st_mtime_ns, (folder / FILE).read_bytes())


def test_what_was_written_last_before_a_kill_is_copied(tmp_path: Path) -> None:
    """It is in SQLite's log still."""
    folder, killed = tmp_path / "s", tmp_path / "killed"
    stored(folder, 1)
    with closing(Storage(folder)) as storage:
        storage.save([SavedOrganization("o2", {}, None)], ["o1"])
        killed.mkdir()
        for path in folder.iterdir():
            (killed / path.name).write_bytes(path.read_bytes())
    with copied(killed) as copy:
        assert copy.read().organizations == {}


def test_a_folder_without_a_storage_says_so(tmp_path: Path) -> None:
    """And stays without one."""
    for folder in tmp_path, tmp_path / "none":
        with pytest.raises(StorageError, match="there is no storage in"), copied(folder):
            pass
    assert list(tmp_path.iterdir()) == []
