"""Memory at a number of series that others were measured with."""

from __future__ import annotations

from bench import programs, usage
from bench.client import HEADERS, Client
from bench.figures import mb, short
from bench.findings import Findings, Setting, Table
from bench.scrape import write_page

SERIES = 450_000
SAMPLE = 10  # organizations, to count the series of one


def run(setting: Setting) -> Findings:
    """Measure the peak."""
    findings = Findings()
    page = setting.folder / "page.txt"
    with (
        programs.billing(setting.folder, SAMPLE) as upstream,
        programs.exporter(setting.folder, SAMPLE, upstream) as ours,
    ):
        ours.wait_until_ready()
        count = round(SERIES * SAMPLE / write_page(page, ours))
    with (
        programs.billing(setting.folder, count) as upstream,
        programs.exporter(setting.folder, count, upstream) as ours,
    ):
        ours.wait_until_ready()
        client = Client(ours.port)
        for encoding in HEADERS:
            client.scrape(encoding)
        peak = usage.peak_memory(ours.pid)
    findings.values["peak memory at 450 000 series"] = peak / 1e6
    findings.tables.append(
        Table(
            "memory",
            ("series", "organizations", "most resident MB"),
            [[short(SERIES), short(count), mb(peak)]],
        )
    )
    return findings
