"""What a release makes of the files of those before it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.model import FoundOrganization, SavedAnswer, SavedOrganization, Spend, Tally
from exporter.state.schema import APPLICATION_ID, VERSION
from exporter.state.storage import FILE, Reservation, Storage

SPEND = Spend(5.0, Tally(1.5, 0.1, 7.0), {"per_machine": Tally(0.1, 0.2, None)})
ACME = SavedOrganization("acme", {"usage": SavedAnswer(b"message", 1_000.5, 900.25)}, SPEND)
# As the release that had a version wrote it: never to be changed, only added to.
FILES = {
    1: """
CREATE TABLE answer (
    org_id TEXT, collector TEXT, message BLOB, received REAL, changed REAL,
    checksum INTEGER, PRIMARY KEY (org_id, collector)
) WITHOUT ROWID;
CREATE TABLE spend (org_id TEXT PRIMARY KEY, counters TEXT, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE requests (day TEXT PRIMARY KEY, reserved INTEGER) WITHOUT ROWID;
INSERT INTO answer VALUES('acme','usage',X'6D657373616765',1000.5,900.25,3764571745);
INSERT INTO spend VALUES('acme','{"period_start": 5.0, "month_to_date": [1.5, 0.1, 7.0], \
"by_resource": {"per_machine": [0.1, 0.2, null]}}',1668504756);
INSERT INTO requests VALUES('2026-11-23',70);
""",
}


def write(folder: Path, version: int, more: str = "") -> None:
    """Leave the file of a release that had this version."""
    folder.mkdir()
    with sqlite3.connect(folder / FILE) as database:
        database.executescript(
            f"PRAGMA journal_mode = WAL; {FILES[version]} {more}"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"
        )
    database.close()


@pytest.mark.parametrize("version", FILES)
def test_what_an_older_release_stored_is_kept(tmp_path: Path, version: int) -> None:
    """Bills, counters and the requests of the day; and what is new can be stored beside them."""
    folder = tmp_path / "s"
    write(folder, version)
    found = {"key": (FoundOrganization("acme", "Acme"),)}
    with capture_logs() as logs:
        storage = Storage(folder)
        assert storage.read().organizations == {"acme": ACME}
        assert storage.reserve("2026-11-23", 50, limit=100) == Reservation("2026-11-23", 30, 100)
        assert storage.read().found == {}
        storage.save([], [], found)
        storage.close()
        storage = Storage(folder)
        assert (storage.read().organizations, storage.read().found) == ({"acme": ACME}, found)
        storage.close()
    assert logs == []


def test_there_is_a_file_of_every_older_version() -> None:
    """Whoever adds a version adds the file of the one before it."""
    assert set(FILES) == set(range(1, VERSION))


def test_an_older_file_whose_tables_are_not_its_own_is_set_aside(tmp_path: Path) -> None:
    """It is damaged: what would be added to it could be there already. What is ours goes on."""
    folder = tmp_path / "s"
    write(folder, 1, "CREATE TABLE found (something TEXT); INSERT INTO found VALUES ('x');")
    with capture_logs() as logs:
        storage = Storage(folder)
        assert storage.read()[:2] == ({"acme": ACME}, {})
        storage.close()
    assert {each["log_level"] for each in logs} == {"warning"}
    assert (folder / f"{FILE}.set-aside-1").exists()
