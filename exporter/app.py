"""The composition root: makes every part, joins them, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from exporter.api.client import BillingClient
from exporter.api.connections import Watch
from exporter.api.route import Route, find_route
from exporter.config import ApiConfig, Config
from exporter.daemon import Components, Daemon, OnServing, Options, StartError
from exporter.metrics.telemetry import Telemetry
from exporter.page.publisher import Publisher
from exporter.polling.discovery import Discovery, merge, usable
from exporter.polling.intake import Intake
from exporter.polling.poller import Poller
from exporter.process import signals
from exporter.process.clock import SystemClock
from exporter.reloads import ReloadQueue
from exporter.state.archive import Archive
from exporter.state.budget import Budget
from exporter.state.ledger import IN_MEMORY, STORED
from exporter.state.place import LockedError, StorageError
from exporter.state.store import Store

if TYPE_CHECKING:  # or SQLite would be there without a storage
    from exporter.state.saver import Saver
    from exporter.state.storage import Storage, Stored

log = structlog.get_logger(__name__)

# Seconds for what storage does last: the process is to end within ten, of which scrapes have five.
LAST_SAVE = 3.0
LAST_CLOSE = 0.5


async def run(config: Config, options: Options, on_serving: OnServing) -> None:
    """Serve until SIGTERM or SIGINT; `on_serving` is as in `Daemon.run`.

    Raises StartError, and ConfigError; any other exception is a bug.
    """
    stop, reloads = asyncio.Event(), ReloadQueue()
    handlers = {
        signal.SIGHUP: reloads.request,
        signal.SIGTERM: stop.set,
        signal.SIGINT: stop.set,
    }
    loop = asyncio.get_running_loop()
    with signals.heeded(handlers):
        async with AsyncExitStack() as stack:
            starting = loop.create_task(stack.enter_async_context(made(config, options, reloads)))
            stopping = loop.create_task(stop.wait())
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():  # a storage that hangs holds up the start, but not its end
                starting.cancel()
                await asyncio.wait((starting,))
                return
            daemon = await starting
            await daemon.run(on_serving, stop)


@asynccontextmanager
async def made(config: Config, options: Options, reloads: ReloadQueue) -> AsyncIterator[Daemon]:
    """Make every part, and close in the end what has to be closed.

    Raises StartError, and ConfigError.
    """
    async with AsyncExitStack() as stack:
        daemon = await _assemble(config, options, reloads, stack)
        stack.push_async_callback(daemon.close)
        yield daemon


async def _assemble(
    config: Config, options: Options, reloads: ReloadQueue, stack: AsyncExitStack
) -> Daemon:
    clock = SystemClock()
    telemetry = Telemetry(options.version.number, options.version.revision)
    options.count_dropped_lines(telemetry.log_lines_dropped)
    options.turns.took = telemetry.turn_took
    if options.shard.total > 1:
        telemetry.sharded(options.shard.ordinal, options.shard.total)
    storage, stored = await _opened(options, telemetry, stack)
    saved = stored.organizations if stored else {}
    found = {key: usable(each) for key, each in stored.found.items()} if stored else {}
    store, watch = Store(), Watch(clock)

    async def connect(api: ApiConfig, route: Route) -> BillingClient:
        admit = None
        if api.max_requests_per_day is not None:
            budget = Budget(api.max_requests_per_day, storage, telemetry, clock)
            await budget.look()
            admit = budget.take
        agent = f"viam-billing-exporter/{options.version.number}"
        return BillingClient.along(
            route,
            api,
            user_agent=agent,
            telemetry=telemetry,
            clock=clock,
            admit=admit,
            next_call=lambda: min(poller.next_due, discovery.next_due),
            opened=watch.opened,
        )

    async def restore(late: Stored) -> Collection[str]:
        return await daemon.restore(late)

    own = await asyncio.to_thread(lambda: options.shard.part_of(merge(config, found)))
    client = await connect(own.api, await find_route(own.api, os.environ))
    # What moved to another shard is forgotten: it counts there now.
    restored = await asyncio.to_thread(options.shard.part_of_stored, saved)
    complete = stored is None or stored.complete
    intake = Intake(
        store,
        telemetry,
        clock,
        own.invoice_detail,
        restored,
        complete=complete,
        kept_days=IN_MEMORY if storage is None else STORED,
        share=options.turns.share,
    )
    saver = None
    if storage is not None:
        from exporter.state.saver import Saver  # noqa: PLC0415 - loads SQLite

        saver = Saver(storage, store, telemetry, stored, restore)
        stack.push_async_callback(_save_last, saver)
    asking = await asyncio.to_thread(options.shard.asks, config)
    discovery = Discovery(asking, client, clock=clock, telemetry=telemetry, found=found)
    poller = Poller(own, client, store=store, intake=intake, clock=clock, random=random.random)
    publisher = Publisher(
        store,
        telemetry,
        clock,
        max_series=own.limits.max_series,
        settled=discovery.settled,
    )
    components = Components(
        clock,
        telemetry,
        watch,
        store,
        Archive(store, storage),
        intake,
        saver,
        discovery,
        poller,
        publisher,
        reloads,
    )
    daemon = Daemon(
        config,
        own,
        client,
        components=components,
        connect=connect,
        find_route=partial(find_route, environ=os.environ),
        options=options,
    )
    return daemon


async def _opened(
    options: Options, telemetry: Telemetry, stack: AsyncExitStack
) -> tuple[Storage | None, Stored | None]:
    """Open the storage; returns what is in it, too. Raises StartError if another has it."""
    if options.storage_path is None:
        if not options.is_demo:
            log.info(
                "no storage: counters and days will be lost when this process ends",
                days=IN_MEMORY,
            )
        return None, None
    from exporter.process.program import program  # noqa: PLC0415 - only for a storage
    from exporter.state.storage import Storage  # noqa: PLC0415 - loads SQLite

    storage = Storage(options.storage_path, program=await asyncio.to_thread(program))
    stack.push_async_callback(_close, storage)
    try:
        return storage, await storage.read_when_free()
    except LockedError as error:
        raise StartError(str(error)) from error
    except StorageError as error:
        #: Usually the folder's mode or owner is wrong. Once it can be read, counters continue
        #: from it.
        log.error("cannot restore from storage; retrying every second", reason=str(error))
        telemetry.stored(str(error))
        return storage, None


async def _save_last(saver: Saver) -> None:
    """Save what the last second brought, but do not wait for a file system that hangs."""
    try:
        async with asyncio.timeout(LAST_SAVE):
            await saver.save()
    except TimeoutError:
        #: The file system hung.
        log.error("storage did not respond during shutdown: the latest changes may be lost")


async def _close(storage: Storage) -> None:
    with suppress(StorageError, TimeoutError):  # what hangs or fails has been said
        async with asyncio.timeout(LAST_CLOSE):
            await storage.in_thread(storage.close)
