"""The account that the documents name, and a billing service that knows it.

`python -m support.account PORT CERTIFICATE KEY` serves it over TLS until it is stopped.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import grpc

from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator, demo_fleet

HOST = "app.viam.com"
PORT = 443
ACCOUNT = replace(
    demo_fleet(1)[0],
    id="3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01",
    api_key_id="7d0a1f52-93c6-4b0e-8a6f-5e2b9c41d370",
    api_key="k3yofthedocumentsk3yofthedocumen",
)


async def _serve(port: str, credentials: grpc.ServerCredentials) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    simulator = Simulator([ACCOUNT], SimulatedClock(SystemClock()), rng=Random(1))
    await simulator.start(f"127.0.0.1:{port}", credentials)
    print("ready", flush=True)  # noqa: T201 - who started it waits for that
    await stop.wait()
    await simulator.stop(1)


def main(port: str, certificate: str, key: str) -> None:
    """Serve the account."""
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    asyncio.run(_serve(port, grpc.ssl_server_credentials([pair])))


if __name__ == "__main__":
    main(*sys.argv[1:])
