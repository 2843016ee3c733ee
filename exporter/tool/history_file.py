"""What `forecast --history` reads: a CSV file with a row for each good answer, oldest first."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO, Final, NamedTuple

from exporter.base.text import is_text
from exporter.metrics.extract.usage import Totals, Usage
from exporter.tool import times

COLUMNS: Final = ("time", "month_to_date_usd", "period_start", "period_end")
MAX_BYTES: Final = 512 * 1024 * 1024
MAX_LINE: Final = 64 * 1024  # bytes
MAX_TYPES: Final = 1000  # of resources; ten times as many as have days of their own
MAX_NAME: Final = 256  # characters, as a label of a metric has at most

_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


class HistoryError(ValueError):
    """What is wrong with a file, and where."""


class Reading(NamedTuple):
    """A good answer about usage."""

    time: float  # Unix seconds at which it came
    usage: Usage


def readings(stream: BinaryIO, name: str, at_most: int = MAX_BYTES) -> Iterator[Reading]:
    """Yield the rows of a file, which is called `name` in errors, as they are read.

    Raises HistoryError for the first thing that is wrong, as more bytes than `at_most`.
    """
    lines = _Lines(stream, name, at_most)
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, [])
        types = _types(header, lines)
        last = 0.0
        for cells in rows:
            if not cells:  # an empty line
                continue
            if len(cells) < len(header):
                raise lines.wrong(header[len(cells)], "is missing in this row")
            if len(cells) > len(header):
                raise lines.wrong("", f"must have {len(header)} cells, as the header has")
            reading = _reading(cells, types, lines)
            if reading.time < last:
                raise lines.wrong("time", "must not be before the row above: oldest first")
            last = reading.time
            yield reading
    except csv.Error as error:
        raise lines.wrong("", "must be CSV: check its quotes and line ends") from error


class _Lines:
    """The lines of a file, and where in it one is."""

    def __init__(self, stream: BinaryIO, name: str, at_most: int) -> None:
        self._stream = stream
        self._name = name
        self._at_most = at_most
        self._number = 0
        self._bytes = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self._bytes += len(line)
        if len(line) > MAX_LINE:
            raise self.wrong("", f"must not be longer than {MAX_LINE // 1024} KiB")
        if self._bytes > self._at_most:
            most = self._at_most // 1024**2
            raise self.wrong("", f"the file must not be larger than {most} MiB")
        try:
            # Spreadsheets mark a file in UTF-8 at its beginning.
            return line.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise self.wrong("", "must be UTF-8") from None

    def wrong(self, column: str, rule: str) -> HistoryError:
        """Return the error for what is wrong in the line read last."""
        where = f"{self._name}:{max(self._number, 1)}"
        return HistoryError(f"{where}: {column}: {rule}" if column else f"{where}: {rule}")


def _types(header: Sequence[str], lines: _Lines) -> Sequence[str]:
    """Return the resource types that a header names."""
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise lines.wrong("", f"must be a header that begins with {','.join(COLUMNS)}")
    types = header[len(COLUMNS) :]
    if len(types) > MAX_TYPES:
        raise lines.wrong("", f"must have at most {MAX_TYPES} resource types")
    for number, name in enumerate(header):
        if name in header[:number]:
            raise lines.wrong(name, "appears twice: keep one")
    for number, name in enumerate(types, len(COLUMNS) + 1):
        if not (name.strip() and len(name) <= MAX_NAME and is_text(name)):
            rule = f"must have a name of up to {MAX_NAME} characters that can be printed"
            raise lines.wrong(f"column {number}", rule)
    return types


def _reading(cells: Sequence[str], types: Sequence[str], lines: _Lines) -> Reading:
    """Return what a row says."""
    column = "time"
    try:
        time = _time(cells[0])
        column = "month_to_date_usd"
        net = _amount(cells[1])
        column = "period_start"
        start = _period(cells[2])
        column = "period_end"
        end = _period(cells[3])
        costs = {}
        for column, cell in zip(types, cells[len(COLUMNS) :], strict=True):
            if cell:
                costs["org", "", column] = [_amount(cell)]
    except ValueError as error:
        raise lines.wrong(column, str(error)) from None
    totals = {("org", ""): Totals([net], [0.0], [net])}
    return Reading(
        time,
        Usage(
            costs=costs,
            totals=totals,
            month_to_date=net,
            subtotal=net,
            period_start=start,
            period_end=end,
        ),
    )


def _time(cell: str) -> float:
    seconds = times.parsed(cell)
    if seconds <= 0:
        raise ValueError(times.RULE)
    return seconds


def _amount(cell: str) -> float:
    usd = float(cell) if _NUMBER.fullmatch(cell) else None
    if usd is None or usd in {float("inf"), float("-inf")}:
        raise ValueError("must be an amount in US dollars, such as 12.34")
    return usd


@lru_cache(maxsize=64)
def _period(cell: str) -> float | None:
    """Return when a period starts or ends; None if it is not set, as the API reads it."""
    seconds = times.parsed(cell) if cell else 0.0
    return seconds if seconds > 0 else None
