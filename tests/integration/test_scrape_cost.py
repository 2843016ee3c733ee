"""What a scrape costs: sending bytes that are there, however many organizations there are."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import exporter
from exporter.model import InvoiceDetail
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.web import sockets
from exporter.web.backend import Backend
from exporter.web.serving import WebOptions, serve
from support.process import OPENMETRICS, TEXT, get
from support.reader import config, organization
from support.rig import Rig

pytestmark = pytest.mark.alone

HOUSE = Path(exporter.__file__).parent
SCRAPES = [
    {"Accept": accept, "Accept-Encoding": encoding}
    for accept, encoding in product((TEXT, OPENMETRICS), ("gzip", "identity"))
]


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Count which functions of ours this thread calls while inside."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(HOUSE):
            counted[f"{path.relative_to(HOUSE)}:{frame.f_code.co_qualname}"] += 1

    sys.setprofile(note)
    try:
        yield counted
    finally:
        sys.setprofile(None)


async def called_by_scrapes(organizations: int) -> Counter[str]:
    """Return what is called when a page is scraped that has so many organizations."""
    rig = Rig(config(*(organization(f"o{number}") for number in range(organizations))))
    async with rig.running(publishing=False):
        changes = rig.store.subscribe()
        while not rig.publisher.ready:
            await changes.wait()
            changes.take()
            await rig.publisher.publish()
    backend = Backend(
        rig.publisher,
        rig.store,
        rig.clock,
        rig.telemetry,
        "1",
        lambda: "",
        _no_reload,
        rig.poller,
        InvoiceDetail,
        str,
        lambda: None,
        Archive(rig.store),
        Shard(),
    )
    listening = await sockets.bind("127.0.0.1", 0)
    port = listening[0].getsockname()[1]
    async with serve(listening, WebOptions(), "/metrics", backend):
        await asyncio.to_thread(get, port, "/metrics", SCRAPES[0])
        with calls() as counted:
            for headers in SCRAPES:
                response = await asyncio.to_thread(get, port, "/metrics", headers)
                assert response.status == 200
    return counted


async def _no_reload() -> None:
    """Nothing is reloaded here."""


def test_a_scrape_calls_the_web_side_only() -> None:
    """Nothing is rendered, joined, compressed or counted for it; only that it came is noted."""
    counted = asyncio.run(called_by_scrapes(3))
    assert counted["web/routes.py:Routes.metrics"] == len(SCRAPES)
    others = {name for name in counted if name.partition("/")[0] != "web"}
    assert others == {"page/publisher.py:Publisher.scraped", "page/pending.py:Pending.note"}


def test_a_scrape_calls_as_much_for_one_organization_as_for_many() -> None:
    """Not one call of ours comes with another organization.

    But for what connections count: that depends on how fast the client reads.
    """
    few, many = (asyncio.run(called_by_scrapes(count)) for count in (1, 700))
    for counted in few, many:
        for name in [name for name in counted if name.startswith("web/connection")]:
            del counted[name]
    assert few == many
    assert sum(few.values()) > len(SCRAPES)
