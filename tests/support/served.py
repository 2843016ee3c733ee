"""The web side of an exporter that polls nobody: what it serves is made of states."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue

from exporter.metrics.telemetry import Telemetry
from exporter.model import InvoiceDetail, OrganizationState
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.web import sockets
from exporter.web.backend import Backend
from exporter.web.serving import WebOptions, serve
from support.process import PATIENCE
from support.reader import config
from support.rig import Rig
from support.status import CONTEXT
from support.virtual import VirtualClock


class StandingClock(VirtualClock):
    """The moment of `support.status`, for ever: nothing grows old."""

    def monotonic(self) -> float:
        """Return when all states were received."""
        return CONTEXT.monotonic

    def time(self) -> float:
        """Return Unix seconds."""
        return CONTEXT.time


@contextmanager
def served(
    *states: OrganizationState,
    options: WebOptions | None = None,
    archive: type[Archive] = Archive,
    told: Callable[[Telemetry], object] = lambda _: None,
) -> Iterator[int]:
    """Serve these organizations while inside; yields the port. `told` says what goes wrong."""
    ports: Queue[int] = Queue()
    stopping: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def main() -> None:
        rig = Rig(config(), clock=StandingClock())
        for state in states:
            rig.store.put(state)
        told(rig.telemetry)
        await rig.publisher.publish()
        listening = await sockets.bind("127.0.0.1", 0)
        port = listening[0].getsockname()[1]
        stop = asyncio.Event()
        backend = _backend(rig, archive(rig.store))
        async with serve(listening, options or WebOptions(), "/metrics", backend):
            stopping.put((asyncio.get_running_loop(), stop))
            ports.put(port)
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        yield ports.get(timeout=PATIENCE)
    finally:
        loop, stop = stopping.get(timeout=PATIENCE)
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


def _backend(rig: Rig, archive: Archive) -> Backend:
    return Backend(
        rig.publisher,
        rig.store,
        rig.clock,
        rig.telemetry,
        "1.2.3",
        configuration=lambda: "{}\n",
        reload=_no_reload,
        poller=rig.poller,
        invoice_detail=lambda: InvoiceDetail("all", 1000),
        configuration_hash=lambda: "0123456789ab",
        discovery=lambda: None,
        archive=archive,
        shard=Shard(),
    )


async def _no_reload() -> None:
    """Nothing is reloaded here."""
