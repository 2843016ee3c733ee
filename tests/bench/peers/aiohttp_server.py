"""What aiohttp alone can do: it sends bytes that are there.

All that it looks at is whether gzip is asked for. Takes the page's files, plain and compressed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from aiohttp import web

from support.process import OPENMETRICS


async def serve(plain: bytes, compressed: bytes) -> None:
    """Serve until told to stop."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {"Content-Type": OPENMETRICS, "Content-Encoding": "gzip"}
            return web.Response(body=compressed, headers=headers)
        return web.Response(body=plain, headers={"Content-Type": OPENMETRICS})

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(*(Path(name).read_bytes() for name in sys.argv[1:])))
