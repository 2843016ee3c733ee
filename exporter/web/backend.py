"""What is behind the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.api.proxy import Proxy
from exporter.metrics.telemetry import Telemetry
from exporter.model import Clock, InvoiceDetail
from exporter.page.publisher import Publisher
from exporter.polling.key_records import DiscoveryStatus
from exporter.polling.poller import Poller
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.state.store import Store


@dataclass(frozen=True, slots=True)
class Backend:
    """What is behind the pages: the parts of the exporter that they show or act upon."""

    publisher: Publisher
    store: Store
    clock: Clock
    telemetry: Telemetry
    version: str
    configuration: Callable[[], str]  # the effective one, as YAML
    # Reloads the configuration; returns what is wrong with it if the old one stays, or raises
    # NoReloadError.
    reload: Callable[[], Awaitable[str | None]]
    poller: Poller
    invoice_detail: Callable[[], InvoiceDetail]
    configuration_hash: Callable[[], str]  # another one for another configuration
    discovery: Callable[[], DiscoveryStatus | None]  # how discovery fares
    archive: Archive
    shard: Shard  # which part of the organizations is polled here
    proxy: Callable[[], Proxy | None] = lambda: None  # which the API is reached through
    on_connection: Callable[[], object] = lambda: None  # told of each
