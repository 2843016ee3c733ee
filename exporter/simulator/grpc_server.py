"""The simulated service as a server that can be started, stopped and disturbed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Final

import grpc
import grpc.aio
from google.protobuf.message import Message

from exporter.simulator.accounts import Account
from exporter.simulator.faults import Fault
from exporter.simulator.front import Front
from exporter.simulator.injection import CONNECTION_FAULTS, FaultSet, Injected
from exporter.simulator.service import Journal, Service
from exporter.simulator.simulated_clock import SimulatedClock

# gRPC's tasks that outlive its server for a moment. A loop that ends in it would cancel them, and
# they would print a traceback.
LEFT_BY_GRPC: Final = {"_schedule_rpc_coro", "_handle_exceptions"}
LEFT_WITHIN: Final = 1.0  # seconds


class Simulator:
    """Viam's authentication and billing services for the given accounts.

    An API key reads every account that names its id. `latency` is in seconds, before each
    answer; `error_rate`, 0 to 1, is the share of calls of any kind that fail with UNAVAILABLE;
    `token_lifetime` is in seconds of real time, None for tokens that do not expire. The first two
    are faults like those of `inject`, put in force at once.

    For tests, `calls` counts the calls that arrived, by bare method name, and `answers` replaces
    the answer to (method, organization id) by a message, by bytes that need not be one, or by a
    status to fail with; a status for GetInvoicePdf breaks the stream off after its first chunk.
    `on_answer`, if set, is called with (method, organization id, message bytes, wall time) of
    every answer of the billing service, as it is sent: faults included, once per chunk of a PDF.
    """

    def __init__(  # noqa: PLR0913 - knobs, each with a default
        self,
        accounts: Iterable[Account],
        clock: SimulatedClock,
        *,
        rng: Random,
        latency: float = 0.0,
        error_rate: float = 0.0,
        token_lifetime: float | None = None,
        on_answer: Journal | None = None,
    ) -> None:
        accounts = tuple(accounts)
        # A generator of its own, so that faults do not change which tokens are granted.
        chance = Random(rng.getrandbits(64))  # noqa: S311 - chance that must repeat
        self.faults = FaultSet((account.id for account in accounts), clock, chance)
        self._service = Service(
            accounts,
            clock,
            rng=rng,
            token_lifetime=token_lifetime,
            faults=self.faults,
            on_answer=on_answer,
        )
        self._server: grpc.aio.Server | None = None
        self._front: Front | None = None
        if latency > 0:
            self.inject(Fault("slow", values={"delay": latency}))
        if error_rate > 0:
            self.inject(Fault("unavailable", share=error_rate))

    @property
    def calls(self) -> Counter[str]:
        """How many calls arrived, by bare method name."""
        return self._service.calls

    @property
    def answers(self) -> dict[tuple[str, str], Message | bytes | grpc.StatusCode]:
        """What is answered instead, by bare method name and organization id."""
        return self._service.answers

    def inject(self, fault: Fault | str) -> Injected:
        """Put a fault in force until its `clear` is called.

        `fault` is written as in `--fault`, for example "unavailable:method=GetInvoicesSummary".
        Raises FaultError if that is wrong. Faults of connections need a server with a front.
        """
        injected = self.faults.inject(fault)
        if injected.fault.name in CONNECTION_FAULTS and self._server and not self._front:
            injected.clear()
            raise RuntimeError("faults of connections need start(front=True)")
        return injected

    async def start(
        self,
        address: str = "127.0.0.1:0",
        credentials: grpc.ServerCredentials | None = None,
        *,
        front: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Listen on `address`, host:port, with TLS if there are credentials.

        With `front`, or if a fault of connections was injected before, all connections pass
        through a listener that can make such faults; TLS then ends there, by `tls` in place of
        `credentials`, as at a load balancer. Returns the port, which matters where 0 was asked
        for. Raises OSError if it cannot listen.
        """
        front = front or tls is not None
        if not front and not any(i.fault.name in CONNECTION_FAULTS for i in self.faults):
            self._server, port = await self._serve(address, credentials)
            return port
        self._server, backend = await self._serve("127.0.0.1:0", None)
        self._front = Front(self.faults, backend, tls)
        try:
            return self._front.start(address)
        except OSError:
            await self.stop()
            raise

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening; calls in flight get `grace` seconds to end."""
        if self._front is not None:
            self._front.close()
        if self._server is not None:
            await self._server.stop(grace)
            tasks = asyncio.all_tasks()
            names = {task: getattr(task.get_coro(), "__qualname__", "") for task in tasks}
            if left := {task for task in tasks if names[task] in LEFT_BY_GRPC}:
                await asyncio.wait(left, timeout=LEFT_WITHIN)
        if self._front is not None:
            await self._front.stop()

    def revoke_tokens(self) -> None:
        """Forget all tokens: every client has to authenticate again."""
        self._service.tokens.revoke_all()

    def rotate(self, account_id: str, new_key: str, new_id: str | None = None) -> None:
        """Replace an account's key. The old one and its tokens are dead at once."""
        self._service.rotate(account_id, new_key, new_id)

    async def _serve(
        self, address: str, credentials: grpc.ServerCredentials | None
    ) -> tuple[grpc.aio.Server, int]:
        _check_free(address)
        server = grpc.aio.server(
            handlers=self._service.handlers(),
            # By default two servers may share a port on Linux, and each gets half of the calls.
            options=(("grpc.so_reuseport", 0),),
            compression=grpc.Compression.NoCompression,  # the vendor's SDK refuses anything else
        )
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        await server.start()
        return server, port


def _check_free(address: str) -> None:
    """Raise an OSError that says why nothing can listen on `address`, host:port.

    When grpc cannot, it prints the reason and raises an error without.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # of Python's own words
        raise OSError(f"cannot listen on {address}: {reason}") from error
