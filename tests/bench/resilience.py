"""Whether the healthy are polled on time while calls for others fail or hang."""

from __future__ import annotations

import re
import time

from isal import isal_zlib

from bench import data, programs
from bench.client import pause
from bench.data import Polling
from bench.figures import short
from bench.findings import Findings, Setting, Table
from bench.programs import Server
from support.process import get

FAILING, HANGING = 5, 1  # percent
INTERVAL = 30.0  # seconds
POLLING = Polling(
    interval=f"{INTERVAL:g}s", first_interval=f"{INTERVAL:g}s", concurrency=256, timeout="5s"
)
SLACK = 5.0  # seconds
INTERVALS = 3
SUCCESS = re.compile(
    rb'^viam_billing_collector_last_success_timestamp_seconds\{.*org_id="([^"]+)".* (\S+)$',
    re.MULTILINE,
)
COLLECTORS = 3


def run(setting: Setting) -> Findings:
    """Look at the ages of all collectors, again and again."""
    count = setting.largest
    healthy = {
        org_id.encode()
        for index, (org_id, _) in enumerate(data.organizations(count))
        if index % 100 >= FAILING + HANGING
    }
    oldest, fewest = 0.0, len(healthy) * COLLECTORS
    with (
        programs.billing(setting.folder, count, failing=FAILING, hanging=HANGING) as upstream,
        programs.exporter(setting.folder, count, upstream, POLLING) as ours,
    ):
        ours.wait_until_ready()
        end = time.monotonic() + INTERVALS * INTERVAL
        while time.monotonic() < end:
            ages = _ages(ours, healthy)
            oldest, fewest = max(oldest, *ages), min(fewest, len(ages))
            pause(INTERVAL / 6)
    assert fewest == len(healthy) * COLLECTORS, "a healthy organization has no success"
    return Findings(
        tables=[
            Table(
                "resilience",
                ("organizations", "failing", "hanging", "interval s", "oldest success s"),
                [
                    [
                        *(short(count), f"{FAILING}%", f"{HANGING}%"),
                        *(short(INTERVAL), short(oldest)),
                    ]
                ],
            )
        ],
        values={"oldest success": oldest},
    )


def _ages(ours: Server, healthy: set[bytes]) -> list[float]:
    """Return how old the last success of each collector of the healthy is, in seconds."""
    now = time.time()
    body = get(ours.port, "/metrics", {"Accept-Encoding": "gzip"}).body
    page = isal_zlib.decompress(body, 31)
    return [now - float(at) for org_id, at in SUCCESS.findall(page) if org_id in healthy]
