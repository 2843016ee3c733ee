"""What runs: what is polled, how that changes by reloads and by discovery, and the web server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from exporter.api.client import BillingClient
from exporter.api.connections import Watch
from exporter.api.retries import MAX_RETRIES
from exporter.api.route import Route
from exporter.base.address import Address
from exporter.base.file_threads import FileThreads
from exporter.config import ApiConfig, Config, ConfigError, effective, fingerprint
from exporter.metrics.telemetry import Telemetry
from exporter.model import Clock
from exporter.page.publisher import Publisher
from exporter.polling.discovery import Discovery, merge
from exporter.polling.intake import Intake
from exporter.polling.poller import Poller
from exporter.polling.sharding import Shard
from exporter.process.event_loop import Turns
from exporter.process.notify import ProgressMonitor, ServiceManager
from exporter.process.version import Version
from exporter.reloads import ReloadQueue
from exporter.state.archive import Archive
from exporter.state.store import Store
from exporter.web import sockets
from exporter.web.backend import Backend
from exporter.web.serving import WebOptions, serve

log = structlog.get_logger(__name__)

# When polls have stopped: one is tried again MAX_RETRIES times, and each time at most authenticated
# and asked twice, each within its deadline. A minute is for what else there is.
DEADLINES_OF_A_POLL = 4 * (1 + MAX_RETRIES)
STALLED_AFTER = 60.0  # seconds more
NAMES_WITHIN = 5.0  # seconds for which first polls wait for the names of organizations

LOAD_DEADLINE = 30.0  # seconds to read the configuration and the files that it names
LOADING_HANGS = (
    #: A file is on a share that does not answer. A reload keeps the old configuration.
    f"the configuration cannot be read within {LOAD_DEADLINE:g} s: the file system of one of its "
    "files hangs"
)

if TYPE_CHECKING:  # or SQLite would be there without a storage
    from exporter.state.saver import Saver
    from exporter.state.storage import Stored


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
    # Is given what counts the lines of the log that nobody read.
    count_dropped_lines: Callable[[Callable[[int], object]], None] = lambda _: None
    turns: Turns = field(default_factory=Turns)  # of the event loop that it runs on
    # Whether bills are made up: nothing is said of who can read them, or that they will be lost.
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class Components:
    """What there is one of for as long as the process runs."""

    clock: Clock
    telemetry: Telemetry
    watch: Watch
    store: Store
    archive: Archive
    intake: Intake
    saver: Saver | None
    discovery: Discovery
    poller: Poller
    publisher: Publisher
    reloads: ReloadQueue


Connect = Callable[[ApiConfig, Route], Awaitable[BillingClient]]
FindRoute = Callable[[ApiConfig], Awaitable[Route]]
OnServing = Callable[[Sequence[str], int], None]


class Daemon:
    """What is polled, and how that changes while it runs: by reloads, and by discovery."""

    def __init__(  # noqa: PLR0913 - all of it comes from the composition root
        self,
        config: Config,
        own: Config,
        client: BillingClient,
        *,
        components: Components,
        connect: Connect,
        find_route: FindRoute,
        options: Options,
    ) -> None:
        self._config = config  # the whole, of which `part` is what is polled here
        self._own = own
        self._client = client
        self._components = components
        self._connect = connect
        self._find_route = find_route
        self._options = options
        self._progress = ProgressMonitor(components.clock)
        self._applying = asyncio.Lock()  # what is polled is changed by one at a time
        self._files = FileThreads(1)
        self._shown: tuple[Config, str] | None = None

    async def run(self, on_serving: OnServing, stop: asyncio.Event) -> None:
        """Restore what was saved, then poll, publish and serve until `stop` is set.

        Calls `on_serving` once, with the addresses listened at and how many organizations are
        polled. Raises StartError.
        """
        manager = self._options.manager
        await self._components.poller.start()
        self._keep_found()  # nothing is saved before: what was restored would be forgotten
        self._count_discovered()
        self._components.telemetry.reloaded(self._components.clock.time())
        await self._components.publisher.publish()
        async with self._web_server() as addresses:
            on_serving(addresses, self.organization_count)
            # Do not wait for the first polls: they need an API that answers.
            await manager.tell("READY=1", self._status())
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(each) for each in self._tasks()]
                await stop.wait()
                log.info("stopping")
                await manager.tell("STOPPING=1")
                for task in running:
                    task.cancel()

    def _tasks(self) -> Iterable[Coroutine[None, None, None]]:
        """Yield what runs until it is cancelled."""
        components, manager = self._components, self._options.manager
        yield self._poll()
        yield components.publisher.run()
        yield components.reloads.run(self._reload)
        yield components.discovery.run(self._apply_found)
        yield components.watch.run(lambda: self._client.calls)
        yield manager.keep_alive(self._polls_get_on)
        if components.saver is not None:
            yield components.saver.run()

    async def _poll(self) -> None:
        """Poll, once organizations that are listed without a name have it, if that is quick.

        Else their first series would have another name than those that follow.
        """
        if any(each.is_unnamed for each in self._own.organizations):
            with suppress(TimeoutError):
                async with asyncio.timeout(NAMES_WITHIN):
                    await self._components.discovery.told()
        await self._components.poller.run()

    async def restore(self, stored: Stored) -> Collection[str]:
        """Take in what was stored and could not be read at the start, as `Intake.restore` does."""
        if self._components.discovery.restore(stored.found):
            await self._apply_found()
        own = await asyncio.to_thread(self._options.shard.part_of_stored, stored.organizations)
        return await self._components.intake.restore(own, complete=stored.complete)

    async def close(self) -> None:
        """Close the connection that there is by then."""
        await self._client.close()

    @property
    def organization_count(self) -> int:
        """How many organizations are polled here."""
        return len(self._own.organizations)

    def _status(self, note: str = "") -> str:
        """Return the line that `systemctl status` shows."""
        return f"STATUS=organizations polled: {self.organization_count}{note}"

    def _polls_get_on(self) -> bool:
        poller, clock = self._components.poller, self._components.clock
        progress = poller.progress
        return self._progress.is_alive(
            progress,
            waiting=progress.under_way > 0 or poller.next_due <= clock.monotonic(),
            timeout=DEADLINES_OF_A_POLL * self._own.api.timeout + STALLED_AFTER,
        )

    # --- What is polled ---

    def _own_part_of(self, config: Config) -> Config:
        """Return what is polled here of a configuration, and of what was found."""
        return self._options.shard.part_of(merge(config, self._components.discovery.found))

    async def _apply(self, config: Config) -> None:
        """Poll this shard's part of a configuration from now on. Raises ConfigError."""
        async with self._applying:
            own = await asyncio.to_thread(self._own_part_of, config)
            before, client = self._client, self._client
            # A file of authorities can have changed under its name.
            route = await self._find_route(own.api)
            if own.api != self._own.api or not client.uses(route):
                client = await self._connect(own.api, route)
            self._config, self._client = config, client
            client.ask_now()
            self._components.discovery.configure(self._options.shard.asks(config), client)
            await self._reconfigure(own)
            self._components.poller.ask_now()
            self._components.telemetry.reloaded(self._components.clock.time())
            if before is not client:
                await before.close()
                if own.api.max_requests_per_day is None:  # and the one before counts no more
                    self._components.telemetry.requests_left(None, None)

    async def _apply_found(self) -> None:
        """Poll what was found by now beside what is listed."""
        async with self._applying:
            before = {each.id for each in self._own.organizations}
            own = await asyncio.to_thread(self._own_part_of, self._config)
            await self._reconfigure(own)
        after = {each.id for each in own.organizations}
        if before != after:
            log.info(
                "discovered organizations changed",
                organizations=len(after),
                new=len(after - before),
                gone=len(before - after),
            )
            await self._options.manager.tell(self._status())

    async def _reconfigure(self, own: Config) -> None:
        settled = self._components.discovery.settled
        self._own = own
        self._keep_found()
        # Before there is more to show, which would be withheld under the limit before.
        self._components.publisher.configure(max_series=own.limits.max_series)
        await self._components.poller.configure(own, self._client)
        # After the poller knows those that were found: readiness waits for them, too.
        self._components.publisher.settle(settled=settled)
        self._count_discovered()

    def _keep_found(self) -> None:
        if self._components.saver is not None:
            self._components.saver.keep(self._components.discovery.found)

    def _count_discovered(self) -> None:
        """Say in a metric how many of those that are polled were found."""
        listed = {each.id for each in self._config.organizations}
        found = sum(each.id not in listed for each in self._own.organizations)
        self._components.telemetry.discovered(found if self._config.discovery.enabled else None)

    # --- Reload ---

    async def _reload(self) -> str | None:
        """Reload, and tell systemd. Returns what is wrong if the old configuration stays."""
        manager = self._options.manager
        now = int(self._components.clock.monotonic() * 1e6)
        await manager.tell("RELOADING=1", f"MONOTONIC_USEC={now}")
        error = await self._reload_configuration()
        note = "; the configuration was not reloaded, see the log" if error else ""
        await manager.tell("READY=1", self._status(note))
        return error

    async def _reload_configuration(self) -> str | None:
        """Take a new configuration, whole or not at all. Returns what is wrong with it."""
        try:
            try:
                config = await self._files.run(LOAD_DEADLINE, None, self._options.load)
            except TimeoutError as error:
                raise StartError(LOADING_HANGS) from error
            await self._apply(config)
        except (ConfigError, StartError) as error:
            await asyncio.to_thread(_log_problems, str(error))  # there may be thousands
            self._components.telemetry.not_reloaded(str(error))
            return str(error)
        log.info("configuration reloaded", organizations=self.organization_count)
        return None

    # --- Web ---

    @asynccontextmanager
    async def _web_server(self) -> AsyncIterator[Sequence[str]]:
        """Serve while inside; yields the addresses as host:port. Raises StartError."""
        options, components = self._options, self._components
        backend = Backend(
            components.publisher,
            components.store,
            components.clock,
            components.telemetry,
            options.version.number,
            configuration=self._effective,
            reload=components.reloads.reload,
            poller=components.poller,
            invoice_detail=lambda: self._own.invoice_detail,
            configuration_hash=self._configuration_hash,
            discovery=lambda: components.discovery.status,
            archive=components.archive,
            shard=options.shard,
            proxy=lambda: self._client.proxy,
            on_connection=options.turns.garbage.note_connection,
        )
        async with AsyncExitStack() as stack:
            listening = [stack.enter_context(closing(each)) for each in options.web.sockets]
            for address in () if listening else options.listen:
                bound = await _listen(address, options.listen)
                listening.extend(stack.enter_context(closing(each)) for each in bound)
            if not (options.is_demo or options.web.configuration().authenticates):
                _warn_of_strangers(listening)
            await stack.enter_async_context(
                serve(listening, options.web, options.telemetry_path, backend)
            )
            yield [sockets.address(each) for each in listening]

    def _effective(self) -> str:
        """Return the effective configuration, made once for each. Blocks."""
        config, known = self._config, self._shown
        if known is None or known[0] is not config:
            known = self._shown = (config, effective(config))
        return known[1]

    def _configuration_hash(self) -> str:
        """Return what tells this configuration from another. Blocks."""
        return fingerprint(self._effective())


def _log_problems(problems: str) -> None:
    for problem in problems.splitlines():
        #: Each error is in `problem`. Fix the file and reload: a restart would fail.
        log.error("configuration not reloaded; still using the old one", problem=problem)


async def _listen(address: Address, others: Iterable[Address]) -> list[socket.socket]:
    # With an IPv4 address given too, [::] is meant to be IPv6 only.
    dualstack = not any(each.is_ipv4 and each.port == address.port for each in others)
    try:
        return await sockets.bind(address.host, address.port, dualstack=dualstack)
    except OSError as error:
        raise StartError(
            #: `ss -ltnp` shows what uses the port. Ports below 1024 need a privilege.
            f"cannot listen on {address}: {error.strerror}. "
            "Choose another with --web.listen-address."
        ) from error


def _warn_of_strangers(listening: Iterable[socket.socket]) -> None:
    for each in listening:
        if not sockets.is_local(each):
            log.warning(
                #: Use `--web.listen-address=127.0.0.1:8426`, [passwords](web.md), or a firewall or
                #: network policy that you trust.
                "listening for other machines without authentication: anyone who can reach the "
                "address can read the bills",
                address=sockets.address(each),
            )
