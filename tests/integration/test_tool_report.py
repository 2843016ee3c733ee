"""`viam-billing report`: from the billing API, from running exporters, and from storage."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.tool.report.command import EARLIER, NOT_FOR_TERMINALS
from exporter.tool.report.programs import COLUMNS
from support.clock import NOON
from support.documents import commands_of, shows
from support.exporter_api import FakeExporter, fleet, line
from support.history import process
from support.meter import DAY, Meter
from support.months import NOW, archive
from support.reports import never_read, new, stale, usual
from support.served import served
from support.standing import ACCOUNTS, Service, command, standing, terminal, within
from support.status import Html
from support.virtual import run


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the simulated service, where it is NOON."""
    with standing(tmp_path_factory.mktemp("service")) as running:
        yield running


class Stored(NamedTuple):
    """The storage of an exporter that does not run any more."""

    folder: Path
    now: float


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return that of one that ran for a hundred days, in periods of 30 days of $30 each."""
    folder, meter = tmp_path_factory.mktemp("stored"), Meter()

    async def main() -> Stored:
        async with process(meter, folder) as there:
            await there.run(100)
            return Stored(folder, meter.clock.time())

    return run(main())


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    """Return the flag of an exporter of four organizations, one of which it could never read."""
    every = (usual(), new(), stale(), never_read())
    with served(*(each.state for each in every), archive=archive(*every)) as port:
        yield f"--exporter=http://127.0.0.1:{port}"


ACME = "--organization=Acme Robotics"


# --- Where it is read from ---


def test_without_a_ledger_the_billing_api_is_asked(service: Service, tmp_path: Path) -> None:
    """As a process: the numbers are those of `usage`, and it says what is missing."""
    done = command("report", service.flag, "--output=json", folder=tmp_path, now=NOON)
    assert done.returncode == 0, done.stderr
    assert "only the current month is known" in done.stderr
    assert "name an exporter with --exporter" in done.stderr
    usage = json.loads(within("usage", service.flag, "--output=json").stdout)["organizations"]
    found = {each["org_id"]: each for each in json.loads(done.stdout)["organizations"]}
    assert len(found) == len(ACCOUNTS)
    for each in usage:
        told = found[each["org_id"]]
        assert told["total_usd"] == each["month_to_date_usd"]
        assert (told["month"], told["state"]) == ("2025-06", "running")
        assert (told["gross_usd"], told["budget_usd"]) == (each["gross_usd"], each["budget_usd"])
        assert told["compared_usd"] is None
    html = within("report", service.flag).stdout
    assert "from Viam's billing service at" in Html.of(html).text


def test_a_running_exporter_is_asked_without_a_key(exporter: str) -> None:
    """For the month that is asked for, which has its successor's invoices by then."""
    done = within("report", exporter, ACME, "--month=2026-10", "--output=json", now=NOW)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"viam-billing: read from {exporter.partition('=')[2]}\n"
    (found,) = json.loads(done.stdout)["organizations"]
    assert (found["month"], found["state"], found["compared_days"]) == ("2026-10", "ended", None)
    assert found["total_usd"] == pytest.approx(294, abs=40)
    days = [each["spend_usd"] - each["corrections_usd"] for each in found["days"]]
    assert sum(days) == pytest.approx(found["total_usd"], abs=0.005)
    assert [each["invoice_id"] for each in found["invoices_after"]] == ["INV-0007"]
    assert [each["invoice_id"] for each in found["invoices"]] == ["INV-0006"]
    previous = within("report", exporter, ACME, "--month=previous", "--output=json", now=NOW)
    assert previous.stdout == done.stdout


def test_storage_of_a_stopped_exporter_is_read(stored: Stored, tmp_path: Path) -> None:
    """With months that are long over, and what they were made of."""
    folder, now = stored
    flags = (f"--storage.path={folder}", "--output=json")
    last = json.loads(command("report", *flags, folder=tmp_path, now=now).stdout)
    (found,) = last["organizations"]
    assert found["state"] == "running"
    done = within("report", *flags, "--month=previous", now=now)
    (found,) = json.loads(done.stdout)["organizations"]
    assert found["state"] == "ended"
    # The last answer of each period came six hours before its end.
    assert found["total_usd"] == pytest.approx(29.75 * 30.0)
    assert found["compared_change_usd"] == pytest.approx(0.0)
    assert [each["resource_type"] for each in found["costs"]] == ["data_upload"]
    assert "from the storage of an exporter" in within("report", flags[0], now=now).stdout


def test_a_period_of_which_the_end_was_never_seen_is_what_is_known(stored: Stored) -> None:
    """Weeks after the exporter stopped: the last answer's amounts, and no more."""
    folder, now = stored
    done = within("report", f"--storage.path={folder}", "--output=json", now=now + 40 * DAY)
    (found,) = json.loads(done.stdout)["organizations"]
    assert found["state"] == "last_known"
    days = [each["spend_usd"] for each in found["days"]]
    assert found["total_usd"] == pytest.approx(sum(usd or 0.0 for usd in days))
    assert days[-1] is None  # those after the last answer are there, and unknown
    assert found["forecast_usd"] is None


# --- What comes of it ---


def test_a_fleet_has_what_could_be_read_and_exit_code_1(exporter: str) -> None:
    """Each failure is told on standard error, too."""
    done = within("report", exporter, now=NOW)
    assert done.returncode == 1
    assert "Ossuline Foundry: nothing is known of this month" in done.stderr
    assert "Quillback <Harvesting> & Söhne: usage: " in done.stderr
    html = Html.of(done.stdout)
    assert html.row("3 of 4 organizations")[1].startswith("at least $")
    assert "Not everything could be read." in html.text


def test_csv_has_a_row_for_each_organization(exporter: str) -> None:
    """Under the documented names; what is not known is empty."""
    done = within("report", exporter, "--output=csv", now=NOW)
    acme, barrel, quillback = csv.DictReader(io.StringIO(done.stdout))
    assert list(acme) == list(COLUMNS)
    assert (acme["month"], acme["spikes"], acme["compared_days"]) == ("2026-11", "1", "22")
    assert (barrel["compared_usd"], barrel["budget_usd"]) == ("", "")
    assert (quillback["state"], quillback["forecast_usd"], quillback["unpaid_usd"]) == (
        "last_known",
        "",
        "",
    )


def test_a_month_of_which_nothing_is_known_is_an_error(exporter: str) -> None:
    """It says of which months something is."""
    done = within("report", exporter, ACME, "--month=2024-02", now=NOW)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "viam-billing: nothing is known of 2024-02; known months: 2026-08, 2026-09, 2026-10, "
        f"2026-11; {EARLIER}"
    )
    done = within("report", exporter, "--organization=Ossuline Foundry", now=NOW)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the key may not read this bill" in done.stderr
    assert done.stderr.splitlines()[-1] == "viam-billing: nothing is known of any month"


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "october", "2026-10-01", "26-10", ""])
def test_what_is_no_month_is_wrong_usage(month: str) -> None:
    """And told with what is one."""
    done = within("report", f"--month={month}")
    assert done.returncode == 2
    assert "must be a month as YYYY-MM, or previous" in done.stderr


def test_exporters_that_do_not_answer_are_told() -> None:
    """A document without any amount is none."""
    done = within("report", "--exporter=http://127.0.0.1:1", now=NOW)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be reached" in done.stderr


def test_an_exporter_of_an_earlier_release_tells_what_it_knows() -> None:
    """Without days and closed periods that say what is theirs."""
    acme = line(
        "a",
        org_name="Acme",
        period_start="2026-11-01T00:00:00Z",
        period_end="2026-12-01T00:00:00Z",
        month_to_date_usd=12.5,
    )
    exporter: FakeExporter = fleet(acme)
    empty = {"org_id": "a", "org_name": "Acme", "generated_at": "2026-11-23T12:00:00Z", "days": []}
    exporter.answers = {**exporter.answers, "/api/v1/organizations/a/days": (200, empty)}
    with exporter.serving():
        done = within("report", exporter.flag, now=NOW)
    assert done.returncode == 0, done.stderr
    html = Html.of(done.stdout)
    assert "So far$12.50" in html.text
    assert "No day of this month is known." in html.text


# --- Where it goes ---


def test_it_is_written_to_a_file_or_into_a_folder(exporter: str, tmp_path: Path) -> None:
    """Whole, or not at all; in a folder, a file is named after the month."""
    arguments = ("report", exporter, ACME, "--month=previous")
    done = within(*arguments, f"--dest={tmp_path / 'new' / 'bill.html'}", now=NOW)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == f"viam-billing: wrote {tmp_path / 'new' / 'bill.html'}"
    text = (tmp_path / "new" / "bill.html").read_text()
    assert text == within(*arguments, now=NOW).stdout
    for output in ("html", "json", "csv"):
        within(*arguments, f"--dest={tmp_path}", f"--output={output}", now=NOW)
        assert (tmp_path / f"viam-billing-2026-10.{output}").stat().st_size > 100
    (tmp_path / "file").write_text("")
    done = within(*arguments, f"--dest={tmp_path / 'file' / 'x.html'}", now=NOW)
    assert done.returncode == 1
    assert "it is not a folder" in done.stderr
    done = within(*arguments, f"--dest={tmp_path / 'none'}/", now=NOW)
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_terminal_gets_no_controls(tmp_path: Path, service: Service) -> None:
    """Nor what is not what was asked for."""
    code, shown = terminal("report", service.flag, "--output=csv", folder=tmp_path)
    assert code == 0
    assert COLUMNS[0] in shown


def test_a_terminal_gets_no_html(tmp_path: Path, service: Service) -> None:
    """But what to do, before anything is asked."""
    code, shown = terminal("report", service.flag, folder=tmp_path)
    assert code == 2
    assert shown == f"viam-billing: {NOT_FOR_TERMINALS}\r\n"
    assert within("report", service.flag).stdout.startswith("<!doctype html>")


def test_the_page_shows_how_exporters_are_asked(exporter: str, tmp_path: Path) -> None:
    """With the exporter's address in place of this one's."""
    address = exporter.partition("=")[2]
    (block,) = commands_of("docs/commands/report.md", __file__)
    (made, _), *asked = block.steps
    (tmp_path / made.split()[1]).mkdir()
    for command_line, expected in asked:
        arguments = command_line.replace("http://localhost:8426", address).split()[1:]
        done = within(*arguments, ACME, folder=tmp_path, now=NOW)
        assert shows(expected, done.stderr.replace(address, "http://localhost:8426"))
