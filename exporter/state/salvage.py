"""What can be read of a database that was set aside, taken over into a new one.

Rows are copied as they are: each has a checksum, which is looked at when it is read. Where damage
is met, those of an organization are read from both ends: a damaged page costs what is on it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from exporter.state.ledger import IN_MEMORY
from exporter.state.queries import SOUND
from exporter.state.schema import ADDED, APPLICATION_ID, CHECKED, SCHEMA, VERSION, statements

# Python reads the error text and the schema of a damaged file as UTF-8, which they need not be.
DAMAGE: Final = (sqlite3.Error, UnicodeDecodeError)
AT_ONCE: Final = 100  # organizations in a transaction
RECENT: Final = 2 * IN_MEMORY + 1  # days that may be in memory
ALL: Final = -1


class _Table(NamedTuple):
    key: Sequence[str]  # columns
    insert: str

    @property
    def is_split(self) -> bool:
        """Whether each row is of an organization, and they are in their order."""
        return self.key[0] == "org_id"


class Salvage:
    """Takes over a database in two steps. What the new one has already stays as it is.

    What cannot be read of the old one is left out. What cannot be written raises sqlite3.Error.
    """

    def __init__(self, database: sqlite3.Connection, file: Path, uri: str) -> None:
        """`database` is the new one, `file` the old one, and `uri` how SQLite opens that."""
        self.file = file
        self.taken = 0  # rows
        self._database = database
        self._old = sqlite3.connect(uri, uri=True, timeout=0, check_same_thread=False)
        self._old.text_factory = bytes
        self._tables: Mapping[str, _Table] = {}  # that the old one has
        self._org_ids: Sequence[bytes] = ()

    def first(self) -> None:
        """Take over what a start reads: answers, counters, and the days that are in memory."""
        self._one("PRAGMA locking_mode = EXCLUSIVE")
        self._one("PRAGMA writable_schema = ON")  # else a file that lost its end is not read at all
        if self._is_ours():
            self._tables = self._found()
        split = [name for name, table in self._tables.items() if table.is_split]
        self._org_ids = sorted({org_id for name in split for org_id in self._ids(name)})
        small = [name for name in self._tables if name in CHECKED]
        with self._database:
            for name in small:
                if not self._tables[name].is_split:
                    self._take(name, None, ALL)
        for org_ids in self._batches():
            with self._database:
                for org_id in org_ids:
                    for name in small:
                        if self._tables[name].is_split:
                            self._take(name, org_id, ALL)
                    if "day" in self._tables:
                        self._take("day", org_id, RECENT)

    def rest(self) -> Iterator[None]:
        """Take over all else: older days, and what periods ended with.

        Pauses after some organizations, for it takes seconds for a thousand.
        """
        large = [name for name in self._tables if name not in CHECKED]
        for org_ids in self._batches():
            with self._database:
                for org_id in org_ids:
                    for name in large:
                        self._take(name, org_id, ALL)
            yield

    def close(self) -> None:
        """Leave the old database alone from now on."""
        self._old.close()

    def _batches(self) -> Iterator[Sequence[bytes]]:
        for at in range(0, len(self._org_ids), AT_ONCE):
            yield self._org_ids[at : at + AT_ONCE]

    # --- The old database ---

    def _is_ours(self) -> bool:
        """Tell whether its rows mean what ours do, and not what a newer release makes of them."""
        application, version = (
            self._one(f"PRAGMA {name}") for name in ("application_id", "user_version")
        )
        return application == (APPLICATION_ID,) and version is not None and version[0] <= VERSION

    def _found(self) -> Mapping[str, _Table]:
        """Return our tables that are there as they were made."""
        found = {}
        for name, sql in statements(*SCHEMA, ADDED).items():
            if self._one("SELECT 1 FROM sqlite_master WHERE name = ? AND sql = ?", name, sql):
                about = "SELECT name, type, pk FROM pragma_table_info(?)"
                columns = self._database.execute(about, (name,)).fetchall()
                key = [column for column, _, pk in sorted(columns, key=lambda each: each[2]) if pk]
                marks = ["CAST(? AS TEXT)" if kind == "TEXT" else "?" for _, kind, _ in columns]
                insert = f"INSERT OR IGNORE INTO {name} VALUES ({', '.join(marks)})"  # noqa: S608
                found[name] = _Table(key, insert)
        return found

    def _ids(self, name: str) -> Iterator[bytes]:
        """Yield the organizations of a table, from both ends as far as it can be read."""
        for comes, order in ((">", "ASC"), ("<", "DESC")):
            find = f"SELECT org_id FROM {name} WHERE {SOUND[name]}"  # noqa: S608 - it is all our own
            last = f"ORDER BY org_id {order} LIMIT 1"
            found, is_end = self._rows(f"{find} {last}")
            while found:
                yield found[0][0]
                found, is_end = self._rows(
                    f"{find} AND org_id {comes} CAST(? AS TEXT) {last}", *found[0]
                )
            if is_end:
                return

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row, if there is one that can be read."""
        rows, _ = self._rows(statement, *values)
        return rows[0] if rows else None

    def _rows(self, statement: str, *values: Any) -> tuple[list[tuple[Any, ...]], bool]:
        """Return rows as far as they can be read, and whether they are all."""
        rows = []
        try:
            for row in self._old.execute(statement, values):
                rows.append(row)  # noqa: PERF402 - those before the damage are good
        except DAMAGE:
            return rows, False
        return rows, True

    def _take(self, name: str, org_id: bytes | None, most: int) -> None:
        """Copy the rows of a table, or those of an organization: as many of the newest."""
        table = self._tables[name]
        find = f"SELECT * FROM {name} WHERE {SOUND[name]}"  # noqa: S608
        values: tuple[bytes, ...] = ()
        if org_id is not None:
            find, values = f"{find} AND org_id = CAST(? AS TEXT)", (org_id,)
        ascending = ", ".join(table.key)
        descending = " DESC, ".join(table.key) + " DESC"
        rows, are_all = self._rows(f"{find} ORDER BY {descending} LIMIT ?", *values, most)
        if not are_all:
            rows += self._rows(f"{find} ORDER BY {ascending}", *values)[0]
        self.taken += max(0, self._database.executemany(table.insert, rows).rowcount)
