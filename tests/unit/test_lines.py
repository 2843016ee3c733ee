"""Lines that are written in a thread of their own: in order, or dropped and counted."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.process.lines import Lines

SOON = 10.0  # seconds that no test needs
PIPE = 4096  # bytes that fit into the pipe


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a small pipe."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE)
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            pass  # the test has closed it


def line(number: int) -> str:
    """Return a line of a hundred bytes with its end."""
    return f"{number:099}"


def read(reading: int, size: int) -> str:
    """Read so many bytes."""
    text = b""
    while len(text) < size:
        text += os.read(reading, size - len(text))
    return text.decode()


def test_lines_are_written_in_their_order(tmp_path: Path) -> None:
    """And whole, whatever is in them: what is no Unicode is escaped."""
    with (tmp_path / "log").open("wb") as stream:
        lines = Lines(stream.fileno())
        for number in range(1000):
            lines.put(line(number))
        lines.put("\ud800é")
        lines.flush(SOON)
    written = (tmp_path / "log").read_text().splitlines()
    assert written == [*map(line, range(1000)), "\\ud800é"]


def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe: tuple[int, int]) -> None:
    """Lines above the limit are dropped and counted; the others come when somebody reads."""
    reading, writing = pipe
    lines = Lines(writing, most=10_000)
    for number in range(1000):
        lines.put(line(number))
    lines.flush(0.01)
    counted: list[int] = []
    lines.count_dropped(counted.append)
    (dropped,) = counted
    kept = 1000 - dropped
    assert 100 <= kept <= 100 + PIPE // 100  # what waits, and what the pipe holds
    written = read(reading, 100 * kept).splitlines()
    assert written == sorted(set(written))  # in their order, each once
    assert set(written) <= {line(number) for number in range(1000)}
    lines.flush(SOON)
    lines.put("after it")
    assert read(reading, 9) == "after it\n"
    assert sum(counted) == dropped


def test_each_line_that_is_dropped_later_is_counted(pipe: tuple[int, int]) -> None:
    """One by one, as a counter takes them."""
    lines = Lines(pipe[1], most=10)
    counted: list[int] = []
    lines.count_dropped(counted.append)
    lines.put("far too long a line")
    lines.put("as long as this")
    assert counted == [0, 1, 1]


@pytest.mark.parametrize("way", ["none", "closed", "reader gone", "disk full"])
def test_what_cannot_be_written_is_counted(way: str, pipe: tuple[int, int]) -> None:
    """And is the end of nothing."""
    reading, writing = pipe
    with Path("/dev/full").open("wb", buffering=0) as full:
        descriptor = {"none": None, "disk full": full.fileno()}.get(way, writing)
        if way == "reader gone":
            os.close(reading)
        if way == "closed":
            os.close(writing)
        lines = Lines(descriptor)
        counted: list[int] = []
        lines.count_dropped(counted.append)
        lines.put("one")
        lines.put("two")
        lines.flush(SOON)
    assert sum(counted) == 2


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    """Another process that has it open may have made it so."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    lines = Lines(writing)
    for number in range(1000):
        lines.put(line(number))
    assert read(reading, 100_000) == "".join(f"{line(number)}\n" for number in range(1000))


def test_a_line_of_which_only_a_part_was_written_is_no_part_of_the_next(tmp_path: Path) -> None:
    """As on a disk that is full for a while."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("wb") as stream:
        lines = Lines(stream.fileno())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
            lines.put("0123456789 and what does not fit")
            lines.flush(SOON)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        lines.put("next")
        lines.put("last")
        lines.flush(SOON)
    assert (tmp_path / "log").read_text() == "0123456789\nnext\nlast\n"
