"""Where the time goes: the exporter's own parts, in this process, without gRPC and HTTP."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from bench import changed, programs
from bench.figures import short
from bench.findings import Findings, Setting, Table
from exporter.config import LimitsConfig
from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, InvoiceDetail, Organization
from exporter.page.pending import CONFIRMATION_DELAY
from exporter.page.publisher import Publisher
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.process.clock import SystemClock
from exporter.state.store import Store

COUNT = 1000  # organizations
BLOCKS = 7  # of the file of answers for each: its id, and three answers with their amounts


class LateClock(SystemClock):
    """A clock that can be put forward, so that confirmations are shown when we want them."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic() + self.ahead


def run(setting: Setting) -> Findings:
    """Take in answers and publish them, step by step."""
    return asyncio.run(_steps(programs.answers_of(setting.folder, COUNT)))


async def _steps(file: Path) -> Findings:
    answers = {org_id: raws for org_id, *raws in _organizations(file)}
    clock, store = LateClock(), Store()
    telemetry = Telemetry("", "")
    intake = Intake(store, telemetry, clock, InvoiceDetail())
    publisher = Publisher(store, telemetry, clock, max_series=LimitsConfig().max_series)
    known = {o: Organization(o, o[:8], ApiKey("bench"), 900.0, 3600.0) for o in answers}
    names = [collector.name for collector in COLLECTORS]
    await intake.configure(known, names, InvoiceDetail())

    async def take_in(index: int) -> float:
        started = time.process_time()
        for org_id in answers:
            await intake.succeed(Unit(org_id, names[index]), answers[org_id][index], 0.01)
        return time.process_time() - started

    async def publish() -> None:
        clock.ahead += CONFIRMATION_DELAY
        await publisher.publish()

    rows = []

    def note(what: str, seconds: float) -> None:
        rows.append([what, f"{short(1e6 * seconds / COUNT)} us an organization"])

    def note_page(what: str, seconds: float) -> None:
        rows.append([what, f"{short(1e3 * seconds)} ms"])

    for index, name in enumerate(names):
        size = short(len(next(iter(answers.values()))[index]))
        note(f"a new answer, {name}, {size} bytes", await take_in(index))
    started = time.process_time()
    await publish()
    note("a page of new organizations", time.process_time() - started)
    for index, name in enumerate(names):
        note(f"the same answer again, {name}", await take_in(index))
    started = time.process_time()
    await publish()
    note("showing that all were polled", time.process_time() - started)
    started = time.process_time()
    await publish()
    note_page("a page on which nothing changed", time.process_time() - started)
    await intake.configure(
        {o: each if i else _renamed(each) for i, (o, each) in enumerate(known.items())},
        names,
        InvoiceDetail(),
    )
    started = time.process_time()
    await publish()
    note_page(
        "a page on which all lines of one organization changed", time.process_time() - started
    )
    columns = (f"of {short(COUNT)} organizations", "processor time")
    findings = Findings(tables=[Table("work", columns, rows)])
    findings.add(
        await changed.measure(
            {org_id: dict(zip(names, raws, strict=True)) for org_id, raws in answers.items()},
            lambda org_id, name, raw: intake.succeed(Unit(org_id, name), raw, 0.01),
            publish,
        )
    )
    return findings


def _renamed(organization: Organization) -> Organization:
    return Organization(organization.id, "Renamed", organization.api_key, 900.0, 3600.0)


def _organizations(file: Path) -> Iterator[tuple[str, bytes, bytes, bytes]]:
    """Yield the id and the three answers of each organization."""
    content, blocks, at = file.read_bytes(), [], 0
    while at < len(content):
        (size,) = struct.unpack_from("<I", content, at)
        blocks.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    _token, *rest = blocks
    for first in range(0, len(rest), BLOCKS):
        org_id, usage, _, billing, _, invoices, _ = rest[first : first + BLOCKS]
        yield org_id.decode(), usage, billing, invoices
