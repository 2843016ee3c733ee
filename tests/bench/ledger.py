"""What the ledger costs: an answer, a midnight, the storage, the start, and a fleet's memory."""

from __future__ import annotations

import math
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench import data, programs, usage
from bench.busy import CHANGING
from bench.client import HEADERS, Client, pause, wait
from bench.data import Polling
from bench.figures import mb, short
from bench.findings import Findings, Setting, Table
from bench.polling import CALLS as CALLS_OF_A_ROUND
from bench.scrape import write_page
from bench.start import STORAGE, started, written
from exporter.metrics.extract.values import exact_sum
from exporter.model import Ledger, Spend
from exporter.state import rows
from exporter.state.ledger import STORED, changed, note, rows_of
from exporter.state.spend import Step, advance, unchanged
from exporter.state.storage import FILE, Storage
from support.usages import usage as answer

TYPES = (
    "binary_data_cloud_storage",
    "binary_data_egress",
    "binary_data_upload",
    "cloud_storage",
    "data_egress",
    "data_upload",
    "logs_egress",
    "per_machine",
)
HOUR, DAY = 3600.0, 86_400.0
FIRST = 20_000 * DAY
CALLS = 200
# What a small fleet takes; the rest is counted by the series.
FIXED = 60e6  # bytes
SOON = Polling(interval="30s", first_interval="30s")
SHOWN = 10.0  # seconds after which all that was asked for is on the page


class Book:
    """An organization that spends on eight resource types, polled every six hours."""

    def __init__(self) -> None:
        self.now = FIRST
        self.ledger: Ledger | None = None
        self.rows: dict[int, bytes] = {}  # of all days
        self._spend: Spend | None = None
        self._seen: float | None = None

    def step(self, hours: float) -> Step:
        """Return what an answer brings that comes in so many hours."""
        now = self.now + hours * HOUR
        start = FIRST + (now - FIRST) // (30 * DAY) * 30 * DAY
        days = (now - start) / DAY
        costs = {
            name: round(number * days + math.sin(number * days) / 2, 2)  # no day is like another
            for number, name in enumerate(TYPES, 1)
        }
        view = answer(exact_sum(costs.values()), start, start + 30 * DAY, **costs)
        return advance(self._spend, view, now, self._seen)

    def live(self, days: int) -> None:
        """Let so many days pass."""
        for _ in range(4 * days):
            step = self.step(6)
            self.now += 6 * HOUR
            before, self.ledger = self.ledger, note(self.ledger, step, self.now, STORED)
            self.rows |= changed(self.ledger, before)
            self._spend, self._seen = step.spend, self.now


def run(setting: Setting) -> Findings:
    """Measure one organization's days in this process, and all of them in the exporter."""
    book = Book()
    book.live(STORED)
    findings = Findings(tables=[_calls(book)])
    _storage(setting, book, findings)
    return findings


def _calls(book: Book) -> Table:
    """What one answer costs beside what it cost before there was a ledger."""
    same_day, next_day = book.step(0.25), book.step(25)
    again = unchanged(same_day.spend)
    hours = {"same day": 0.25, "next day": 25}
    ledger = book.ledger
    assert ledger is not None
    rows_ = [
        ["the counters, of an answer that changed", _us(lambda: book.step(0.25))],
        ["the ledger, of that answer", _us(_noting(book, same_day, hours["same day"]))],
        ["the same, if it is the first of a day", _us(_noting(book, next_day, hours["next day"]))],
        ["of an answer that did not change", _us(_noting(book, again, hours["same day"]))],
        ["the same, if it is the first of a day", _us(_noting(book, again, hours["next day"]))],
        ["memory of the days", f"{short(sys.getsizeof(ledger.others) / 1000)} kB"],
    ]
    return Table("ledger", ("of an organization with eight resource types", ""), rows_)


def _noting(book: Book, step: Step, hours: float) -> Callable[[], object]:
    return lambda: note(book.ledger, step, book.now + hours * HOUR, STORED)


def _us(call: Callable[[], object]) -> str:
    """Return the median time of a call."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return f"{short(1e6 * statistics.median(times))} us"


def _storage(setting: Setting, book: Book, findings: Findings) -> None:
    """What 400 days of each organization do to the storage's file, to a start and to memory."""
    folder, count = setting.folder / "ledger", setting.largest
    folder.mkdir()
    storage = f"--storage.path={folder / 'storage'}"
    with programs.billing(setting.folder, count) as upstream:
        file = data.write_configuration(
            folder / "exporter.yml", count, upstream.port, programs.RARELY
        )
        if (setting.folder / STORAGE).exists():
            shutil.copytree(setting.folder / STORAGE, folder / "storage")
        else:
            args = f"--config.file={file}", storage
            started(count, *args, then=lambda: written(folder / "storage"))
        before = started(count, f"--config.file={file}", storage)
        size = (folder / "storage" / FILE).stat().st_size
        _fill(folder / "storage", book)
        after = started(count, f"--config.file={file}", storage)
    series, peak = _memory(setting, storage)
    each = findings.values["memory a series"] = (peak - FIXED) / series / 1000
    lines = [
        ["size of the file, MB", mb(size), mb((folder / "storage" / FILE).stat().st_size)],
        ["read at the start, s", "", short(_read(folder / "storage"))],
        ["first whole page, s", short(before), short(after)],
        ["series, after a round of polls", "", short(series)],
        ["the most memory until then, MB", "", mb(peak)],
        [f"of it beyond {mb(FIXED)} MB, for a series, kB", "", short(each)],
    ]
    columns = (f"{short(count)} organizations", "days of the first answer", f"{STORED} days")
    findings.tables.append(Table("ledger-storage", columns, lines))


def _memory(setting: Setting, storage: str) -> tuple[int, int]:
    """Return the series of everybody, and the most bytes that were resident.

    Until all were read from storage and polled again, a tenth of them with other amounts, and the
    page was read in each encoding.
    """
    count = setting.largest
    with programs.billing(setting.folder, count, changing=CHANGING) as upstream:
        file = data.write_configuration(setting.folder / "soon.yml", count, upstream.port, SOON)
        with programs.launched(f"--config.file={file}", storage) as ours:
            wait(
                lambda: upstream.requests().number >= CALLS_OF_A_ROUND * count,
                "all are polled again",
                within=programs.READY_WITHIN,
                look_every=0.5,
            )
            pause(SHOWN)
            client = Client(ours.port)
            for encoding in HEADERS:
                client.scrape(encoding)
            peak = usage.peak_memory(ours.pid)
            return write_page(setting.folder / "page.txt", ours), peak


def _fill(folder: Path, book: Book) -> None:
    """Give each organization that is stored the days of the book, up to its own."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        ids = [org_id for (org_id,) in database.execute("SELECT org_id FROM spend")]
        (last,) = database.execute("SELECT max(day) FROM day").fetchone()
        offset = last - max(book.rows)
        for org_id in ids:
            database.executemany(
                "INSERT OR IGNORE INTO day VALUES (?, ?, ?, ?)",
                [
                    (org_id, day + offset, row, rows.day_checksum(org_id, day + offset, row))
                    for day, row in book.rows.items()
                ],
            )


def _read(folder: Path) -> float:
    with closing(Storage(folder)) as storage:
        began = time.perf_counter()
        found = storage.read()
        seconds = time.perf_counter() - began
    assert all(
        len(rows_of(each.spend.ledger)) > STORED // 10
        for each in found.organizations.values()
        if each.spend is not None and each.spend.ledger is not None
    )
    return seconds
