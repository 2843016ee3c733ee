"""A server that sends what nobody asked for, as fast as it can, and no answers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.api.client import LATE
from exporter.api.connections import ANSWER, AT_ONCE, OF_PROXY, SECOND, Calls, Excess
from exporter.model import Cause
from exporter.simulator import http2
from integration.test_odd_answers import KEY, USAGE, client_of, configuration, failure
from support.process import exporter, parse, until

pytestmark = pytest.mark.alone

WINDOW_UPDATE, PRIORITY, UNKNOWN = 8, 2, 0xEE
FLOODS = {
    "ping": http2.frame(http2.PING, 0, 0, bytes(8)),
    "settings": http2.frame(http2.SETTINGS, 0, 0),
    "window update": http2.frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "priority": http2.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "unknown": http2.frame(UNKNOWN, 0, 0, bytes(100)),
}
MIB = 1 << 20


SETTINGS = http2.frame(http2.SETTINGS, 0, 0)


class Flood:
    """A server that floods each connection."""

    def __init__(self, frame: bytes, *, reads: bool = True, greeting: bytes = SETTINGS) -> None:
        self._reads = reads
        self._greeting = greeting
        self.sent = 0
        self._frames = frame * (65_536 // len(frame))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        def until_closed() -> None:
            with suppress(OSError):
                work(*arguments)

        self._threads.append(threading.Thread(target=until_closed))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self.accepted.append(connection)
            self._begin(self._flood, connection)

    def _flood(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(self._greeting)
        if self._reads:
            self._begin(self._drain, connection)
        while True:
            connection.sendall(self._frames)
            self.sent += len(self._frames)

    def _drain(self, connection: socket.socket) -> None:
        while connection.recv(65_536):
            pass

    def stop(self) -> None:
        """Close all connections, and wait until nothing goes on."""
        for each in (self._listener, *self.accepted):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self.accepted):
            each.close()


@contextmanager
def flooding(frame: bytes, **options: Any) -> Iterator[Flood]:
    """Run a server that floods while inside, and reads what comes of it or not."""
    flood = Flood(frame, **options)
    try:
        yield flood
    finally:
        flood.stop()


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
def test_a_connection_that_is_flooded_is_closed_and_told_of_once(
    frame: bytes, tmp_path: Path
) -> None:
    """Polls fail, and pages are served."""
    up = ("viam_billing_up", frozenset({("org_id", "o"), ("org_name", "o")}))
    with flooding(frame) as flood, exporter(configuration(tmp_path, flood.port)) as it:
        it.process.stderr.wait_for("the server sent too much unsolicited data")
        until(lambda: len(flood.accepted) > 1, "it has connected anew")
        until(lambda: parse(it.scrape()).get(up) == 0.0, "the polls have failed")
        assert it.process.stderr.text.count("unsolicited data") == 1


def test_a_call_ends_at_its_deadline_whatever_a_server_sends_and_does_not_read() -> None:
    """There, gRPC's own deadline waits until the connection is given up, after ten seconds."""

    async def scenario(port: int) -> None:
        async with client_of(port, deadline=1.0) as client:
            for _ in range(2):
                begun = time.monotonic()
                error = await failure(client.read(USAGE, "o", KEY))
                assert error.cause is Cause.OUTAGE
                assert time.monotonic() - begun < 1.0 + LATE + 2.0

    with flooding(FLOODS["ping"], reads=False) as flood:
        asyncio.run(scenario(flood.port))


def test_a_proxy_s_answer_without_end_costs_little(tmp_path: Path) -> None:
    """Its headers take ten times as much memory in gRPC, until the connection is closed."""
    file = configuration(tmp_path, 443).partition("=")[2]
    settings = yaml.safe_load(Path(file).read_text())
    settings["api"] |= {"address": "billing.test:443", "insecure": True}
    Path(file).write_text(yaml.safe_dump(settings))
    with flooding(b"X-A: b\r\n", greeting=b"HTTP/1.1 200 OK\r\n") as flood:
        proxy = {"http_proxy": f"http://127.0.0.1:{flood.port}"}
        with exporter(f"--config.file={file}", environ=proxy) as it:
            before = parse(it.scrape())["process_resident_memory_bytes", frozenset()]
            it.process.stderr.wait_for("the server sent too much unsolicited data")
            until(lambda: len(flood.accepted) > 2, "it has connected anew")
            after = parse(it.scrape())["process_resident_memory_bytes", frozenset()]
        assert after - before < 100 * MIB
        assert flood.sent < 64 * MIB * len(flood.accepted)


def test_a_proxy_that_answers_at_length_is_found_before_there_is_a_way_through_it() -> None:
    """What came on a connection that led through it is no such answer."""
    waits = Calls(0, 1, proxied=True, connected=False)
    excess = Excess()
    assert not excess.is_too_much({"a": OF_PROXY}, waits, 0.05)
    assert excess.is_too_much({"a": OF_PROXY + 1}, waits, 0.05)
    assert not excess.is_too_much({"a": MIB}, waits._replace(connected=True), 1.0)
    assert not excess.is_too_much({"a": 2 * MIB, "b": 100}, waits, 0.05)
    assert excess.is_too_much({"a": 2 * MIB, "b": OF_PROXY + 1}, waits, 0.05)


def test_what_answers_explain_is_no_flood() -> None:
    """However much comes: those that are whole, and those that are on their way."""
    excess = Excess()
    now = 0
    for _ in range(60):
        now += 100 * MIB
        assert not excess.is_too_much({"a": now}, Calls(now, 32), 1.0)
    now += 32 * ANSWER
    assert not excess.is_too_much({"a": now}, Calls(now - 32 * ANSWER, 32), 1.0)
    assert not excess.is_too_much({"a": now}, Calls(now, 0), 1.0)


def test_what_nothing_explains_is_a_flood() -> None:
    """At once if it is much, and in time if it goes on; a connection anew begins from nothing."""
    excess = Excess()
    assert not excess.is_too_much({"a": AT_ONCE}, Calls(0, 0), 1.0)
    assert excess.is_too_much({"a": AT_ONCE, "b": AT_ONCE + 2 * SECOND}, Calls(0, 0), 1.0)
    steps = 0
    total = 0
    while not excess.is_too_much({"c": total}, Calls(0, 0), 1.0):
        total += 2 * SECOND
        steps += 1
    assert steps == AT_ONCE // SECOND + 1
    for step in range(100):
        assert not excess.is_too_much({"d": step * SECOND}, Calls(0, 0), 1.0)
