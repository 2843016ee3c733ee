"""The exporter's parts before the simulated service, over real connections, polled fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from exporter.api.client import BillingClient
from exporter.config import ApiConfig, Config, InvoicesConfig
from exporter.metrics.render import Format
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Organization, Secret
from exporter.page.pieces import Encoding
from exporter.page.publisher import Publisher
from exporter.polling.intake import Intake
from exporter.polling.poller import Poller
from exporter.process.clock import SystemClock
from exporter.simulator import Account, SimulatedClock, Simulator
from exporter.state.store import Store

PATIENCE = 40.0  # seconds until a test gives up waiting

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


class Live:
    """A running exporter without its web server, and the service that it polls."""

    def __init__(self, simulator: Simulator, accounts: Sequence[Account]) -> None:
        self.simulator = simulator
        self.accounts = accounts
        self.clock = SystemClock()
        self.telemetry = Telemetry("1", "a")
        self.store = Store()
        self.publisher = Publisher(self.store, self.telemetry, self.clock, max_series=10**6)
        self._changes = self.store.subscribe()

    def config(self, port: int, **api: Any) -> Config:
        """Return a configuration that polls all accounts."""
        organizations = tuple(
            Organization(
                id=account.id,
                name=account.name,
                api_key=ApiKey(account.api_key_id, secret=Secret(account.api_key)),
                interval=0.3,
                max_age=1000.0,
            )
            for account in self.accounts
        )
        values: dict[str, Any] = {"address": f"127.0.0.1:{port}", "tls": False, "timeout": 0.5}
        return Config(
            organizations=organizations,
            api=ApiConfig(**values | api),
            invoices=InvoicesConfig(detail="all"),
        )

    async def samples(self) -> Samples:
        """Return the page now: by metric, by the labels but the name of the organization."""
        await self.publisher.publish()
        page = b"".join(self.publisher.page.bodies[Format.TEXT, Encoding.IDENTITY].chunks)
        found: Samples = {}
        for family in text_string_to_metric_families(page.decode()):
            for sample in family.samples:
                labels = {k: v for k, v in sample.labels.items() if k != "org_name"}
                found.setdefault(sample.name, {})[tuple(sorted(labels.items()))] = sample.value
        return found

    async def until(self, condition: Callable[[Samples], Any], what: str) -> Samples:
        """Wait until the page fulfils a condition; looked at whenever something was polled."""
        last: Samples = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self._changes.take()
                    last = await self.samples()
                    if condition(last):
                        return last
                    await self._changes.wait()
        except TimeoutError:
            failing = last.get("viam_billing_collector_failure")
            raise AssertionError(f"still not: {what}; failing: {failing}") from None


@asynccontextmanager
async def live(
    accounts: Sequence[Account], *, front: bool = False, **api: Any
) -> AsyncIterator[Live]:
    """Run all of it while inside."""
    simulator = Simulator(accounts, SimulatedClock(SystemClock()), rng=Random(1))
    port = await simulator.start(front=front)
    exporter = Live(simulator, accounts)
    config = exporter.config(port, **api)
    client = BillingClient(
        config.api,
        user_agent="test",
        roots=None,
        telemetry=exporter.telemetry,
        clock=exporter.clock,
    )
    detail = config.invoice_detail
    intake = Intake(exporter.store, exporter.telemetry, exporter.clock, detail)
    poller = Poller(
        config,
        client,
        store=exporter.store,
        intake=intake,
        clock=exporter.clock,
        random=Random(1).random,
    )
    await exporter.publisher.publish()
    await poller.start()
    polling = asyncio.create_task(poller.run())
    try:
        yield exporter
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await client.close()
        await simulator.stop()
