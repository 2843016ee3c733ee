"""The exporters that `make bench` measures, which reach into ours: they do what they are for."""

from __future__ import annotations

import json
import signal
import sys
import time

from bench import programs
from bench.programs import Server
from support.process import parse, until

FACTOR = 100
HURRIED = (sys.executable, "-m", "bench.peers.hurried_exporter", str(FACTOR))


def test_the_watched_exporter_says_how_late_its_loop_was() -> None:
    """On each signal, for the time since the one before."""
    with programs.launched("--demo", program=programs.WATCHED) as ours:
        ours.wait_until_ready()
        for number in (1, 2):
            ours.process.send(signal.SIGUSR1)
            late = json.loads(ours.process.stdout.wait_for(rf"late {number}: (.*)")[1])
            assert all(-1 < seconds < 30 for seconds in late)
        assert late


def test_the_hurried_exporter_polls_by_its_own_clocks() -> None:
    """A moment of ours is minutes for it, in which it polls again."""
    with programs.launched("--demo", program=HURRIED) as ours:
        ours.wait_until_ready()
        until(lambda: _newest_poll(ours) > time.time() + FACTOR, "it polls in the future")


def _newest_poll(ours: Server) -> float:
    return max(
        value
        for (name, _), value in parse(ours.page()).items()
        if name == "viam_billing_collector_last_attempt_timestamp_seconds"
    )
