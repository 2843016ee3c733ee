"""A service that keeps to HTTP/2 and not to gRPC, and what gRPC raises by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause, Clock, Secret
from exporter.pb import billing_pb2
from exporter.process.clock import SystemClock
from exporter.simulator import http2
from support.process import EXPORTER, PATIENCE, TOOL, Exporter, parse, running, until
from support.raw_grpc import DONE, OK, Answer, headers, message, serving
from support.simulated import FIRST, exporter_client, simulation
from support.tokens import hold

KEY = ApiKey("key", secret=Secret("secret"))
USAGE = ReadRpc.GET_CURRENT_MONTH_USAGE
CANARY = b"eyJ-words-of-the-server"


def no_message(stream: int) -> bytes:
    """Answer with headers and trailers alone, which say that all went well."""
    return headers(stream, OK) + headers(stream, DONE, end=True)


def at_once(stream: int) -> bytes:
    """Answer so in one frame."""
    return headers(stream, [*OK, *DONE], end=True)


def other_type(stream: int) -> bytes:
    """Answer with a page that is not gRPC's."""
    html = [(b":status", b"200"), (b"content-type", b"text/html")]
    return headers(stream, html) + headers(stream, DONE, end=True)


def flagged(flag: int) -> Answer:
    """Answer with a message whose compression flag is an odd one."""

    def answer(stream: int) -> bytes:
        return headers(stream, OK) + message(stream, b"", flag) + headers(stream, DONE, end=True)

    return answer


def cut(stream: int) -> bytes:
    """Answer with less than the message's length says."""
    part = http2.frame(http2.DATA, 0, stream, b"\0\0\0\0\x09abc")
    return headers(stream, OK) + part + headers(stream, DONE, end=True)


def trailing(stream: int) -> bytes:
    """Answer with a message and 16 kB of trailers."""
    pairs = [*DONE, *((b"x-%d" % number, b"x" * 1000) for number in range(16))]
    return headers(stream, OK) + message(stream, b"") + headers(stream, pairs, end=True)


def heading(stream: int) -> bytes:
    """Answer with 16 kB of headers and a message."""
    pairs = [*OK, *((b"x-%d" % number, b"x" * 1000) for number in range(16))]
    return headers(stream, pairs) + message(stream, b"") + headers(stream, DONE, end=True)


def unreadable(stream: int) -> bytes:
    """Refuse in words that are no UTF-8."""
    words = [(b"grpc-status", b"13"), (b"grpc-message", CANARY + b"\xff")]
    return headers(stream, [*OK, *words], end=True)


def odd_header(stream: int) -> bytes:
    """Refuse beside a header that is no UTF-8."""
    odd = [(b"grpc-status", b"13"), (b"x-odd", CANARY + b"\xff")]
    return headers(stream, [*OK, *odd], end=True)


def impossible(stream: int) -> bytes:
    """Answer with a status that no number is."""
    return headers(stream, [*OK, (b"grpc-status", b"-1"), (b"grpc-message", CANARY)], end=True)


def farewell(_stream: int) -> bytes:
    """Send the client away, with words for its log."""
    protocol_error = (1).to_bytes(4, "big")
    return http2.frame(http2.GOAWAY, 0, 0, bytes(4) + protocol_error + CANARY)


@asynccontextmanager
async def client_of(
    port: int, deadline: float = 5.0, clock: Clock | None = None
) -> AsyncIterator[BillingClient]:
    """Have a client that has a token for the key."""
    client = BillingClient(
        ApiConfig(address=f"127.0.0.1:{port}", tls=False, timeout=deadline),
        user_agent="test",
        roots=None,
        telemetry=Telemetry("1", "a"),
        clock=clock or SystemClock(),
    )
    hold(client, KEY.id, "token")
    try:
        yield client
    finally:
        await client.close()


def run(answer: Answer, scenario: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario beside a service that answers so."""

    async def main() -> None:
        async with serving(answer) as port:
            await scenario(port)

    asyncio.run(main())


async def failure(read: Awaitable[object]) -> BillingError:
    """Return the error that a read ends with, which has nothing of the server's in it."""
    with pytest.raises(BillingError) as caught:
        await read
    error: BaseException | None = caught.value
    while error is not None:  # what a traceback would show
        assert type(error).__module__.startswith("exporter.")
        assert CANARY.decode() not in str(error)
        error = error.__context__
    return caught.value


# By what gRPC makes of them: None, a status of its own, or text that it cannot read.
NO_ANSWERS: dict[str, Answer] = {
    "no message": no_message,
    "trailers at once": at_once,
    "another type": other_type,
    "cut": cut,
    "flag 1": flagged(1),
    "flag 7": flagged(7),
    "16 kB of trailers": trailing,
    "16 kB of headers": heading,
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_is_an_invalid_one_of_every_call(answer: Answer) -> None:
    """Authenticate and ListOrganizations are no other than the calls that poll."""

    async def scenario(port: int) -> None:
        async with client_of(port) as client:
            stranger = ApiKey("another", secret=Secret("secret"))
            for name, read in (
                ("GetCurrentMonthUsage", client.read(USAGE, "o", KEY)),
                ("ListOrganizations", client.organizations(KEY)),
                ("Authenticate", client.read(USAGE, "o", stranger)),
            ):
                error = await failure(read)
                assert error.cause is Cause.INVALID_ANSWER
                assert not error.transient
                assert f"the answer to {name} " in str(error)

    run(answer, scenario)


def page(status: bytes) -> Answer:
    """Return what answers as a proxy or a firewall does that stands before the API."""

    def answer(stream: int) -> bytes:
        fields = ((b":status", status), (b"content-type", b"text/html"), (b"x-sent", CANARY))
        content = http2.frame(http2.DATA, http2.END_STREAM, stream, b"<html>")
        return headers(stream, fields) + content

    return answer


def status(code: int, words: bytes) -> Answer:
    """Return what ends a call with a status, and with words of the server's own."""

    def answer(stream: int) -> bytes:
        fields = (*OK, (b"grpc-status", b"%d" % code), (b"grpc-message", words))
        return headers(stream, fields, end=True)

    return answer


def ended(code: int) -> Answer:
    """Return what ends a call by RST_STREAM."""
    return lambda stream: http2.frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


RST_STREAM = 3
IN_PLACE = "the server cannot be reached: HTTP {} came instead of an answer"
MEANT: dict[str, tuple[Answer, Cause, str]] = {
    **{
        f"HTTP {code}": (page(b"%d" % code), Cause.OUTAGE, IN_PLACE.format(code))
        for code in (301, 400, 401, 403, 404, 431, 500, 503)
    },
    "HTTP 429": (page(b"429"), Cause.THROTTLED, IN_PLACE.format(429)),
    "words of a certificate": (
        status(14, b"upstream: CERTIFICATE_VERIFY_FAILED"),
        Cause.OUTAGE,
        "the server is unavailable",
    ),
    "words of DNS": (status(14, b"no DNS"), Cause.OUTAGE, "the server is unavailable"),
    "words of a page": (status(14, b"status: 503"), Cause.OUTAGE, "the server is unavailable"),
    "words of a size": (
        status(8, b"quota: metadata size exceeds, message larger than max"),
        Cause.THROTTLED,
        "the server asks for fewer requests",
    ),
    "INADEQUATE_SECURITY": (ended(12), Cause.OUTAGE, "the server ended the call"),
    "CANCEL": (ended(8), Cause.OUTAGE, "the server ended the call"),
    "ENHANCE_YOUR_CALM": (ended(11), Cause.THROTTLED, "the server asks for fewer requests"),
}


@pytest.mark.parametrize(("answer", "cause", "words"), MEANT.values(), ids=MEANT)
def test_what_came_in_place_of_an_answer_is_told_by_what_it_is(
    answer: Answer, cause: Cause, words: str
) -> None:
    """Not by the server's words, and never as a key that was refused: nobody makes a new one."""

    async def scenario(port: int) -> None:
        async with client_of(port) as client:
            hold(client, KEY.id, "token")
            error = await failure(client.read(USAGE, "o", KEY))
            assert (error.cause, str(error)) == (cause, f"GetCurrentMonthUsage: {words}")
            assert error.transient

    run(answer, scenario)


@pytest.mark.parametrize("code", [3, 5])
def test_what_names_no_organization_blames_none(code: int) -> None:
    """Authenticate and ListOrganizations carry no id but that of the key."""

    async def scenario(port: int) -> None:
        async with client_of(port) as client:
            error = await failure(client.read(USAGE, "o", ApiKey("other", secret=Secret("s"))))
            assert str(error) == (
                "Authenticate: the request was refused: check the id of the API key"
            )
            hold(client, KEY.id, "token")
            error = await failure(client.organizations(KEY))
            assert str(error).startswith("ListOrganizations: the request was refused")

    run(status(code, b"what is that"), scenario)


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "speaks HTTP/1, not gRPC"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a gRPC server"),
    ],
)
def test_what_is_no_server_of_grpc_is_told_so(greeting: bytes, words: str) -> None:
    """`api.address` is wrong then, and waiting is of no use."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server, client_of(server.sockets[0].getsockname()[1]) as client:
            error = await failure(client.read(USAGE, "o", KEY))
            assert str(error).endswith(f"the server there {words}: check api.address")

    asyncio.run(scenario())


def test_a_token_too_large_for_the_server_is_replaced() -> None:
    """Once at once, then after pauses: a proxy that takes less may have come in between."""

    async def scenario() -> None:
        async with simulation(accounts=[FIRST], clock=SystemClock()) as it:
            grant, granted = it.simulator._service.tokens.grant, 0

            def large(key_id: str, lifetime: float) -> str:
                nonlocal granted
                granted += 1
                token = grant(key_id, lifetime)
                return token if granted > 2 else token + "x" * 20_000

            it.simulator._service.tokens.grant = large  # type: ignore[assignment, method-assign]
            async with exporter_client(it.port) as client:
                key = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
                error = await failure(client.read(USAGE, FIRST.id, key))
                assert error.cause is Cause.CREDENTIALS
                assert str(error).endswith("is larger than the server accepts")
                assert granted == 2
                async with asyncio.timeout(PATIENCE):
                    while granted < 3:
                        with suppress(BillingError):
                            await client.read(USAGE, FIRST.id, key)
                assert await client.read(USAGE, FIRST.id, key)

    asyncio.run(scenario())


def test_a_call_that_grpc_itself_fails_is_a_call_that_failed() -> None:
    """It raises what it documents nowhere: of metadata, and of a channel that was closed."""

    async def scenario(port: int) -> None:
        async with client_of(port) as client:
            hold(client, KEY.id, "a\nb")
            for read in (client.read(USAGE, "o", KEY), client.organizations(KEY)):
                error = await failure(read)
                assert (error.cause, error.transient) == (Cause.OTHER, False)
                assert str(error).endswith(": gRPC itself failed (ExecuteBatchError)")
            await failure(client.read_invoice_pdf("o", "i", KEY, _ignore))
            hold(client, KEY.id, "token")
            await client.close()
            await failure(client.read(USAGE, "o", KEY))
            await failure(client.read_invoice_pdf("o", "i", KEY, _ignore))

    run(no_message, scenario)


async def _ignore(_chunk: bytes) -> None:
    pass


def test_a_call_under_way_when_its_connection_is_closed_fails() -> None:
    """It is not taken for one that was cancelled, which would end who made it without a word."""

    async def scenario(port: int) -> None:
        async with client_of(port) as client:
            reads = [
                asyncio.create_task(failure(client.read(USAGE, "o", KEY))),
                asyncio.create_task(failure(client.read_invoice_pdf("o", "i", KEY, _ignore))),
            ]
            await began.wait()
            await client.close()
            for each in reads:
                error = await each
                assert (error.cause, error.code, error.transient) == (
                    Cause.OUTAGE,
                    "CANCELLED",
                    True,
                )

    began = asyncio.Event()

    def silent(_stream: int) -> bytes:
        began.set()
        return b""

    run(silent, scenario)


class TickingClock(SystemClock):
    """Each look at it takes a while."""

    now = 0.0

    def monotonic(self) -> float:
        """Return a time 2 s later than that before."""
        self.now += 2.0
        return self.now


def test_a_pdf_is_silent_while_no_bytes_of_it_come() -> None:
    """Chunks without bytes do not count: at one in two seconds, five are ten seconds' silence."""

    def chunks(*contents: bytes) -> Answer:
        parts = [billing_pb2.GetInvoicePdfResponse(chunk=each) for each in contents]

        def answer(stream: int) -> bytes:
            sent = b"".join(message(stream, part.SerializeToString()) for part in parts)
            return headers(stream, OK) + sent + headers(stream, DONE, end=True)

        return answer

    async def whole(port: int) -> None:
        async with client_of(port, deadline=10.0, clock=TickingClock()) as client:
            await client.read_invoice_pdf("o", "i", KEY, _ignore)

    async def silence(port: int) -> None:
        async with client_of(port, deadline=10.0, clock=TickingClock()) as client:
            error = await failure(client.read_invoice_pdf("o", "i", KEY, _ignore))
            assert (error.cause, error.code) == (Cause.OUTAGE, "DEADLINE_EXCEEDED")
            assert "nothing arrived" in str(error)

    run(chunks(*(b"x", b"", b"", b"", b"") * 10), whole)
    run(chunks(b"x", *[b""] * 50), silence)


def configuration(folder: Path, port: int, *, tls: bool = False) -> str:
    """Write a configuration with a listed organization and discovery; return the flag for it."""
    file = folder / "exporter.yml"
    document = {
        "api": {"address": f"127.0.0.1:{port}", "tls": tls, "timeout": "2s"},
        "poll": {"interval": "1s"},
        "discovery": {"enabled": True},
        "organizations": [
            {"id": "o", "credentials": {"api_key_id": "key", "api_key": "secret-of-the-key"}}
        ],
    }
    file.touch(0o600)
    file.write_text(yaml.safe_dump(document))
    return f"--config.file={file}"


def beside(answer: Answer, work: Callable[[int], None]) -> None:
    """Do something that blocks beside a service that answers so."""
    run(answer, lambda port: asyncio.to_thread(work, port))


# What makes gRPC raise, log or print something by itself.
TALKED_OF: dict[str, Answer] = {
    "no message": no_message,
    "words": unreadable,
    "header": odd_header,
    "status": impossible,
    "goaway": farewell,
}


@pytest.mark.parametrize("answer", TALKED_OF.values(), ids=TALKED_OF)
def test_the_exporter_outlives_and_does_not_repeat_what_a_call_brings(
    answer: Answer, tmp_path: Path
) -> None:
    """Polls and discovery fail, each told once; every line is ours, and none has their words."""

    def work(port: int) -> None:
        told = logged(configuration(tmp_path, port))
        if answer in {unreadable, odd_header}:
            assert ("debug", "message from gRPC") in told

    beside(answer, work)


def test_a_handshake_that_fails_is_told_in_our_log_alone(tmp_path: Path) -> None:
    """As of a server that has no TLS: gRPC's core prints nothing of it beside our lines."""

    def work(port: int) -> None:
        logged(configuration(tmp_path, port, tls=True))

    beside(no_message, work)


def logged(flag: str) -> list[tuple[str, str]]:
    """Run the exporter until its polls have failed; return levels and messages of its log."""
    flags = ("--web.listen-address=127.0.0.1:0", flag, "--log.format=json", "--log.level=debug")
    with running(*EXPORTER, *flags, environ={"GRPC_VERBOSITY": "debug"}) as process:
        serving = process.stderr.wait_for(r'"addresses": "127\.0\.0\.1:(\d+)"')
        it = Exporter(process, int(serving[1]))
        up = ("viam_billing_up", frozenset({("org_id", "o"), ("org_name", "o")}))
        until(lambda: parse(it.scrape()).get(up) == 0.0, "the polls have failed")
    shown = process.stderr.text
    assert "Traceback" not in shown
    assert CANARY.decode() not in shown
    lines = [json.loads(line) for line in shown.splitlines()]
    told = [(line["level"], line["msg"]) for line in lines]
    sign = "discovery failed; keeping the organizations found before"
    assert told.count(("warning", sign)) == 1
    assert 0 < told.count(("warning", "poll failed")) <= len(ReadRpc)  # one for each call
    return told


def test_a_command_outlives_whatever_a_call_raises(tmp_path: Path) -> None:
    """It says which organization it is that failed."""

    def work(port: int) -> None:
        flag = configuration(tmp_path, port)
        for command in (("usage",), ("invoices",), ("pdf", "--all", f"--dest={tmp_path}")):
            with running(*TOOL, *command, flag) as process:
                assert process.wait(30) == 1
                process.stderr.finish()
                shown = process.stderr.text
                assert "Traceback" not in shown
                assert "contains no message" in shown

    beside(no_message, work)
