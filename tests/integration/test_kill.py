"""kill -9 at random moments, again and again: never a lost or a half-written state."""

from __future__ import annotations

import fcntl
import json
import math
import os
import random
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from exporter.metrics.catalog import COLLECTORS
from exporter.model import SavedOrganization, Spend
from exporter.state import messages
from exporter.state.day_rows import unpacked
from exporter.state.ledger import rows_of
from exporter.state.storage import Storage
from support.process import (
    EXPORTER,
    PATIENCE,
    TOOL,
    Exporter,
    exporter,
    free_port,
    get,
    parse,
    running,
    until,
)

pytestmark = pytest.mark.alone

ORGANIZATIONS = 20
KILLS = 10
CENT = 0.005
LISTEN = "--web.listen-address=127.0.0.1:0"
SPEND = "viam_billing_usage_spend_usd_total"
CORRECTIONS = "viam_billing_usage_corrections_usd_total"
MONTH_TO_DATE = "viam_billing_usage_month_to_date_usd"
STORED = "viam_billing_exporter_storage_last_write_successful 1.0"
WAITING = "waiting for another process to release the storage"
LAST_SUCCESS = "viam_billing_collector_last_success_timestamp_seconds"


def stored(folder: Path) -> dict[str, SavedOrganization]:
    """Return what the killed process left, which has to be whole."""
    storage = Storage(folder)
    found = dict(storage.read().organizations)
    storage.close()
    for saved in found.values():
        for collector in COLLECTORS:
            collector.message.FromString(messages.unpacked(saved.answers[collector.name].message))
        assert saved.spend is not None
        assert (
            abs(of_current_period(saved.spend) - (saved.spend.month_to_date.baseline or 0)) < CENT
        )
    return found


def of_current_period(spend: Spend) -> float:
    """Return what the days say that the current period came to."""
    assert spend.ledger is not None
    return math.fsum(
        entry.spend - entry.corrections
        for row in rows_of(spend.ledger).values()
        for entry in unpacked(row).entries
        if entry.period == spend.period_start
    )


def test_a_killed_process_leaves_what_it_knew(tmp_path: Path) -> None:
    """Each organization is there, no older than before, and no counter has fallen.

    The days of the current period come to its month to date.
    """
    rng = random.Random(5)
    port = free_port()
    file, folder = tmp_path / "exporter.yml", tmp_path / "state"
    simulate = [
        *TOOL,
        "simulate",
        f"--listen-address=127.0.0.1:{port}",
        f"--organizations={ORGANIZATIONS}",
        "--speed=8640",
        "--poll-interval=1s",
        f"--config-out={file}",
    ]
    before: dict[str, SavedOrganization] = {}
    with running(*simulate) as simulator:
        simulator.stderr.wait_for(r"simulating")
        for _ in range(KILLS):
            with exporter(f"--config.file={file}", f"--storage.path={folder}") as it:
                if before:  # at once, before a poll can have been answered
                    page = parse(it.scrape())
                    counters = {
                        dict(labels)["org_id"]: value
                        for (name, labels), value in page.items()
                        if name == SPEND
                    }
                    for org_id, saved in before.items():
                        assert saved.spend is not None
                        assert counters[org_id] >= saved.spend.month_to_date.spend
                it.wait_until_ready()
                if not before:
                    until(lambda it=it: STORED in it.scrape(), "it has stored")  # type: ignore[misc]
                for _ in range(rng.randrange(30)):  # while it stores, a second at most
                    parse(it.scrape())
                it.process.kill()
            after = stored(folder)
            assert after.keys() >= before.keys()
            for org_id, old in before.items():
                new = after[org_id]
                for name, answer in old.answers.items():
                    assert new.answers[name].received >= answer.received
                assert new.spend is not None
                assert old.spend is not None
                assert new.spend.month_to_date.spend >= old.spend.month_to_date.spend
            before = after
        assert not list(folder.glob("*.set-aside-*"))
        assert len(before) == ORGANIZATIONS


def asked(it: Exporter, path: str) -> Any:
    """Return what the JSON API answers."""
    answer = get(it.port, f"/api/v1/organizations{path}")
    assert answer.status == 200
    return json.loads(answer.body)


def test_after_kills_the_days_come_to_month_to_date(tmp_path: Path) -> None:
    """To the cent, while usage grows: for each organization, as programs get its days."""
    file, folder = tmp_path / "exporter.yml", tmp_path / "state"
    simulate = (*TOOL, "simulate", f"--listen-address=127.0.0.1:{free_port()}")
    rng = random.Random(11)
    amounts: dict[str, set[float]] = {}  # month to date of each, as it was seen
    with running(*simulate, "--poll-interval=1s", f"--config-out={file}") as simulator:
        simulator.stderr.wait_for(r"simulating")
        for _ in range(5):
            with exporter(f"--config.file={file}", f"--storage.path={folder}") as it:
                it.wait_until_ready()
                for _ in range(rng.randrange(40)):  # while it polls and stores
                    it.scrape()
                before = {each["org_id"]: each for each in asked(it, "")["organizations"]}
                days = {org_id: asked(it, f"/{org_id}/days")["days"] for org_id in before}
                after = {each["org_id"]: each for each in asked(it, "")["organizations"]}
                it.process.kill()
            assert len(before) == 8
            for org_id, listed in days.items():
                began = before[org_id]["period_start"][:10]
                usd = math.fsum(
                    day["spend_usd"] - day["corrections_usd"]
                    for day in listed
                    if day["date"] >= began
                )
                if after[org_id]["period_start"] != before[org_id]["period_start"]:
                    continue  # a month has ended meanwhile
                first, last = (each[org_id]["month_to_date_usd"] for each in (before, after))
                assert first - CENT < usd < last + CENT, "polls went on meanwhile"
                amounts.setdefault(org_id, set()).update((first, last))
    assert any(len(seen) > 3 for seen in amounts.values()), "usage grew, or nothing was tried"


def counters(it: Exporter) -> dict[str, tuple[float, float]]:
    """Return the spend counters on the page by organization, and all that can be in a new one."""
    page = parse(it.scrape())
    of: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (name, labels), usd in page.items():
        if name in {SPEND, CORRECTIONS, MONTH_TO_DATE}:
            of[dict(labels)["org_id"]][name] = usd
    return {
        org_id: (usd[SPEND], usd[MONTH_TO_DATE] + usd[CORRECTIONS])
        for org_id, usd in of.items()
        if SPEND in usd
    }


def test_no_counter_falls_on_the_page_after_a_kill(tmp_path: Path) -> None:
    """Prometheus adds the whole of one that fell: it is spend of the new period, or none."""
    file, folder = tmp_path / "exporter.yml", tmp_path / "state"
    listen = f"--listen-address=127.0.0.1:{free_port()}"
    simulate = (*TOOL, "simulate", listen, "--speed=20000", "--poll-interval=1s")
    rng = random.Random(7)
    log = folder / "exporter.db-wal"
    last: dict[str, float] = {}
    absent = 0
    with running(*simulate, f"--config-out={file}") as simulator:
        simulator.stderr.wait_for(r"simulating")
        for _ in range(6):
            with exporter(f"--config.file={file}", f"--storage.path={folder}") as it:
                first = counters(it)
                absent += bool(last) and not first
                until(lambda it=it: len(counters(it)) == 8, "all are there")  # type: ignore[misc]
                if not last:  # else it would begin anew, from 0
                    size = log.stat().st_size
                    until(lambda n=size: log.stat().st_size > n, "it stored")  # type: ignore[misc]
                for _ in range(20 + rng.randrange(60)):
                    for org_id, (usd, at_most) in counters(it).items():
                        assert usd >= last.get(org_id, 0.0) or usd < at_most + CENT
                        last[org_id] = usd
                it.process.kill()
    assert absent, "some were held back, or nothing was tried"


def test_what_was_polled_is_on_disk_within_three_seconds(tmp_path: Path) -> None:
    """The timestamps of the page are those of the disk, or at most three seconds ahead."""
    port = free_port()
    file, folder = tmp_path / "exporter.yml", tmp_path / "state"
    listen = f"--listen-address=127.0.0.1:{port}"
    with running(
        *TOOL, "simulate", listen, "--poll-interval=1s", f"--config-out={file}"
    ) as simulator:
        simulator.stderr.wait_for(r"simulating")
        with exporter(f"--config.file={file}", f"--storage.path={folder}") as it:
            it.wait_until_ready()
            shown: dict[tuple[str, str], float] = {}
            for _ in range(100):
                shown = {
                    (dict(labels)["org_id"], dict(labels)["collector"]): value
                    for (name, labels), value in parse(it.scrape()).items()
                    if name == LAST_SUCCESS
                }
            it.process.kill()
        disk = stored(folder)
    assert len(shown) == 24
    for (org_id, collector), value in shown.items():
        assert value - disk[org_id].answers[collector].received <= 3.0


def test_a_second_process_is_told_apart(tmp_path: Path) -> None:
    """It ends with one line that says what to do, and the first goes on."""
    folder = tmp_path / "state"
    with exporter("--demo", f"--storage.path={folder}") as first:
        with running(*EXPORTER, "--demo", LISTEN, f"--storage.path={folder}") as process:
            assert process.wait() == 1
            waiting, line = process.stderr.text.splitlines()
            assert WAITING in waiting
            assert line == (
                f"viam-billing-exporter: the storage folder {folder} is in use by another process: "
                "give each its own --storage.path"
            )
        assert get(first.port, "/-/healthy").status == 200


def test_a_start_waits_for_a_command_that_copies_the_storage(tmp_path: Path) -> None:
    """It takes the lock for a moment: an exporter that starts just then does not end for it."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(*EXPORTER, "--demo", LISTEN, f"--storage.path={folder}") as process:
            process.stderr.wait_for(WAITING)
            fcntl.flock(lock, fcntl.LOCK_UN)
            port = int(process.stdout.wait_for(r"http://localhost:(\d+)/")[1])
            until(lambda: STORED in get(port, "/metrics").text, "it has stored")


def test_a_folder_that_cannot_be_used_costs_persistence_only(tmp_path: Path) -> None:
    """It serves, and says so in the log and in the metrics."""
    (tmp_path / "file").write_text(json.dumps({}))
    with exporter("--demo", f"--storage.path={tmp_path / 'file' / 'state'}") as it:
        it.wait_until_ready()
        assert "viam_billing_exporter_storage_last_write_successful 0.0" in it.scrape()
        it.process.stderr.wait_for("level=error .*cannot use the storage folder")


# A file system that this shell and what it starts see only. A second mount over the first makes it
# read-only, as the first cannot be while a file in it is open; the third can always be written to.
BECOMES_READ_ONLY = """
log() { for _ in $(seq 300); do grep -q "$1" log && return; sleep 0.1; done; cat log; exit 4; }
mkdir disk back && mount -t tmpfs tmpfs disk && mount --bind disk back || exit 3
"$0" "$@" --storage.path=disk/state 2>log >/dev/null & exporter=$!
for _ in $(seq 300); do [ -s back/state/exporter.db ] && break; sleep 0.1; done
mount --bind disk disk && mount -o remount,ro,bind disk || exit 3
dd if=/dev/zero of=back/state/exporter.db bs=4096 count=1 conv=notrunc status=none
log "level=error .*it is damaged .*, and cannot be set aside: Read-only file system"
umount disk || exit 3
log "writing to storage again"
kill $exporter; wait $exporter
"""


def test_damage_on_a_disk_that_became_read_only_ends_nothing(tmp_path: Path) -> None:
    """What cannot be set aside is told; when the disk can be written to, all is stored again."""
    alone = ("unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []))
    ended = subprocess.run(
        [*alone, "sh", "-c", BECOMES_READ_ONLY, *EXPORTER, "--demo", LISTEN],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        encoding="utf-8",
        timeout=3 * PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
