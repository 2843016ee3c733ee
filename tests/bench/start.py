"""How long it takes from the command to a page with everybody on it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from isal import isal_zlib

from bench import data, programs
from bench.client import wait
from bench.figures import short
from bench.findings import Findings, Setting, Table
from support.process import get

DEMO = 8  # organizations
STORAGE = "storage"  # of the largest fleet: the ledger's measurement goes on from it
GZIP = {"Accept-Encoding": "gzip"}
QUIET_LOOKS = 5  # seconds
METRIC = b"\nviam_billing_usage_month_to_date_usd{"


def run(setting: Setting) -> Findings:
    """Start with nothing, with what was stored, and the demo."""
    folder, count = setting.folder, setting.largest
    stored = folder / STORAGE
    storage = f"--storage.path={stored}"
    with programs.billing(folder, count) as upstream:
        file = data.write_configuration(
            folder / "exporter.yml", count, upstream.port, programs.RARELY
        )
        # The next start finds all of it: writing takes longer than polling.
        cold = started(count, f"--config.file={file}", storage, then=lambda: written(stored))
        warm = [started(count, f"--config.file={file}", storage) for _ in range(setting.some(3, 1))]
    demo = [started(DEMO, "--demo") for _ in range(setting.some(5, 2))]
    rows = [
        [what, short(organizations), short(statistics.median(times)), short(max(times))]
        for what, organizations, times in (
            ("nothing stored", count, [cold]),
            ("from storage", count, warm),
            ("demo", DEMO, demo),
        )
    ]
    return Findings(
        tables=[Table("start", ("", "organizations", "median s", "most s"), rows)],
        values={
            "cold start": cold,
            "warm start": statistics.median(warm),
            "demo": statistics.median(demo),
        },
    )


def written(folder: Path) -> None:
    """Wait until a folder has not grown for some seconds."""
    sizes: list[int] = []

    def rests() -> bool:
        sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
        return len(sizes) > QUIET_LOOKS and len({*sizes[-QUIET_LOOKS:]}) == 1

    wait(rests, "stored", within=300, look_every=1.0)


def started(
    organizations: int, *arguments: str, then: Callable[[], object] = lambda: None
) -> float:
    """Return the seconds until a page with so many organizations has come; `then` comes after."""
    began = time.monotonic()
    arrived = began
    with programs.launched(*arguments) as ours:

        def complete() -> bool:
            nonlocal arrived
            try:
                answer = get(ours.port, "/metrics", GZIP)
            except ConnectionError:
                return False
            arrived = time.monotonic()
            assert answer.status == HTTPStatus.OK
            return isal_zlib.decompress(answer.body, 31).count(METRIC) == organizations

        wait(complete, "everybody is shown", within=programs.READY_WITHIN, look_every=0.01)
        ours.wait_until_ready()
        then()
    return arrived - began
