"""Commands where the locale has no more than ASCII, or Latin-1: data is UTF-8, tables fall back."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics import parser

from support.clock import NOON
from support.process import PATIENCE
from support.standing import ENVIRON, STANDING, Service, standing, terminal

NAME = "株式会社月面"
SHOWN = r"\u682a\u5f0f\u4f1a\u793e\u6708\u9762"
LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX, strict": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    "Latin-1": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service whose second organization has a name in Japanese, from the environment."""
    with standing(tmp_path_factory.mktemp("locale")) as it:
        settings = yaml.safe_load(it.file.read_text())
        settings["organizations"] = settings["organizations"][:3]
        settings["organizations"][1]["name"] = "${COMPANY}"
        it.file.write_text(json.dumps(settings))
        yield it


@pytest.fixture(params=LOCALES)
def locale(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the variables of a locale that cannot show all, and one that the file names."""
    return {**LOCALES[request.param], "COMPANY": NAME}


def run(
    locale: dict[str, str], *arguments: str, folder: Path, code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a locale, and return the bytes that it writes."""
    done = subprocess.run(
        [*STANDING, "run", str(NOON), *(each.encode() for each in arguments)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **ENVIRON, **locale},
        capture_output=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    return done


def test_data_is_utf_8_in_every_locale(
    locale: dict[str, str], service: Service, tmp_path: Path
) -> None:
    """CSV, JSON, FOCUS and OpenMetrics are whole, with every name as it is."""
    for column, *command in (
        ("org_name", "usage", "--output=csv"),
        ("BillingAccountName", "usage", "--output=focus"),
        ("org_name", "invoices", "--output=csv"),
    ):
        text = run(locale, *command, service.flag, folder=tmp_path).stdout.decode()
        names = {row[column] for row in csv.DictReader(io.StringIO(text))}
        assert len(names) == 3
        assert NAME in names
    text = run(locale, "usage", "--output=json", service.flag, folder=tmp_path).stdout.decode()
    assert NAME in {each["org_name"] for each in json.loads(text)["organizations"]}
    past = ("backfill", "--step=1d", f"--label=job={NAME}", service.flag)
    text = run(locale, *past, folder=tmp_path).stdout.decode()
    families = list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    labels = [sample.labels for family in families for sample in family.samples]
    assert NAME in {each["org_name"] for each in labels}
    assert {each["job"] for each in labels} == {NAME}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "cp037", "utf-8-sig"])
def test_json_is_utf_8_whatever_python_is_told(
    encoding: str, service: Service, tmp_path: Path
) -> None:
    """Of these, programs could read none."""
    told = {"PYTHONIOENCODING": encoding, "COMPANY": NAME}
    text = run(told, "usage", "--output=json", service.flag, folder=tmp_path).stdout
    assert len(json.loads(text.decode())["organizations"]) == 3


def test_a_table_falls_back_to_what_can_be_shown(
    locale: dict[str, str], service: Service, tmp_path: Path
) -> None:
    """Escapes for the name, hyphens for lines; columns stay aligned and nothing else is lost."""
    for command in ("usage", "invoices"):
        text = run(locale, command, service.flag, folder=tmp_path).stdout.decode("ascii")
        assert SHOWN in text
        assert "----" in text
    amounts = [line for line in text.splitlines() if line.endswith(tuple("0123456789"))]
    assert len({len(line) for line in amounts[-4:]}) == 1
    chosen = run(locale, "usage", f"--organization={NAME}", service.flag, folder=tmp_path)
    assert SHOWN in chosen.stdout.decode("ascii")


def test_files_have_their_names_in_every_locale(
    locale: dict[str, str], service: Service, tmp_path: Path
) -> None:
    """One name ends nothing: all invoices of all organizations are there."""
    dest = ("--dest=請求", "--since=2025-05-01", service.flag)
    done = run(locale, "pdf", *dest, folder=tmp_path)
    done.stdout.decode("ascii")
    folders = {path.name for path in (tmp_path / "請求").iterdir()}
    assert NAME in folders
    assert len(folders) == 3
    again = run(locale, "pdf", *dest, folder=tmp_path)
    assert again.stdout.startswith(b"0 downloaded, ")
    assert again.stdout.endswith(b" already there, 0 failed\n")


def test_a_terminal_of_ascii_gets_ascii(
    locale: dict[str, str], service: Service, tmp_path: Path
) -> None:
    """Tables and bars, on a wide terminal and on one that is too narrow for a table."""
    for columns, *command in ((200, "usage"), (30, "usage"), (200, "pdf", "--all")):
        code, shown = terminal(*command, service.flag, folder=tmp_path, columns=columns, **locale)
        assert code == 0, shown
        assert shown.isascii()
        assert "\\u682a" in shown
