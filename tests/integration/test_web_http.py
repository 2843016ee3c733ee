"""Odd and hostile requests, byte for byte: the right status, never a 500, nothing repeated."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from support.process import PATIENCE, Exporter, exporter

CANARY = b"canary7319"


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo."""
    with exporter("--demo", "--log.level=debug") as running:
        running.wait_until_ready()
        yield running


def send(port: int, request: bytes) -> bytes:
    """Return everything that is answered until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while data := connection.recv(2**16):
                answer += data
        except ConnectionError:
            pass
        return answer


def get(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """Return a request that asks for the connection to be closed."""
    lines = [
        method + b" " + target + b" HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def status(answer: bytes) -> int:
    """Return the status of the first answer."""
    match = re.match(rb"HTTP/[01]\.[019] (\d{3}) ", answer)
    assert match, answer[:200]
    return int(match[1])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get(b"/-/healthy"), 200),
        (get(b"/-/healthy?" + CANARY), 200),
        (get(b"http://" + CANARY + b"/-/healthy"), 200),
        (get(b"/-/%68ealthy"), 200),
        (get(b"/" + CANARY), 404),
        (get(b"//metrics"), 404),
        (get(b"/./metrics"), 404),
        (get(b"/%2e%2e/config"), 404),
        (get(b"/-/healthy/..%2f..%2fconfig"), 404),
        (get(b"/metrics%00" + CANARY), 404),
        (get(b"/metrics;" + CANARY), 404),
        (get(b"/%ff%fe" + CANARY), 404),
        (get(b"/%" + CANARY), 404),
        (get(b"/<script>" + CANARY), 404),
        (get(b"/api/v1/organizations?" + CANARY), 400),
        (get(b"/api/v1/organizations?limit=%00" + CANARY), 400),
        (get(b"/api/v1/organizations?cursor=%ff" + CANARY), 400),
        (get(b"/api/v1/organizations/" + CANARY), 404),
        (get(b"/api/v1/organizations/%2e%2e/" + CANARY), 404),
        (get(b"/api/v1/organizations/%ff" + CANARY + b"/days"), 404),
        (get(b"/api/../config?" + CANARY), 404),
        (get(b"/api/v1/organizations", method=b"DELETE"), 405),
        (get(b"/api/v1/organizations", b"Content-Length: 10") + CANARY, 413),
        (get(b"*", method=b"OPTIONS"), 404),
        (get(b"/metrics", method=b"OPTIONS"), 405),
        (get(b"/metrics", method=b"TRACE"), 405),
        (get(b"/metrics", method=CANARY.upper()), 400),
        (get(b"a:443", method=b"CONNECT"), 405),
        (get(b"/metrics\x00" + CANARY), 400),
        (get(b"/metrics\r\nX: \x00" + CANARY), 400),
        (get("/mé".encode() + CANARY), 400),
        (get(b"/metrics", b"X " + CANARY), 400),
        (get(b"/metrics", b": " + CANARY), 400),
        (get(b"/" + CANARY * 2000), 431),
        (get(b"/metrics", b"X-Long: " + CANARY * 2000), 431),
        (get(b"/metrics", *(b"X-%d: %s" % (n, CANARY) for n in range(200))), 400),
        (get(b"/metrics", b"Accept: " + CANARY + b';q=\xff,,;;="\\'), 200),
        (get(b"/metrics", b"Accept-Encoding: gzip;q=" + CANARY), 200),
        (get(b"/-/healthy", b"Expect: " + CANARY), 200),
        (get(b"/-/healthy", b"Upgrade: websocket", b"Connection: Upgrade"), 200),
        (get(b"/metrics", b"Content-Length: 10") + CANARY, 413),
        (get(b"/metrics", b"Content-Length: 99999999999"), 413),
        (get(b"/metrics", b"Content-Length: -1"), 400),
        (get(b"/metrics", b"Content-Length: 1", b"Content-Length: 2"), 400),
        (get(b"/metrics", b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (get(b"/metrics", b"Transfer-Encoding: chunked") + b"5\r\ncanar\r\n0\r\n\r\n", 413),
        (get(b"/-/reload", method=b"POST"), 403),
        (b"GET /-/healthy HTTP/1.0\r\n\r\n", 200),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /-/healthy HTTP/1.1\r\n\r\n", 400),
        (b"GET /-/healthy HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"GET /-/healthy\r\n\r\n", 505),
        (b"\x16\x03\x01" + CANARY + b"\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_odd_requests_get_the_right_status(demo: Exporter, request_: bytes, expected: int) -> None:
    """With the headers of every response, and nothing of what was sent."""
    answer = send(demo.port, request_)
    assert status(answer) == expected
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nX-Content-Type-Options: nosniff" in head
    assert b"\r\nCache-Control: no-store" in head
    assert b"\r\nX-Frame-Options: deny" in head
    assert b"\r\nServer:" not in head
    assert CANARY not in answer.lower()
    if expected >= 400:
        assert len(body) < 100
        is_api = b" /api/" in request_
        content_type = b"application/json" if is_api else b"text/plain"
        assert b"\r\nContent-Type: " + content_type in head


def test_a_version_that_is_not_spoken_is_refused(demo: Exporter) -> None:
    """The status line repeats the request's version, as aiohttp writes it."""
    answer = send(demo.port, b"GET /-/healthy HTTP/2.0\r\nHost: a\r\n\r\n")
    assert answer.split(b"\r\n")[0].split(b" ", 1)[1] == b"505 HTTP Version Not Supported"
    assert answer.endswith(b"\r\n\r\nHTTP version not supported\n")


def test_nothing_of_it_is_in_the_log(demo: Exporter) -> None:
    """Not at debug level: a header can be a password. And no request is a bug."""
    for request in (b"GET /" + CANARY * 2000, CANARY + b" / HTTP/1.1", b"GET / \x00" + CANARY):
        send(demo.port, request + b"\r\n\r\n")
    demo.process.stderr.wait_for("no request")
    assert CANARY.decode() not in demo.process.stderr.text
    assert "Traceback" not in demo.process.stderr.text


def test_pipelined_requests_are_answered_in_order(demo: Exporter) -> None:
    """Each of them, also behind one that is not found."""
    keep = b" HTTP/1.1\r\nHost: a\r\n\r\n"
    requests = b"GET /-/healthy" + keep + b"HEAD /metrics" + keep + b"GET /none" + keep
    answer = send(demo.port, requests * 10 + get(b"/-/healthy"))
    codes = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    assert codes == [200, 200, 404] * 10 + [200]


def test_a_request_to_upgrade_is_answered_and_the_connection_closed(demo: Exporter) -> None:
    """Else the ones after it would get no answer, or each that of another."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    first = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n" + upgrade
    answer = send(demo.port, first + b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(answer) == 200
    assert answer.count(b"HTTP/1.1 200") <= 2


def test_head_has_no_body(demo: Exporter) -> None:
    """Not for errors either."""
    for target in (b"/", b"/metrics", b"/config", b"/none"):
        answer = send(demo.port, get(target, method=b"HEAD"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert body == b""
        assert re.search(rb"\r\nContent-Length: [1-9]", head)
