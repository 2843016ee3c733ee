"""The targets beside what was measured, on the terminal and in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from bench import resilience
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


TARGETS: Final = (
    Target(f"gzip: ours / {NGINX}", "scrape, gzip: median / nginx with the same bytes", 1.5),
    Target(f"identity: ours / {NGINX}", "scrape, identity: the same", 1.5),
    Target(f"gzip: {PYTHON} / ours", f"scrape, gzip: {PYTHON} / ours", 1000, at_least=True),
    Target(f"gzip: {GO} / ours", f"scrape, gzip: {GO} / ours", 300, at_least=True),
    Target("busy p99 / idle", "scrape while polling flat out: p99 / median at rest", 5),
    Target("busy p99", "the same p99", 50, " ms"),
    Target("pauses p99.9", "pauses of the event loop, p99.9", 20, " ms"),
    Target("longest pause", "the longest of them", 50, " ms"),
    Target("answer to page", "answer to page, the longest", 2, " s"),
    Target(
        "polling, changed / bare",
        "calls a second, all amounts changed / bare gRPC loop",
        0.8,
        at_least=True,
    ),
    Target("polling, unchanged / bare", "the same, nothing changed", limit=1, at_least=True),
    Target("round at 50 ms", "a round of calls that take 50 ms", 30, " s"),
    Target("peak memory at 450 000 series", "peak memory, 450 000 series", 400, " MB"),
    Target("memory, later / after a minute", "memory after a soak / after a minute", 1.1),
    Target("warm start", "start, from storage", 3, " s"),
    Target("demo", "start of the demo", 1, " s"),
    Target(
        "oldest success",
        "oldest success of a healthy organization, while others fail",
        2 * resilience.INTERVAL + resilience.SLACK,
        " s",
    ),
)


def summary(findings: Findings, load: float) -> Sequence[Table]:
    """Return the machine and its load before, the growth over organizations, and the targets."""
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
        Table("targets", columns, [target.row(findings) for target in TARGETS]),
    ]


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


def write(tables: Iterable[Table]) -> None:
    """Put each table between its marks in the document."""
    text = DOCUMENT.read_text()
    for table in tables:
        marks = re.compile(rf"(<!-- measured: {table.name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marks.subn(rf"\g<1>{table.markdown()}\g<2>", text)
        assert found == 1, f"docs/performance.md has no place for {table.name}"
    DOCUMENT.write_text(text)
