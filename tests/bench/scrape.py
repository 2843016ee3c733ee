"""Scrapes of a page that does not change, from us and from others, in turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import programs, usage
from bench.client import HEADERS, Client
from bench.figures import mb, ms, quantile, short
from bench.findings import Findings, Setting, Table
from bench.programs import MissingError, Server
from support.process import OPENMETRICS, get

OURS, NGINX, AIOHTTP = "viam-billing-exporter", "nginx", "aiohttp"
GO, PYTHON = "Go promhttp", "prometheus-client"
COLUMNS = (
    *("organizations", "series", "server", "encoding"),
    *("median ms", "p99 ms", "/ ours", "CPU ms", "MB", "peak memory MB", "scrapes"),
)
SECONDS_FOR_EACH = 10.0
LEAST = 3  # scrapes, however long one takes
LONG = 1.0  # seconds; whoever needs more is not asked just to be warm


@dataclass
class Course:
    """The scrapes of one server in one encoding. Times are seconds."""

    server: Server
    encoding: str
    client: Client = field(init=False)
    times: list[float] = field(default_factory=list)
    cpu: float = 0.0
    size: int = 0

    def __post_init__(self) -> None:
        self.client = Client(self.server.port)

    def step(self) -> None:
        """Scrape once."""
        before = usage.cpu(self.server.pid)
        answer = self.client.scrape(self.encoding)
        self.cpu += usage.cpu(self.server.pid) - before
        self.times.append(answer.seconds)
        self.size = answer.size

    def warm_up(self) -> float:
        """Scrape; returns what it takes, at best. Only what takes long is kept, and made once."""
        self.step()
        if self.times[0] > LONG:
            return self.times[0]
        self.times, self.cpu = [], 0.0
        return min(self.client.scrape(self.encoding).seconds for _ in range(5))

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.times)


def run(setting: Setting) -> Findings:
    """Measure scrapes for each number of organizations."""
    findings = Findings()
    rows: list[list[str]] = []
    for count in setting.sizes:
        with (
            programs.billing(setting.folder, count) as upstream,
            programs.exporter(setting.folder, count, upstream) as ours,
        ):
            ours.wait_until_ready()
            rows += _side_by_side(setting, count, ours, findings)
    findings.tables.append(Table("scrape", COLUMNS, rows))
    return findings


def _side_by_side(
    setting: Setting, count: int, ours: Server, findings: Findings
) -> Iterator[list[str]]:
    series = write_page(setting.folder / "page.txt", ours)
    findings.values["series per organization"] = series / count
    with _servers(setting.folder, ours) as servers:
        for encoding in HEADERS:
            courses = {
                name: Course(server, encoding)
                for name, server in servers.items()
                if isinstance(server, Server)
            }
            in_turns([*courses.values()], setting)
            mine = courses[OURS]
            findings.grew(f"scrape, {encoding}: time", count, mine.median)
            findings.grew(f"scrape, {encoding}: CPU", count, mine.cpu / len(mine.times))
            for name, course in courses.items():
                ratio = course.median / mine.median
                findings.values[f"{encoding}: ours / {name}, {count}"] = 1 / ratio
                if count == setting.largest:
                    findings.values[f"{encoding}: {name} / ours"] = ratio
                    findings.values[f"{encoding}: ours / {name}"] = 1 / ratio
                yield [
                    *(short(count), short(series), name, encoding),
                    *(ms(course.median), ms(quantile(course.times, 0.99)), short(ratio)),
                    *(ms(course.cpu / len(course.times)), mb(course.size)),
                    *(mb(usage.peak_memory(course.server.pid)), str(len(course.times))),
                ]
        for name, reason in servers.items():
            if isinstance(reason, str):
                yield [short(count), short(series), name, reason, *[""] * (len(COLUMNS) - 4)]
        findings.grew("peak memory", count, usage.peak_memory(ours.pid))


def write_page(file: Path, ours: Server) -> int:
    """Write our page without the exporter's own metrics; returns how many series it has."""
    kept, series, block = [], 0, ""
    for line in ours.page().splitlines(keepends=True):
        if line.startswith("#"):
            block += line
        elif 'org_id="' in line:
            kept += [block, line]
            block, series = "", series + 1
        else:
            block = ""
    file.write_text("".join(kept))
    return series


@contextmanager
def _servers(folder: Path, ours: Server) -> Iterator[Mapping[str, Server | str]]:
    """Run all servers while inside; for those that cannot run there is the reason."""
    accept = {"Accept": OPENMETRICS}
    plain = get(ours.port, "/metrics", accept).body
    compressed = get(ours.port, "/metrics", accept | {"Accept-Encoding": "gzip"}).body
    page = folder / "page.txt"
    peers = {
        NGINX: programs.nginx(folder, plain, compressed),
        AIOHTTP: programs.aiohttp(folder, plain, compressed),
        GO: programs.promhttp(folder, page),
        PYTHON: programs.prometheus_client(page),
    }
    with ExitStack() as stack:
        servers: dict[str, Server | str] = {OURS: ours}
        for name, peer in peers.items():
            try:
                servers[name] = stack.enter_context(peer)
            except MissingError as error:
                servers[name] = str(error)
        yield servers


def in_turns(courses: list[Course], setting: Setting) -> None:
    """Scrape A, B, C, A, B, C and so on; slow ones less often, spread over the whole time."""
    most = setting.some(300, 50)
    seconds = SECONDS_FOR_EACH / (4 if setting.quick else 1)
    every = []
    for course in courses:
        wanted = min(most, max(LEAST, int(seconds / course.warm_up())) - len(course.times))
        every.append(math.ceil(most / wanted))
    for turn in range(most):
        for course, pause in zip(courses, every, strict=True):
            if turn % pause == 0:
                course.step()
