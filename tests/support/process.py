"""Programs as real processes: started, awaited, scraped and stopped as their users do."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TypeVar

from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from support import installed

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
# The commands as their users have them, and the Python that has the package that they run.
EXPORTER = (installed.command("viam-billing-exporter"),)
TOOL = (installed.command("viam-billing"),)
PYTHON = installed.command("python")
PEER_PYTHON = ROOT / ".venv-peer" / "bin" / "python"  # `make .venv-peer/.done` sets it up

PATIENCE = 30.0  # seconds until a test gives up waiting
STOP_WITHIN = 10.0  # seconds that the contract gives a command to stop
POLL = 0.1  # seconds between two looks at something that cannot be waited for

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


# --- Waiting ------------------------------------------------------------------------------


def until(condition: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
    """Return the condition's first true value. `what` names it if that never comes."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {timeout:g} s still not: {what}"
        pause.wait(POLL)


def free_port() -> int:
    """Return a port of the loopback interface that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# --- Processes ----------------------------------------------------------------------------


class Lines:
    """What a process writes to a stream. A thread reads it, so that no full pipe stops it."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Return the first match within a line, as soon as it is written."""

        def found() -> re.Match[str] | None:
            return next(
                (match for line in self._lines if (match := re.search(pattern, line))), None
            )

        with self._changed:
            self._changed.wait_for(lambda: self._ended or found(), timeout)
            match = found()
        assert match, f"no line with {pattern!r} in:\n{self.text}"
        return match

    def finish(self) -> None:
        """Wait until the stream was read to its end."""
        self._thread.join(PATIENCE)

    @property
    def text(self) -> str:
        """All that was written so far."""
        with self._changed:
            return "".join(self._lines)


class Process:
    """A program that runs. Make one with `running`, which also ends it."""

    def __init__(self, command: Sequence[str | Path], environ: Mapping[str, str]) -> None:
        # No proxy, no VIAM_API_KEY, no encoding of the caller's gets in.
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**inherited, "LC_ALL": "C.UTF-8", **environ},
        )
        assert self._popen.stdout
        assert self._popen.stderr
        self.stdout = Lines(self._popen.stdout)
        self.stderr = Lines(self._popen.stderr)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    @property
    def memory(self) -> int:
        """Bytes that it has in memory."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    @property
    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return sum(1 for _ in Path(f"/proc/{self._popen.pid}/fd").iterdir())

    @property
    def threads(self) -> set[str]:
        """The names of its threads."""
        tasks = Path(f"/proc/{self._popen.pid}/task")
        return {(task / "comm").read_text().strip() for task in tasks.iterdir()}

    @property
    def waits(self) -> int:
        """How often the threads that it has now have begun to wait: as often they were woken."""
        tasks = Path(f"/proc/{self._popen.pid}/task")
        statuses = [(task / "status").read_text() for task in tasks.iterdir()]
        return sum(
            int(status.split("voluntary_ctxt_switches:")[1].split()[0]) for status in statuses
        )

    @property
    def most_memory(self) -> int:
        """How much memory it has had at once, in KiB."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = STOP_WITHIN) -> int:
        """Return the exit code once the process has ended and its output is complete."""
        code = self._popen.wait(timeout)
        self.stdout.finish()
        self.stderr.finish()
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it as a service manager does: it must end in time, and with success."""
        assert self.alive, f"it ended by itself:\n{self.stderr.text}"
        self.send(number)
        code = self.wait()
        assert code == 0, f"exit code {code}:\n{self.stderr.text}"

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()
        self.wait()


@contextmanager
def running(*command: str | Path, environ: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run a program while inside. Unless the test has stopped it, it is, and must stop cleanly.

    When a test fails, what the program wrote to standard error is added to the failure.
    """
    process = Process(command, environ or {})
    try:
        yield process
    except BaseException as error:
        process.kill()
        error.add_note(f"standard error of {command[0]}:\n{process.stderr.text}")
        raise
    if process.alive:
        try:
            process.stop()
        finally:
            process.kill()


# --- HTTP ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Response:
    """An answer, with the body as it came: not decompressed."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Fetch a path from a server on this machine, with these headers and no others."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
    finally:
        connection.close()


def succeeds(port: int, path: str) -> bool:
    """Tell whether a path is answered with 200; a server that is not there yet has not."""
    try:
        return get(port, path).status == http.client.OK
    except ConnectionError:
        return False


# --- The exporter -------------------------------------------------------------------------


@dataclass(frozen=True)
class Exporter:
    """A running exporter that serves."""

    process: Process
    port: int

    def scrape(self, accept: str = TEXT, path: str = "/metrics") -> str:
        """Return the page in the format asked for, which must be the one given."""
        response = get(self.port, path, {"Accept": accept})
        assert response.status == http.client.OK
        assert response.headers["Content-Type"].startswith(accept.partition(";")[0] + ";")
        return response.text

    def wait_until_ready(self) -> None:
        """Wait until every organization was polled."""
        until(lambda: succeeds(self.port, "/-/ready"), "the exporter is ready")


@contextmanager
def exporter(*arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """Run the exporter on a free port while inside."""
    listen = "--web.listen-address=127.0.0.1:0"
    with running(*EXPORTER, listen, *arguments, environ=environ) as process:
        if "--demo" in arguments:  # it talks to people
            serving = process.stdout.wait_for(r"http://localhost:(\d+)/")
        else:
            serving = process.stderr.wait_for(r"msg=serving .*addresses=127\.0\.0\.1:(\d+)")
        yield Exporter(process, int(serving[1]))


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print no traceback of a client that went away: tests read standard error."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve HTTP with a handler of the test's own, on a port of its own, while inside."""
    with _Quiet(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


# --- Pages --------------------------------------------------------------------------------

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$)')
UNESCAPED = {r"\\": "\\", r"\n": "\n", r"\"": '"'}


def parse(page: str, accept: str = TEXT) -> Series:
    """Return the samples of a page of ours, which two parsers must read alike.

    The library's checks the format, but keeps one of two equal series and says nothing.
    """
    if accept == OPENMETRICS:
        assert page.endswith("# EOF\n")
        families = openmetrics_parser.text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    else:
        families = text_string_to_metric_families(page)
    parsed = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    series = samples(page)
    # As text, because NaN equals nothing.
    assert {key: repr(value) for key, value in series.items()} == {
        key: repr(value) for key, value in parsed.items()
    }
    return series


def samples(page: str) -> Series:
    """Return the samples of a page, read line by line. No series may come twice."""
    series: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for line in page.split("\n"):
        if line and not line.startswith("#"):
            key, value = _sample(line)
            assert key not in series, f"a series comes twice: {line}"
            series[key] = value
    return series


def _sample(line: str) -> tuple[tuple[str, frozenset[tuple[str, str]]], float]:
    sample = SAMPLE.fullmatch(line)
    assert sample, f"no sample: {line}"
    labels, position = [], 0
    text = sample[2] or ""
    while position < len(text):
        label = LABEL.match(text, position)
        assert label, f"no labels: {line}"
        value = re.sub(r"\\[\\n\"]", lambda match: UNESCAPED[match[0]], label[2])
        labels.append((label[1], value))
        position = label.end()
    assert len(dict(labels)) == len(labels), f"a label comes twice: {line}"
    return (sample[1], frozenset(labels)), float(sample[3])
