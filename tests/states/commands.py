"""What `viam-billing` prints in a world: asked of the exporter, and of the billing API itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import yaml

from exporter.api.calls import ReadRpc
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet
from states.living import Living
from states.worlds import World
from support.clock import StandingClock
from support.process import PATIENCE
from support.standing import within

OF_EXPORTERS: Final = ("usage", "forecast")
OF_THE_API: Final = ("usage", "invoices", "check --connect")
SHOWN_URL: Final = "http://localhost:8426"  # its port is another one each time
SHOWN_FILE: Final = "exporter.yml"


def printed(living: Living, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command, as a person types it, with the lines that it prints."""
    now = living.world.looked_at

    def lines(command: str, flag: str) -> list[str]:
        done = within(*command.split(), flag, folder=folder, now=now)
        text = f"{done.stdout}\n{done.stderr}".replace(living.url, SHOWN_URL)
        shown = [line.strip() for line in text.replace(f"{folder}/", "").splitlines()]
        return [line for line in shown if line.strip("─ ")] + [f"exit code {done.returncode}"]

    for command in OF_EXPORTERS:
        yield (
            f"viam-billing {command} --exporter={SHOWN_URL}",
            lines(command, f"--exporter={living.url}"),
        )
    with _service(living.world, folder) as file:
        for command in OF_THE_API:
            yield (
                f"viam-billing {command} --config.file={SHOWN_FILE}",
                lines(command, f"--config.file={file.name}"),
            )


def _accounts(world: World) -> list[Account]:
    pattern, *_ = demo_fleet(1)
    return [replace(pattern, id=bill.org_id, name=bill.name) for bill in world.bills]


@contextmanager
def _service(world: World, folder: Path) -> Iterator[Path]:
    """Serve the billing API of a world, as people meet it; yields a configuration for it."""
    accounts, loop = _accounts(world), asyncio.new_event_loop()
    clock = SimulatedClock(StandingClock(world.looked_at))

    async def start() -> tuple[Simulator, int]:
        simulator = Simulator(accounts, clock, rng=Random(1))
        for bill in world.bills:
            for rpc in ReadRpc:
                answer = world.answer(rpc, bill.org_id, world.looked_at)
                simulator.answers[rpc.value, bill.org_id] = answer
        return simulator, await simulator.start()

    simulator, port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield _configuration(world, folder, accounts[0], port)
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def _configuration(world: World, folder: Path, account: Account, port: int) -> Path:
    file = folder / SHOWN_FILE
    file.touch(0o600)
    document = {
        "api": {"address": f"127.0.0.1:{port}", "tls": False},
        "credentials": {"api_key_id": account.api_key_id, "api_key": account.api_key},
        "organizations": [
            {"id": bill.org_id, "name": bill.name}
            | ({} if bill.budget_usd is None else {"budget_usd": bill.budget_usd})
            for bill in world.bills
        ],
    }
    file.write_text(yaml.safe_dump(document))
    return file
