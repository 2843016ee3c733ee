"""What --demo polls: a simulated billing service inside the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from exporter.config import ApiConfig, Config, InvoicesConfig, PollConfig
from exporter.model import ApiKey, Organization, Secret
from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator, demo_fleet

SEED: Final = 1
INTERVAL: Final = 10.0  # seconds; short, so that a newcomer sees numbers move


@asynccontextmanager
async def simulated_service() -> AsyncIterator[Config]:
    """Run the service while inside; yields the configuration that polls it."""
    clock = SystemClock()
    accounts = demo_fleet(SEED)
    simulator = Simulator(accounts, SimulatedClock(clock), rng=Random(SEED))  # noqa: S311 - a game
    port = await simulator.start("127.0.0.1:0")
    try:
        yield Config(
            api=ApiConfig(address=f"127.0.0.1:{port}", tls=False),
            poll=PollConfig(interval=INTERVAL),
            invoices=InvoicesConfig(detail="all"),
            organizations=tuple(
                Organization(
                    id=account.id,
                    name=account.name,
                    api_key=ApiKey(account.api_key_id, secret=Secret(account.api_key)),
                    interval=INTERVAL,
                    max_age=4 * INTERVAL,
                    budget_usd=account.budget_usd,
                    labels={"team": account.team},
                )
                for account in accounts
            ),
        )
    finally:
        await simulator.stop(grace=None)
