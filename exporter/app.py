"""The composition root: makes every part, joins them, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from exporter.api.client import BillingClient
from exporter.api.route import Route, route_to
from exporter.config import ApiConfig, Config
from exporter.daemon import Components, Daemon, OnServing, Options, StartError
from exporter.metrics.telemetry import Telemetry
from exporter.model import SavedOrganization
from exporter.page.publisher import Publisher
from exporter.polling.discovery import Discovery, Found, merge
from exporter.polling.intake import Intake
from exporter.polling.poller import Poller
from exporter.process import signals
from exporter.process.clock import SystemClock
from exporter.reloads import ReloadQueue
from exporter.state.budget import Budget
from exporter.state.saver import Saver
from exporter.state.storage import LockedError, Storage, StorageError
from exporter.state.store import Store

log = structlog.get_logger(__name__)


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
    with signals.heeded(handlers):
        async with made(config, options, reloads) as daemon:
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
    if options.shard.total > 1:
        telemetry.sharded(options.shard.ordinal, options.shard.total)
    storage, saved, found = await asyncio.to_thread(_opened, options.storage_path, telemetry)
    store, saver = Store(), None
    if storage is not None:
        stack.push_async_callback(asyncio.to_thread, storage.close)
        saver = Saver(storage, store, telemetry, saved, found)
        stack.push_async_callback(saver.save)  # what the last second brought

    async def connect(api: ApiConfig) -> BillingClient:
        admit = None
        if api.max_requests_per_day is not None:
            budget = Budget(api.max_requests_per_day, storage, telemetry, clock)
            await budget.look()
            admit = budget.take
        agent = f"viam-billing-exporter/{options.version.number}"
        return await BillingClient.open(
            api,
            user_agent=agent,
            telemetry=telemetry,
            clock=clock,
            environ=os.environ,
            admit=admit,
        )

    async def find_route(api: ApiConfig) -> Route:
        return await asyncio.to_thread(route_to, api, os.environ)

    own = await asyncio.to_thread(options.shard.part_of, merge(config, found))
    client = await connect(own.api)
    # What moved to another shard is forgotten: it counts there now.
    restored = {org_id: saved[org_id] for org_id in saved if options.shard.owns(org_id)}
    intake = Intake(store, telemetry, clock, own.invoice_detail, restored)
    discovery = Discovery(config, client, clock=clock, telemetry=telemetry, found=found)
    poller = Poller(own, client, store=store, intake=intake, clock=clock, random=random.random)
    publisher = Publisher(
        store,
        telemetry,
        clock,
        max_series=own.limits.max_series,
        settled=discovery.settled,
    )
    components = Components(clock, telemetry, store, saver, discovery, poller, publisher, reloads)
    return Daemon(
        config,
        own,
        client,
        components=components,
        connect=connect,
        find_route=find_route,
        options=options,
    )


def _opened(
    folder: Path | None, telemetry: Telemetry
) -> tuple[Storage | None, Mapping[str, SavedOrganization], Found]:
    """Open the storage; returns what is in it, too. Raises StartError if another has it."""
    if folder is None:
        return None, {}, {}
    storage = None
    try:
        storage = Storage(folder)
        return storage, storage.load(), storage.load_found()
    except LockedError as error:
        raise StartError(str(error)) from error
    except StorageError as error:
        log.error("nothing is restored", reason=str(error))
        telemetry.stored(successful=False)
        return storage, {}, {}
