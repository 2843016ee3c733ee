"""What three organizations cost, polled every five minutes: processor time, wake-ups and memory."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from contextlib import ExitStack

from bench import programs, usage
from bench.client import Client, pause
from bench.data import Polling
from bench.figures import mb, short
from bench.findings import Findings, Setting, Table
from bench.programs import Server
from support.process import OPENMETRICS, get

COUNT = 3  # organizations
POLLING = Polling(interval="5m", first_interval="5m")
SCRAPED_EVERY = 15.0  # seconds
LOOK_EVERY = 1.0  # seconds
SETTLED = 20.0  # seconds after which the start's own work has ended
PLAINTEXT, TLS, SCRAPED = "plaintext", "TLS", "TLS, scraped every 15 s"
COLUMNS = ("", "minutes", "CPU %", "wake-ups a second", "resident MB", "scrapes")


class Case:
    """An exporter that is watched without being disturbed."""

    def __init__(self, server: Server, slept_before: int, *, is_scraped: bool) -> None:
        """`slept_before` is how often another like it had slept by now."""
        self.server = server
        self._client = Client(server.port) if is_scraped else None
        self._cpu = usage.cpu(server.pid)
        self._slept_before = slept_before
        self._began = time.monotonic()
        self.scrapes = 0
        self.seconds = self.cpu = self.wake_ups = 0.0
        self.memory = 0

    def look(self) -> None:
        """Scrape it if it is time."""
        seconds = time.monotonic() - self._began
        if self._client and seconds >= SCRAPED_EVERY * self.scrapes:
            self._client.scrape("gzip")
            self.scrapes += 1

    def end(self) -> None:
        """Note what it has used: processor time in percent of a core, wake-ups a second, bytes."""
        self.seconds = time.monotonic() - self._began
        self.cpu = 100 * (usage.cpu(self.server.pid) - self._cpu) / self.seconds
        self.memory = usage.memory(self.server.pid)
        slept = usage.wake_ups(self.server.process.stop)
        self.wake_ups = (slept - self._slept_before) / self.seconds


def run(setting: Setting) -> Findings:
    """Watch all cases at the same time: each uses next to nothing."""
    findings = Findings()
    with ExitStack() as stack:
        enter = stack.enter_context
        plaintext = enter(programs.billing(setting.folder, COUNT))
        tls = enter(programs.billing(setting.folder, COUNT, tls=True))
        # Two of each: one ends when the watch begins.
        servers = {}
        for number, (name, upstream) in enumerate(
            {PLAINTEXT: plaintext, TLS: tls, SCRAPED: tls}.items()
        ):
            folder = setting.folder / f"idle-{number}"
            folder.mkdir()
            servers[name] = [
                enter(programs.exporter(folder, COUNT, upstream, POLLING)) for _ in range(2)
            ]
        for pair in servers.values():
            for server in pair:
                server.wait_until_ready()
        findings.values["page, gzip / zlib"] = _gzip_by_zlib(servers[PLAINTEXT][0])
        pause(SETTLED)
        cases = {}
        for name, (first, second) in servers.items():
            slept = usage.wake_ups(first.process.stop)
            cases[name] = Case(second, slept, is_scraped=name == SCRAPED)
        _watch([*cases.values()], 60 * setting.idle_minutes)
        findings.tables.append(Table("idle", COLUMNS, [_row(*each) for each in cases.items()]))
        for name, case in cases.items():
            findings.values[f"idle CPU, {name}"] = case.cpu
            findings.values[f"idle memory, {name}"] = case.memory / 1e6
        findings.values["idle wake-ups"] = max(cases[TLS].wake_ups, cases[PLAINTEXT].wake_ups)
    return findings


def _watch(cases: Sequence[Case], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for case in cases:
            case.look()
        pause(min(LOOK_EVERY, left))
    for case in cases:
        case.end()


def _row(name: str, case: Case) -> Sequence[str]:
    return [
        *(name, short(case.seconds / 60), short(case.cpu), short(case.wake_ups)),
        *(mb(case.memory), str(case.scrapes)),
    ]


def _gzip_by_zlib(ours: Server) -> float:
    """Return the size of the page as gzip, divided by that of zlib at level 6."""
    headers = {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}
    body = get(ours.port, "/metrics", headers).body
    return len(body) / len(zlib.compress(zlib.decompress(body, 31), 6))
