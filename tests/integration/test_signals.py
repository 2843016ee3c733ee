"""Signals at any moment of a process' life: from when it can hear them until it is gone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter.simulator import demo_fleet
from support.process import (
    EXPORTER,
    PYTHON,
    STOP_WITHIN,
    TOOL,
    Process,
    exporter,
    free_port,
    running,
    until,
)

ACCOUNT = demo_fleet(1)[0]
DEMO = (*EXPORTER, "--demo", "--web.listen-address=127.0.0.1:0")
SIMULATE = (*TOOL, "simulate", "--listen-address=127.0.0.1:0")


def status(process: Process, field: str) -> int:
    """Return a set of signals as the kernel has it, or 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process._popen.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1], 16)
    return 0


def takes(process: Process, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal, or ignores it."""
    return bool((status(process, "SigCgt") | status(process, "SigIgn")) >> (number - 1) & 1)


def maps(process: Process) -> str:
    """Return what a process has loaded."""
    return Path(f"/proc/{process._popen.pid}/maps").read_text()


@contextlib.contextmanager
def started(*command: str | Path) -> Iterator[Process]:
    """Run a command while inside, from when it takes signals on, which is looked for busily."""
    process = Process(command, {})
    try:
        while not takes(process, signal.SIGTERM):
            assert process.alive
        yield process
    finally:
        if process.alive:
            process.kill()


def write(folder: Path) -> Path:
    """Write a configuration whose API is not there."""
    file = folder / "exporter.yml"
    file.touch(0o600)
    document = {
        "api": {"address": f"127.0.0.1:{free_port()}", "tls": False},
        "credentials": {"api_key_id": ACCOUNT.api_key_id, "api_key": ACCOUNT.api_key},
        "organizations": [{"id": ACCOUNT.id}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def runs(process: Process) -> bool:
    """Tell whether a command has said that it does what it is for."""
    return "status" in process.stdout.text or "simulating" in process.stderr.text


def tracebacks(process: Process) -> list[str]:
    """Return the tracebacks that Python itself printed: those in the log are of gRPC's server."""
    return re.findall("^Traceback", process.stderr.text, re.MULTILINE)


def wait(seconds: float) -> None:
    """Let a moment pass."""
    threading.Event().wait(seconds)


@pytest.mark.parametrize("command", [DEMO, SIMULATE], ids=["exporter", "simulate"])
def test_signals_are_taken_before_what_takes_long_is_loaded(command: tuple[str, ...]) -> None:
    """So they are lost, or deadly, for no longer than Python itself needs to start."""
    with started(*command) as process:
        early = "cygrpc" not in maps(process)
        until(lambda: takes(process, signal.SIGHUP), "it takes SIGHUP")
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert early
        assert process.stderr.text == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", [0.0, 0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.2])
def test_it_stops_with_success_whenever_it_is_told_to(
    number: signal.Signals, moment: float
) -> None:
    """While it loads, starts, serves or has just begun to; told twice, and with SIGHUP between."""
    with started(*DEMO) as process:
        until(lambda: takes(process, signal.SIGHUP), "it takes SIGHUP")
        wait(moment)
        process.send(signal.SIGHUP)
        process.send(number)
        assert process.wait() == 0
        assert not tracebacks(process)


def test_sighup_before_it_serves_ends_nothing() -> None:
    """A service manager may reload what it has only started."""
    with running(*DEMO) as process:
        until(lambda: takes(process, signal.SIGHUP), "it takes SIGHUP")

        def serves() -> bool:
            process.send(signal.SIGHUP)
            return "status" in process.stdout.text

        until(serves, "it serves, whatever came")


@pytest.mark.parametrize("command", [DEMO, SIMULATE], ids=["exporter", "simulate"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_while_it_stops_change_nothing(
    command: tuple[str, ...], number: signal.Signals
) -> None:
    """Until it is gone: who is impatient sends more of them, to the last moment."""
    with started(*command) as process:
        until(lambda: runs(process), "it runs")
        process.send(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while process.alive and time.monotonic() < deadline:
            process.send(number)
            wait(0.001)
        assert process.wait() == 0
        assert not tracebacks(process)


def test_a_check_that_is_stopped_does_not_say_that_all_is_well(tmp_path: Path) -> None:
    """Scripts reload after a check that ended with 0."""
    with started(*EXPORTER, "--config.check", f"--config.file={write(tmp_path)}") as process:
        process.send(signal.SIGTERM)
        assert process.wait() == 1
        assert process.stdout.text == ""


def test_a_command_of_the_tool_that_is_stopped_early_says_so(tmp_path: Path) -> None:
    """In one line, as later on: no traceback of what was being loaded."""
    with started(*TOOL, "usage", f"--config.file={write(tmp_path)}") as process:
        process.send(signal.SIGINT)
        assert process.wait() == 1
        assert process.stderr.text == "viam-billing: stopped before the end\n"


def test_a_reload_after_many_hangups_is_made(tmp_path: Path) -> None:
    """A storm of them neither ends it nor keeps it from hearing the last one, or SIGTERM."""
    file = write(tmp_path)
    with exporter(f"--config.file={file}") as it:
        for _ in range(2000):
            it.process.send(signal.SIGHUP)
        it.process.stderr.wait_for('msg="configuration reloaded"')
        it.process.stop()


HANGS = """
import asyncio, os, signal
from exporter.process import signals

async def main():
    with signals.heeded({signal.SIGTERM: lambda: None}, end_within=0.3):
        print("ready", flush=True)
        os.read(int(os.environ["NOBODY"]), 1)

asyncio.run(main())
"""


def test_what_hangs_is_ended_in_time() -> None:
    """Also if it is the loop that hangs: exit code 1, as not all was put in order."""
    reading, writing = os.pipe()
    command = (PYTHON, "-c", HANGS)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, pass_fds=[reading], env={"NOBODY": str(reading)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN) == 1
    os.close(reading)
    os.close(writing)
