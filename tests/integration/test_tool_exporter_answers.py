"""Asking an exporter, whoever answers: each answer ends, in bytes and in time, and is checked."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest

from exporter.api.billing import BillingError
from exporter.model import Cause, Secret
from exporter.tool import exporters
from exporter.tool.exporter_flags import Access
from exporter.tool.exporters import MAX_ANSWER, Listing
from support.certificates import Authority
from support.exporter_api import day, days, line, page
from support.process import free_port

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
SOON = 0.3  # seconds: a deadline that a test can wait for


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer of HTTP."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def document(value: object) -> bytes:
    """Return an answer that is a JSON document."""
    return response(json.dumps(value).encode(), "200 OK", "Content-Type: application/json")


def always(answer: bytes) -> Respond:
    """Give the same answer to each request."""

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return respond


async def asked(
    respond: Respond,
    call: Callable[[exporters.Exporter], Awaitable[Any]],
    server_tls: ssl.SSLContext | None = None,
    end: bytes = b"\r\n\r\n",
    **keys: Any,
) -> Any:
    """Return what comes of a call to a server that responds like this to what has this end."""
    connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await respond(await reader.readuntil(end), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=server_tls)
    try:
        async with reached(server.sockets[0].getsockname()[1], **keys) as (there,):
            return await call(there)
    finally:
        server.close()
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)
        with suppress(Exception):  # it is gone
            await asyncio.gather(*(each.wait_closed() for each in connections.values()))


def reached(
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    deadline: float = exporters.DEADLINE,
    login: tuple[str, Secret] | None = None,
) -> AbstractAsyncContextManager[Sequence[exporters.Exporter]]:
    """Have the exporter at a port of this machine."""
    user, password = login or (None, None)
    url = f"{'http' if tls is None else 'https'}://localhost:{port}"
    context = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return exporters.reached(Access([url], user, password, context), deadline)


def refused(respond: Respond, **keys: Any) -> BillingError:
    """Return why the organizations of such a server cannot be had."""
    with pytest.raises(BillingError) as caught:
        asyncio.run(asked(respond, lambda there: there.organizations(), **keys))
    return caught.value


def listed(respond: Respond, **keys: Any) -> Listing:
    """Return the organizations of such a server."""
    found: Listing = asyncio.run(asked(respond, lambda there: there.organizations(), **keys))
    return found


# --- What is no answer ---

INVALID = "its answer does not match this release's API"
BAD_JSON = {
    "nothing": b"",
    "no JSON": b"<!DOCTYPE html><title>Sign in</title>",
    "half of it": json.dumps(page(line("a"))).encode()[:-10],
    "no object": b"[]",
    "null": b"null",
    "another encoding": json.dumps(page(line("a"))).encode("utf-16"),
    "bytes that are no text": b'{"organizations": "\xff"}',
    "a half of a pair": json.dumps(page(line("a"))).replace('"a"', '"\\ud800"').encode(),
    "another document": json.dumps({"organizations": []}).encode(),
    "nested for ever": b'{"x": ' + b"[" * 1_000_000,
    "not a number": json.dumps(page(line("a", month_to_date_usd=float("nan")))).encode(),
    "infinity": json.dumps(page(line("a", month_to_date_usd=float("inf")))).encode(),
    "a number too large": b'{"organizations": [{"org_id": "a", "org_name": "a", "budget_usd": 1'
    + b"0" * 400
    + b'}], "shard": {"ordinal": 0, "total": 1}, "next_cursor": null}',
    "a number that never ends": b'{"x": 1' + b"0" * 100_000 + b"}",
    "text for a number": json.dumps(page(line("a", month_to_date_usd="12.34"))).encode(),
    "a truth for a number": json.dumps(page(line("a", month_to_date_usd=True))).encode(),
    "a number for text": json.dumps(page(line("a", org_name=1))).encode(),
    "no id": json.dumps(page(line(""))).encode(),
    "no time": json.dumps(page(line("a", period_start="soon"))).encode(),
    "an object for a list": json.dumps(page(line("a", failures={}))).encode(),
    "half a failure": json.dumps(page(line("a", failures=[{"cause": "x"}]))).encode(),
    "too many shards": json.dumps(page(shard=(0, 10**9))).encode(),
    "a shard below 0": json.dumps(page(shard=(-1, 2))).encode(),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_none_of_the_api_is_told_as_that(name: str) -> None:
    """Nothing of it is repeated, and nothing of it is a bug."""
    error = refused(always(response(BAD_JSON[name])))
    assert (error.cause, error.code, str(error)) == (
        Cause.INVALID_ANSWER,
        "INVALID_ANSWER",
        INVALID,
    )


@pytest.mark.parametrize(
    "listing",
    [
        [day("2026-11-02", 1.0), day("2026-11-01", 1.0)],
        [day("2026-11-01", 1.0), day("2026-11-01", 1.0)],
        [day("2026-11-31", 1.0)],
        [day("20261101", 1.0)],
        [day("2026-11-01", -1.0)],
        [day("2026-11-01", float("nan"))],
        [{**day("2026-11-01", 1.0), "unknown_seconds": None}],
        [{**day("2026-11-01", 1.0), "resources": {"a": "1"}}],
    ],
)
def test_days_that_are_none_are_told_as_that(listing: list[dict[str, Any]]) -> None:
    """Out of order, twice, of no calendar, below 0."""
    with pytest.raises(BillingError, match=re.escape(INVALID)):
        asyncio.run(asked(always(document(days("a", *listing))), lambda there: there.days("a")))


def test_days_of_another_organization_are_refused() -> None:
    """They would be put down to this one."""
    respond = always(document(days("b", day("2026-11-01", 1.0))))
    with pytest.raises(BillingError, match="its answer is for another organization"):
        asyncio.run(asked(respond, lambda there: there.days("a")))


STATUSES = {
    "301 Moved Permanently": (Cause.OTHER, "it redirects: give the address that it redirects to"),
    "307 Temporary Redirect": (Cause.OTHER, "it redirects: give the address that it redirects to"),
    "401 Unauthorized": (
        Cause.CREDENTIALS,
        "it requires another user or password: see --exporter.user",
    ),
    "403 Forbidden": (Cause.PERMISSION, "it does not allow this client"),
    "404 Not Found": (
        Cause.OTHER,
        "it has no such page: check the address and the exporter's release",
    ),
    "421 Misdirected Request": (
        Cause.OTHER,
        "it does not accept this host name: allow it there with --web.allowed-host",
    ),
    "429 Too Many Requests": (Cause.THROTTLED, "it asks for fewer requests"),
    "400 Bad Request": (Cause.OTHER, "it refuses the request"),
    "500 Internal Server Error": (Cause.OUTAGE, "it cannot answer now"),
    "503 Service Unavailable": (Cause.OUTAGE, "it cannot answer now"),
    "204 No Content": (Cause.OTHER, "it refuses the request"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_told_in_our_words(status: str) -> None:
    """The text of such an answer may be anybody's, and the place it leads to as well."""
    answer = response(b'{"error": "secret"}', status, "Location: http://secret.example/")
    error = refused(always(answer if not status.startswith("204") else answer[:-19]))
    cause, message = STATUSES[status]
    number = status.partition(" ")[0]
    assert (error.cause, error.code) == (cause, f"HTTP_{number}")
    assert str(error) == f"{message} (HTTP {number})"


def test_a_redirect_is_not_followed() -> None:
    """Not even to the same server: a password would go along."""
    paths = []

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        paths.append(head.split()[1])
        writer.write(response(b"", "302 Found", "Location: /elsewhere"))

    refused(respond)
    assert paths == [b"/api/v1/organizations?limit=500"]


def test_an_endless_body_is_cut_off() -> None:
    """Once it is larger than any answer can be."""

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()

    error = refused(respond)
    assert str(error) == f"its answer is larger than {MAX_ANSWER >> 20} MiB"


def test_endless_headers_are_cut_off() -> None:
    """Before they fill the memory."""

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: " + b"x" * 0x10000)
            await writer.drain()

    assert refused(respond).cause is Cause.OUTAGE


async def silent(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""


async def dripping(_head: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    ticks = asyncio.Event()
    while True:
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        try:
            await asyncio.wait_for(ticks.wait(), SOON / 10)
        except TimeoutError:
            continue


@pytest.mark.parametrize("respond", [silent, dripping])
def test_a_slow_answer_has_a_deadline(respond: Respond) -> None:
    """Whether nothing comes, or a little at a time."""
    error = refused(respond, deadline=SOON)
    assert (error.code, str(error)) == ("DEADLINE_EXCEEDED", "it did not answer within 0.3 s")


def test_a_compressed_answer_is_refused() -> None:
    """None was asked for, and a little of it may be very much."""
    heads = []

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        body = gzip.compress(json.dumps(page()).encode())
        writer.write(response(body, "200 OK", "Content-Encoding: gzip"))

    assert str(refused(respond)) == "its answer is compressed, which was not asked for"
    assert b"Accept-Encoding: identity\r\n" in heads[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the connection was closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "the connection was closed"),
        (b"SSH-2.0-x\r\n\r\n", "what answers there is not HTTP: check whether it needs https"),
    ],
)
def test_a_connection_that_breaks_is_an_outage(answer: bytes, reason: str) -> None:
    """And what speaks no HTTP is told as that."""

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    error = refused(respond)
    assert (error.cause, str(error)) == (Cause.OUTAGE, f"it cannot be reached: {reason}")


def test_nobody_there() -> None:
    """Neither at the port, nor by the name."""
    for url, reason in (
        (f"http://127.0.0.1:{free_port()}", "the connection was refused"),
        ("http://nobody.invalid:8426", "its name cannot be resolved"),
    ):

        async def ask(url: str = url) -> None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            async with exporters.reached(Access([url], None, None, tls)) as (there,):
                await there.organizations()

        with pytest.raises(BillingError, match=f"it cannot be reached: {reason}"):
            asyncio.run(ask())


# --- Pages ---


def test_pages_are_read_to_the_last() -> None:
    """Each goes on from the cursor of the one before."""
    pages = {
        "limit=500": page(line("a"), cursor="x/1 &"),
        "limit=500&cursor=x/1+%26": page(line("b"), shard=(1, 2)),
    }

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        query = head.split()[1].decode().partition("?")[2]
        writer.write(document(pages[query]))

    found = listed(respond)
    assert [each.org_id for each in found.organizations] == ["a", "b"]
    assert (found.shard.ordinal, found.shard.total) == (1, 2)


@pytest.mark.parametrize(
    "cursors", [("x", "x"), ("x", "y", "x")], ids=["the same again", "in a circle"]
)
def test_pages_without_an_end_are_refused(cursors: tuple[str, ...]) -> None:
    """A cursor that leads back."""
    given = iter([*cursors, *cursors, *cursors])

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(document(page(line("a"), cursor=next(given))))

    assert str(refused(respond)) == "its answer has no end"


def test_pages_with_nobody_on_them_are_refused() -> None:
    """Though each has another cursor."""
    numbers = iter(range(1000))

    async def respond(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(document(page(cursor=str(next(numbers)))))

    assert str(refused(respond)) == "its answer has no end"
    assert next(numbers) == 1


@pytest.mark.parametrize("org_id", ["a", "a/b", "a b", "..", ".", "%2F", "日本", "?x=1#y", "a\nb"])
def test_an_id_is_one_part_of_the_path(org_id: str) -> None:
    """Whatever is in it; what clients would take out of a path is a parameter."""
    heads = []

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head.split()[1].decode())
        writer.write(document(days(org_id, day("2026-11-01", 1.0))))

    found = asyncio.run(asked(respond, lambda there: there.days(org_id)))
    assert [each.spend_usd for each in found] == [1.0]
    path, _, query = heads[0].partition("?")
    parts = path.split("/")
    assert parts[:4] == ["", "api", "v1", "organizations"]
    assert parts[5:] == ["days"]
    assert bool(query) is (parts[4] == "") is (org_id in {".", ".."})


# --- TLS ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority with a server's certificate, and one for another name."""
    made = Authority(tmp_path_factory.mktemp("exporter-tls"))
    made.issue("server", "DNS:localhost")
    made.issue("other", "DNS:other.example")
    made.issue("client", "DNS:client")
    return made


def of_server(authority: Authority, name: str = "server") -> ssl.SSLContext:
    """Return a server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / f"{name}.crt", authority.folder / f"{name}.key")
    return context


def trusting(authority: Authority) -> ssl.SSLContext:
    """Return a client's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.crt)
    return context


def test_a_certificate_has_to_be_trusted_and_for_this_name(authority: Authority) -> None:
    """Else nothing is sent: the connection never comes about."""
    seen = []

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(document(page(line("a"))))

    server = of_server(authority)
    assert len(listed(respond, server_tls=server, tls=trusting(authority)).organizations) == 1
    assert len(seen) == 1
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    error = refused(respond, server_tls=server, tls=stranger)
    assert str(error) == (
        "it cannot be reached: its certificate is not trusted (unable to get local issuer "
        "certificate): see --exporter.ca-file"
    )
    other = of_server(authority, "other")
    error = refused(respond, server_tls=other, tls=trusting(authority))
    assert "Hostname mismatch" in str(error)
    assert len(seen) == 1


def test_a_server_that_speaks_no_tls_is_told_as_that(authority: Authority) -> None:
    """And one that speaks nothing else."""
    hello = b"\x16\x03"  # what TLS begins with
    plain = refused(always(response(b"", "400 Bad")), tls=trusting(authority), end=hello)
    assert "no TLS connection could be made: check whether it speaks https" in str(plain)
    server = of_server(authority)
    encrypted = refused(always(document(page())), server_tls=server)
    assert encrypted.cause is Cause.OUTAGE


def test_a_client_certificate_is_shown(authority: Authority) -> None:
    """To a server that wants one; without it, the connection ends."""
    server = of_server(authority)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.crt)
    respond = always(document(page(line("a"))))
    tls = trusting(authority)
    assert refused(respond, server_tls=server, tls=tls).cause is Cause.OUTAGE
    tls = trusting(authority)
    tls.load_cert_chain(authority.folder / "client.crt", authority.folder / "client.key")
    assert len(listed(respond, server_tls=server, tls=tls).organizations) == 1


# --- Who asks ---


def test_user_and_password_are_sent_as_utf_8() -> None:
    """By basic authentication, with each request."""
    heads = []

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(document(page()))

    listed(respond, login=("jürgen", Secret("pässword:x")))
    assert b"Authorization: Basic asO8cmdlbjpww6Rzc3dvcmQ6eA==\r\n" in heads[0]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_no_proxy_of_the_environment_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for the way to Viam, and would see the password."""
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert listed(always(document(page(line("a"))))).organizations[0].org_id == "a"
