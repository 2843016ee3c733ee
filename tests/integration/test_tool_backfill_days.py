"""`viam-billing backfill` with a ledger: what each day cost, in the real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.state.listing import text_of
from exporter.state.storage import Storage
from integration.test_tool_backfill import TO_IMPORT, samples, write_blocks
from support.clock import NOON
from support.exporter_api import LIST, FakeExporter, day, days, fleet, line
from support.history import process
from support.meter import Meter
from support.process import ROOT, until
from support.prometheus import prometheus
from support.standing import ACCOUNTS, Service, command, standing, within
from support.virtual import run

DAY = 86_400
TODAY = int(NOON // DAY)
SPEND = "viam_billing_backfill_day_spend_usd"
CORRECTIONS = "viam_billing_backfill_day_corrections_usd"
PROMQL = re.compile(r"^```promql\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def ledger(today: int = TODAY, org_id: str = "a", shard: tuple[int, int] = (0, 1)) -> FakeExporter:
    """Return an exporter with the last ten days of an organization: $1, $2 and so on.

    Of the fourth day too little is known, and on the sixth there was a credit of fifty dollars.
    """
    plain = [
        day(
            text_of(today - 10 + number),
            None if number == 3 else number + 1.0,
            50.0 * (number == 5),
        )
        for number in range(11)
    ]
    exporter = fleet(line(org_id, org_name="Acme"), shard=shard)
    path = f"{LIST}/{org_id}/days"
    exporter.answers = {**exporter.answers, path: (200, days(org_id, *plain))}
    return exporter


def bars(text: str, name: str = SPEND) -> dict[int, float]:
    """Return a metric's samples, by the day that they are of."""
    found = re.findall(rf"^{name}{{.*}} (\S+) (\d+)$", text, re.MULTILINE)
    assert all(int(moment) % DAY == DAY - 1 for _, moment in found)
    return {int(moment) // DAY: float(value) for value, moment in found}


@contextmanager
def asked(*exporters: FakeExporter) -> Iterator[list[str]]:
    """Serve them while inside; yields the arguments that name them."""
    if not exporters:
        yield []
        return
    first, *rest = exporters
    with first.serving(), asked(*rest) as flags:
        yield [first.flag, *flags]


@pytest.mark.usefixtures("stack")
def test_the_documented_query_draws_bars(tmp_path: Path) -> None:
    """In the real Prometheus: each day where it begins, less corrections; a gap where none is."""
    today = int(time.time() // DAY)
    with asked(ledger(today)) as flags:
        done = command("backfill", "--label=job=bills", *flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    past = tmp_path / "past.om"
    past.write_text(done.stdout)
    write_blocks(past, tmp_path / "data")
    (promql,) = PROMQL.findall((ROOT / "docs" / "commands" / "backfill.md").read_text())
    with prometheus(tmp_path, {}, "--storage.tsdb.retention.time=1y") as server:
        until(
            lambda: server.api("query", query=f"last_over_time({SPEND}[30d])")["result"], "blocks"
        )
        times = {"start": str((today - 12) * DAY), "end": str(today * DAY), "step": "86400"}
        (series,) = server.api("query_range", query=promql, **times)["result"]
        assert series["metric"]["org_id"] == "a"
        drawn = {int(moment) // DAY - today: float(value) for moment, value in series["values"]}
        expected = {number - 10: number + 1.0 for number in range(10) if number != 3}
        expected[-5] -= 50.0
        if time.time() % DAY < 3 * 3600 + 60:  # yesterday ended within the last three hours
            drawn.pop(-1, None)
            expected.pop(-1)
        assert drawn == expected
        week = f"sum_over_time({SPEND}[7d])"
        (summed,) = server.api("query", query=week, time=str((today - 2) * DAY))["result"]
        assert float(summed["value"][1]) == 2.0 + 3.0 + 5.0 + 6.0 + 7.0 + 8.0


def has_result(ask: Callable[[], Any]) -> bool:
    """Tell whether a query finds anything yet."""
    return bool(ask()["result"])


@pytest.mark.usefixtures("stack")
def test_what_stays_with_each_retention_is_documented(tmp_path: Path) -> None:
    """Of 400 days Prometheus keeps those of its retention, and what is in a block with them.

    Blocks are few, since promtool reads all samples for each.
    """
    today = int(time.time() // DAY)
    known = [day(text_of(today - 400 + number), 1.0) for number in range(401)]
    exporter = fleet(line("a"))
    exporter.answers = {**exporter.answers, f"{LIST}/a/days": (200, days("a", *known))}
    with asked(exporter) as flags:
        done = command("backfill", "--label=job=bills", *flags, folder=tmp_path)
    past = tmp_path / "past.om"
    past.write_text(done.stdout)
    page = (ROOT / "docs" / "commands" / "backfill.md").read_text()
    retentions = re.findall(r"^\| `(\d+)d`", page, re.MULTILINE)
    assert retentions == ["15", "60", "400"]
    for retention in retentions:
        folder = tmp_path / retention
        folder.mkdir()
        write_blocks(past, folder / "data")
        assert len(list((folder / "data").iterdir())) <= 400 / 20 + 2
        with prometheus(folder, {}, f"--storage.tsdb.retention.time={retention}d") as server:
            ask = partial(server.api, "query", query=f"{SPEND}[500d]")
            until(partial(has_result, ask), "blocks")
            (series,) = ask()["result"]
        oldest = time.time() / DAY - float(series["values"][0][0]) / DAY
        kept = int(retention)
        assert kept - 2 < oldest < kept + 21


def test_it_needs_no_configuration_and_no_key() -> None:
    """With an exporter alone, days are written, and it is said that invoices are not."""
    with asked(ledger()) as flags:
        done = within("backfill", "--label=job=a", "--label=instance=b", *flags)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"viam-billing: days are those of {flags[0].partition('=')[2]}",
        "viam-billing: invoices are left out: there is no configuration to read them with",
        TO_IMPORT.rstrip(),
    ]
    assert {each.partition("{")[0] for each in samples(done.stdout)} == {SPEND, CORRECTIONS}
    assert bars(done.stdout) == {TODAY - 10 + n: n + 1.0 for n in range(10) if n != 3}
    assert bars(done.stdout, CORRECTIONS)[TODAY - 5] == 50.0
    assert done.stdout.count("# EOF\n") == 1
    assert done.stdout.endswith("# EOF\n")
    assert 'org_name="Acme"' in done.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a billing service."""
    with standing(tmp_path_factory.mktemp("days")) as it:
        yield it


def test_invoices_and_days_are_one_file(service: Service) -> None:
    """Each family at a stretch, and one end."""
    with asked(ledger(org_id=ACCOUNTS[0].id)) as flags:
        done = within("backfill", "--step=1d", service.flag, *flags)
    names = [line.partition("{")[0] for line in samples(done.stdout)]
    stretches = [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    assert len(stretches) == len(set(stretches))
    assert {SPEND, CORRECTIONS, "viam_billing_invoices_unpaid"} <= set(stretches)
    assert done.stdout.count("# EOF\n") == 1
    assert done.returncode == 0


def test_since_and_until_are_days() -> None:
    """The first that is written, and the first that is not."""
    with asked(ledger()) as flags:
        done = within(
            "backfill",
            f"--since={text_of(TODAY - 9)}",
            f"--until={text_of(TODAY - 7)}",
            "--step=30d",
            *flags,
        )
        none = within("backfill", f"--since={text_of(TODAY)}", *flags)
    assert list(bars(done.stdout)) == [TODAY - 9, TODAY - 8]
    assert none.returncode == 0
    assert samples(none.stdout) == []
    assert "nothing to write: there is no data for that time, or no step falls in it" in none.stderr


def test_a_day_that_ended_within_the_last_three_hours_is_left_to_prometheus() -> None:
    """Which still has those hours in the making."""
    with asked(ledger()) as flags:
        early = within("backfill", *flags, now=TODAY * DAY + 3 * 3600 - 2)
        late = within("backfill", *flags, now=TODAY * DAY + 3 * 3600 - 1)
    assert max(bars(early.stdout)) == TODAY - 2
    assert max(bars(late.stdout)) == TODAY - 1


def test_a_retention_that_deletes_them_is_warned_of() -> None:
    """By the first day, as by the first invoice."""
    with asked(ledger()) as flags:
        done = within("backfill", "--retention=5d", *flags)
    told = f"the first sample is from {text_of(TODAY - 10)}, and Prometheus deletes it with a "
    assert told + "retention of 5d" in done.stderr


def test_shards_are_merged_and_a_missing_one_is_named() -> None:
    """Its days are missing, the others are written, and the exit code is 1."""
    with asked(ledger(org_id="a", shard=(0, 3)), ledger(org_id="b", shard=(2, 3))) as flags:
        done = within("backfill", *flags)
    assert done.returncode == 1
    assert all(f'org_id="{each}"' in done.stdout for each in "ab")
    assert "shard 1 of 3, counted from 0: no exporter that has it could be read" in done.stderr


def test_an_organization_whose_days_cannot_be_had_is_named() -> None:
    """And hides no other."""
    broken = fleet(line("a", org_name="Acme"), line("b", org_name="Beta"))
    listed = (200, days("b", day("2025-06-01", 5.0), day("2025-06-02", 1.0)))
    broken.answers = {**broken.answers, f"{LIST}/b/days": listed}
    with asked(broken) as flags:
        done = within("backfill", *flags)
    assert done.returncode == 1
    assert 'org_id="b"' in done.stdout
    assert "viam-billing: Acme: it has no such page: " in done.stderr


def test_only_one_organization() -> None:
    """By id or name, which has to be known to somebody."""
    exporters = ledger(org_id="a"), ledger(org_id="b")
    with asked(*exporters) as flags:
        done = within("backfill", "--organization=b", *flags)
        nobody = within("backfill", "--organization=Nobody", *flags)
    assert 'org_id="a"' not in done.stdout
    assert 'org_id="b"' in done.stdout
    assert [path for path, _ in exporters[0].asked if path.endswith("/days")] == []
    assert nobody.returncode == 2
    assert "--organization=Nobody: no such id or name" in nobody.stderr


def test_without_a_ledger_and_without_a_configuration_there_is_nothing(tmp_path: Path) -> None:
    """It says how to name either."""
    done = within("backfill", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("viam-billing: no configuration: name one with --config.file")
    assert "or ask a running exporter with --exporter" in done.stderr
    two = within("backfill", "--exporter=http://[::1]:1", "--storage.path=x", folder=tmp_path)
    assert two.returncode == 2
    assert two.stderr == "viam-billing: use either --exporter or --storage.path, not both\n"


# --- What is stored ---


class Stored(NamedTuple):
    """A storage folder, and between when its organization was polled."""

    folder: Path
    start: float  # of its first period
    now: float


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return the storage of an exporter that ran for a hundred days."""
    folder, meter = tmp_path_factory.mktemp("stored"), Meter()

    async def main() -> Stored:
        async with process(meter, folder) as there:
            await there.run(100)
            return Stored(folder, meter.start, meter.clock.time())

    return run(main())


def content(folder: Path) -> dict[str, bytes]:
    """Return what is in the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_days_are_read_from_storage_and_nothing_there_is_changed(
    stored: Stored, tmp_path: Path
) -> None:
    """All that are kept, more than an exporter has in memory; the folder may be read-only."""
    folder, start, now = stored
    before = content(folder)
    flags = (f"--storage.path={folder}", "--retention=1y", "--label=job=a", "--label=instance=b")
    done = command("backfill", *flags, folder=tmp_path, now=now)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"viam-billing: days are those of {folder}"
    assert content(folder) == before
    found = bars(done.stdout)
    first, today = int(start // DAY), int(now // DAY)
    assert list(found) == list(range(first, today))
    assert len(found) > 100
    # Of a period's last day, the six hours after the last answer are in no answer.
    ends = [number for number in found if ((number + 1) * DAY - start) % (30 * DAY) == 0]
    assert {number: round(usd, 2) for number, usd in found.items()} == {
        number: 22.5 if number in ends else 30.0 for number in found
    }


def test_names_are_those_that_are_configured(
    stored: Stored, service: Service, tmp_path: Path
) -> None:
    """Storage has ids only, but for organizations that were discovered."""
    folder, _, now = stored
    alone = within("backfill", f"--storage.path={folder}", now=now)
    assert 'org_id="o1",org_name="o1"' in alone.stdout
    settings = yaml.safe_load(service.file.read_text())
    settings["organizations"][0] |= {"id": "o1", "name": "Acme"}
    (tmp_path / "named.yml").write_text(json.dumps(settings))
    both = within(
        "backfill",
        f"--storage.path={folder}",
        f"--config.file={tmp_path / 'named.yml'}",
        "--organization=Acme",
        now=now,
    )
    assert 'org_id="o1",org_name="Acme"' in both.stdout


def test_a_storage_that_is_in_use_is_left_alone(stored: Stored, tmp_path: Path) -> None:
    """The exporter that uses it is the one to ask."""
    folder = tmp_path / "storage"
    shutil.copytree(stored.folder, folder)
    with closing(Storage(folder)) as storage:
        storage.read()
        done = within("backfill", f"--storage.path={folder}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"viam-billing: the storage folder {folder} is in use by another process: name it with "
        "--exporter, or stop it first\n"
    )


def test_a_folder_without_storage_is_told(tmp_path: Path) -> None:
    """And not made into one."""
    done = within("backfill", f"--storage.path={tmp_path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"viam-billing: there is no storage in {tmp_path}\n"
    assert list(tmp_path.iterdir()) == []
