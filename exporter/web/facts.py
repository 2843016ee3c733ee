"""What the pages say of the exporter itself."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.api.proxy import Proxy
from exporter.polling.key_records import DiscoveryStatus
from exporter.polling.poller import Progress
from exporter.state.ledger import STORED


def awaited(unpolled: int, *, settled: bool) -> str:
    """Say what the exporter waits for before it is ready; both are as in `ExporterFacts`."""
    polls = f"the first poll of {unpolled:,} organization{'s' if unpolled != 1 else ''}"
    if not settled:
        discovery = "discovery to list the organizations"
        return (
            f"waiting for {polls} and for {discovery}" if unpolled else f"waiting for {discovery}"
        )
    return f"waiting for {polls}" if unpolled else "waiting for the first complete metrics page"


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
    reload_error: str | None = None  # why the last configuration was refused, line by line
    storage_error: str | None = None  # why the storage cannot be written
    requests: tuple[int, int] | None = None  # the day's ceiling on them, and how many are left
