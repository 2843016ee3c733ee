"""Commands that ask running exporters: which are asked, by whom, and what comes of several."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.tool.usage_lines import COLUMNS
from support.certificates import Authority
from support.documents import commands_of, shows
from support.exporter_api import LIST, FakeExporter, day, days, fleet, line
from support.process import free_port
from support.standing import ACCOUNTS, Service, command, standing, terminal, within

MONTH = {"period_start": "2025-06-01T00:00:00Z", "period_end": "2025-07-01T00:00:00Z"}
ACME = line(
    "a",
    **MONTH,
    org_name="Acme",
    up=True,
    month_to_date_usd=123.45,
    forecast_usd=246.9,
    forecast_lower_usd=150.0,
    forecast_upper_usd=300.0,
    forecast_method="period_pace",
    budget_usd=100.0,
    budget_used=1.2345,
    outstanding_balance_usd=5.0,
    unpaid_usd=7.0,
    overdue_usd=0.0,
    last_success="2025-06-20T11:55:00Z",
)
FORECAST = ("Forecast", "Lower", "Upper")
BY_END = ("Used by end", "Between")
SHARES = ("budget_forecast", "budget_forecast_lower", "budget_forecast_upper")
BETA = line("b", **MONTH, org_name="beta", up=True, month_to_date_usd=10.0)


@contextmanager
def serving(*exporters: FakeExporter) -> Iterator[list[str]]:
    """Serve them while inside; yields the arguments that name them."""
    with ExitStack() as stack:
        yield [stack.enter_context(each.serving()).flag for each in exporters]


# --- What is shown ---


def test_json_has_the_names_and_the_values_of_the_api() -> None:
    """And null for what only the bill itself has; no configuration is looked for.

    Shares of the budget and sums come in addition.
    """
    with serving(fleet(ACME, BETA, line("c", budget_usd=0.0, forecast_usd=1.0))) as flags:
        done = within("usage", "--output=json", *flags)
    assert done.returncode == 0
    assert done.stderr == f"viam-billing: read from {flags[0].partition('=')[2]}\n"
    unknown = dict.fromkeys(("gross_usd", "discount_usd", "subtotal_usd", "costs", *SHARES))
    assert json.loads(done.stdout) == {
        "organizations": [
            ACME | unknown | dict(zip(SHARES, (2.469, 1.5, 3.0), strict=True)),
            BETA | unknown,
            line("c", budget_usd=0.0, forecast_usd=1.0) | unknown,
        ],
        "total": {
            "organizations": 2,
            "with_forecast": 1,
            "month_to_date_usd": 133.45,
            "gross_usd": None,
            "discount_usd": None,
            "forecast_usd": 246.9,
        },
        "failures": [],
    }


def test_csv_has_the_same_columns() -> None:
    """But for lists."""
    with serving(fleet(ACME)) as flags:
        (row,) = csv.DictReader(io.StringIO(within("usage", "--output=csv", *flags).stdout))
    assert list(row) == list(COLUMNS)
    assert (row["month_to_date_usd"], row["up"], row["gross_usd"]) == ("123.45", "true", "")


def test_a_table_has_month_to_date_forecast_and_budget(tmp_path: Path) -> None:
    """Over budget is red; what is not known says so, and is no part of the total."""
    with serving(fleet(ACME, BETA, line("c", org_name="new"))) as flags:
        code, shown = terminal("usage", *flags, folder=tmp_path)
        plain = within("usage", *flags)
    assert code == 0
    assert "\x1b[31m" in shown
    assert [re.split(" {3,}", row.strip()) for row in plain.stdout.splitlines()] == [
        ["Organization", "Period", "Month to date", *FORECAST, "Budget", "Used", *BY_END],
        ["─" * len(plain.stdout.splitlines()[1].strip())],
        [
            *("Acme", "2025-06-01 to 2025-07-01", "123.45", "246.90", "150.00", "300.00"),
            *("100.00", "123%", "247%", "150% and 300%"),
        ],
        ["beta", "2025-06-01 to 2025-07-01", "10.00", "unknown"],
        ["new", "unknown", "unknown", "unknown"],
        ["─" * len(plain.stdout.splitlines()[1].strip())],
        ["Total of 2 of 3 organizations; 1 has no forecast", "133.45", "246.90"],
    ]


def test_a_period_that_all_share_is_said_once() -> None:
    """In a heading, for people; one that nobody knows is `unknown`."""
    beginning = line("c", period_start=MONTH["period_start"])
    for lines, said in (
        ((ACME, BETA), "Billing period: 2025-06-01 to 2025-07-01"),
        ((beginning,), "Billing period: 2025-06-01 to unknown"),
        ((line("d"), line("e")), "Billing period: unknown"),
    ):
        with serving(fleet(*lines)) as flags:
            heading, _, titles, *_ = within("usage", *flags).stdout.splitlines()
        assert heading == said
        assert "Period" not in titles


def test_nothing_known_is_no_amount() -> None:
    """Neither as a sum nor as a part, in any form."""
    for lines in ((), (line("a"), line("b"))):
        with serving(fleet(*lines)) as flags:
            for more in ([], ["--by=tier"], ["--output=csv"], ["--output=csv", "--by=tier"]):
                assert not re.search(r"\d\.\d", within("usage", *flags, *more).stdout)
            document = json.loads(within("usage", *flags, "--output=json", "--by=tier").stdout)
        assert document["total"] == {
            "organizations": 0,
            "with_forecast": 0,
            "month_to_date_usd": None,
            "gross_usd": None,
            "discount_usd": None,
            "forecast_usd": None,
            "parts": None,
        }


def test_the_parts_of_the_month_are_those_that_the_exporter_has() -> None:
    """Its costs, taken together, and what they lack of month to date."""
    costs = [
        {"source_type": "org", "tier": "", "resource_type": "per_machine", "cost_usd": 100.0},
        {"source_type": "fragment", "tier": "Gold", "resource_type": "x_y", "cost_usd": 40.0},
    ]
    whole = {"gross_usd": 140.0, "discount_usd": 20.0, "subtotal_usd": 120.0, "costs": costs}
    with serving(fleet(ACME | whole, BETA | {"costs": None}, line("c"))) as flags:
        table = within("usage", *flags, "--by=resource").stdout
        document = json.loads(within("usage", *flags, "--by=tier", "--output=json").stdout)
        forecast = within("forecast", *flags, "--output=json").stdout
    assert [re.split(" {3,}", row.strip()) for row in table.splitlines() if "─" not in row] == [
        ["Billing period: 2025-06-01 to 2025-07-01"],
        [""],
        ["Resource type", "Cost", "Share"],
        ["per machine", "100.00", "71.4%"],
        ["x y", "40.00", "28.6%"],
        ["Before discounts", "140.00", "100.0%"],
        ["Discounts", "-20.00"],
        ["Adjustments", "3.45"],
        ["Month to date of 1 of 3 organizations", "123.45"],
    ]
    acme, beta, _ = document["organizations"]
    assert (acme["gross_usd"], acme["costs"]) == (140.0, costs)
    assert [(each["part"], each["amount_usd"]) for each in acme["parts"]] == [
        ("", 100.0),
        ("Gold", 40.0),
        (None, -20.0),
        (None, pytest.approx(3.45)),
    ]
    assert beta["parts"] is None
    assert document["total"]["parts"] == acme["parts"]
    assert "gross_usd" not in forecast  # which has no room for bills


def test_the_page_shows_such_a_table() -> None:
    """With the exporter's address in place of this one's."""
    (block,) = commands_of("docs/commands/usage.md", __file__)
    ((command_line, expected),) = block.steps
    exporter = fleet(
        line("1", **MONTH, org_name="Acme Robotics")
        | {"month_to_date_usd": 321.81, "forecast_usd": 493.61}
        | {"forecast_lower_usd": 470.12, "forecast_upper_usd": 521.7}
        | {"budget_usd": 750.0, "budget_used": 0.42908},
        line("2", **MONTH, org_name="Quillback Harvesting")
        | {"month_to_date_usd": 531.61, "forecast_usd": 815.43}
        | {"forecast_lower_usd": 777.9, "forecast_upper_usd": 1262.04}
        | {"budget_usd": 1200.0, "budget_used": 0.44301},
    )
    with serving(exporter):
        arguments = command_line.replace("http://localhost:8426", exporter.url).split()[1:]
        done = within(*arguments)
    assert shows(
        expected, f"{done.stderr}{done.stdout}".replace(exporter.url, "http://localhost:8426")
    )


def test_the_page_of_the_forecast_shows_such_a_table() -> None:
    """And what comes of an organization without a forecast, or of one alone."""
    (block,) = commands_of("docs/commands/forecast.md", __file__)
    ((command_line, expected),) = block.steps
    acme = line("1", org_name="Acme Robotics", month_to_date_usd=446.19, budget_usd=480.0)
    acme |= {"forecast_usd": 496.84, "forecast_lower_usd": 471.3, "forecast_upper_usd": 530.02}
    acme |= {"budget_exhausted_at": "2026-11-29T11:00:00Z"}
    other = line("2", org_name="Quillback Harvesting", month_to_date_usd=731.41, budget_usd=1200.0)
    other |= {"forecast_usd": 814.43, "forecast_lower_usd": 790.75, "forecast_upper_usd": 836.2}
    exporter = fleet(acme, other)
    with serving(exporter) as flags:
        arguments = command_line.replace("http://localhost:8426", exporter.url).split()[1:]
        done = within(*arguments)
    assert shows(
        expected, f"{done.stderr}{done.stdout}".replace(exporter.url, "http://localhost:8426")
    )
    method = {"name": "weekday", "forecast_usd": 496.84, "weight": 0.75, "past_error": 0.031}
    methods = [method, method | {"name": "newer_than_this", "weight": 0.25, "past_error": None}]
    told = {"forecast_methods": methods, "forecast_closed_period_error": -0.0214}
    told |= {"budget_exhausted_is_estimated": True}
    with serving(fleet(acme | told, line("3", org_name="New"))) as flags:
        whole = within("forecast", *flags).stdout
        alone = within("forecast", *flags, "--organization=Acme Robotics").stdout
    assert "Total; 1 has no forecast" in whole
    assert "2026-11-29 (estimated)" in whole
    assert "weekday" not in whole
    assert "Total" not in alone
    assert "In the middle of the last period, the forecast was 2.1% too low." in alone
    rows = [re.split(" {2,}", line.strip()) for line in alone.splitlines()]
    assert ["same weekdays of the last four weeks", "75.0%", "3.1%", "496.84"] in rows
    assert ["newer_than_this", "25.0%", "not known yet", "496.84"] in rows


def test_what_is_withheld_reads_so() -> None:
    """Null and `withheld`, and the total is withheld, too."""
    withheld = [{"collector": "usage", "reason": "nan", "samples": 3}]
    with serving(fleet(ACME, line("b", **MONTH, withheld=withheld, budget_usd=5.0))) as flags:
        table = within("usage", *flags).stdout.splitlines()
        document = json.loads(within("usage", "--output=json", *flags).stdout)
    assert table[-3].split() == ["Company", "b", "withheld", "unknown", "5.00", "withheld"]
    assert table[-1].split()[-2:] == ["withheld", "246.90"]
    assert document["organizations"][1]["withheld"] == withheld


def test_sorting_and_choosing() -> None:
    """By name if nothing else is said; --organization takes ids and names."""
    with serving(fleet(BETA, line("z", org_name="aardvark"), ACME)) as flags:

        def names(*arguments: str) -> list[Any]:
            done = within("usage", "--output=json", *flags, *arguments)
            assert done.returncode == 0
            return [each["org_name"] for each in json.loads(done.stdout)["organizations"]]

        assert names() == ["aardvark", "Acme", "beta"]
        assert names("--sort=month-to-date") == ["Acme", "beta", "aardvark"]
        assert names("--organization=b", "--organization=Acme") == ["Acme", "beta"]
        refused = within("usage", "--organization=Nobody", *flags)
        meant = within("usage", "--organization=Acmee", *flags)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith("--organization=Nobody: no such id or name\n")
    assert meant.stderr.endswith("--organization=Acmee: no such id or name: did you mean Acme?\n")


@pytest.mark.parametrize("command", ["usage", "forecast", "report", "backfill"])
def test_only_what_was_read_is_named(command: str) -> None:
    """Nothing was read from an exporter that does not answer."""
    nowhere = "--exporter=http://127.0.0.1:1"
    lost = within(command, nowhere)
    assert lost.returncode == 1
    assert lost.stderr.startswith("viam-billing: http://127.0.0.1:1: it cannot be reached: ") or (
        command == "backfill"
    )
    assert "read from" not in lost.stderr
    assert "days are those of" not in lost.stderr
    with serving(fleet(ACME)) as flags:
        half = within("usage", *flags, nowhere).stderr
    assert f"viam-billing: read from {flags[0].partition('=')[2]}\n" in half


def test_what_an_exporter_cannot_poll_is_said() -> None:
    """The last good numbers are shown, and the exit code is 1."""
    failing = {
        "collector": "usage",
        "cause": "outage",
        "since": "2025-06-20T10:00:00Z",
        "reason": "GetCurrentMonthUsage: \x1b[31mno answer",
    }
    with serving(fleet(ACME | {"failures": [failing]})) as flags:
        done = within("usage", *flags)
    assert done.returncode == 1
    assert "123.45" in done.stdout
    _, said = done.stderr.splitlines()
    assert said == r"viam-billing: Acme: usage: GetCurrentMonthUsage: \x1b[31mno answer"


def test_hostile_names_do_nothing_to_a_terminal() -> None:
    """Whoever named the organization, or runs the exporter."""
    with serving(fleet(line("a", org_name="\x1b[31m[red]=cmd()\u202e"))) as flags:
        for form in ("table", "json"):
            shown = within("usage", f"--output={form}", *flags).stdout
            assert "\x1b" not in shown
            assert "\u202e" not in shown


def test_focus_needs_the_bill_itself() -> None:
    """Nothing is asked. And it has all parts of it, whatever it might be broken down by."""
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        done = within("usage", "--output=focus", *flags)
        broken_down = within("usage", "--output=focus", "--by=tier")
    assert broken_down.returncode == 2
    assert "leave out --by" in broken_down.stderr
    assert (done.returncode, exporter.asked) == (2, [])
    assert done.stderr == (
        "viam-billing: --output=focus needs the bill itself: leave out --exporter and "
        "--storage.path\n"
    )


# --- With a configuration, too ---


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a billing service."""
    with standing(tmp_path_factory.mktemp("exporters")) as it:
        yield it


def test_bills_and_ledger_are_put_together(service: Service) -> None:
    """A configuration that is named is read: amounts are the API's, the forecast the exporter's."""
    told = line(ACCOUNTS[0].id, month_to_date_usd=1.0, forecast_usd=99.5, forecast_method="m")
    with serving(fleet(told)) as flags:
        done = within("usage", "--output=json", service.flag, *flags)
        table = within("usage", service.flag, *flags).stdout
    first, second, *_ = json.loads(done.stdout)["organizations"]
    assert (done.returncode, first["forecast_usd"], first["forecast_method"]) == (0, 99.5, "m")
    assert first["month_to_date_usd"] == pytest.approx(1301.27, abs=0.01)
    assert first["gross_usd"] > first["month_to_date_usd"]
    assert second["forecast_usd"] is None
    assert "Before discounts" in table
    assert "Forecast" in table


def test_nothing_is_contacted_unless_it_is_named(service: Service, tmp_path: Path) -> None:
    """A configuration where it is looked for is left alone, however wrong, if exporters are named.

    Neither are exporters, though one runs at the usual port.
    """
    (tmp_path / "exporter.yml").write_text("{")
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        done = command(
            "usage", *flags, folder=tmp_path, environ={"VIAM_API_KEY_ID": "half of a pair"}
        )
        assert done.returncode == 0, done.stderr
        asked = len(exporter.asked)
        assert within("usage", service.flag).returncode == 0
        assert within("backfill", "--step=30d", service.flag).returncode == 0
        assert len(exporter.asked) == asked


# --- Several ---


def test_shards_are_merged() -> None:
    """And pages: each organization once, in one order."""
    with serving(fleet(BETA, shard=(1, 2)), fleet(ACME, shard=(0, 2))) as flags:
        done = within("usage", "--output=json", *flags)
    assert done.returncode == 0
    assert [o["org_id"] for o in json.loads(done.stdout)["organizations"]] == ["a", "b"]


def test_a_missing_shard_is_named() -> None:
    """What the others have is shown, and the exit code is 1."""
    with serving(fleet(ACME, shard=(0, 3)), fleet(BETA, shard=(0, 3))) as flags:
        done = within("usage", *flags)
        document = json.loads(within("usage", "--output=json", *flags).stdout)
    assert done.returncode == 1
    assert "Total of 2; there are others" in done.stdout
    assert done.stderr.splitlines()[1] == (
        "viam-billing: shard 1, 2 of 3, counted from 0: no exporter that has it could be read: "
        "give each shard with --exporter"
    )
    (failure,) = document["failures"]
    assert (failure["what"], failure["code"]) == (
        "shard 1, 2 of 3, counted from 0",
        "MISSING_SHARD",
    )


def test_an_exporter_that_cannot_be_read_is_named() -> None:
    """With the reason, and whatever it may be; the others are shown."""
    away = f"http://127.0.0.1:{free_port()}"
    refusing = FakeExporter({LIST: (401, {"error": "who are you"})})
    with serving(fleet(ACME), refusing) as flags:
        done = within("usage", "--output=json", *flags, f"--exporter={away}")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [each["org_id"] for each in document["organizations"]] == ["a"]
    assert [(each["what"], each["cause"], each["code"]) for each in document["failures"]] == [
        (refusing.url, "credentials", "HTTP_401"),
        (away, "outage", "UNAVAILABLE"),
    ]
    assert done.stderr.splitlines()[1:] == [
        f"viam-billing: {each['what']}: {each['message']}" for each in document["failures"]
    ]


def test_of_an_organization_that_two_have_the_newest_is_shown() -> None:
    """As of replicas, or while it moves to another shard."""
    older = ACME | {"month_to_date_usd": 1.0, "last_success": "2025-06-20T11:54:00Z"}
    never = ACME | {"month_to_date_usd": None, "last_success": None}
    with serving(fleet(never), fleet(ACME), fleet(older)) as flags:
        done = within("usage", "--output=json", *flags)
    (shown,) = json.loads(done.stdout)["organizations"]
    assert shown["month_to_date_usd"] == 123.45
    assert done.returncode == 0


def test_of_two_ledgers_the_one_that_knows_more_is_taken() -> None:
    """As of a replica that was started yesterday."""
    path = f"{LIST}/a/days"
    known = days("a", *(day(f"2025-06-{n:02}", 30.0) for n in range(1, 11)))
    young = days("a", day("2025-06-09", None), day("2025-06-10", 5.0))
    one, other = fleet(ACME), fleet(ACME)
    one.answers = {**one.answers, path: (200, young)}
    other.answers = {**other.answers, path: (200, known)}
    with serving(one, other) as flags:
        done = within("backfill", *flags)
    assert done.stdout.count("viam_billing_backfill_day_spend_usd{") == 9


def test_an_exporter_that_is_named_twice_is_asked_once() -> None:
    """With a slash at the end, too."""
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        done = within("usage", *flags, *flags, f"{flags[0]}/")
    assert done.returncode == 0
    assert len(exporter.asked) == 1


# --- Who asks ---


@pytest.fixture(scope="module")
def password(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the argument that names the file of a password."""
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text("pass word:x\n")
    return f"--exporter.password-file={file}"


def test_a_password_goes_to_this_machine(password: str) -> None:
    """Without TLS, too; an end of line after it is no part of it."""
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        assert within("usage", *flags, "--exporter.user=me", password).returncode == 0
    assert exporter.headers[0]["Authorization"] == "Basic bWU6cGFzcyB3b3JkOng="


@pytest.mark.parametrize("host", ["exporter.example:8426", "192.0.2.1", "[2001:db8::1]:8426"])
def test_a_password_does_not_travel_in_plain_text(host: str, password: str) -> None:
    """To another machine it needs TLS; nobody is asked, not even those that are here."""
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        done = within("usage", *flags, f"--exporter=http://{host}", "--exporter.user=me", password)
    assert (done.returncode, done.stdout, exporter.asked) == (2, "", [])
    assert done.stderr == (
        f"viam-billing: the password would be sent to http://{host} in plain text: use https://, "
        "or an address of this machine\n"
    )


WRONG = {
    "no URL": (["--exporter=localhost:8426"], "must begin with http:// or https:// and a host"),
    "another scheme": (["--exporter=ftp://x"], "must begin with http:// or https:// and a host"),
    "a password in it": (["--exporter=http://me:secret@x"], "must have no user, query or fragment"),
    "a query": (["--exporter=http://x/?secret=1"], "must have no user, query or fragment"),
    "no exporter": (
        ["--config.file=x", "--exporter.user=me"],
        "--exporter.user and the other --exporter.* flags need --exporter",
    ),
    "no password": (
        ["--exporter=http://[::1]", "--exporter.user=me"],
        "--exporter.user and --exporter.password-file must be given together",
    ),
    "a colon": (
        ["--exporter=http://[::1]", "--exporter.user=a:b", "--exporter.password-file=x"],
        "--exporter.user must not be empty, nor contain a colon or control characters",
    ),
    "no certificate": (
        ["--exporter=https://x", "--exporter.key-file=x"],
        "--exporter.key-file needs --exporter.cert-file",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_flags_that_do_not_fit_are_wrong_usage(name: str, service: Service, tmp_path: Path) -> None:
    """And nothing secret of them is repeated."""
    arguments, reason = WRONG[name]
    given = [service.flag if each == "--config.file=x" else each for each in arguments]
    done = within("usage", *given, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr
    assert "secret" not in done.stderr


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """Missing, empty, no text, no certificate: with exit code 1, before anybody is asked."""
    files = {"empty": b"\n", "latin": b"\xff", "large": b"x" * 5000, "text": b"no certificate"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    exporter = fleet(ACME)
    with serving(exporter) as flags:
        for flag, name, reason in (
            ("password-file", "missing", "must name a file that can be read: No such file"),
            ("password-file", "empty", "must not name an empty file"),
            ("password-file", "latin", "must name a file in UTF-8"),
            ("password-file", "large", "must name a file that holds only a password"),
            ("ca-file", "missing", "must name a file that can be read: No such file"),
            ("ca-file", "text", "must name a file with PEM certificates"),
            ("cert-file", "missing", "not a certificate with its key: No such file"),
            ("cert-file", "text", "not a certificate with its key: "),
        ):
            user = ["--exporter.user=me"] if flag == "password-file" else []
            done = within("usage", *flags, *user, f"--exporter.{flag}={tmp_path / name}")
            assert (done.returncode, done.stdout) == (1, "")
            assert f"--exporter.{flag}" in done.stderr
            assert reason in done.stderr
    assert exporter.asked == []


def test_an_encrypted_key_asks_nobody(tmp_path: Path) -> None:
    """There may be no terminal."""
    Authority(tmp_path).issue("client", "DNS:client")
    key = tmp_path / "client.key"
    command_line = ["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", str(key)]
    encrypted = tmp_path / "encrypted.key"
    subprocess.run([*command_line, "-out", str(encrypted)], check=True, capture_output=True)
    done = within(
        "usage",
        "--exporter=https://localhost:1",
        f"--exporter.cert-file={tmp_path / 'client.crt'}",
        f"--exporter.key-file={encrypted}",
    )
    assert done.returncode == 1
    assert "the key must not be encrypted: there is no way to ask for a password" in done.stderr
