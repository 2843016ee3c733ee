"""How long it takes from an answer with a new amount to a page with it."""

from __future__ import annotations

import statistics
import time

from isal import isal_zlib

from bench import data, programs
from bench.data import Polling
from bench.figures import ms, short
from bench.findings import Findings, Setting, Table
from bench.programs import Server
from support.process import get

GZIP = {"Accept-Encoding": "gzip"}
PIECE = 1 << 16
OFTEN = Polling(first_interval="500ms")
METRIC = b'\nviam_billing_usage_subtotal_usd{org_id="%s"'


def run(setting: Setting) -> Findings:
    """Measure for each number of organizations."""
    findings = Findings()
    rows = []
    org_id = data.organizations(1)[0][0]
    for count in setting.sizes:
        with (
            programs.billing(setting.folder, count) as upstream,
            programs.exporter(setting.folder, count, upstream, OFTEN) as ours,
        ):
            ours.wait_until_ready()
            _, value = _look(ours, org_id)
            times, looks = [], []
            for _ in range(setting.some(20, 8)):
                sent, before = upstream.bump(org_id), value
                while value == before:
                    asked, value = _look(ours, org_id)
                    looks.append(time.time() - asked)
                times.append(max(0.0, asked - sent))
        median = statistics.median(times)
        findings.grew("answer to page", count, median)
        findings.values["answer to page"] = max(times)
        rows.append([short(count), ms(median), ms(max(times)), ms(max(looks)), str(len(times))])
    columns = ("organizations", "median ms", "most ms", "most ms between looks", "changes")
    findings.tables.append(Table("publish", columns, rows))
    return findings


def _look(ours: Server, org_id: str) -> tuple[float, bytes]:
    """Return when the page was asked for, in Unix seconds, and an organization's subtotal.

    What is asked for is sent as it was at that moment; so much of it is read as is needed.
    """
    wanted = METRIC % org_id.encode()
    asked = time.time()
    body = get(ours.port, "/metrics", GZIP).body
    inflate = isal_zlib.decompressobj(wbits=31)
    text = b""
    for start in range(0, len(body), PIECE):
        text += inflate.decompress(body[start : start + PIECE])
        at = text.find(wanted)
        end = text.find(b"\n", at + 1)
        if at >= 0 and end >= 0:
            return asked, text[at:end].rpartition(b" ")[2]
        text = text[-PIECE:]
    raise AssertionError("the metric is not on the page")
