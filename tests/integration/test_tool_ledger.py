"""`viam-billing ledger`: days from one storage to another, as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from exporter.model import Spend
from exporter.state.day_rows import Day
from exporter.state.storage import FILE, Storage
from support import virtual
from support.documents import commands_of
from support.history import process
from support.meter import Meter
from support.process import TOOL, exporter, parse
from support.standing import command, simulated, within

LEDGER: Final = "viam_billing_ledger_"
PAGE: Final = 4096  # bytes, of the database


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which an exporter has stored two organizations, and their configuration.

    The service that they were polled from is gone: nothing can be contacted.
    """
    folder = tmp_path_factory.mktemp("old")
    with (
        simulated(folder, "--organizations=2") as file,
        exporter(f"--config.file={file}", f"--storage.path={folder / 'old'}") as target,
    ):
        target.wait_until_ready()
    return folder


def test_days_go_to_another_storage(old: Path, tmp_path: Path) -> None:
    """An exporter that is started with it goes on from there; a second import adds nothing."""
    exported = command("ledger", "export", f"--storage.path={old / 'old'}", folder=tmp_path)
    assert exported.returncode == 0, exported.stderr
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    assert exported.stderr.splitlines() == [
        f"viam-billing: {each['org_id']}: {len(each['days'])} days" for each in lines
    ]
    (tmp_path / "ledger.jsonl").write_text(exported.stdout)
    arguments = ("ledger", "import", f"--storage.path={tmp_path / 'new'}", "ledger.jsonl")
    for new in True, False:
        imported = command(*arguments, folder=tmp_path)
        assert (imported.returncode, imported.stdout) == (0, "")
        assert imported.stderr.splitlines() == [
            f"viam-billing: {each['org_id']}: {len(each['days']) * new} days added of "
            f"{len(each['days'])}"
            for each in lines
        ]
    storages = [Storage(folder) for folder in (old / "old", tmp_path / "new")]
    before, after = (storage.read().organizations for storage in storages)
    for storage in storages:
        storage.close()
    assert {org_id: each.spend for org_id, each in after.items()} == {
        org_id: each.spend for org_id, each in before.items()
    }
    new_path = f"--storage.path={tmp_path / 'new'}"
    with exporter(f"--config.file={old / 'exporter.yml'}", new_path) as target:
        page = parse(target.scrape())
        shown = {dict(labels)["org_id"] for name, labels in page if name.startswith(LEDGER)}
        assert shown == set(before)


def test_what_the_page_says_to_type_works(old: Path, tmp_path: Path) -> None:
    """With folders of its names."""
    shutil.copytree(old / "old", tmp_path / "old")
    run_page("docs/commands/ledger.md", tmp_path)
    storage = Storage(tmp_path / "new")
    assert len(storage.read().organizations) == 2
    storage.close()


def run_page(page: str, folder: Path) -> None:
    """Type what a page says, in a folder."""
    (block,) = commands_of(page, __file__)
    path = f"{Path(TOOL[0]).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path}
    subprocess.run(["sh", "-ec", block.text], cwd=folder, env=environ, check=True)


def test_days_come_back_from_a_file_that_was_set_aside(tmp_path: Path) -> None:
    """All that can be read of it, as the page says: here a page of it is damaged, too."""
    meter, state = Meter(), tmp_path / "state"

    async def lived(days: int) -> tuple[dict[int, Day], Spend]:
        async with process(meter, state) as it:
            await it.run(days)
            return await it.days(), it.spend

    before, _ = virtual.run(lived(300))
    content = bytearray((state / FILE).read_bytes())
    page = content.rindex(b"o1" + (min(before) + 90).to_bytes(2)) // PAGE * PAGE
    content[page : page + PAGE] = b"\xa5" * PAGE
    (state / FILE).unlink()
    (state / f"{FILE}.set-aside-1").write_bytes(content)
    new, spend = virtual.run(lived(3))
    run_page("docs/run.md", tmp_path)
    after, again = virtual.run(lived(0))
    assert replace(again, ledger=None, closed=spend.closed) == replace(spend, ledger=None)
    assert {number: after[number] for number in new} == new, "what was there stays"
    old = {number: before[number] for number in before if number < min(new)}
    *known, last = (number for number in old if not after[number].is_unknown)
    assert 0 < len(old) - len(known) < PAGE // 40, "those of the page are unknown"
    assert all(after[number] == old[number] for number in known)
    assert after[last].spend == old[last].spend


def test_only_those_that_are_named_are_carried(old: Path, tmp_path: Path) -> None:
    """One that is not there is said, and makes the command fail."""
    flag = f"--storage.path={old / 'old'}"
    everything = within("ledger", "export", flag).stdout
    first = json.loads(everything.splitlines()[0])["org_id"]
    chosen = ("--organization", first, "--organization", "nobody")
    exported = within("ledger", "export", flag, *chosen)
    assert exported.returncode == 1
    assert exported.stdout == everything.splitlines(keepends=True)[0]
    assert f"nobody: no days are stored in {old / 'old'}" in exported.stderr
    (tmp_path / "all").write_text(everything)
    new = f"--storage.path={tmp_path / 'new'}"
    imported = within("ledger", "import", new, str(tmp_path / "all"), *chosen)
    assert imported.returncode == 1
    assert f"nobody: no days in {tmp_path / 'all'}" in imported.stderr
    storage = Storage(tmp_path / "new")
    assert set(storage.read().organizations) == {first}
    storage.close()


def test_a_storage_in_use_and_one_that_is_not_there_are_refused(old: Path, tmp_path: Path) -> None:
    """And are neither made nor changed."""
    storage = Storage(old / "old")
    storage.read()
    for action in ("export", "import"):
        file = [str(old / "exporter.yml")] if action == "import" else []
        failed = within("ledger", action, f"--storage.path={old / 'old'}", *file)
        assert failed.returncode == 1
        assert "is in use by another process" in failed.stderr
        assert "stop the exporter first" in failed.stderr
    storage.close()
    failed = within("ledger", "export", f"--storage.path={tmp_path / 'none'}")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert f"there is no storage in {tmp_path / 'none'}" in failed.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}\n", "file, line 1: not in the format of viam-billing ledger export"),
        (b"\xff\xfe\n", "file: it is not UTF-8"),
    ],
)
def test_a_file_that_was_not_exported_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """With its place and what is wrong."""
    (tmp_path / "file").write_bytes(content)
    failed = within("ledger", "import", "--storage.path=new", "file", folder=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr == f"viam-billing: {message}\n"


def test_standard_input_can_be_imported(old: Path, tmp_path: Path) -> None:
    """As from another machine."""
    exported = within("ledger", "export", f"--storage.path={old / 'old'}").stdout
    imported = subprocess.run(
        [*TOOL, "ledger", "import", f"--storage.path={tmp_path / 'new'}", "-"],
        input=exported,
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stderr.count("days added of") == 2


@pytest.mark.parametrize(
    "arguments", [[], ["export"], ["import"], ["export", "--storage.path=x", "y"]]
)
def test_wrong_usage_is_told(arguments: list[str]) -> None:
    """With exit code 2."""
    assert within("ledger", *arguments).returncode == 2
