"""The CSV of past answers: what a row means, and what is said of one that means nothing."""

from __future__ import annotations

import io
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tool import history_file
from exporter.tool.history_file import MAX_LINE, MAX_NAME, MAX_TYPES, HistoryError, readings
from exporter.tool.times import RULE, parsed

HEADER = "time,month_to_date_usd,period_start,period_end"
ROW = "2026-11-02T00:00:00Z,10,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z"
NOVEMBER = 1_793_491_200.0
DAY = 86_400.0
AMOUNT = "must be an amount in US dollars, such as 12.34"


def read(*lines: str, header: str = HEADER) -> list[history_file.Reading]:
    """Return what a file of these lines says."""
    return list(readings(io.BytesIO("\n".join((header, *lines)).encode()), "past.csv"))


def refused(content: bytes) -> str:
    """Return what is said of a file."""
    with pytest.raises(HistoryError) as caught:
        list(readings(io.BytesIO(content), "past.csv"))
    return str(caught.value)


def test_a_row_is_a_good_answer() -> None:
    """With its time, its period, month to date and the cost of each resource type."""
    (reading,) = read(f"{ROW},4.5,0", header=f"{HEADER},per_machine,any text")
    assert reading.time == NOVEMBER + DAY
    usage = reading.usage
    assert (usage.period_start, usage.period_end) == (NOVEMBER, NOVEMBER + 30 * DAY)
    assert usage.month_to_date == 10.0
    assert [total.net for total in usage.totals.values()] == [[10.0]]
    assert {name: parts for (_, _, name), parts in usage.costs.items()} == {
        "per_machine": [4.5],
        "any text": [0.0],
    }


def test_an_empty_cell_is_what_the_answer_does_not_have() -> None:
    """A date that is not set, and a resource type that is missing."""
    (reading,) = read("1793577600,10,,,,7", header=f"{HEADER},a,b")
    assert (reading.usage.period_start, reading.usage.period_end) == (None, None)
    assert {name for _, _, name in reading.usage.costs} == {"b"}


def test_a_date_at_or_below_0_is_not_set() -> None:
    """As the API's: the zero time of another language is no start of a period."""
    (reading,) = read("1793577600,10,0,0001-01-01T00:00:00Z")
    assert (reading.usage.period_start, reading.usage.period_end) == (None, None)


@given(st.floats(1, 253_402_300_799).map(lambda seconds: round(seconds, 3)))
def test_unix_seconds_are_times(seconds: float) -> None:
    """With a fraction or an exponent, as programs print them."""
    for text in (f"{seconds:.3f}", f"{seconds:e}", repr(seconds)):
        assert parsed(text) == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T00:00:00Z",
        "2026-11-01t00:00:00z",
        "2026-11-01 00:00:00+00:00",
        "2026-10-31T19:30:00-04:30",
        "2026-11-01T00:00:00.000Z",
        "2026-11-01T00:00:00.0000001Z",
    ],
)
def test_rfc_3339_is_a_time(text: str) -> None:
    """In each of its forms."""
    assert parsed(text) == NOVEMBER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-01",
        "2026-11-01T00:00:00",
        "2026-11-31T00:00:00Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T00:00:00+25:00",
        "20261101T000000Z",
        "1793491200000",
        "1e400",
        "nan",
        "\u0661\u0662",
        " 1793491200",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """A day without its hour, a local time, milliseconds."""
    with pytest.raises(ValueError, match="must be a time as RFC 3339 or Unix seconds"):
        parsed(text)


@pytest.mark.parametrize(
    "text", ["1", "-1.5", "+.5", "3.", "1e-3", "12345678901234567890", "1e300"]
)
def test_amounts_are_numbers(text: str) -> None:
    """Of any sign; too large a one is for the ledger to pass over."""
    (reading,) = read(f"1793577600,{text},,")
    assert reading.usage.month_to_date == float(text)


LINES = {
    "no header": (ROW, f"1: must be a header that begins with {HEADER}"),
    "nothing": ("", f"1: must be a header that begins with {HEADER}"),
    "other order": (
        "time,period_start,period_end,month_to_date_usd",
        f"1: must be a header that begins with {HEADER}",
    ),
    "a column twice": (f"{HEADER},a,b,a", "1: a: appears twice: keep one"),
    "one of ours twice": (f"{HEADER},period_end", "1: period_end: appears twice: keep one"),
    "a column without a name": (
        f"{HEADER},a, ",
        f"1: column 6: must have a name of up to {MAX_NAME} characters that can be printed",
    ),
    "a name with a control": (
        f"{HEADER},a\x1b[31m",
        f"1: column 5: must have a name of up to {MAX_NAME} characters that can be printed",
    ),
    "a long name": (
        f"{HEADER},{'x' * (MAX_NAME + 1)}",
        f"1: column 5: must have a name of up to {MAX_NAME} characters that can be printed",
    ),
    "too many columns": (
        f"{HEADER},{','.join(f't{n}' for n in range(MAX_TYPES + 1))}",
        f"1: must have at most {MAX_TYPES} resource types",
    ),
    "no time": (f"{HEADER}\n,1,,", f"2: time: {RULE}"),
    "a time before all": (f"{HEADER}\n0,1,,", f"2: time: {RULE}"),
    "no month to date": (f"{HEADER}\n{ROW}\n1793577600,,,", f"3: month_to_date_usd: {AMOUNT}"),
    "no amount": (f"{HEADER}\n1793577600,12 USD,,", f"2: month_to_date_usd: {AMOUNT}"),
    "no number": (f"{HEADER}\n1793577600,NaN,,", f"2: month_to_date_usd: {AMOUNT}"),
    "no finite number": (f"{HEADER}\n1793577600,1e999,,", f"2: month_to_date_usd: {AMOUNT}"),
    "no start": (f"{HEADER}\n1793577600,1,x,", f"2: period_start: {RULE}"),
    "no end": (f"{HEADER}\n1793577600,1,,x", f"2: period_end: {RULE}"),
    "no cost": (f"{HEADER},a,b\n1793577600,1,,,1,-", f"2: b: {AMOUNT}"),
    "a cell too few": (f"{HEADER},a\n{ROW}", "2: a: is missing in this row"),
    "a cell too many": (f"{HEADER}\n{ROW},1", "2: must have 4 cells, as the header has"),
    "the newest first": (
        f"{HEADER}\n{ROW}\n1793500000,1,,",
        "3: time: must not be before the row above: oldest first",
    ),
    "an open quote": (
        f'{HEADER}\n{ROW}\n"1',
        "3: must be CSV: check its quotes and line ends",
    ),
    "old ends of lines": (
        f"{HEADER}\r{ROW}\r{ROW}",
        "1: must be CSV: check its quotes and line ends",
    ),
    "a long line": (
        f"{HEADER}\n{ROW}{' ' * MAX_LINE}",
        f"2: must not be longer than {MAX_LINE // 1024} KiB",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_what_is_wrong_is_told_with_its_place(name: str) -> None:
    """The file, the line, the column and the rule, and nothing of what stands there."""
    content, message = LINES[name]
    assert refused(content.encode()) == f"past.csv:{message}"


def test_bytes_that_are_no_text_are_refused() -> None:
    """With their line."""
    assert refused(f"{HEADER}\n{ROW}\n".encode() + b"\xff") == "past.csv:3: must be UTF-8"


def test_a_file_has_an_end() -> None:
    """What goes on for ever, as a pipe may, is not read for ever."""

    class Endless(io.BytesIO):
        def readline(self, _size: int | None = -1, /) -> bytes:
            return super().readline() or f"{ROW}\n".encode()

    stream = Endless(f"{HEADER}\n".encode())
    with pytest.raises(HistoryError) as caught:
        list(readings(stream, "past.csv", at_most=1024**2))
    line = (1024**2 - len(HEADER) - 1) // (len(ROW) + 1) + 2
    assert str(caught.value) == f"past.csv:{line}: the file must not be larger than 1 MiB"


def test_what_spreadsheets_write_is_read() -> None:
    """A mark at the beginning, their ends of lines, quotes, and empty lines."""
    content = f'\ufeff{HEADER},"a, b"\r\n{ROW},"1.5"\r\n\r\n{ROW},\r\n'
    first, second = readings(io.BytesIO(content.encode()), "past.csv")
    assert first.usage.costs == {("org", "", "a, b"): [1.5]}
    assert second.usage.costs == {}


@given(st.binary(max_size=300))
def test_no_content_is_a_bug(content: bytes) -> None:
    """Whatever there is, it is rows or an error of ours."""
    for start in (b"", f"{HEADER},a\n".encode()):
        with suppress(HistoryError):
            for reading in readings(io.BytesIO(start + content), "past.csv"):
                assert math.isfinite(reading.usage.month_to_date)
