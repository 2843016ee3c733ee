"""`viam-billing backfill`: real blocks, queried from the real Prometheus beside live data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.model import ApiKey, InvoiceDetail, Organization, Secret
from exporter.pb import billing_pb2 as pb
from exporter.tool.backfill import IMPORT, MAKE_BLOCKS
from exporter.tool.past_invoices import OWN, history, write
from support.clock import NOON
from support.process import PATIENCE, ROOT, TOOL, exporter, parse, until
from support.prometheus import prometheus
from support.standing import ACCOUNTS, ENVIRON, Service, command, simulated, standing, within

STEP = 120  # seconds between two samples of the past
LOOKBACK = 300  # seconds for which Prometheus shows a sample
HEAD = 3 * 3600
NOON_DAY = int(NOON) - 86_400
TO_IMPORT = (
    "viam-billing: to import the data, saved as past.om: promtool tsdb create-blocks-from "
    "openmetrics --max-block-duration=720h past.om DATA_FOLDER_OF_PROMETHEUS\n"
)
NO_DAYS = "viam-billing: days are left out: to include them, use --exporter or --storage.path\n"
# One series for each organization, always there.
SUMS = (
    "viam_billing_invoices_unpaid",
    "viam_billing_invoices_unpaid_amount_usd",
    "viam_billing_invoices_overdue",
    "viam_billing_invoices_overdue_amount_usd",
    "viam_billing_invoice_latest_amount_usd",
)


def write_blocks(past: Path, data: Path) -> None:
    """Make blocks of samples, as the command itself says."""
    made = subprocess.run(
        [*MAKE_BLOCKS.split(), past, data],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.usefixtures("stack")
def test_blocks_and_live_data_are_one_continuous_graph(tmp_path: Path) -> None:
    """The series of the past are those that are scraped: no gap, no jump, no second series."""
    with simulated(tmp_path, "--organizations=2") as file:
        settings = yaml.safe_load(file.read_text())
        settings["invoices"] = {"detail": "all"}
        file.write_text(yaml.safe_dump(settings))
        ids = {each["id"] for each in settings["organizations"]}
        with exporter(f"--config.file={file}") as target:
            target.wait_until_ready()
            live = {name for name, _ in parse(target.scrape())}
            # As if the exporter had been scraped for three hours by now.
            now = time.time() + HEAD
            done = command(
                "backfill",
                "--label=job=bills",
                f"--label=instance=127.0.0.1:{target.port}",
                f"--step={STEP}s",
                # A day, or what there is of it, but two hours.
                f"--since={time.strftime('%Y-%m-%d', time.gmtime(time.time() - 2 * 3600))}",
                folder=tmp_path,
                now=now,
            )
            assert (done.returncode, done.stderr) == (0, NO_DAYS + TO_IMPORT)
            past = tmp_path / "past.om"
            past.write_text(done.stdout)
            write_blocks(past, tmp_path / "data")
            job = {
                "job_name": "bills",
                "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}],
            }
            scrape = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
            with prometheus(tmp_path, scrape) as server:
                until(lambda: server.query("up == 1"), "a scrape")
                end = time.time()

                def graph(expr: str, start: float, step: float) -> list[Any]:
                    times = {"start": str(start), "end": str(end), "step": str(step)}
                    found: list[Any] = server.api("query_range", query=expr, **times)["result"]
                    return found

                until(lambda: graph(SUMS[0], end - 1, 1), "live samples")
                times = sorted({int(line.rpartition(" ")[2]) for line in samples(done.stdout)})
                # Each second around the moment at which one takes over from the other.
                around = {name: graph(name, times[-2], 1) for name in SUMS}
                every = graph('count by (__name__) ({job="bills"})', times[0], LOOKBACK)
                whole = graph('{job="bills",__name__=~"viam_billing_invoice.*"}', times[0], 60)
    assert times == [*range(times[0], times[-1] + 1, STEP)]
    assert len(times) > 1
    for name, series in around.items():
        assert {each["metric"]["org_id"] for each in series} == ids
        assert len(series) == len(ids), f"a second series of {name}"
        for each in series:
            moments = [moment for moment, _ in each["values"]]
            assert len(moments) == int(end - times[-2]) + 1, f"a gap in {name}"
            assert len({value for _, value in each["values"]}) == 1, f"a jump in {name}"
    # What is told of an invoice is told by one series, from the past to now.
    told = [frozenset(each["metric"].items()) for each in whole]
    assert len(told) == len(set(told))
    per_invoice = [
        (m["__name__"], m["org_id"], m["invoice_id"])
        for m in (each["metric"] for each in whole)
        if "_timestamp_" in m["__name__"] and "invoice_id" in m
    ]
    assert len(per_invoice) == len(set(per_invoice)) > 0
    # And what is not truly a live series has a name that no live series has.
    written = {line.partition("{")[0] for line in samples(done.stdout)}
    assert written - live == {spec.name for spec in OWN}
    assert written <= {each["metric"]["__name__"] for each in every}


def samples(text: str) -> list[str]:
    """Return the lines that are samples."""
    return [line for line in text.split("\n") if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for the tests of what is written."""
    with standing(tmp_path_factory.mktemp("past")) as it:
        yield it


def test_nothing_of_the_last_three_hours(service: Service) -> None:
    """Prometheus itself has those in the making."""
    done = within("backfill", "--step=5m", "--since=2025-06-20", service.flag)
    times = [int(line.rpartition(" ")[2]) for line in samples(done.stdout)]
    assert max(times) == NOON - HEAD
    none = within("backfill", "--since=2025-06-20", "--until=2025-06-20", service.flag)
    assert none.returncode == 0
    assert samples(none.stdout) == []
    assert "nothing to write: " in none.stderr
    assert "promtool" not in none.stderr


def test_what_would_make_it_useless_is_said(service: Service) -> None:
    """Labels that are missing, a retention that deletes the blocks at once, a day to come.

    What to do with the data comes last.
    """
    done = within("backfill", "--step=1d", service.flag)
    assert done.returncode == 0
    missing, first, second, last = done.stderr.splitlines()
    assert f"{missing}\n" == NO_DAYS
    assert f"{last}\n" == TO_IMPORT
    assert (
        "these series lack the labels job and instance that a target's series have: see --label"
        in first
    )
    told = re.search(
        r"from 2024-05-01, and Prometheus deletes it with a retention of 15d: set "
        r"storage\.tsdb\.retention\.time to (\d+)d or more",
        second,
    )
    assert told
    # The number that is told is enough, and a day less is not.
    for days, warns in ((int(told[1]), False), (int(told[1]) - 1, True)):
        again = within("backfill", "--step=1d", f"--retention={days}d", service.flag)
        assert ("storage.tsdb.retention.time" in again.stderr) is warns
    future = within("backfill", "--since=2062-05-01", service.flag)
    assert future.stderr.startswith("viam-billing: --since is in the future\n")


def test_what_one_key_cannot_read_hides_no_other(service: Service) -> None:
    """The past of the others is written, the failure is named, and the exit code is 1."""
    with service.failing("permission-denied:method=GetInvoicesSummary,organization=1"):
        done = within("backfill", "--step=1d", service.flag)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"{NO_DAYS}viam-billing: {ACCOUNTS[0].name}: GetInvoicesSummary: "
    )
    assert ACCOUNTS[0].id not in done.stdout
    assert all(account.id in done.stdout for account in ACCOUNTS[1:])
    assert done.stdout.endswith("# EOF\n")


def test_the_command_that_imports_is_the_same_everywhere() -> None:
    """In --help, on the page, and where the command ends: one that takes seconds."""
    page = (ROOT / "docs" / "commands" / "backfill.md").read_text()
    assert f"{MAKE_BLOCKS} past.om /var/lib/prometheus/metrics2\n" in page
    assert f"  {IMPORT}\n" in within("backfill", "--help").stdout
    assert TO_IMPORT.endswith(f": {IMPORT}\n")


def test_wrong_labels_are_refused() -> None:
    """With exit code 2: no name, a reserved one, and one that the metrics use."""
    for label, reason in (
        ("job", "must be NAME=VALUE"),
        ("__name__=x", "must be NAME=VALUE"),
        ("org_id=x", "is a label of the metrics themselves"),
        ("job=\udcff", "the value of job must be UTF-8"),
        ("job=a", "--label names a label more than once"),
    ):
        done = within("backfill", "--label=job=b", f"--label={label}")
        assert done.returncode == 2
        assert reason in done.stderr


ODD = [
    "a\u2028b",
    "a\rb",
    "a\x0bb",
    "a\x0cb",
    "a\x1cb",
    "a\x1db",
    "a\x85b",
    "a\nb",
    'a"\\b',
    "日本",
]


@pytest.mark.usefixtures("stack")
def test_promtool_takes_ids_with_all_that_passes_for_an_end_of_line(tmp_path: Path) -> None:
    """A sample is a line whatever its labels hold: only a line feed ends one."""
    response = pb.GetInvoicesSummaryResponse()
    for text in ODD:
        invoice = response.invoices.add(id=text, invoice_amount=1, status="outstanding")
        invoice.invoice_date.seconds = NOON_DAY
    organization = Organization("o1", "O\u2028\r1", ApiKey("id", Secret("key")), 900, 3600)
    end = NOON_DAY + 3600.0
    past = history(organization, response, InvoiceDetail("all", 100), (), end)
    file = tmp_path / "past.om"
    with file.open("w", newline="", encoding="utf-8") as stream:
        write([past], 1800, 0.0, end, stream.write)
        stream.write("# EOF\n")
    write_blocks(file, tmp_path / "data")
    (tmp_path / "data" / "wal").mkdir()  # promtool reads no folder without one
    dumped = subprocess.run(
        ["promtool", "tsdb", "dump", tmp_path / "data"],
        cwd=tmp_path,  # it wants a folder "data" in its own
        capture_output=True,
        check=True,
        timeout=60,
    )
    amounts = [
        line
        for line in dumped.stdout.split(b"\n")
        if b"viam_billing_backfill_invoice_amount_usd" in line
    ]
    assert len(amounts) == 3 * len(ODD)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_when_it_is_stopped(
    number: signal.Signals, service: Service, tmp_path: Path
) -> None:
    """Also while it waits for a reader that takes no more: one line, and no traceback."""
    arguments = ("backfill", "--step=1s", "--label=job=a", service.flag)
    with subprocess.Popen(
        [*TOOL, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **ENVIRON},
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1) == b"#"
        process.send_signal(number)
        code = process.wait(PATIENCE)
        said = f"{NO_DAYS}viam-billing: stopped before the end\n"
        assert (code, process.stderr.read()) == (1, said.encode())


def test_a_step_below_a_second_is_refused() -> None:
    """Samples have whole seconds, and one that came twice would spoil the file."""
    done = within("backfill", "--step=100ms")
    assert done.returncode == 2
    assert "must be at least 1s" in done.stderr
