"""An exporter that lives through a world in virtual time, and serves while time stands still."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Final

import structlog
from google.protobuf.message import Message
from grpc.aio import AioRpcError, Metadata

from exporter.api.calls import ReadRpc
from exporter.api.failures import meaning
from exporter.base import plain
from exporter.config import Config
from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Organization, Secret
from exporter.polling.schedule import Unit
from exporter.polling.sharding import Shard
from exporter.process import logs
from exporter.web import sockets
from exporter.web.backend import Backend
from exporter.web.serving import WebOptions, serve
from rules.harness import FIRST, Values
from rules.lived import SCRAPED, SETTLED, Scrapes
from states.worlds import HOUR, World
from support.process import PATIENCE
from support.quarter.scrapes import unhurried_clock_checks
from support.reader import FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, VirtualLoop, run

KEY: Final = ApiKey("key-id", secret=Secret("key"))
POLLED: Final = 15 * 60.0  # as by default
TAKES: Final = 0.25  # seconds, a call
BEFORE: Final = 6 * HOUR  # between the polls of exporters before: days need no more


@dataclass
class Living:
    """An exporter at the moment that people look at it."""

    world: World
    port: int
    series: Mapping[str, Values]  # what Prometheus scraped since the world began
    steps: int
    log: list[str]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


class _Api(FakeReader):
    """The billing API: statuses come out as the exporter's own client words them."""

    def __init__(self, world: World, clock: VirtualClock) -> None:
        super().__init__()
        self._world, self._clock = world, clock
        self.telemetry: Telemetry | None = None
        self.delays = dict.fromkeys(ReadRpc, TAKES)

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        answer = self._world.answer(rpc, org_id, self._clock.time())
        if self.telemetry is not None:
            code = None if isinstance(answer, Message) else answer.name
            self.telemetry.api_request(rpc, TAKES, code)
        if isinstance(answer, Message):
            self.answers[rpc, org_id] = answer
        else:
            failed = AioRpcError(answer, Metadata(), Metadata(), "")
            self.answers[rpc, org_id] = meaning(rpc.value, failed, proxied=False)
        return await super().read(rpc, org_id, api_key)


def organizations(world: World) -> list[Organization]:
    """Return the organizations of a world as they are configured."""
    return [
        organization(
            bill.org_id,
            name=bill.name,
            api_key=KEY,
            interval=POLLED,
            max_age=4 * POLLED,
            budget_usd=bill.budget_usd,
        )
        for bill in world.bills
    ]


@dataclass
class _Scene:
    """What the exporter's thread and the test's tell each other."""

    world: World
    folder: Path
    there: Queue[Living | BaseException] = field(default_factory=Queue)
    log: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None

    async def live(self) -> None:
        """Live through the world, and serve until it is over."""
        self.loop = loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world, clock = self.world, VirtualClock()
        clock.offset = world.known_since or world.begins
        made = config(*organizations(world))
        api = _Api(world, clock)
        async with Rig.stored(self.folder / "storage", made, api, clock) as rig:
            api.telemetry = rig.telemetry
            await self._remember(rig, made)
            listening = await sockets.bind("127.0.0.1", 0)
            port = listening[0].getsockname()[1]
            with _logged(self.log, clock):
                rig.telemetry.reloaded(clock.time())
                async with (
                    serve(listening, WebOptions(), "/metrics", _backend(rig, made)),
                    rig.running(publishing=False),
                ):
                    scrapes = await self._scraped(rig)
                    loop.threads += 1  # time stands still
                    series = scrapes.series()
                    self.there.put(Living(world, port, series, scrapes.steps, self.log))
                    await self.over.wait()
                    loop.threads -= 1

    async def _scraped(self, rig: Rig) -> Scrapes:
        """Be scraped until people look."""
        world = self.world
        first = int((world.begins - world.midnight) // SCRAPED)
        steps = int((world.looked_at - world.midnight) // SCRAPED) + 1
        scrapes = Scrapes(steps, begun=world.midnight)
        for step in range(first, steps):
            # The first scrape finds what was polled at the start.
            due = world.midnight + step * SCRAPED + (SETTLED if step == first else 0)
            await asyncio.sleep(due - rig.clock.time())
            await rig.publisher.publish()
            scrapes.take(step, FIRST["instance"], rig.page())
        return scrapes

    async def _remember(self, rig: Rig, made: Config) -> None:
        """Know what exporters before this one have polled."""
        world, clock = self.world, rig.clock
        if world.known_since is None:
            return
        known = {each.id: each for each in made.organizations}
        names = [collector.name for collector in COLLECTORS]
        await rig.intake.configure(known, names, made.invoice_detail)
        while clock.time() < world.begins - 1:
            for bill in world.bills:
                for collector in COLLECTORS:
                    answer = bill.answer(collector.rpc, clock.time())
                    if isinstance(answer, Message):
                        unit = Unit(bill.org_id, collector.name)
                        await rig.intake.succeed(unit, answer.SerializeToString(), TAKES)
            await asyncio.sleep(min(BEFORE, world.begins - clock.time()))


def _backend(rig: Rig, made: Config) -> Backend:
    return Backend(
        rig.publisher,
        rig.store,
        rig.clock,
        rig.telemetry,
        "1.2.3",
        configuration=lambda: "{}\n",
        reload=_no_reload,
        poller=rig.poller,
        invoice_detail=lambda: made.invoice_detail,
        configuration_hash=lambda: "0123456789ab",
        discovery=lambda: None,
        archive=rig.archive,
        shard=Shard(),
    )


async def _no_reload() -> None:
    """Nothing is reloaded here."""


class _Log(logging.Handler):
    """Keeps lines as they would be written, with the time of the world."""

    def __init__(self, lines: list[str], clock: VirtualClock) -> None:
        super().__init__()
        self._lines, self._clock = lines, clock

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        moment = plain.moment(self._clock.time())
        self._lines.append(re.sub(r"^ts=\S+", f"ts={moment}", self.format(record)))


@contextmanager
def _logged(lines: list[str], clock: VirtualClock) -> Iterator[None]:
    """Take what is logged while inside, in the exporter's own format."""
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), root.handlers, root.level
    logs.configure("info", "logfmt")
    handler = _Log(lines, clock)
    handler.setFormatter(root.handlers[0].formatter)
    root.handlers = [handler]
    try:
        yield
    finally:
        structlog.configure(**before)
        root.handlers = handlers
        root.setLevel(level)


@contextmanager
def living(world: World, folder: Path) -> Iterator[Living]:
    """Have the exporter of a world while inside, at the moment that people look at it."""
    scene = _Scene(world, folder)

    def work() -> None:
        try:
            with unhurried_clock_checks():
                run(scene.live())
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            scene.there.put(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        found = scene.there.get()
        if isinstance(found, BaseException):
            raise found
        yield found
    finally:
        if scene.loop is not None and thread.is_alive():
            scene.loop.call_soon_threadsafe(scene.over.set)
        thread.join(PATIENCE)
