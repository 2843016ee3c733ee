"""Ends connections that bring much more than answers.

A server can send what HTTP/2 has beside them, such as pings, as fast as it likes. gRPC takes all of
it, at the cost of a processor and hundreds of megabytes, and keeps such a connection even when its
channel is closed. It has no limit for that, so the kernel is asked what came, and the socket is
shut down below gRPC, which then opens a new connection for the next call.
"""

from __future__ import annotations

import asyncio
import math
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from exporter.model import Clock

log = structlog.get_logger(__name__)

DESCRIPTORS: Final = Path("/proc/self/fd")
EVERY: Final = 1.0  # seconds
# A proxy's answer to CONNECT is short. gRPC reads one without end into ten times as much memory.
EVERY_OF_PROXY: Final = 0.05  # seconds, until there is a way through it
OF_PROXY: Final = 256 << 10  # bytes
SECOND: Final = 2 << 20  # bytes that may come in a second beside answers
AT_ONCE: Final = 16 << 20  # and before the first second is over
ANSWER: Final = 4 << 20  # bytes that may have come of an answer that is not whole yet
FRAMING: Final = 1.1  # what TLS and HTTP/2 add to an answer
QUIET: Final = 3600.0  # seconds between two log lines about a server that keeps doing it
# struct tcp_info of Linux has tcpi_bytes_received, of eight bytes, here.
BYTES_RECEIVED: Final = slice(128, 136)
FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class Calls(NamedTuple):
    """What is known of calls."""

    received: int  # bytes, answers and their headers, since the start
    under_way: int
    proxied: bool = False
    open: bool = True  # there is a channel
    connected: bool = True  # else nothing that comes is an answer


# By what the kernel calls a socket, the bytes that came on it.
Traffic = Mapping[str, int]


class Excess:
    """What has come beside answers."""

    def __init__(self) -> None:
        self._before: Traffic = {}
        self._answers = 0
        self._bytes = 0.0
        self._through: frozenset[str] = frozenset()  # connections that led through a proxy

    def is_too_much(self, traffic: Traffic, calls: Calls, seconds: float) -> bool:
        """Take in what came by now, so many seconds after the last time."""
        came = sum(max(0, now - self._before.get(each, 0)) for each, now in traffic.items())
        explained = max(0, calls.received - self._answers) * FRAMING
        self._before, self._answers = traffic, calls.received
        if calls.proxied and not calls.connected:
            return any(now > OF_PROXY for each, now in traffic.items() if each not in self._through)
        self._through = frozenset(traffic)
        self._bytes = max(0.0, self._bytes + came - explained - SECOND * seconds)
        if self._bytes <= AT_ONCE + ANSWER * calls.under_way:
            return False
        self._bytes = 0.0
        return True


class Watch:
    """Ends connections that cost too much, and looks at them only while there are any."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened = asyncio.Event()

    def opened(self) -> None:
        """Note that a channel was opened."""
        self._opened.set()

    async def run(self, calls: Callable[[], Calls]) -> None:
        """Watch until cancelled."""
        excess, told = Excess(), -math.inf
        while True:
            await self._opened.wait()
            known, looked = calls(), self._clock.monotonic()
            await asyncio.sleep(EVERY if known.connected or not known.proxied else EVERY_OF_PROXY)
            traffic = await asyncio.to_thread(_traffic)
            now = self._clock.monotonic()
            if excess.is_too_much(traffic, calls(), now - looked):
                await asyncio.to_thread(_end)
                if now - told > QUIET:
                    told = now
                    log.warning(
                        #: Make sure that `api.address` is Viam's, and look for a proxy in
                        #: between. The next call reconnects. Logged once an hour.
                        "the server sent too much unsolicited data: the connection was closed",
                    )
            if not traffic and not calls().open:
                self._opened.clear()


def _traffic() -> Traffic:
    """Return what came on the connections that this process began."""
    traffic = {}
    for name, number in _outgoing().items():
        with suppress(OSError), _borrowed(number) as each:
            info = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED.stop)
            traffic[name] = int.from_bytes(info[BYTES_RECEIVED], sys.byteorder)
    return traffic


def _end() -> None:
    """Shut down the connections that this process began."""
    for number in _outgoing().values():
        with suppress(OSError), _borrowed(number) as each:
            each.shutdown(socket.SHUT_RDWR)


def _outgoing() -> Mapping[str, int]:
    """Return the descriptors of connections that this process began, which are gRPC's.

    What has the port of a socket that listens was accepted.
    """
    listening, ports = set(), {}
    entries: list[Path] = []
    with suppress(OSError):  # too many files are open, or it is no Linux
        entries.extend(DESCRIPTORS.iterdir())
    for entry in entries:
        with suppress(OSError):  # it may be closed by now, or not be connected
            name, number = str(entry.readlink()), int(entry.name)
            if not name.startswith("socket:"):
                continue
            with _borrowed(number) as each:
                if each.type != socket.SOCK_STREAM or each.family not in FAMILIES:
                    continue
                port = each.getsockname()[1]
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    listening.add(port)
                else:
                    each.getpeername()
                    ports[name, number] = port
    return {name: number for (name, number), port in ports.items() if port not in listening}


@contextmanager
def _borrowed(number: int) -> Iterator[socket.socket]:
    """Have the socket of a descriptor, and leave it to its owner."""
    each = socket.socket(fileno=number)
    try:
        yield each
    finally:
        each.detach()
