"""What the pages say of the exporter itself."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.api.proxy import Proxy
from exporter.polling.key_records import DiscoveryStatus
from exporter.polling.poller import Progress
from exporter.state.ledger import STORED


@dataclass(frozen=True, slots=True)
class ExporterFacts:
    """What there is to say of the exporter itself."""

    uptime: float  # seconds
    configuration_hash: str
    progress: Progress
    ready: bool
    unpolled: int  # organizations
    settled: bool = True  # whether it is known which organizations there are
    discovery: DiscoveryStatus | None = None  # how discovery fares
    proxy: Proxy | None = None  # which the API is reached through
    kept_days: int = STORED  # of the ledger
    is_stored: bool = True  # what is polled and counted
