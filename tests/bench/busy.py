"""Scrapes, pauses of the event loop, and memory, while everybody is polled without pause."""

from __future__ import annotations

import json
import signal
import statistics
import time
from contextlib import AbstractContextManager

from bench import programs, usage
from bench.client import Client, pause
from bench.data import Polling
from bench.figures import mb, ms, quantile, short
from bench.findings import Findings, Setting, Table
from bench.programs import Billing, Server

EVERY = 0.1  # seconds from one scrape to the next
CHANGING = 10  # percent


def run(setting: Setting) -> Findings:
    """Compare with the same exporter at rest."""
    seconds = setting.some(30, 15)
    with programs.billing(setting.folder, setting.largest, changing=CHANGING) as upstream:
        with _exporter(setting, upstream, programs.RARELY) as ours:
            ours.wait_until_ready()
            idle, idle_pauses = _watch(ours, seconds / 3)
        with _exporter(setting, upstream, programs.FLAT_OUT) as ours:
            ours.wait_until_ready()
            before = upstream.requests()
            busy, pauses = _watch(ours, seconds)
            after = upstream.requests()
            soak, grown = _soak(ours, setting.soak_minutes)
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
                    _row("pauses of the event loop, at rest", idle_pauses),
                    _row("pauses of the event loop, polling", pauses),
                ],
            ),
            soak,
        ],
        values={
            "busy p99 / idle": p99 / statistics.median(idle),
            "busy p99": 1000 * p99,
            "pauses p99.9": 1000 * quantile(pauses, 0.999),
            "longest pause": 1000 * max(pauses),
            "memory, later / before": grown,
        },
    )


def _row(what: str, times: list[float]) -> list[str]:
    quantiles = [ms(quantile(times, share)) for share in (0.5, 0.99, 0.999)]
    return [what, *quantiles, ms(max(times)), short(len(times))]


def _soak(ours: Server, minutes: float) -> tuple[Table, float]:
    """Go on for some minutes; returns the memory, and that at the end divided by that before."""
    before, client = usage.memory(ours.pid), Client(ours.port)
    for _ in range(round(60 * minutes)):
        client.scrape("gzip")
        pause(1.0)
    after = usage.memory(ours.pid)
    rows = [
        ["after the scrapes above", mb(before)],
        [f"{minutes:g} minutes later", mb(after)],
        ["the most of all that", mb(usage.peak_memory(ours.pid))],
    ]
    return Table("soak", ("", "resident MB"), rows), after / before


def _exporter(
    setting: Setting, upstream: Billing, polling: Polling
) -> AbstractContextManager[Server]:
    folder, count = setting.folder, setting.largest
    return programs.exporter(folder, count, upstream, polling, programs.WATCHED)


def _watch(ours: Server, seconds: float) -> tuple[list[float], list[float]]:
    """Return the times of scrapes, and how late the event loop was meanwhile."""
    _late(ours, 1)
    client = Client(ours.port)
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        times.append(client.scrape("gzip").seconds)
        pause(EVERY - times[-1])
    return times, _late(ours, 2)


def _late(ours: Server, time_asked: int) -> list[float]:
    """Return how late the loop was since the last time that this was asked."""
    ours.process.send(signal.SIGUSR1)
    late: list[float] = json.loads(ours.process.stdout.wait_for(rf"late {time_asked}: (.*)")[1])
    return late
