"""Scrapes, and pauses of the event loop, while everybody is polled without pause."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from bench import programs
from bench.client import Client, pause
from bench.figures import ms, quantile, short
from bench.findings import Findings, Setting, Table
from bench.programs import Server

EVERY = 0.1  # seconds from one scrape to the next
CHANGING = 10  # percent


def run(setting: Setting) -> Findings:
    """Compare with the same exporter at rest."""
    seconds = setting.some(60, 15)
    with programs.billing(setting.folder, setting.largest, changing=CHANGING) as upstream:
        with programs.exporter(setting.folder, setting.largest, upstream) as ours:
            ours.wait_until_ready()
            idle, idle_pauses, _ = _watch(ours, seconds / 3)
        flat_out = programs.FLAT_OUT
        with programs.exporter(setting.folder, setting.largest, upstream, flat_out) as ours:
            ours.wait_until_ready()
            before = upstream.requests()
            busy, pauses, own = _watch(ours, seconds)
            after = upstream.requests()
    rate = (after.number - before.number) / (after.last - before.last)
    p99 = quantile(busy, 0.99)
    return Findings(
        tables=[
            Table(
                "busy",
                ("", "median ms", "p99 ms", "p99.9 ms", "most ms", "samples"),
                [
                    _row("scrapes, at rest", idle),
                    _row(f"scrapes, at {short(rate)} calls a second", busy),
                    _row("health page every 5 ms, at rest", idle_pauses),
                    _row("health page every 5 ms, polling", pauses),
                    _row("lateness of who asks for it", own),
                ],
            )
        ],
        values={
            "busy p99 / idle": p99 / statistics.median(idle),
            "busy p99": 1000 * p99,
            "pauses p99.9": 1000 * quantile(pauses, 0.999),
            "longest pause": 1000 * max(pauses),
        },
    )


def _row(what: str, times: list[float]) -> list[str]:
    quantiles = [ms(quantile(times, share)) for share in (0.5, 0.99, 0.999)]
    return [what, *quantiles, ms(max(times)), short(len(times))]


def _watch(ours: Server, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Return the times of scrapes, of answers to a probe, and the lateness of the probe."""
    command = (sys.executable, "-m", "bench.peers.probe", str(ours.port), str(seconds))
    environ = os.environ | programs.TESTS
    client = Client(ours.port)
    times = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as probe:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(client.scrape("gzip").seconds)
            pause(EVERY - times[-1])
        found = json.loads(probe.communicate(timeout=seconds + 10)[0])
    return times, found["answers"], found["own"]
