"""A listener between the clients and the gRPC server, for faults of the network between them."""

from __future__ import annotations

import asyncio
import socket
import ssl

from exporter.simulator.injection import FaultSet
from exporter.simulator.relay import CHECK_INTERVAL, Relay


class Front:
    """Listens where clients connect, and passes connections on to `backend`, a local port.

    With `tls`, encryption ends here. A certificate that is loaded into `tls` later is that of the
    connections made from then on.
    """

    def __init__(self, faults: FaultSet, backend: int, tls: ssl.SSLContext | None) -> None:
        self._faults = faults
        self._backend = backend
        self._tls = tls
        if tls is not None:
            tls.set_alpn_protocols(["h2"])  # gRPC clients insist
        self._address: tuple[str, int] = ("", 0)
        self._listener: socket.socket | None = None
        self._reserved: socket.socket | None = None  # the port, while nothing listens on it
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        self._relays: set[Relay] = set()
        self._watching: asyncio.Task[None] | None = None

    def start(self, address: str) -> int:
        """Listen on `address`, host:port. Returns the port. Raises OSError if it cannot."""
        host, _, port = address.rpartition(":")
        self._address = (host.strip("[]"), int(port))
        try:
            self._listen()
        except OSError as error:
            raise OSError(f"cannot listen on {address}: {error.strerror}") from error
        self._faults.subscribe(self._apply)
        self._watching = asyncio.create_task(self._watch())
        self._apply()
        return self._address[1]

    def close(self) -> None:
        """Listen no longer. Connections stay."""
        self._faults.subscribe(None)
        if self._watching is not None:
            self._watching.cancel()
        self._close_listener()
        self._release()

    async def stop(self) -> None:
        """End what `close` has left: every connection."""
        self.close()
        sockets = tuple(self._connections.values())
        tasks = [*self._connections, *filter(None, (self._watching,))]
        for relay in self._relays:
            relay.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in sockets:
            client.close()  # also of a connection whose task had not begun

    async def _watch(self) -> None:
        """Follow the faults that begin or end at a time."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            self._apply()

    def _apply(self) -> None:
        refuse = self._faults.in_force("refuse")
        if refuse and self._listener is not None:
            self._close_listener()
            # Else another program might get the port while nothing listens on it.
            self._reserved = _bound(self._address)
            for relay in self._relays:
                relay.reset()
        elif not refuse and self._listener is None:
            self._release()
            try:
                self._listen()
            except OSError:
                pass  # somebody else was faster: the next check tries again

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _listen(self) -> None:
        """Listen from now on. A client that connects before the loop's next turn waits for it."""
        listener = _bound(self._address)
        try:
            listener.listen()
        except OSError:
            listener.close()
            raise
        self._address = (self._address[0], listener.getsockname()[1])
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _close_listener(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # it was there, and has already gone again
        client.setblocking(False)
        task = asyncio.create_task(self._connect(client))
        self._connections[task] = client
        task.add_done_callback(self._connections.pop)

    async def _connect(self, client: socket.socket) -> None:
        try:
            reader, writer = await _streams(client, self._tls)
        except OSError:
            return  # no TLS, or none that both sides agree on: the client knows why
        relay = Relay(reader, writer, self._faults, self._backend)
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)


def _bound(address: tuple[str, int]) -> socket.socket:
    """Return a socket that has the address, host and port, and does not listen yet."""
    host, _ = address
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound.family == socket.AF_INET6:  # every interface includes those of IPv4
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


async def _streams(
    client: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the two ends of an accepted connection, once TLS is agreed on. Raises OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
