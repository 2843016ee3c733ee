"""What is asked of the storage's database, and what is forgotten in it.

Text is read as bytes, and its size is looked at in SQL before any of it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporter.model import ClosedPeriods
from exporter.state.ledger import IN_MEMORY, STORED
from exporter.state.rows import (
    MAX_COUNTERS,
    MAX_DAY,
    MAX_MESSAGE,
    MAX_NUMBER,
    MAX_OUTLOOK,
    MAX_TEXT,
)


def _text(column: str, at_most: int = MAX_TEXT) -> str:
    # Not of the text itself: its length ends at the first NUL.
    return f"typeof({column}) = 'text' AND length(CAST({column} AS BLOB)) <= {at_most}"


def _blob(column: str, at_most: int) -> str:
    return f"typeof({column}) = 'blob' AND length({column}) <= {at_most}"


def _are(kind: str, *columns: str) -> str:
    return " AND ".join(f"typeof({column}) = '{kind}'" for column in columns)


# Of each table: what a row looks like that could have been written. Checksums are looked at later.
SOUND: Final[Mapping[str, str]] = {
    "answer": f"{_text('org_id')} AND {_text('collector')} AND {_blob('message', MAX_MESSAGE)} "
    f"AND {_are('real', 'received', 'changed')} AND {_are('integer', 'checksum')}",
    "spend": f"{_text('org_id')} AND {_text('counters', MAX_COUNTERS)} "
    f"AND {_are('integer', 'checksum')}",
    "requests": f"{_text('day', 10)} AND day GLOB '????-??-??' "
    f"AND {_are('integer', 'reserved')} AND reserved >= 0",
    "found": f"{_text('api_key_id')} AND {_text('org_id')} AND {_text('name')} "
    f"AND {_are('integer', 'checksum')}",
    # With a plus, or SQLite would look for these bounds, and not for those of a query.
    "day": f"{_text('org_id')} AND {_are('integer', 'day', 'checksum')} "
    f"AND +day BETWEEN 0 AND {MAX_NUMBER - 1} AND {_blob('entries', MAX_DAY)}",
    "closed": f"{_text('org_id')} AND typeof(started) IN ('real', 'null') "
    f"AND {_are('real', 'ended', 'usage', 'seen')} AND {_are('integer', 'checksum')}",
    "closed_answer": f"{_text('org_id')} AND {_are('real', 'ended')} "
    f"AND {_blob('message', MAX_MESSAGE)} AND {_are('integer', 'checksum')}",
    "departed": f"{_text('org_id')} AND {_are('integer', 'day')}",
    "outlook": f"{_text('org_id')} AND {_blob('kept', MAX_OUTLOOK)} "
    f"AND {_are('integer', 'checksum')}",
    "reading": f"{_text('org_id')} AND {_text('collector')} AND {_blob('made_by', MAX_TEXT)} "
    f"AND {_blob('kept', MAX_MESSAGE)} AND {_are('integer', 'checksum')}",
}

# --- What is there ------------------------------------------------------------------------

# With what the program of that name made of them.
ANSWERS: Final = f"""
SELECT CAST(org_id AS BLOB), CAST(collector AS BLOB), message, received, changed, checksum,
    kept, made
FROM (SELECT * FROM answer WHERE {SOUND["answer"]}) LEFT JOIN (
    SELECT org_id, collector, kept, checksum AS made FROM reading
    WHERE made_by = ? AND {SOUND["reading"]}
) USING (org_id, collector)
"""  # noqa: S608 - it is all our own
SPENDS: Final = f"""
SELECT CAST(org_id AS BLOB), CAST(counters AS BLOB), checksum FROM spend WHERE {SOUND["spend"]}
"""  # noqa: S608
FOUND: Final = f"""
SELECT CAST(api_key_id AS BLOB), CAST(org_id AS BLOB), CAST(name AS BLOB), checksum
FROM found WHERE {SOUND["found"]} ORDER BY api_key_id, org_id
"""  # noqa: S608
CLOSED: Final = f"""
SELECT CAST(org_id AS BLOB), started, ended, usage, seen, checksum
FROM closed WHERE {SOUND["closed"]} ORDER BY org_id, ended
"""  # noqa: S608
OUTLOOKS: Final = f"""
SELECT CAST(org_id AS BLOB), kept, checksum FROM outlook WHERE {SOUND["outlook"]}
"""  # noqa: S608
COUNT: Final = """
SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM spend) + (SELECT count(*) FROM found)
    + (SELECT count(*) FROM closed) + (SELECT count(*) FROM outlook)
"""
REQUESTS: Final = f"SELECT day, reserved FROM requests WHERE {SOUND['requests']}"  # noqa: S608
# Parameters are `?` only: Python 3.12 warns of `?1`, up to its fourth release.

# Of an organization and a day, twice: the days in memory, up to the last good answer and after it.
DAYS: Final = f"""
SELECT * FROM (
    SELECT day, entries, checksum FROM day WHERE org_id = ? AND day <= ? AND {SOUND["day"]}
    ORDER BY day DESC LIMIT {IN_MEMORY + 1}
) UNION ALL SELECT * FROM (
    SELECT day, entries, checksum FROM day WHERE org_id = ? AND day > ? AND {SOUND["day"]}
    ORDER BY day LIMIT {IN_MEMORY}
)
"""  # noqa: S608
DAYS_BETWEEN: Final = f"""
SELECT day, entries, checksum FROM day WHERE org_id = ? AND day BETWEEN ? AND ? AND {SOUND["day"]}
ORDER BY day
"""  # noqa: S608
LAST_DAYS: Final = f"""
SELECT day, entries, checksum FROM day WHERE org_id = ? AND {SOUND["day"]} ORDER BY day DESC
"""  # noqa: S608
CLOSED_ANSWER: Final = f"""
SELECT message, checksum FROM closed_answer WHERE org_id = ? AND ended = ?
AND {SOUND["closed_answer"]}
"""  # noqa: S608

# --- What is written ----------------------------------------------------------------------

REPLACE_DAY: Final = "REPLACE INTO day VALUES (?, ?, ?, ?)"
REPLACE_CLOSED: Final = "REPLACE INTO closed VALUES (?, ?, ?, ?, ?, ?)"

# --- What is forgotten --------------------------------------------------------------------

# Days that may be there: a clock that was ahead left some that are to come.
MOST_DAYS: Final = STORED + 1 + IN_MEMORY
FORGET_DAYS: Final = f"""
DELETE FROM day WHERE org_id = ?
AND day < (SELECT day FROM day WHERE org_id = ? ORDER BY day DESC LIMIT 1 OFFSET {MOST_DAYS - 1})
"""  # noqa: S608
FORGET_CLOSED: Final = f"""
DELETE FROM closed AS old WHERE org_id = ? AND ended <
(SELECT ended FROM closed WHERE org_id = old.org_id ORDER BY ended DESC
LIMIT 1 OFFSET {ClosedPeriods.KEPT - 1})
"""  # noqa: S608
FORGET_ANSWERS: Final = """
DELETE FROM closed_answer AS old WHERE org_id = ?
AND ended < (SELECT min(ended) FROM closed WHERE org_id = old.org_id)
"""
DEPART: Final = """
INSERT OR REPLACE INTO departed
SELECT org_id, max(day) FROM day WHERE org_id = ? GROUP BY org_id
"""
# Organizations that left so long ago that none of their days would be kept. Their own days say when
# that was: `departed` has no checksum.
LONG_GONE: Final = """
SELECT CAST(org_id AS BLOB) FROM departed AS gone
WHERE coalesce((SELECT max(day) FROM day WHERE org_id = gone.org_id), day) < ?
AND NOT EXISTS (SELECT 1 FROM spend WHERE org_id = gone.org_id)
"""
FORGET_ALL: Final = [
    f"DELETE FROM {table} WHERE org_id = CAST(? AS TEXT)"  # noqa: S608
    for table in ("day", "closed", "closed_answer", "departed")
]
