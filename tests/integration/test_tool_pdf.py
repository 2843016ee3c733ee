"""`viam-billing pdf`, as a process: whole files or none, whatever happens on the way."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest
import yaml

from exporter.tool.folder import PART, Folder
from support.process import PATIENCE, TOOL, until
from support.standing import ACCOUNTS, ENVIRON, Service, standing, started, terminal, within

ONE = "--organization=Ossuline Foundry"  # the fourth, with fourteen invoices
SINCE = "--since=2025-05-01"  # two of them
SLUG = "ossuline-foundry"
IDS = ("0445D656-20250601-usage", "0445D656-20250501-usage")
PATHS = {f"{SLUG}/2025-06-01_{IDS[0]}.pdf", f"{SLUG}/2025-05-01_{IDS[1]}.pdf"}
SMALL = 1024  # bytes; no invoice is that short
# Mounts that nobody else sees; who is not root gets to be it in there.
ALONE = ("unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []))
# A file system of its own that has room for some invoices, seen by this shell and the command only.
# What is in it at the end is copied for the test to see.
FULL_DISK = """
mkdir invoices kept && mount -t tmpfs -o size=40k tmpfs invoices || exit 3
"$0" "$@"; echo exit code $? >&2
cp -R invoices kept
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all tests here."""
    with standing(tmp_path_factory.mktemp("service")) as it:
        yield it


@pytest.fixture
def configuration(service: Service) -> str:
    """Return the argument that names it."""
    return service.flag


def files(folder: Path) -> set[str]:
    """Return all that is in the folder of the downloads, hidden or not, but folders."""
    place = folder / "invoices"
    return {str(p.relative_to(place)) for p in place.rglob("*") if not p.is_dir()}


def test_all_invoices_of_all_organizations(configuration: str, tmp_path: Path) -> None:
    """Whole files that a reader opens, for their owner only; and a second run finds them there."""
    done = within("pdf", "--all", configuration, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, summary = done.stdout.splitlines()
    found = files(tmp_path)
    assert {line.removeprefix("downloaded ") for line in lines} == found
    assert summary == f"{len(found)} downloaded, 0 already there, 0 failed"
    assert len({path.partition("/")[0] for path in found}) == len(ACCOUNTS)
    for path in found:
        file = tmp_path / "invoices" / path
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        invoice_id = re.fullmatch(r".*/\d{4}-\d\d-\d\d_(.*)\.pdf", path)
        assert invoice_id
        assert invoice_id[1] in pypdf.PdfReader(file, strict=True).pages[0].extract_text()
    before = {path: (tmp_path / "invoices" / path).stat().st_mtime_ns for path in found}
    again = within("pdf", "--all", configuration, folder=tmp_path)
    assert again.stdout == f"0 downloaded, {len(found)} already there, 0 failed\n"
    after = {path: (tmp_path / "invoices" / path).stat().st_mtime_ns for path in files(tmp_path)}
    assert after == before


def test_some_invoices_by_name_and_by_day(configuration: str, tmp_path: Path) -> None:
    """--since, ids, a template, a destination; an id that nobody has is a failure."""
    done = within("pdf", ONE, SINCE, configuration, folder=tmp_path)
    assert done.returncode == 0
    assert files(tmp_path) == PATHS
    named = ("pdf", IDS[0], "--dest=elsewhere", "--name-template={year}/{organization_id}-{id}.pdf")
    assert within(*named, configuration, folder=tmp_path).returncode == 0
    (file,) = (tmp_path / "elsewhere").rglob("*.pdf")
    assert str(file.relative_to(tmp_path / "elsewhere")) == f"2025/{ACCOUNTS[3].id}-{IDS[0]}.pdf"
    missing = within("pdf", "no-such", IDS[0], configuration, folder=tmp_path)
    assert missing.returncode == 1
    assert missing.stdout == "0 downloaded, 1 already there, 1 failed\n"
    assert missing.stderr == (
        "viam-billing: no-such: no organization that could be read has an invoice with that id\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "give invoice ids, or --all or --since, but not both"),
        (("--all", "one"), "give invoice ids, or --all or --since, but not both"),
        (("--since=yesterday",), "must be a day as YYYY-MM-DD"),
        (("--all", "--name-template=../{id}"), "must be a relative path"),
        (("--all", "--name-template=/tmp/{id}"), "must be a relative path"),
        (("--all", "--name-template={date}.pdf"), "must have {id} in it"),
        (("--all", "--name-template={id.__class__}"), "must consist of text and {organization}"),
    ],
)
def test_wrong_usage_is_explained(arguments: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    """With exit code 2, before anything is made or asked for."""
    done = within("pdf", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("broken-stream", "the server is unavailable"),
        ("short-stream", "the file is an incomplete PDF"),
        ("not-found:method=GetInvoicePdf", "the invoice has no file"),
        ("huge:method=GetInvoicePdf,size=40", "is larger than 32 MiB"),
        ("garbage:method=GetInvoicePdf", "does not parse"),
        ("empty:method=GetInvoicePdf", "the file is not a PDF"),
        ("hang:method=GetInvoicePdf", "nothing arrived for as long as a request may take"),
    ],
)
def test_what_is_not_whole_leaves_nothing(
    fault: str, reason: str, service: Service, tmp_path: Path
) -> None:
    """Each failure is told with its file, the exit code is 1, and a good run then ends the same."""
    settings = yaml.safe_load(service.file.read_text())
    settings["api"]["timeout"] = "1s" if fault.startswith("hang") else "20s"
    (tmp_path / "exporter.yml").write_text(json.dumps(settings))
    separator = "," if ":" in fault else ":"
    with service.failing(f"{fault}{separator}organization=4"):
        done = within("pdf", ONE, IDS[0], folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "0 downloaded, 0 already there, 1 failed\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"viam-billing: {SLUG}/2025-06-01_{IDS[0]}.pdf: ")
    assert reason in line
    assert files(tmp_path) == set()


def test_a_failure_that_passes_is_tried_again(service: Service, tmp_path: Path) -> None:
    """A stream that breaks once is read from its beginning, and nothing of the first is in it."""
    with service.failing("broken-stream:times=1", "expired-token:times=1"):
        done = within("pdf", ONE, SINCE, service.flag, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == PATHS
    for path in PATHS:
        assert pypdf.PdfReader(tmp_path / "invoices" / path, strict=True).pages


def test_what_one_key_cannot_read_hides_no_other(service: Service, tmp_path: Path) -> None:
    """The files of the others are there, and the failure names the organization."""
    with service.failing("permission-denied:method=GetInvoicesSummary,organization=1"):
        done = within("pdf", "--since=2025-06-09", service.flag, folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("2 downloaded, 0 already there, 1 failed\n")
    assert done.stderr.startswith(f"viam-billing: {ACCOUNTS[0].name}: GetInvoicesSummary: ")
    assert len(files(tmp_path)) == 2


def test_a_day_that_has_not_come_is_said(configuration: str, tmp_path: Path) -> None:
    """A typing mistake in --since would read as if there was nothing to pay."""
    done = within("pdf", "--since=2062-05-01", configuration, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "0 downloaded, 0 already there, 0 failed\n")
    assert done.stderr == "viam-billing: --since is in the future\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_run_again(number: signal.Signals, service: Service, tmp_path: Path) -> None:
    """What was whole stays, nothing else does; the next run ends as one without a stop does."""
    arguments = ("pdf", ONE, "--all", f"--dest={tmp_path / 'invoices'}")
    place = tmp_path / "invoices" / SLUG

    def is_under_way() -> bool:
        return any(path.name.startswith(PART) for path in place.iterdir())

    with (
        service.failing("hang:method=GetInvoicePdf,every=2"),
        started(*arguments, service.flag) as process,
    ):
        process.stdout.wait_for("^downloaded ")
        until(is_under_way, "a file is under way")
        process.send(number)
        code = process.wait()
    if number is signal.SIGKILL:
        assert code == -number
    else:
        assert code == 1
        assert process.stderr.text == "viam-billing: stopped before the end\n"
        assert re.search(
            r"^\d+ downloaded, 0 already there, 0 failed\n\Z", process.stdout.text, re.MULTILINE
        )
        assert all(path.endswith(".pdf") for path in files(tmp_path))
    whole = {path for path in files(tmp_path) if path.endswith(".pdf")}
    assert whole
    done = within("pdf", ONE, "--all", service.flag, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{14 - len(whole)} downloaded, {len(whole)} already there" in done.stdout
    assert len(files(tmp_path)) == 14
    assert all(path.endswith(".pdf") for path in files(tmp_path))


def test_a_full_disk(configuration: str, tmp_path: Path) -> None:
    """Each file that finds no room fails with the reason, and leaves nothing."""
    done = subprocess.run(
        [*ALONE, "sh", "-c", FULL_DISK, *TOOL, "pdf", "--all", configuration],
        cwd=tmp_path,
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    summary = re.fullmatch(
        r"(\d+) downloaded, 0 already there, (\d+) failed", _summary(done.stdout)
    )
    assert summary, done.stderr
    *complaints, code = done.stderr.splitlines()
    assert code == "exit code 1"
    assert len(complaints) == int(summary[2]) > 0
    assert all(line.endswith(".pdf: No space left on device") for line in complaints)
    there = files(tmp_path / "kept")
    assert len(there) == int(summary[1]) > 0
    for path in there:
        assert pypdf.PdfReader(tmp_path / "kept" / "invoices" / path, strict=True).pages


def _summary(output: str) -> str:
    (line,) = (line for line in output.splitlines() if line.endswith(" failed"))
    return line


def test_a_file_that_may_not_grow(configuration: str, tmp_path: Path) -> None:
    """No file may become as long as an invoice: each fails with the reason, and leaves nothing."""
    done = subprocess.run(
        [*TOOL, "pdf", ONE, SINCE, configuration],
        cwd=tmp_path,
        env={**os.environ, **ENVIRON},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == "0 downloaded, 0 already there, 2 failed\n"
    assert set(done.stderr.splitlines()) == {
        f"viam-billing: {path}: File too large" for path in PATHS
    }
    assert files(tmp_path) == set()


def test_a_folder_that_cannot_be_made(configuration: str, tmp_path: Path) -> None:
    """Is named in one line."""
    (tmp_path / "invoices").write_text("a file")
    done = within("pdf", "--all", configuration, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "viam-billing: invoices: it is not a folder\n"
    deep = f"--dest={'a/' * 1500}b"
    done = within("pdf", "--all", deep, configuration, folder=tmp_path)
    assert done.stderr.endswith(": it is nested in too many folders\n")


def test_what_is_no_file_is_left_alone_and_is_no_invoice(
    configuration: str, tmp_path: Path
) -> None:
    """A folder or a link that leads nowhere, of an invoice's name; an empty file is replaced."""
    assert within("pdf", *IDS, configuration, folder=tmp_path).returncode == 0
    paths = [next((tmp_path / "invoices").rglob(f"*{each}.pdf")) for each in IDS]
    for path in paths:
        path.unlink()
    paths[0].mkdir()
    paths[1].symlink_to("nowhere")
    done = within("pdf", *IDS, configuration, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "0 downloaded, 0 already there, 2 failed\n")
    assert done.stderr.count(": what has its name is not a file\n") == 2
    assert (paths[0].is_dir(), paths[1].is_symlink()) == (True, True)
    paths[1].unlink()
    paths[1].touch()
    done = within("pdf", IDS[1], configuration, folder=tmp_path)
    assert done.stdout.endswith("1 downloaded, 0 already there, 0 failed\n")
    assert paths[1].read_bytes().startswith(b"%PDF-")


def test_a_reader_that_has_enough(configuration: str, tmp_path: Path) -> None:
    """`| head` ends the run without a complaint, and what is there is whole."""
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(TOOL)} pdf --all {configuration} | head -1"],
        cwd=tmp_path,
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.startswith("downloaded ")
    assert done.stderr == ""
    assert all(path.endswith(".pdf") for path in files(tmp_path))


def test_organizations_with_names_alike_have_folders_of_their_own(
    service: Service, tmp_path: Path
) -> None:
    """Marks tell names apart; of two with one name, the second gets a digest of its id.

    It is the same folder when only one of them is asked for. Bytes of long names are counted.
    """
    settings = yaml.safe_load(service.file.read_text())
    names = ("कि", "कु", "Acme, Inc.", "acme inc", "月面探査機" * 12)
    for organization, name in zip(settings["organizations"], names, strict=False):
        organization["name"] = name
    del settings["organizations"][len(names) :]
    (tmp_path / "exporter.yml").write_text(json.dumps(settings))
    second = settings["organizations"][3]["id"]
    done = within("pdf", SINCE, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folders = {path.name for path in (tmp_path / "invoices").iterdir()}
    assert {"कि", "कु", "acme-inc", "月面探査機" * 12} < folders
    (other,) = (each for each in folders if each.startswith("acme-inc~"))
    again = within("pdf", SINCE, f"--organization={second}", folder=tmp_path)
    assert again.stdout.startswith("0 downloaded, ")
    assert {path.name for path in (tmp_path / "invoices").iterdir()} == folders
    assert len(folders) == len(names)
    assert all(each.name.endswith(".pdf") for each in (tmp_path / "invoices" / other).iterdir())
    template = "--name-template={organization}_{organization}_{date}_{id}.pdf"
    long = within("pdf", SINCE, template, "--dest=long", folder=tmp_path)
    assert (long.returncode, long.stderr) == (0, "")


def test_what_has_a_name_of_ours_is_in_nobody_s_way(configuration: str, tmp_path: Path) -> None:
    """A folder that is named as what is not whole stays; such a file, which a run left, goes."""
    place = tmp_path / "invoices" / SLUG
    (place / f"{PART}folder" / "full").mkdir(parents=True)
    (place / f"{PART}file").touch()
    done = within("pdf", ONE, SINCE, configuration, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == PATHS
    assert (place / f"{PART}folder" / "full").is_dir()


def test_one_download_at_a_time(configuration: str, tmp_path: Path) -> None:
    """A second run into a folder ends at once, before it could disturb the first."""
    with Folder.locked(tmp_path / "invoices", print):
        done = within("pdf", "--all", configuration, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "viam-billing: invoices: another command writes to it\n"


def test_no_link_leads_out_of_the_folder(configuration: str, tmp_path: Path) -> None:
    """A symbolic link in place of an organization's folder is not followed."""
    outside, inside = tmp_path / "outside", tmp_path / "invoices"
    outside.mkdir()
    inside.mkdir()
    (inside / SLUG).symlink_to(outside)
    done = within("pdf", ONE, SINCE, configuration, folder=tmp_path)
    assert done.returncode == 1
    assert list(outside.iterdir()) == []


def test_bars_on_a_terminal(configuration: str, tmp_path: Path) -> None:
    """And the same lines, files and summary as without."""
    code, text = terminal("pdf", ONE, SINCE, configuration, folder=tmp_path, columns=120)
    assert code == 0
    assert "0/2" in text
    assert "\x1b[?25l" in text  # the cursor is out of the way
    assert text.rstrip().endswith("2 downloaded, 0 already there, 0 failed")
    assert all(f"downloaded {path}" in text for path in PATHS)
    assert files(tmp_path) == PATHS
