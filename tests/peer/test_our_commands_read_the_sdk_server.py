"""`viam-billing` against a server that Viam's own SDK was made for."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from math import fsum
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator import pdf_writer
from peer.bills import BILLS, KEYS, SOURCES, Bill
from support.process import PEER_PYTHON, ROOT, Process, running
from support.standing import command, started

SERVER = ROOT / "tests" / "peer" / "sdk_server.py"
FILE = pdf_writer.document(["An invoice, é"])
NAME = "--name-template={organization_id}/{id}"


def ids(bill: Bill) -> list[str]:
    """Return the ids of a bill's invoices."""
    return list(dict.fromkeys(each["id"] for each in bill.invoices.get("invoices", ())))


MISSING, BROKEN, HUGE, *_ = ids(SOURCES)
WANTED = sum(len(ids(bill)) for bill in BILLS)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, service: tuple[Process, str]) -> Path:
    """Return a folder with the configuration of the service."""
    place = tmp_path_factory.mktemp("commands")
    (place / "exporter.yml").write_text(service[1])
    return place


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str]]:
    """Serve all bills, and a file for each invoice but three; yields the configuration, too."""
    organizations = {
        bill.id: {
            "key_id": bill.key_id,
            "usage": bill.usage,
            "billing_information": bill.billing_information,
            "invoices": bill.invoices,
            "pdfs": dict.fromkeys(ids(bill)[bill is SOURCES :], FILE.decode("latin-1")),
        }
        for bill in BILLS
    }
    organizations[SOURCES.id] |= {"broken_pdfs": [BROKEN], "huge_pdfs": [HUGE]}
    file = tmp_path_factory.mktemp("server") / "bills.json"
    file.write_text(json.dumps({"keys": KEYS, "organizations": organizations}))
    with running(PEER_PYTHON, SERVER, file) as process:
        port = process.stdout.wait_for(r"^ready (\d+)$")[1]
        settings = {
            "api": {"address": f"127.0.0.1:{port}", "tls": False},
            "organizations": [
                {
                    "id": bill.id,
                    "name": bill.name or bill.id,
                    "credentials": {"api_key_id": bill.key_id, "api_key": KEYS[bill.key_id]},
                }
                for bill in BILLS
            ],
        }
        yield process, json.dumps(settings)


def document(folder: Path, name: str) -> Any:
    """Return what a command says, as JSON."""
    done = command(name, "--output=json", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PRIVATE" not in done.stdout
    return json.loads(done.stdout)


def test_amounts_are_those_of_the_bills(folder: Path) -> None:
    """What the exporter must show of each bill, the commands show; null is what it withholds."""
    used = {each["org_id"]: each for each in document(folder, "usage")["organizations"]}
    owed = {each["org_id"]: each for each in document(folder, "invoices")["organizations"]}
    checked = command("check", "--connect", folder=folder)
    assert checked.returncode == 0
    assert "PRIVATE" not in checked.stdout + checked.stderr
    for bill in BILLS:
        expected = bill.expected.get
        assert used[bill.id]["month_to_date_usd"] == expected("usage_month_to_date_usd")
        assert used[bill.id]["subtotal_usd"] == expected("usage_subtotal_usd")
        assert owed[bill.id]["outstanding_balance_usd"] == expected("outstanding_balance_usd")
        assert owed[bill.id]["unpaid_usd"] == expected("invoices_unpaid_amount_usd")
        assert owed[bill.id]["overdue_usd"] == expected("invoices_overdue_amount_usd")


def test_answers_are_saved_with_nothing_private(folder: Path) -> None:
    """Nor any id or name: neither of an organization, nor of an invoice."""
    done = command("check", "--connect", "--save-answers=answers", folder=folder)
    assert done.returncode == 0, done.stderr
    files = [*(folder / "answers").iterdir()]
    assert len(files) > 3 * len(BILLS)
    text = "\n".join(path.read_text() for path in files)
    assert "PRIVATE" not in text
    for bill in BILLS:
        assert not any(f'"{each}"' in text for each in (bill.id, bill.name, bill.key_id) if each)
        assert not any(f'"id": "{each}"' in text for each in ids(bill))


def test_focus_adds_up(folder: Path) -> None:
    """To the month to date, however the API's parts differ from its totals."""
    done = command("usage", "--output=focus-json", folder=folder)
    assert done.returncode == 1
    no_period = "the billing period is unknown, so its columns are empty"
    assert done.stderr.splitlines() == [
        f"viam-billing: Dunlinstone: {no_period}",
        "viam-billing: Eiderfell: a cost that is not a number was left out",
        f"viam-billing: Eiderfell: {no_period}",
        f"viam-billing: Gannetrow: {no_period}",
    ]
    rows = json.loads(done.stdout)["Rows"]
    for bill in BILLS:
        total = bill.expected.get("usage_month_to_date_usd")
        if isinstance(total, float):
            billed = fsum(r["BilledCost"] for r in rows if r["BillingAccountId"] == bill.id)
            assert abs(billed - total) < 0.001


def test_a_report_has_the_amounts_of_the_bills(folder: Path) -> None:
    """To the last digit; none of a bill that is withheld, and nothing personal of any."""
    done = command("report", "--output=json", folder=folder)
    told = json.loads(done.stdout)
    found = {each["org_id"]: each["total_usd"] for each in told["organizations"]}
    found |= dict.fromkeys((each["org_id"] for each in told["nothing_known"]), None)
    assert found == {bill.id: bill.expected.get("usage_month_to_date_usd") for bill in BILLS}
    page = command("report", folder=folder)
    assert page.stdout.endswith("</html>\n")
    assert "PRIVATE" not in done.stdout + done.stderr + page.stdout + page.stderr


def test_the_past_is_written(folder: Path) -> None:
    """Of each organization whose invoices have dates, and nothing personal of any."""
    done = command("backfill", "--step=365d", "--label=job=a", "--label=instance=b", folder=folder)
    assert done.returncode == 0
    assert "PRIVATE" not in done.stdout + done.stderr
    assert done.stdout.endswith("# EOF\n")
    assert all(bill.id in done.stdout for bill in BILLS if "latest" in str(bill.expected))


def test_ctrl_c_leaves_nothing_that_is_not_whole(folder: Path) -> None:
    """The stream is given up, and the run says that it was stopped."""
    dest = folder / "stopped"
    flags = ("--all", NAME, f"--dest={dest}", f"--config.file={folder / 'exporter.yml'}")
    with started("pdf", *flags) as process:
        process.stdout.wait_for("^downloaded ")
        process.send(signal.SIGINT)
        assert process.wait() == 1
    assert process.stderr.text.endswith("viam-billing: stopped before the end\n")
    files = [path for path in dest.rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in files} == {FILE}


def test_files_are_those_that_were_sent(folder: Path, service: tuple[Process, str]) -> None:
    """Chunk by chunk, empty ones among them; what fails is told, the rest is there.

    The last test here, since the server says only at its end what was asked of it.
    """
    done = command("pdf", "--all", NAME, folder=folder)
    assert done.returncode == 1
    failures = {
        line.partition(": ")[2].rpartition("/")[2].partition(": ")[::2]
        for line in done.stderr.splitlines()
    }
    assert failures == {
        (MISSING, "GetInvoicePdf: the invoice has no file"),
        (BROKEN, "GetInvoicePdf: the server is unavailable"),
        (HUGE, "the answer to GetInvoicePdf is larger than 32 MiB"),
    }
    files = [path for path in (folder / "invoices").rglob("*") if path.is_file()]
    assert len(files) == WANTED - len(failures)
    assert {path.read_bytes() for path in files} == {FILE}
    server, _ = service
    server.stop()
    journal = json.loads(server.stdout.text.splitlines()[-1])
    assert journal["complaints"] == []
    # For the names of those that have none in the configuration.
    assert journal["calls"]["/viam.app.v1.AppService/ListOrganizations"] > 0
