"""The targets beside what was measured, on the terminal and in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from bench import commands, idle, resilience
from bench.figures import exponent, short
from bench.findings import Findings, Table
from bench.scrape import GO, NGINX, PYTHON

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "performance.md"
PACKAGES: Final = ("aiohttp", "grpcio", "isal", "prometheus-client", "protobuf")


class Target(NamedTuple):
    """What is wanted of a value that was measured."""

    value: str  # its name among the findings
    text: str
    limit: float
    unit: str = ""
    at_least: bool = False

    def row(self, findings: Findings) -> Sequence[str]:
        """Return what is wanted beside what was found."""
        wanted = f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"
        measured = findings.values.get(self.value)
        if measured is None:
            return (self.text, wanted, "not measured", "")
        met = measured >= self.limit if self.at_least else measured <= self.limit
        return (self.text, wanted, f"{short(measured)}{self.unit}", "met" if met else "missed")


# About the largest fleet of the run, unless they name another number.
LARGE: Final = (
    Target(f"gzip: ours / {NGINX}", "scrape, gzip: median / nginx with the same bytes", 1.5),
    Target(f"identity: ours / {NGINX}", "scrape, identity: the same", 1.5),
    Target(f"gzip: {PYTHON} / ours", f"scrape, gzip: {PYTHON} / ours", 1000, at_least=True),
    Target(f"gzip: {GO} / ours", f"scrape, gzip: {GO} / ours", 300, at_least=True),
    Target("busy p99 / idle", "scrape while polling flat out: p99 / median at rest", 5),
    Target("busy p99", "the same p99", 50, " ms"),
    Target("pauses p99.9", "pauses of the event loop, p99.9", 10, " ms"),
    Target("longest pause", "the longest of them", 20, " ms"),
    Target("answer to page", "answer to page, the longest", 2, " s"),
    Target("changed, usage", "a changed answer about usage, 97 lines", 202, " us"),
    Target("changed, invoices", "a changed answer about 32 invoices", 152, " us"),
    Target(
        "polling, changed / bare",
        "calls a second, all amounts changed / bare gRPC loop",
        0.8,
        at_least=True,
    ),
    Target("polling, unchanged / bare", "the same, nothing changed", limit=1, at_least=True),
    Target("CPU, unchanged / bare", "processor time of these calls / bare gRPC loop", 1.35),
    Target("round at 50 ms", "a round of calls that take 50 ms, 512 in flight", 6, " s"),
    Target("peak memory at 450 000 series", "peak memory, 450 000 series", 400, " MB"),
    Target(
        "memory a series", "peak memory beyond 60 MB, for a series, with the ledger", 0.4, " kB"
    ),
    Target("memory, later / before", "memory after a soak / after a minute", 1.1),
    Target("cold start", "start, nothing stored", 8, " s"),
    Target("warm start", "start, from storage", 3, " s"),
    Target(
        "oldest success",
        "oldest success of a healthy organization, while others fail",
        2 * resilience.INTERVAL + resilience.SLACK,
        " s",
    ),
)
SMALL: Final = (
    Target(f"idle CPU, {idle.PLAINTEXT}", "nobody scrapes, plaintext: share of a core", 0.05, "%"),
    Target(f"idle CPU, {idle.TLS}", "the same over TLS", 0.1, "%"),
    Target("idle wake-ups", "wake-ups a second, the more of these two", 1),
    Target(f"idle CPU, {idle.SCRAPED}", "scraped every 15 s, TLS: share of a core", 0.2, "%"),
    Target(f"idle memory, {idle.TLS}", "resident memory, TLS", 66, " MB"),
    Target("memory of reconnections", "more of it after 100 reconnections", 0.5, " MB"),
    Target("page, gzip / zlib", "page as gzip / by zlib level 6", 1.2),
    Target(
        f"gzip: ours / {NGINX}, 10",
        "scrape of 10 organizations, gzip: median / nginx with the same bytes",
        3,
    ),
    *(
        Target(f"{command} / python", f"`{command}` / `{commands.BARE}`", 3)
        for command in commands.COMMANDS
        if command != commands.BARE
    ),
    Target("demo", "start of the demo", 0.4, " s"),
)


def summary(
    findings: Findings, load: float, seconds: Mapping[str, float], *, is_whole: bool
) -> Sequence[Table]:
    """Return the machine and its load before, growth, how long each part took, and the targets.

    Targets that were not measured are left out unless the run was a whole one.
    """
    growth = [
        (
            what,
            " to ".join(short(size) for size, _ in (points[0], points[-1])),
            short(exponent([size for size, _ in points], [value for _, value in points])),
        )
        for what, points in findings.growth.items()
        if len(points) > 1
    ]
    columns = ("target", "limit", "measured", "")
    return [
        Table("machine", ("", ""), [*_machine(load)]),
        Table("growth", ("", "organizations", "exponent"), growth),
        Table("durations", ("part", "minutes"), [*_durations(seconds)]),
        *(
            Table(
                name,
                columns,
                [
                    each.row(findings)
                    for each in targets
                    if is_whole or each.value in findings.values
                ],
            )
            for name, targets in (("targets-large", LARGE), ("targets-small", SMALL))
        ),
    ]


def _durations(seconds: Mapping[str, float]) -> Iterable[Sequence[str]]:
    for part, each in seconds.items():
        yield part, f"{each / 60:.1f}"
    yield "all", f"{sum(seconds.values()) / 60:.1f}"


def _machine(load: float) -> Iterable[Sequence[str]]:
    """Describe what was measured on, without its name."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "processor", processor[1] if processor else platform.machine()
    yield "cores", str(os.cpu_count())
    yield "memory", f"{pages / 2**30:.0f} GiB"
    yield "load before", f"{load:.1f}"
    yield "kernel", f"{platform.system()} {platform.release().partition('-')[0]}"
    yield "Python", platform.python_version()
    for package in PACKAGES:
        yield package, version(package)


def write(tables: Iterable[Table]) -> Sequence[str]:
    """Put each table between its marks in the document; returns those that have no marks there."""
    text, homeless = DOCUMENT.read_text(), []
    for table in tables:
        marks = re.compile(rf"(<!-- measured: {table.name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marks.subn(rf"\g<1>{table.markdown()}\g<2>", text)
        if not found:
            homeless.append(table.name)
    DOCUMENT.write_text(text)
    return homeless
