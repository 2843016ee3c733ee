"""What one client may cost the others, with real sockets and short limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exporter.web import sockets
from exporter.web.auth import BasicAuth
from exporter.web.connection import Connection
from exporter.web.connections import Connections
from exporter.web.limits import Limits, TokenBucket
from exporter.web.places import Places
from exporter.web.server import Server
from exporter.web.site import Site
from exporter.web.toolkit import WebConfig
from support.process import exporter, get

pytestmark = pytest.mark.alone

SHORT = Limits(handshake=0.2, headers=0.2, idle=0.2, stall=0.2, patience=0.1, check_interval=0.02)
LONG = Limits(check_interval=0.02)
DEADLINE = 20.0  # seconds, for what should take a fraction of one
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = b"x" * 50_000_000  # more than all buffers on the way hold
Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def server(
    limits: Limits, scrapes: int = 40, site: type[Site] = Site
) -> AsyncIterator[tuple[Open, Connections]]:
    """Serve `/`, which is short, and `/big`, which is not."""
    connections = Connections(limits)
    places = Places(scrapes, limits)

    def enter(request: web.BaseRequest) -> AbstractAsyncContextManager[None]:
        assert isinstance(request.protocol, Connection)
        return places.enter(request.protocol)

    async def short(request: web.BaseRequest) -> web.StreamResponse:
        async with enter(request):
            return web.Response(text="short\n")

    async def big(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BIG))})
        async with enter(request):
            try:
                await response.prepare(request)
                for start in range(0, len(BIG), 2**18):
                    await response.write(BIG[start : start + 2**18])
            except ConnectionError:
                pass
        return response

    made = site(
        {"/": {"GET": short}, "/big": {"GET": big}},
        WebConfig,
        BasicAuth(),
        TokenBucket(asyncio.get_running_loop().time),
    )
    listening = await sockets.bind("127.0.0.1", 0)
    port = listening[0].getsockname()[1]
    writers = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        writers.append(writer)
        return reader, writer

    async with asyncio.timeout(DEADLINE):
        async with Server(made, connections, WebConfig, None).serve(listening):
            yield connect, connections
            for writer in writers:
                writer.transport.abort()


async def ends(reader: asyncio.StreamReader) -> None:
    """Read until the server hangs up."""
    try:
        while await reader.read(2**16):
            pass
    except ConnectionError:
        pass


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again; the server's own deadline ends it."""
    pause = threading.Event()
    while not condition():
        await asyncio.to_thread(pause.wait, 0.01)


async def scrape(connect: Open, request: bytes = GET) -> int:
    """Return the status of an answer on a new connection."""
    reader, writer = await connect()
    writer.write(request)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_headers_have_to_come_in_time(sent: bytes) -> None:
    """From the connection's start on, so that one that sends nothing ends, too."""

    async def main() -> None:
        async with server(replace(LONG, headers=0.2)) as (connect, _):
            reader, writer = await connect()
            writer.write(sent)
            await ends(reader)

    asyncio.run(main())


def test_a_byte_now_and_then_wins_no_time() -> None:
    """The time runs from a request's first byte, not from its last."""

    async def main() -> None:
        async with server(replace(LONG, headers=0.2)) as (connect, _):
            reader, writer = await connect()
            writer.write(GET)
            assert b"200" in await reader.readline()
            ended = asyncio.create_task(ends(reader))
            while not ended.done():
                writer.write(b"G")
                await asyncio.wait([ended], timeout=0.05)

    asyncio.run(main())


def test_an_idle_connection_is_closed() -> None:
    """But later than any scrape interval."""

    async def main() -> None:
        async with server(replace(LONG, idle=0.2)) as (connect, _):
            reader, writer = await connect()
            writer.write(GET)
            await ends(reader)

    asyncio.run(main())
    assert Limits().idle >= 300


def test_a_client_that_does_not_read_is_cut_off() -> None:
    """Whatever is still to send."""

    async def main() -> None:
        async with server(replace(LONG, stall=0.2)) as (connect, connections):
            _, writer = await connect()
            writer.write(GET.replace(b"/ ", b"/big ", 1))
            await until(lambda: any(connection.stalled_since for connection in connections))
            await until(lambda: not len(connections))

    asyncio.run(main())


def test_above_the_limit_a_scrape_gets_503_and_when_to_come_again() -> None:
    """While those in flight have their time."""

    async def main() -> None:
        async with server(replace(LONG, queue=0.1), scrapes=1) as (connect, _):
            reader, writer = await connect()
            writer.write(GET.replace(b"/ ", b"/big ", 1))
            assert b"200" in await reader.readline()
            other, asking = await connect()
            asking.write(GET)
            head = await other.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in head
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(BIG)) == BIG
            assert await scrape(connect) == HTTPStatus.OK

    asyncio.run(main())


def test_a_stalled_scrape_loses_its_place_to_another() -> None:
    """Or a few clients that do not read would keep Prometheus out."""

    async def main() -> None:
        async with server(replace(LONG, patience=0.1), scrapes=1) as (connect, _):
            reader, writer = await connect()
            writer.write(GET.replace(b"/ ", b"/big ", 1))
            assert b"200" in await reader.readline()
            while await scrape(connect) != HTTPStatus.OK:
                pass
            await ends(reader)

    asyncio.run(main())


def test_a_connection_that_was_quick_goes_before_those_that_come_back() -> None:
    """Or slow clients that retry faster than Prometheus would keep it out."""

    async def main() -> None:
        async with server(replace(LONG, patience=0.1), scrapes=1) as (connect, connections):
            reader, writer = await connect()
            writer.write(GET)
            assert b" 200 " in await reader.readline()
            await reader.readuntil(b"short\n")

            async def slow() -> None:
                while True:
                    other, asking = await connect()
                    asking.write(GET.replace(b"/ ", b"/big ", 1))
                    with contextlib.suppress(ConnectionError):
                        await other.readline()
                    await ends(other)

            attackers = [asyncio.create_task(slow()) for _ in range(20)]
            await until(lambda: len(connections) > 15)
            for _ in range(5):
                writer.write(GET)
                assert b" 200 " in await reader.readline()
                await reader.readuntil(b"short\n")
            for each in attackers:
                each.cancel()
            await asyncio.gather(*attackers, return_exceptions=True)

    asyncio.run(main())


def test_scrapes_wait_for_a_place_in_the_order_of_coming() -> None:
    """No more of them than there are places; whoever comes then gets 503 at once."""

    async def main() -> None:
        async with server(LONG, scrapes=2) as (connect, connections):
            held = [await connect() for _ in range(2)]
            for reader, writer in held:
                writer.write(GET.replace(b"/ ", b"/big ", 1))
                assert b" 200 " in await reader.readline()
            order: list[int] = []

            async def wait(number: int) -> None:
                reader, writer = await connect()
                writer.write(GET)
                assert b" 200 " in await reader.readline()
                order.append(number)

            def waiting() -> int:
                return sum(each.idle_since is None for each in connections) - len(held)

            answers = []
            for number in range(2):
                answers.append(asyncio.create_task(wait(number)))
                await until(lambda number=number: waiting() > number)  # type: ignore[misc]
            assert await scrape(connect) == HTTPStatus.SERVICE_UNAVAILABLE
            held[0][1].transport.abort()
            await asyncio.gather(*answers)
            assert order == [0, 1]

    asyncio.run(main())


def test_readers_that_take_long_do_not_keep_others_out() -> None:
    """Though none of them stalls, and each begins anew: every scrape gets its place in time."""

    async def main() -> None:
        limits, pause = replace(LONG, patience=0.2, queue=2.0), threading.Event()
        async with server(limits, scrapes=4) as (connect, _):

            async def read() -> None:
                while True:
                    reader, writer = await connect()
                    writer.write(GET.replace(b"/ ", b"/big ", 1))
                    with contextlib.suppress(ConnectionError):
                        while await reader.read(2**16):
                            await asyncio.to_thread(pause.wait, 0.01)

            readers = [asyncio.create_task(read()) for _ in range(6)]
            for _ in range(10):
                assert await scrape(connect) == HTTPStatus.OK
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    asyncio.run(main())


def test_above_the_limit_the_connection_idle_for_longest_makes_room() -> None:
    """First those that never asked for anything; a scraper's own stays."""

    async def main() -> None:
        async with server(replace(LONG, connections=10)) as (connect, connections):
            reader, writer = await connect()
            writer.write(GET)
            await reader.readuntil(b"short\n")
            idle = [await connect() for _ in range(9)]
            await until(lambda: len(connections) == 10)
            for first, _ in idle[:5]:
                other, asking = await connect()
                asking.write(GET)
                assert b"200" in await other.readline()
                await ends(first)
            writer.write(GET)
            assert b"200" in await reader.readline()

    asyncio.run(main())


def test_a_thousand_idle_and_dribbling_clients_do_not_stop_scrapes() -> None:
    """Nor a thousand more than there may be connections: each scrape is answered with 200."""

    async def main() -> None:
        async with server(replace(SHORT, headers=5, idle=5, connections=400)) as (connect, _):
            clients = [await connect() for _ in range(1000)]
            for number, (_, writer) in enumerate(clients):
                if number % 3:
                    writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n"[: number % 30])
                if number % 3 == 2 and number < 300:
                    writer.write(GET.replace(b"/ ", b"/big ", 1))
            statuses: list[int] = []
            while statuses[-20:] != [HTTPStatus.OK] * 20:
                statuses.append(await scrape(connect))

    asyncio.run(main())


def test_a_running_exporter_outlives_more_clients_than_it_takes() -> None:
    """Idle ones, ones that dribble, ones that do not read: scrapes are answered all the while."""
    with exporter("--demo") as it, contextlib.ExitStack() as clients:
        it.wait_until_ready()
        for number in range(1200):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", it.port), 30))
            client.sendall(
                (b"", b"GET /metrics HT", GET.replace(b"/ ", b"/metrics ", 1))[number % 3]
            )
            if number % 50 == 0:
                assert "viam_billing_up{" in it.scrape()
        for _ in range(20):
            assert "viam_billing_up{" in it.scrape()
        it.process.stop()
        assert "Traceback" not in it.process.stderr.text


@pytest.mark.parametrize("wait_between", [True, False])
def test_headers_are_bounded_together(wait_between: bool) -> None:  # noqa: FBT001
    """Each is short enough, and they are not too many: what counts is what they are in all."""

    async def main() -> None:
        async with server(LONG) as (connect, connections):
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
            lines = [b"X-%d: " % number + b"x" * 8000 + b"\r\n" for number in range(5)]
            for line in lines if wait_between else [b"".join(lines)]:
                writer.write(line)
                before = sum(each.unanswered for each in connections)
                await until(
                    lambda before=before: (  # type: ignore[misc]
                        not len(connections)
                        or sum(each.unanswered for each in connections) > before
                    )
                )
            assert b" 431 " in await reader.readline()
            await ends(reader)

    asyncio.run(main())


def test_headers_of_all_connections_are_bounded() -> None:
    """By the end of the one with most; those that have a little go on."""

    async def main() -> None:
        limits = replace(LONG, unanswered=100_000)
        async with server(limits) as (connect, connections):
            little, asking = await connect()
            asking.write(GET[:-2])
            for _ in range(30):
                _, writer = await connect()
                writer.write(
                    b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"x" * 8000 + b"\r\n") * 3
                )
            # Four at most have what they sent, and 26 were ended.
            await until(lambda: len(connections) <= 5)
            assert sum(each.unanswered for each in connections) <= limits.unanswered
            asking.write(b"\r\n")
            assert b" 200 " in await little.readline()

    asyncio.run(main())


def test_what_was_answered_counts_no_more() -> None:
    """A connection that is used for years never has too many bytes."""

    async def main() -> None:
        async with server(replace(LONG, unanswered=20_000)) as (connect, _):
            reader, writer = await connect()
            for _ in range(20):
                writer.write(GET[:-2] + b"X: " + b"x" * 8000 + b"\r\n\r\n")
                await reader.readuntil(b"short\n")

    asyncio.run(main())


def test_newcomers_leave_room_for_those_that_ask() -> None:
    """A tenth of the places is for connections that asked for something."""

    async def main() -> None:
        async with server(replace(LONG, connections=20)) as (connect, connections):
            idle = [await connect() for _ in range(30)]
            for first, _ in idle[:12]:
                await ends(first)
            assert len(connections) == 18
            asked = []
            for _ in range(5):
                reader, writer = await connect()
                writer.write(GET)
                assert b" 200 " in await reader.readline()
                asked.append(writer)
            await until(lambda: len(connections) <= 20)

    asyncio.run(main())


def flood(port: int, rate: int, seconds: float) -> None:
    """Open connections that send nothing, so many a second, and keep the last 3000 open."""
    sockets: deque[socket.socket] = deque()
    pause = threading.Event()
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        for number in range(int(rate * seconds)):
            if number % 50 == 0:
                pause.wait(max(0.0, begun + number / rate - time.monotonic()))
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            sockets.append(client)
            if len(sockets) > 3000:
                sockets.popleft().close()


def test_a_flood_of_silent_connections_does_not_stop_scrapes() -> None:
    """3000 a second: descriptors stay within the limit, and every scrape is whole."""
    with exporter("--demo") as it:
        it.wait_until_ready()
        clients = threading.Thread(target=flood, args=(it.port, 3000, 3.0))
        clients.start()
        scrapes = 0
        while clients.is_alive():
            assert "viam_billing_up{" in it.scrape()
            assert it.process.descriptors <= Limits().connections
            scrapes += 1
        clients.join()
        assert scrapes > 10


def test_headers_that_never_end_cost_little() -> None:
    """Nine hundred clients with sixty headers of 8 kB each, before any password."""
    head = b"GET /metrics HTTP/1.1\r\nHost: a\r\n"
    head += b"".join(b"X-%d: " % number + b"x" * 8000 + b"\r\n" for number in range(60))
    with exporter("--demo") as it, contextlib.ExitStack() as clients:
        it.wait_until_ready()
        before = it.process.memory
        for number in range(900):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", it.port), 30))
            with contextlib.suppress(ConnectionError):
                client.sendall(head)
            if number % 100 == 0:
                assert "viam_billing_up{" in it.scrape()
        assert it.process.memory - before < 100_000_000


class Broken(Site):
    """A site that meets a bug with its first client."""

    broken = False

    def admit(self, transport: asyncio.Transport) -> bool:
        """Raise for one, and admit the others."""
        if not self.broken:
            self.broken = True
            raise UnicodeError
        return super().admit(transport)


def test_whatever_a_connection_raises_ends_that_connection() -> None:
    """It is logged once, and the next one is served."""

    async def main() -> None:
        async with server(LONG, site=Broken) as (connect, connections):
            reader, writer = await connect()
            writer.write(GET)
            await ends(reader)
            assert not len(connections)
            assert await scrape(connect) == HTTPStatus.OK

    with capture_logs() as logs:
        asyncio.run(main())
    assert [log["event"] for log in logs if log["log_level"] == "error"] == [
        "a connection was closed because of a bug"
    ]


def test_pages_that_nobody_reads_cost_little(tmp_path: Path) -> None:
    """Few are made or sent at once; those that are not taken make room when others wait."""
    document = {
        "api": {"address": "127.0.0.1:1", "tls": False},
        "credentials": {"api_key_id": "id", "api_key": "key"},
        "organizations": [{"id": f"{number:0200}"} for number in range(2000)],
    }
    file = tmp_path / "exporter.yml"
    file.write_text(json.dumps(document))
    with exporter(f"--config.file={file}") as it, contextlib.ExitStack() as clients:
        assert len(get(it.port, "/config").body) > 500_000
        before = it.process.memory
        for _ in range(600):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", it.port))
            client.sendall(b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n")
        statuses = set()
        while HTTPStatus.OK not in statuses:
            statuses.add(get(it.port, "/config").status)
        assert statuses <= {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}
        assert it.process.memory - before < 150_000_000


def test_a_port_that_is_taken_leaves_no_socket_behind() -> None:
    """`localhost` may be two addresses; when one is taken, neither stays."""

    async def main() -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        with taken, pytest.raises(OSError, match="in use"):
            await sockets.bind("127.0.0.1", taken.getsockname()[1])

    asyncio.run(main())
