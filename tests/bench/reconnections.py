"""Whether connections that are opened again and again leave something in memory.

Between polls that are more than ten seconds apart the exporter has no connection. Its clocks run
faster here, so that a hundred of them do not take twenty minutes.
"""

from __future__ import annotations

import sys

from bench import programs, usage
from bench.client import wait
from bench.data import Polling
from bench.figures import mb, short
from bench.findings import Findings, Setting, Table
from bench.programs import Billing

POLLING = Polling(first_interval="12s")
FACTOR = 20  # by how much faster its clocks run
HURRIED = (sys.executable, "-m", "bench.peers.hurried_exporter", str(FACTOR))
BEFORE, MORE = 20, 100  # connections
WITHIN = 180.0  # seconds


def run(setting: Setting) -> Findings:
    """Compare the memory after some connections with that after a hundred more."""
    findings, rows = Findings(), []
    with (
        programs.billing(setting.folder, 1, tls=True) as upstream,
        programs.exporter(setting.folder, 1, upstream, POLLING, HURRIED) as ours,
    ):
        try:
            for count in (BEFORE, BEFORE + MORE):
                _wait_for(upstream, count)
                rows.append((upstream.connections(), usage.memory(ours.pid)))
        except TimeoutError as error:
            print(f"reconnections: {error}, but {upstream.connections()}", file=sys.stderr)
        else:
            findings.values["memory of reconnections"] = (rows[1][1] - rows[0][1]) / 1e6
    findings.tables.append(
        Table(
            "reconnections",
            ("connections so far", "resident MB"),
            [[short(connections), mb(memory)] for connections, memory in rows],
        )
    )
    return findings


def _wait_for(upstream: Billing, connections: int) -> None:
    wait(
        lambda: upstream.connections() >= connections,
        f"{connections} connections",
        within=WITHIN,
        look_every=0.5,
    )
