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

    def __init__(self, server: Server, *, is_scraped: bool) -> None:
        self.server = server
        self._client = Client(server.port) if is_scraped else None
        self._cpu = usage.cpu(server.pid)
        self._switches = usage.Switches(server.pid)
        self._began = self._now = time.monotonic()
        self.scrapes = 0

    def look(self) -> None:
        """Note what it has used, and scrape it if it is time."""
        self._now = time.monotonic()
        self._switches.look()
        if self._client and self._now - self._began >= SCRAPED_EVERY * self.scrapes:
            self._client.scrape("gzip")
            self.scrapes += 1

    @property
    def seconds(self) -> float:
        """For how long it has been watched."""
        return self._now - self._began

    @property
    def cpu(self) -> float:
        """Its processor time, in percent of a core."""
        return 100 * (usage.cpu(self.server.pid) - self._cpu) / self.seconds

    @property
    def wake_ups(self) -> float:
        """How often its threads were woken, a second."""
        return self._switches.count / self.seconds


def run(setting: Setting) -> Findings:
    """Watch all cases at the same time: each uses next to nothing."""
    findings = Findings()
    with ExitStack() as stack:
        enter = stack.enter_context
        plaintext = enter(programs.billing(setting.folder, COUNT))
        tls = enter(programs.billing(setting.folder, COUNT, tls=True))
        servers = {}
        for number, (name, upstream) in enumerate(
            {PLAINTEXT: plaintext, TLS: tls, SCRAPED: tls}.items()
        ):
            folder = setting.folder / f"idle-{number}"
            folder.mkdir()
            servers[name] = enter(programs.exporter(folder, COUNT, upstream, POLLING))
        for server in servers.values():
            server.wait_until_ready()
        findings.values["page, gzip / zlib"] = _gzip_by_zlib(servers[PLAINTEXT])
        pause(SETTLED)
        cases = {name: Case(server, is_scraped=name == SCRAPED) for name, server in servers.items()}
        _watch([*cases.values()], 60 * setting.idle_minutes)
        findings.tables.append(Table("idle", COLUMNS, [_row(*each) for each in cases.items()]))
        for name, case in cases.items():
            findings.values[f"idle CPU, {name}"] = case.cpu
            findings.values[f"idle memory, {name}"] = usage.memory(case.server.pid) / 1e6
        findings.values["idle wake-ups"] = max(cases[TLS].wake_ups, cases[PLAINTEXT].wake_ups)
    return findings


def _watch(cases: Sequence[Case], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for case in cases:
            case.look()
        pause(min(LOOK_EVERY, left))
    for case in cases:
        case.look()


def _row(name: str, case: Case) -> Sequence[str]:
    return [
        *(name, short(case.seconds / 60), short(case.cpu), short(case.wake_ups)),
        *(mb(usage.memory(case.server.pid)), str(case.scrapes)),
    ]


def _gzip_by_zlib(ours: Server) -> float:
    """Return the size of the page as gzip, divided by that of zlib at level 6."""
    headers = {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}
    body = get(ours.port, "/metrics", headers).body
    return len(body) / len(zlib.compress(zlib.decompress(body, 31), 6))
