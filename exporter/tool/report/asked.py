"""What the billing API itself says, taken in as an exporter takes in its first answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from exporter.api.billing import BillingError
from exporter.config import Config
from exporter.metrics.catalog import Collector
from exporter.metrics.telemetry import Telemetry
from exporter.model import Clock, Failure, InvoiceDetail, Organization
from exporter.polling.answers import COLLECTOR
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.state.archive import Archive
from exporter.state.store import Store
from exporter.tool.bills import BillReader
from exporter.tool.outcomes import ReadFailure
from exporter.tool.stored import KnownLedgers


async def asked(
    config: Config, names: Sequence[str], clock: Clock
) -> tuple[KnownLedgers, Sequence[ReadFailure]]:
    """Return what is known of organizations after one answer to each call.

    And which of them could not be listed. Raises CommandError.
    """
    store, detail = Store(), InvoiceDetail("none", 0)
    intake = Intake(store, Telemetry("", ""), clock, detail)
    async with BillReader.connected(config) as reader:
        found = await reader.organizations(config, names)
        await intake.configure({each.id: each for each in found.wanted}, config.collectors, detail)

        async def poll(organization: Organization, collector: Collector[Any, Any]) -> None:
            unit = Unit(organization.id, collector.name)
            began = clock.monotonic()
            try:
                raw = await reader.raw(collector, organization)
                await intake.succeed(unit, raw, clock.monotonic() - began)
            except BillingError as error:
                failure = Failure(error.cause, error.code, str(error))
                intake.fail(unit, failure, clock.monotonic() - began)

        await asyncio.gather(
            *(poll(each, COLLECTOR[name]) for each in found.wanted for name in config.collectors)
        )
    return KnownLedgers(store, Archive(store), clock), found.failures
