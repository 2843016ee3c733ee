"""The stream of a PDF: limited in silence and in size, but not in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from exporter.api.billing import BillingError
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.model import ApiKey, Cause, Secret
from exporter.pb import auth_pb2, billing_pb2
from exporter.process.clock import SystemClock
from exporter.tool.bills import NoTelemetry
from exporter.tool.download import TAIL_WITHIN, PdfChecker
from support.simulated import run

KEY = ApiKey("id", secret=Secret("key"))
CHUNKS = [b"%PDF-", b"", *(b"%d" % number for number in range(10))]
PACE = 0.3  # seconds between two chunks
LIMIT = 2.0  # seconds of silence; all chunks take longer


class Service:
    """Gives every token, and sends chunks at a pace until it is silent."""

    def __init__(self, *, silent_after: int = len(CHUNKS)) -> None:
        self.silent_after = silent_after
        self.cancelled = asyncio.Event()
        self._never = asyncio.Event()

    async def authenticate(self, _: Any, __: Any) -> bytes:
        """Answer with a token."""
        return auth_pb2.AuthenticateResponse(access_token="token").SerializeToString()

    async def get_invoice_pdf(self, _: Any, __: Any) -> AsyncIterator[bytes]:
        """Send a chunk now and then."""
        try:
            for number, chunk in enumerate(CHUNKS):
                if number == self.silent_after:
                    await self._never.wait()
                try:
                    async with asyncio.timeout(PACE):
                        await self._never.wait()
                except TimeoutError:
                    yield billing_pb2.GetInvoicePdfResponse(chunk=chunk).SerializeToString()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return what a server needs."""
        return (
            grpc.method_handlers_generic_handler(
                "proto.rpc.v1.AuthService",
                {"Authenticate": grpc.unary_unary_rpc_method_handler(self.authenticate)},
            ),
            grpc.method_handlers_generic_handler(
                "viam.app.v1.BillingService",
                {"GetInvoicePdf": grpc.unary_stream_rpc_method_handler(self.get_invoice_pdf)},
            ),
        )


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[BillingClient]:
    """Serve, and have a client of it, while inside."""
    server = grpc.aio.server(handlers=service.handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = BillingClient(
        ApiConfig(address=f"127.0.0.1:{port}", tls=False, timeout=LIMIT),
        user_agent="test",
        roots=None,
        telemetry=NoTelemetry(),
        clock=SystemClock(),
    )
    try:
        yield client
    finally:
        await client.close()
        await server.stop(None)


async def read(client: BillingClient, taken: list[bytes]) -> None:
    """Read a file into a list."""

    async def take(chunk: bytes) -> None:
        taken.append(chunk)

    await client.read_invoice_pdf("org", "invoice", KEY, take)


def test_a_file_may_take_longer_than_a_request() -> None:
    """As long as something comes now and then."""
    assert PACE * len(CHUNKS) > LIMIT

    async def scenario() -> None:
        taken: list[bytes] = []
        async with connected(Service()) as client:
            await read(client, taken)
        assert taken == CHUNKS

    run(scenario())


def test_silence_ends_the_call() -> None:
    """After the limit, as an outage that may pass; the server is told."""

    async def scenario() -> None:
        service, taken = Service(silent_after=3), list[bytes]()
        async with connected(service) as client:
            with pytest.raises(BillingError, match="nothing arrived") as caught:
                await read(client, taken)
            await service.cancelled.wait()
        assert (caught.value.cause, caught.value.transient) == (Cause.OUTAGE, True)
        assert taken == CHUNKS[:3]

    run(scenario())


def test_what_fails_while_it_is_taken_ends_the_call() -> None:
    """A disk that is full stops the stream, and the error is the disk's."""

    async def scenario() -> None:
        service = Service()

        async def take(_: bytes) -> None:
            raise OSError("the disk is full")

        async with connected(service) as client:
            with pytest.raises(OSError, match="the disk is full"):
                await client.read_invoice_pdf("org", "invoice", KEY, take)
            await service.cancelled.wait()

    run(scenario())


class Memory:
    """A file in memory."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, content: bytes) -> None:
        """Append."""
        self.content += content


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([b"<html>"], "is not a PDF"),
        ([b"%P", b"", b"D", b"X"], "is not a PDF"),
        ([], "is not a PDF"),
        ([b"%PDF"], "is not a PDF"),
        ([b"%PDF-1.4 half"], "is an incomplete PDF"),
        ([b"%PDF-1.4 %%EOF", b"x" * TAIL_WITHIN], "is an incomplete PDF"),
        ([b"%PDF-1.4", b"x" * 5000], "is larger than 0 MiB"),
    ],
)
def test_what_is_no_whole_pdf_is_refused(chunks: list[bytes], reason: str) -> None:
    """By its beginning, its end and its size, however it is cut into chunks."""
    checked = PdfChecker(Memory(), 4096)

    def everything() -> None:
        for chunk in chunks:
            checked.write(chunk)
        checked.finish()

    with pytest.raises(BillingError, match=reason) as caught:
        everything()
    assert caught.value.cause is Cause.INVALID_ANSWER


def test_a_whole_pdf_passes_as_it_is() -> None:
    """Byte by byte."""
    file, content = Memory(), b"%PDF-1.4 something %%EOF\n"
    checked = PdfChecker(file, 4096)
    for byte in content:
        checked.write(bytes([byte]))
    checked.finish()
    assert file.content == content
    assert checked.size == len(content)
