"""Memory at a number of series that others were measured with, and after much polling."""

from __future__ import annotations

from bench import programs, usage
from bench.busy import CHANGING
from bench.client import HEADERS, Client, pause
from bench.figures import mb, short
from bench.findings import Findings, Setting, Table
from bench.scrape import write_page

SERIES = 450_000
SAMPLE = 10  # organizations, to count the series of one


def run(setting: Setting) -> Findings:
    """Measure the peak, and whether memory grows."""
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
    rows = [[f"polled once, {short(SERIES)} series", short(count), mb(peak)]]
    largest = short(setting.largest)
    with (
        programs.billing(setting.folder, setting.largest, changing=CHANGING) as upstream,
        programs.exporter(setting.folder, setting.largest, upstream, programs.FLAT_OUT) as ours,
    ):
        ours.wait_until_ready()
        after = []
        for minutes in (1.0, setting.soak_minutes):
            _scrape_for(60 * minutes, Client(ours.port))
            after.append(usage.memory(ours.pid))
            rows.append([f"polled without pause, {minutes:g} min more", largest, mb(after[-1])])
        rows.append(["the most of that", largest, mb(usage.peak_memory(ours.pid))])
    findings.values["memory, later / after a minute"] = after[1] / after[0]
    findings.values["peak memory at 450 000 series"] = peak / 1e6
    findings.tables.append(Table("memory", ("", "organizations", "resident MB"), rows))
    return findings


def _scrape_for(seconds: float, client: Client) -> None:
    """Scrape once a second."""
    for _ in range(round(seconds)):
        client.scrape("gzip")
        pause(1.0)
