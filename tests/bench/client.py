"""A client of HTTP servers that costs little and keeps its connection."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

BUFFER: Final = 1 << 20
PATIENCE: Final = 180.0  # seconds for one answer
# What Prometheus sends.
ACCEPT: Final = (
    "Accept: application/openmetrics-text;version=1.0.0,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
    "*/*;q=0.1\r\n"
)
HEADERS: Final = {"gzip": f"{ACCEPT}Accept-Encoding: gzip\r\n", "identity": ACCEPT}


class Answer(NamedTuple):
    """What an answer took, in seconds from the request to its last byte, and its size."""

    seconds: float
    size: int


class Client:
    """One connection to a server of this machine, made anew when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(BUFFER))

    def scrape(self, encoding: str) -> Answer:
        """Read the page as Prometheus does, to its end."""
        return self.get("/metrics", HEADERS[encoding])

    def get(self, path: str, headers: str = "") -> Answer:
        """Read what is under a path; anything but a success is an error."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        started = time.perf_counter()
        self._socket.sendall(request)
        head, body = self._head(self._socket)
        size = self._body(self._socket, head, body)
        return Answer(time.perf_counter() - started, size)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _head(self, connection: socket.socket) -> tuple[str, bytes]:
        """Return an answer's headers, and what came of its body with them."""
        received = b""
        while b"\r\n\r\n" not in received:
            count = connection.recv_into(self._buffer)
            if not count:
                raise ConnectionError("closed before an answer came")
            received += self._buffer[:count]
        head, _, body = received.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        if " 200 " not in text.partition("\r\n")[0]:
            raise ConnectionError(f"answered {text!r}")
        return text, body

    def _body(self, connection: socket.socket, head: str, body: bytes) -> int:
        length = re.search(r"(?im)^content-length: *(\d+)", head)
        chunked = re.search(r"(?im)^transfer-encoding: *chunked", head)
        size, end = len(body), body[-5:]
        while True:
            if length and size >= int(length[1]):
                break
            if chunked and end == b"0\r\n\r\n":
                break
            count = connection.recv_into(self._buffer)
            if not count:
                if length or chunked:
                    raise ConnectionError("closed in the middle of an answer")
                break
            size += count
            end = (end + bytes(self._buffer[max(0, count - 5) : count]))[-5:]
        if head.startswith("HTTP/1.0") or re.search(r"(?im)^connection: *close", head):
            self.close()
        return size


def wait(condition: Callable[[], bool], what: str, *, within: float, look_every: float) -> float:
    """Return the seconds until a condition holds, looking that often. Times are seconds."""
    started = time.monotonic()
    pause = threading.Event()
    while not condition():
        if time.monotonic() - started > within:
            raise TimeoutError(f"after {within:g} s still not: {what}")
        pause.wait(look_every)
    return time.monotonic() - started


def pause(seconds: float) -> None:
    """Let that much time pass."""
    if seconds > 0:
        threading.Event().wait(seconds)
