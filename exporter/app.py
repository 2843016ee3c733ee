"""The composition root: makes the parts, joins them, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from exporter.address import Address
from exporter.api.client import BillingClient, system_roots
from exporter.config import Api, Config, ConfigError, Problem, effective, fingerprint
from exporter.metrics.telemetry import Telemetry
from exporter.model import SavedOrganization
from exporter.page.publisher import Publisher
from exporter.polling.discovery import Discovery, Found, merge
from exporter.polling.poller import Poller
from exporter.polling.sharding import Shard
from exporter.process import garbage
from exporter.process.clock import SystemClock
from exporter.process.notify import Pulse, ServiceManager
from exporter.process.version import Version
from exporter.state.budget import Budget
from exporter.state.saver import Saver
from exporter.state.storage import LockedError, Storage, StorageError
from exporter.state.store import Store
from exporter.web import sockets
from exporter.web.routes import Source
from exporter.web.serving import WebOptions, serve

log = structlog.get_logger(__name__)

# When polls have stopped: one is tried three times, and each time at most authenticated and asked
# twice, each within its deadline. A minute is for what else there is.
DEADLINES_OF_A_POLL = 12
STALLED_AFTER = 60.0  # seconds more


class StartError(Exception):
    """Why the exporter cannot start, in one line for people."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, beside the configuration."""

    listen: Sequence[Address]
    telemetry_path: str
    version: Version
    storage_path: Path | None
    # Reads the configuration again, for a reload; raises ConfigError or StartError.
    load: Callable[[], Config]
    web: WebOptions = field(default_factory=WebOptions)
    shard: Shard = field(default_factory=Shard)
    manager: ServiceManager = field(default_factory=ServiceManager)


class App:
    """The exporter: a client, a poller, a publisher and a web server on one event loop."""

    def __init__(self, config: Config, options: Options) -> None:
        self._config = config  # the whole, of which `_part` is what is polled here
        self._part: Config
        self._hashed: tuple[Config, str] | None = None
        self._options = options
        self._clock = SystemClock()
        self._pulse = Pulse(self._clock)
        self._telemetry = Telemetry(
            CollectorRegistry(), options.version.number, options.version.revision
        )
        if options.shard.total > 1:
            self._telemetry.sharded(options.shard.ordinal, options.shard.total)
        self._store = Store()
        self._storage: Storage | None = None
        self._poller: Poller
        self._publisher = Publisher(
            self._store, self._telemetry, self._clock, max_series=config.limits.max_series
        )
        self._client: BillingClient | None = None
        self._saver: Saver | None = None
        self._discovery: Discovery
        self._taking = asyncio.Lock()  # what is polled is changed by one at a time
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._reload_waiters: list[asyncio.Future[str | None]] = []

    async def run(self, serving: Callable[[Sequence[str]], None]) -> None:
        """Serve until SIGTERM or SIGINT. Calls `serving` once with the addresses listened at.

        Raises StartError; any other exception is a bug.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as stack:
            saved, found = await asyncio.to_thread(self._open_storage)
            self._discovery = Discovery(self._clock, self._telemetry, found)
            # What moved to another shard is forgotten: it counts there now.
            own = {each: saved[each] for each in saved if self._options.shard.owns(each)}
            self._poller = Poller(self._store, self._telemetry, self._clock, random.random, own)
            if self._storage is not None:
                stack.push_async_callback(asyncio.to_thread, self._storage.close)
                self._saver = Saver(self._storage, self._store, self._telemetry, saved, found)
                stack.push_async_callback(self._saver.save)  # what the last second brought
            stack.push_async_callback(self._close_client)  # the one there is by then
            await self._take(self._config)
            await self._publisher.publish()
            serving(await stack.enter_async_context(self._web_server()))
            # Not when everybody was polled: that takes an API that answers, and may take long.
            await self._options.manager.tell("READY=1", self._status())
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._poller.run()),
                    tasks.create_task(self._publisher.run()),
                    tasks.create_task(self._reload_on_request()),
                    tasks.create_task(self._discovery.run(self._take_found)),
                    tasks.create_task(garbage.collect()),
                    tasks.create_task(self._options.manager.keep_alive(self._polls_get_on)),
                ]
                if self._saver is not None:
                    running.append(tasks.create_task(self._saver.run()))
                await self._stop.wait()
                log.info("stopping")
                await self._options.manager.tell("STOPPING=1")
                for task in running:
                    task.cancel()

    @property
    def organizations(self) -> int:
        """How many organizations are polled here."""
        return len(self._part.organizations)

    def _status(self, and_: str = "") -> str:
        """Return the line that `systemctl status` shows."""
        return f"STATUS=organizations polled: {self.organizations}{and_}"

    def _polls_get_on(self) -> bool:
        progress = self._poller.progress
        return self._pulse.beats(
            progress,
            waiting=progress.under_way > 0 or self._poller.next_due <= self._clock.monotonic(),
            patience=DEADLINES_OF_A_POLL * self._part.api.timeout + STALLED_AFTER,
        )

    async def _take(self, config: Config) -> None:
        """Poll this shard's part of a configuration from now on. Raises ConfigError."""
        async with self._taking:
            part = await asyncio.to_thread(self._part_of, config)
            client, replaced = self._client, None
            if client is None or part.api != self._part.api:
                client, replaced = await self._connect(part.api), client
            self._config, self._client = config, client
            self._publisher.max_series = part.limits.max_series
            self._discovery.configure(config, client)
            await self._poll(part, client)
            self._telemetry.reloaded(self._clock.time())
            if replaced is not None:
                await replaced.close()

    def _part_of(self, config: Config) -> Config:
        """Return what is polled here of a configuration, and of what was found."""
        return self._options.shard.part_of(merge(config, self._discovery.found))

    async def _poll(self, part: Config, client: BillingClient) -> None:
        settled = self._discovery.settled
        self._part = part
        if self._saver is not None:
            self._saver.found = self._discovery.found
        await self._poller.configure(part, client)
        self._publisher.settled = settled  # not before those that were found are known to be new
        listed = {each.id for each in self._config.organizations}
        found = sum(each.id not in listed for each in part.organizations)
        self._telemetry.discovered(found if self._config.discovery.enabled else None)

    async def _take_found(self) -> None:
        """Poll what was found by now beside what is listed."""
        async with self._taking:
            before = {each.id for each in self._part.organizations}
            part = await asyncio.to_thread(self._part_of, self._config)
            assert self._client is not None  # noqa: S101 - for mypy; `_take` came first
            await self._poll(part, self._client)
        after = {each.id for each in part.organizations}
        if before != after:
            log.info(
                "other organizations were found",
                organizations=len(after),
                new=len(after - before),
                gone=len(before - after),
            )
            await self._options.manager.tell(self._status())

    async def _connect(self, api: Api) -> BillingClient:
        try:
            roots = await asyncio.to_thread(api.ca_file.read_bytes if api.ca_file else system_roots)
        except OSError as error:  # it was there when the configuration was checked
            file = error.filename or "the system's certificate authorities"
            raise ConfigError([Problem(str(file), None, "", f"cannot be read: {error}")]) from error
        return BillingClient(
            api,
            user_agent=f"viam-billing-exporter/{self._options.version.number}",
            roots=roots,
            telemetry=self._telemetry,
            clock=self._clock,
            admit=await self._admission(api),
        )

    def _open_storage(self) -> tuple[Mapping[str, SavedOrganization], Found]:
        """Open the storage and return what is in it. Raises StartError if another has it."""
        if self._options.storage_path is None:
            return {}, {}
        try:
            self._storage = Storage(self._options.storage_path)
            return self._storage.load(), self._storage.load_found()
        except LockedError as error:
            raise StartError(str(error)) from error
        except StorageError as error:
            log.error("nothing is restored", reason=str(error))
            self._telemetry.stored(successful=False)
            return {}, {}

    async def _admission(self, api: Api) -> Callable[[], Awaitable[None]] | None:
        """Return what keeps requests within the daily ceiling, if there is one."""
        if api.max_requests_per_day is None:
            return None
        budget = Budget(api.max_requests_per_day, self._storage, self._telemetry, self._clock)
        await budget.look()
        return budget.take

    async def _close_client(self) -> None:
        if self._client is not None:
            await self._client.close()

    # --- Web ---

    @asynccontextmanager
    async def _web_server(self) -> AsyncIterator[Sequence[str]]:
        """Serve while inside; yields the addresses as host:port."""
        options = self._options
        source = Source(
            self._publisher,
            self._store,
            self._clock,
            options.version.number,
            configuration=lambda: effective(self._config),
            reload=self.reload,
            poller=self._poller,
            configuration_hash=self._configuration_hash,
            looks=lambda: self._discovery.looks,
        )
        async with AsyncExitStack() as stack:
            listening = [stack.enter_context(closing(each)) for each in options.web.sockets]
            for address in () if listening else options.listen:
                bound = await _listen(address)
                listening.extend(stack.enter_context(closing(each)) for each in bound)
            if not options.web.configuration().authenticates:
                _warn_of_strangers(listening)
            await stack.enter_async_context(
                serve(listening, options.web, options.telemetry_path, source)
            )
            yield [sockets.address(each) for each in listening]

    def _configuration_hash(self) -> str:
        """Return what tells this configuration from another, made once for each. Blocks."""
        config, known = self._config, self._hashed
        if known is None or known[0] is not config:
            known = self._hashed = (config, fingerprint(config))
        return known[1]

    # --- Reload ---

    async def reload(self) -> str | None:
        """Reload the configuration; returns what is wrong with it if the old one stays."""
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._reload_waiters.append(done)
        self._reload.set()
        return await done

    async def _reload_on_request(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            waiters, self._reload_waiters = self._reload_waiters, []
            now = int(self._clock.monotonic() * 1e6)
            await self._options.manager.tell("RELOADING=1", f"MONOTONIC_USEC={now}")
            error = await self._reload_configuration()
            failed = "; the configuration was not reloaded, see the log" if error else ""
            await self._options.manager.tell("READY=1", self._status(failed))
            for done in waiters:
                if not done.done():  # cancelled: nobody waits any more
                    done.set_result(error)

    async def _reload_configuration(self) -> str | None:
        """Take a new configuration, whole or not at all. Returns what is wrong with it."""
        try:
            await self._take(await asyncio.to_thread(self._options.load))
        except (ConfigError, StartError) as error:
            for problem in str(error).splitlines():
                log.error("configuration not reloaded, the old one stays", problem=problem)
            self._telemetry.reloaded(None)
            return str(error)
        log.info("configuration reloaded", organizations=self.organizations)
        return None


async def _listen(address: Address) -> list[socket.socket]:
    try:
        return await sockets.bind(address.host, address.port)
    except OSError as error:
        raise StartError(
            f"cannot listen on {address}: {error.strerror}. "
            "Choose another with --web.listen-address."
        ) from error


def _warn_of_strangers(listening: Iterable[socket.socket]) -> None:
    for each in listening:
        if not sockets.is_local(each):
            log.warning(
                "listening beyond this machine without authentication: whoever reaches the "
                "address can read the bills",
                address=sockets.address(each),
            )
