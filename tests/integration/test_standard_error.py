"""Standard error: what is written there, and that nobody waits for whoever should read it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from exporter.simulator import demo_fleet
from support.process import (
    EXPORTER,
    PYTHON,
    STOP_WITHIN,
    TOOL,
    free_port,
    get,
    samples,
    succeeds,
    until,
)

ACCOUNT = demo_fleet(1)[0]
DROPPED = ("viam_billing_exporter_log_lines_dropped_total", frozenset[tuple[str, str]]())
ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def write(folder: Path) -> Path:
    """Write a configuration whose API is not there."""
    file = folder / "exporter.yml"
    file.touch(0o600)
    document = {
        "api": {"address": f"127.0.0.1:{free_port()}", "tls": False},
        "poll": {"interval": "1s"},
        "credentials": {"api_key_id": ACCOUNT.api_key_id, "api_key": ACCOUNT.api_key},
        "organizations": [{"id": ACCOUNT.id}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def full_pipe() -> tuple[int, int]:
    """Return a pipe into which nothing fits any more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4095 + b"\n")
    os.set_blocking(writing, True)
    return reading, writing


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], stdout: int, stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while inside, with these for its output."""
    with subprocess.Popen(command, stdout=stdout, stderr=stderr, env=ENVIRON) as process:
        try:
            yield process
        finally:
            process.kill()


def dropped(port: int) -> float:
    """Return how many lines a running exporter has dropped."""
    return samples(get(port, "/metrics").text)[DROPPED]


def serve(file: Path, port: int) -> tuple[str | Path, ...]:
    """Return the command that serves on a port, and logs much."""
    listen = f"--web.listen-address=127.0.0.1:{port}"
    return (*EXPORTER, f"--config.file={file}", listen, "--log.level=debug")


def test_a_pipe_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """Scrapes, reloads and the end go on; what is too much is dropped and counted."""
    reading, writing = full_pipe()
    file, port = write(tmp_path), free_port()
    with started(serve(file, port), subprocess.DEVNULL, writing) as process:
        os.close(writing)
        until(lambda: succeeds(port, "/-/ready"), "it polls")
        assert dropped(port) == 0
        file.write_text(f"organizations: [{'{no: x},' * 8000}]\n")  # a line for each is logged
        process.send_signal(signal.SIGHUP)
        until(lambda: dropped(port) > 1000, "lines are dropped")
        assert get(port, "/").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 0
    with os.fdopen(reading, "rb") as stream:
        lines = stream.read().decode().split("\n")
    assert set(lines) == {"." * 4095, ""}


def test_who_reads_late_gets_whole_lines_in_their_order(tmp_path: Path) -> None:
    """Also the last ones: the end waits for them for a moment."""
    reading, writing = full_pipe()
    port = free_port()
    with started(serve(write(tmp_path), port), subprocess.DEVNULL, writing) as process:
        os.close(writing)
        until(lambda: succeeds(port, "/-/ready"), "it polls")
        process.send_signal(signal.SIGTERM)
        with os.fdopen(reading, "rb") as stream:
            lines = [line for line in stream.read().decode().splitlines() if line[0] != "."]
        assert process.wait(STOP_WITHIN) == 0
    assert all(re.match(r"ts=\S+Z level=\w+ msg=", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line.split()[0])
    assert "msg=serving" in "".join(lines)
    assert "msg=stopping" in lines[-1]


@pytest.mark.parametrize("way", ["2>&-", "2>/dev/full", "2>&1 >&0 | true", "2>&- >&- <&-"])
def test_standard_error_that_cannot_be_written_stops_nothing(way: str, tmp_path: Path) -> None:
    """Closed, on a disk that is full, or read by nobody any more: lines are counted."""
    port = free_port()
    command = (*serve(write(tmp_path), port), f"--storage.path={tmp_path / 'storage'}")
    pid = tmp_path / "pid"
    shell = ("bash", "-c", f'{{ echo $BASHPID >{pid}; exec "$@"; }} {way}', "bash")
    with started((*shell, *command), subprocess.DEVNULL, subprocess.DEVNULL) as process:
        until(lambda: succeeds(port, "/-/ready"), "it polls")
        until(lambda: dropped(port) > 0, "lines are counted")
        os.kill(int(pid.read_text()), signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 0
    database = next((tmp_path / "storage").glob("*.db"), None)
    assert database is None or b"level=" not in database.read_bytes()


def test_a_command_whose_output_is_closed_says_so(tmp_path: Path) -> None:
    """It would fail in the middle of what it does."""
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *TOOL, "usage", f"--config.file={write(tmp_path)}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "viam-billing: standard output: it is closed\n"


def test_the_demo_serves_also_if_nobody_reads_where_it_does() -> None:
    """Standard output may be a pipe that nobody reads, too."""
    reading, writing = full_pipe()
    port = free_port()
    command = (*EXPORTER, "--demo", f"--web.listen-address=127.0.0.1:{port}")
    with started(command, writing, writing) as process:
        os.close(writing)
        until(lambda: succeeds(port, "/-/ready"), "it polls")
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 0
    os.close(reading)


def test_an_error_of_the_start_that_nobody_reads_ends_it_too(tmp_path: Path) -> None:
    """With its exit code; the message is lost."""
    reading, writing = full_pipe()
    command = (*EXPORTER, f"--config.file={tmp_path / 'no.yml'}")
    with started(command, subprocess.DEVNULL, writing) as process:
        os.close(writing)
        assert process.wait(STOP_WITHIN) == 1
    os.close(reading)


@pytest.mark.parametrize(
    "arguments",
    [("usage",), ("pdf", "--all"), ("check", "--connect"), ("simulate",), ("usage", "--help")],
    ids=" ".join,
)
def test_a_command_that_nobody_reads_ends_when_it_is_told_to(
    arguments: Sequence[str], tmp_path: Path
) -> None:
    """It waits for its reader, as commands do, but SIGTERM ends it in time."""
    reading, writing = full_pipe()
    more = (
        ("--listen-address=127.0.0.1:0",)
        if "simulate" in arguments
        else (f"--config.file={write(tmp_path)}",)
    )
    with started((*TOOL, *arguments, *more), writing, writing) as process:
        os.close(writing)
        threading.Event().wait(2)  # nothing shows that it hangs
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) in {0, 1}
    os.close(reading)


WRITING = """
import sys
from exporter import start
from exporter.tool import command

command.main = lambda: sys.stderr.write("." * (1 << 20))
start.tool()
"""


def test_a_signal_while_standard_error_is_written_ends_the_command() -> None:
    """Nothing else can be written there then, not even by a handler of Python's own."""
    with started((PYTHON, "-c", WRITING), subprocess.DEVNULL, subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read(1) == b"."  # the rest does not fit into a pipe
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 1


ENDING = """
import logging, os, signal
from exporter import start
from exporter.tool import command

class Told(logging.Handler):
    def flush(self):
        if not asked:
            asked.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

asked = []
logging.getLogger().addHandler(Told())
command.main = lambda: print("read me") or 0
start.tool()
"""


def test_a_signal_while_the_log_is_written_is_not_lost() -> None:
    """What comes after is the output, for which it would wait for ever."""
    reading, writing = full_pipe()
    with started((PYTHON, "-c", ENDING), writing, subprocess.DEVNULL) as process:
        os.close(writing)
        assert process.wait(STOP_WITHIN) == 1
    os.close(reading)


# --- One format -----------------------------------------------------------------------------

MISHAPS = """
import asyncio, logging, sys, threading, warnings
from exporter import app, cli

class Unraisable:
    def __del__(self):
        raise ValueError("in __del__")

async def run(*_):
    warnings.warn("a warning\\nof two lines")
    Unraisable()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: [][1])
    failed = loop.create_future()
    failed.set_exception(KeyError("of a future"))
    del failed
    logging.getLogger("asyncio").error("%d words", "wrong")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(9))
        raise RuntimeError("the end\\u2028of it")

app.run = run
sys.exit(cli.main())
"""


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_every_line_is_of_the_format_also_those_of_python(form: str, tmp_path: Path) -> None:
    """Warnings, what nothing catches, in threads and elsewhere, and what ends the process."""
    ended = subprocess.run(
        [PYTHON, "-c", MISHAPS, f"--config.file={write(tmp_path)}", f"--log.format={form}"],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env=ENVIRON,
    )
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    if form == "json":
        entries = [json.loads(line) for line in lines]
        assert all({"ts", "level", "msg"} <= entry.keys() for entry in entries)
    else:
        assert all(re.match(r"ts=\S+Z level=\w+ msg=", line) for line in lines)
    for part in (
        "of two lines",
        "in __del__",
        "ZeroDivisionError",
        "IndexError",
        "of a future",
        "a log line could not be formatted",
        "RuntimeError: the end",
    ):
        assert sum(part in line for line in lines) == 1, part
    assert "exiting because of a bug" in lines[-1]
