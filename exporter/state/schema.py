"""The tables of the storage's file, and whether a file is one of ours."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x76626578  # "vbex": tells our file from any other SQLite file

# What each version of the file has beyond the one before, from version 1 on.
SCHEMA: Final = (
    """
CREATE TABLE answer (
    org_id TEXT, collector TEXT, message BLOB, received REAL, changed REAL,
    checksum INTEGER, PRIMARY KEY (org_id, collector)
) WITHOUT ROWID;
CREATE TABLE spend (org_id TEXT PRIMARY KEY, counters TEXT, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE requests (day TEXT PRIMARY KEY, reserved INTEGER) WITHOUT ROWID;
""",
    """
CREATE TABLE found (
    api_key_id TEXT, org_id TEXT, name TEXT, checksum INTEGER, PRIMARY KEY (api_key_id, org_id)
) WITHOUT ROWID;
""",
)
# What a file of version 2 may have beside: the release before reads such a file, and leaves these
# tables alone.
ADDED: Final = """
CREATE TABLE day (
    org_id TEXT, day INTEGER, entries BLOB, checksum INTEGER, PRIMARY KEY (org_id, day)
) WITHOUT ROWID;
CREATE TABLE closed (
    org_id TEXT, started REAL, ended REAL, usage REAL, seen REAL, checksum INTEGER,
    PRIMARY KEY (org_id, ended)
) WITHOUT ROWID;
CREATE TABLE closed_answer (
    org_id TEXT, ended REAL, message BLOB, checksum INTEGER, PRIMARY KEY (org_id, ended)
) WITHOUT ROWID;
CREATE TABLE departed (org_id TEXT PRIMARY KEY, day INTEGER) WITHOUT ROWID;
CREATE TABLE outlook (org_id TEXT PRIMARY KEY, kept BLOB, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE reading (
    org_id TEXT, collector TEXT, made_by BLOB, kept BLOB, checksum INTEGER,
    PRIMARY KEY (org_id, collector)
) WITHOUT ROWID;
"""
# The tables that are read whole at the start, and checked before. Days are read when asked for, and
# their pages and rows are checked then.
CHECKED: Final = {"answer", "spend", "requests", "found", "closed", "departed", "outlook"}
TABLE: Final = re.compile(r"\s*CREATE TABLE [\"'`\[]?(\w+)", re.IGNORECASE | re.MULTILINE)
VERSION: Final = len(SCHEMA)  # a file with a higher one was written by a newer release


def foreign(database: sqlite3.Connection) -> str | None:
    """Return why a database is none that this release can use, or None."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        return "it is the database of another program"
    if version > VERSION:
        #: [Going back](run.md#upgrade).
        return f"it was written by a newer release (version {version}, this one knows {VERSION})"
    if database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]:
        return "it has triggers, which change what is written"
    # Others may be there, such as ANALYZE makes, but none that has the name of one of ours.
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    there = {sql for sql in tables.values() if isinstance(sql, str)}  # a damaged one may be bytes
    made = {*statements(*SCHEMA[: max(0, version)]).values()}
    others = there - made - {*statements(ADDED).values()}
    names = {match[1] for sql in others if (match := TABLE.match(sql))}
    if made - there or names & statements(*SCHEMA, ADDED).keys():
        return "it is damaged (its tables have been changed)"
    for table in CHECKED & tables.keys():
        check = database.execute(f"PRAGMA quick_check({table})").fetchone()
        if check is not None and check[0] != "ok":
            return f"it is damaged ({check[0]})"
    return None


def statements(*scripts: str) -> dict[str, str]:
    """Return what makes each table, by its name."""
    each = [sql.strip() for sql in "".join(scripts).split(";")[:-1]]
    return dict(zip(TABLE.findall("".join(scripts)), each, strict=True))


def extend(database: sqlite3.Connection) -> None:
    """Give a database that is new, or was written by an older release, what it lacks."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master")}
    lacking = [
        *SCHEMA[version:],
        *(f"{sql};" for sql in statements(ADDED).values() if sql not in tables),
    ]
    if lacking:
        database.executescript(
            f"BEGIN; {''.join(lacking)} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
