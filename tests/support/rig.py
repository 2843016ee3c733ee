"""Poller, store and publisher joined, as the app joins them, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from exporter.config import Config
from exporter.metrics.render import Format
from exporter.metrics.telemetry import Telemetry
from exporter.page.pieces import Encoding
from exporter.page.publisher import Publisher
from exporter.polling.intake import Intake
from exporter.polling.poller import Poller
from exporter.state.archive import Archive
from exporter.state.ledger import IN_MEMORY, STORED
from exporter.state.place import FileSystem
from exporter.state.saver import Saver
from exporter.state.storage import FILE_SYSTEM, Storage, StorageError, Stored
from exporter.state.store import Store
from support.reader import FakeReader
from support.virtual import VirtualClock


class Rig:
    """The exporter between the API and the page."""

    def __init__(
        self,
        config: Config,
        reader: FakeReader | None = None,
        *,
        storage: Storage | None = None,
        stored: Stored | None = None,
        clock: VirtualClock | None = None,
    ) -> None:
        self.reader = reader or FakeReader()
        self.clock = clock or VirtualClock()
        self.storage = storage
        self.found = stored
        self.telemetry = Telemetry("1.2.3", "abc")
        self.store = Store()
        detail = config.invoice_detail
        self.intake = Intake(
            self.store,
            self.telemetry,
            self.clock,
            detail,
            stored.organizations if stored else {},
            complete=stored is None or stored.complete,
            kept_days=IN_MEMORY if storage is None else STORED,
        )
        self.archive = Archive(self.store, storage)
        self.poller = Poller(
            config,
            self.reader,
            store=self.store,
            intake=self.intake,
            clock=self.clock,
            random=lambda: 0.5,
        )
        self.publisher = Publisher(
            self.store, self.telemetry, self.clock, max_series=config.limits.max_series
        )

    @classmethod
    @asynccontextmanager
    async def stored(
        cls,
        folder: Path,
        config: Config,
        reader: FakeReader | None = None,
        clock: VirtualClock | None = None,
        system: FileSystem = FILE_SYSTEM,
    ) -> AsyncIterator[Rig]:
        """Make a process with storage while inside: a second one finds what the first left."""
        storage = Storage(folder, system=system, program=b"rig")
        try:
            stored = await asyncio.to_thread(storage.read)
        except StorageError:
            stored = None
        try:
            yield cls(config, reader, storage=storage, stored=stored, clock=clock)
        finally:
            await asyncio.to_thread(storage.close)

    async def restore(self, stored: Stored) -> Collection[str]:
        """Take in what could be read only late."""
        return await self.intake.restore(stored.organizations, complete=stored.complete)

    @asynccontextmanager
    async def running(self, *, publishing: bool = True) -> AsyncIterator[None]:
        """Poll, and publish, while inside."""
        await self.poller.start()
        await self.publisher.publish()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self.poller.run())]
            if publishing:
                running.append(tasks.create_task(self.publisher.run()))
            if self.storage:
                saver = Saver(self.storage, self.store, self.telemetry, self.found, self.restore)
                saver.keep(self.found.found if self.found else {})
                running.append(tasks.create_task(saver.run()))
            yield
            for task in running:
                task.cancel()

    def page(self, form: Format = Format.TEXT) -> str:
        """Return the current page."""
        return b"".join(self.publisher.page.bodies[form, Encoding.IDENTITY].chunks).decode()

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a metric by the values of the labels named."""
        return {
            tuple(sample.labels[label] for label in labels): sample.value
            for family in text_string_to_metric_families(self.page())
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str) -> float | None:
        """Return the only sample of a metric, or None if there is none."""
        found = [*self.values(name, *[]).values()]
        return found[0] if found else None
