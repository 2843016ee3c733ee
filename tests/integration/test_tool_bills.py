"""`viam-billing usage` and `invoices` against the simulated service.

Where the process itself is not the point they run in this one; docs/commands/, the terminal and
the pipes run them as processes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.base import plain
from exporter.metrics import cents
from exporter.tool import parts, usage_parts, usage_table
from exporter.tool.usage_lines import OF_THE_BUDGET, OF_THE_LEDGER
from exporter.tool.usage_table import AT_FIRST_SIGHT
from support.clock import NOON
from support.process import PATIENCE, TOOL, exporter, get, parse
from support.standing import ACCOUNTS, ENVIRON, Service, command, standing, terminal, within

NAMES = [account.name for account in ACCOUNTS]
SECOND = "--organization=Kestrelmoor Surveys"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all tests here."""
    with standing(tmp_path_factory.mktemp("bills")) as it:
        yield it


def succeed(service: Service, *arguments: str) -> str:
    """Run a command, which must succeed without a word on standard error; return its output."""
    done = within(*arguments, service.flag)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def changed(service: Service, folder: Path, **changes: Any) -> str:
    """Write a configuration with other keys, and return the argument that names it."""
    file = folder / "changed.yml"
    file.write_text(json.dumps(yaml.safe_load(service.file.read_text()) | changes))
    return f"--config.file={file}"


def page(service: Service) -> Mapping[tuple[str, str], float]:
    """Return what the exporter shows of each organization, by metric and id."""
    with exporter(service.flag) as target:
        target.wait_until_ready()
        series = parse(target.scrape())
    return {
        (name, dict(labels)["org_id"]): value
        for (name, labels), value in series.items()
        if {label for label, _ in labels} == {"org_id", "org_name"}
    }


def test_the_numbers_are_those_of_the_exporter(service: Service) -> None:
    """To the last digit: usage and balances of every organization."""
    shown = page(service)
    used = json.loads(succeed(service, "usage", "--output=json"))["organizations"]
    owed = json.loads(succeed(service, "invoices", "--output=json"))["organizations"]
    assert [each["org_name"] for each in used] == NAMES
    for each in used:
        for field, metric in (
            ("month_to_date_usd", "usage_month_to_date_usd"),
            ("subtotal_usd", "usage_subtotal_usd"),
        ):
            assert each[field] == shown[f"viam_billing_{metric}", each["org_id"]]
    for each in owed:
        for field, metric in (
            ("outstanding_balance_usd", "outstanding_balance_usd"),
            ("unpaid_usd", "invoices_unpaid_amount_usd"),
            ("unpaid", "invoices_unpaid"),
        ):
            assert each[field] == shown[f"viam_billing_{metric}", each["org_id"]]
    assert any(each["overdue_usd"] > 0 for each in owed)


def test_names_and_numbers_are_those_of_the_api(service: Service) -> None:
    """Whoever reads the one can read the other: usage, its costs, and invoices."""
    used = json.loads(succeed(service, "usage", "--output=json"))["organizations"]
    owed = json.loads(succeed(service, "invoices", "--output=json"))
    with exporter(service.flag) as target:
        target.wait_until_ready()
        found = {
            each["org_id"]: json.loads(
                get(target.port, f"/api/v1/organizations/{each['org_id']}").body
            )
            for each in used
        }
    for each in used:
        whole = found[each["org_id"]]
        assert set(each) - set(whole) == {*OF_THE_BUDGET}
        known = {name for name, value in each.items() if value is not None}
        same = known - {*OF_THE_LEDGER, *OF_THE_BUDGET}  # forecasts are of other moments
        assert {name: each[name] for name in same} == {name: whole[name] for name in same}
        assert {"month_to_date_usd", "gross_usd", "costs", "budget_used"} - known <= {"budget_used"}
    for each in owed["organizations"]:
        for name in ("outstanding_balance_usd", "unpaid_usd"):
            assert each[name] == found[each["org_id"]][name]
    for org_id, whole in found.items():
        expected = [each for each in owed["invoices"] if each["org_id"] == org_id]
        whose = {"org_id": org_id, "org_name": whole["org_name"]}
        # What is overdue depends on the clock, which stands still for the command only.
        assert [each | whose | {"overdue": None} for each in whole["invoices"]] == [
            each | {"overdue": None} for each in expected
        ]


def test_without_an_exporter_the_forecast_is_that_of_its_first_poll(service: Service) -> None:
    """As the report has it, which takes the bill in as an exporter does; with its bounds."""
    used = json.loads(succeed(service, "usage", "--output=json"))["organizations"]
    reported = within("report", "--output=json", service.flag)
    expected = {each["org_id"]: each for each in json.loads(reported.stdout)["organizations"]}
    for each in used:
        assert each["forecast_usd"] == expected[each["org_id"]]["forecast_usd"]
        assert each["forecast_lower_usd"] <= each["forecast_usd"] <= each["forecast_upper_usd"]
    first = used[0]
    assert first["month_to_date_usd"] > first["budget_usd"]
    assert first["budget_exhausted_at"] < plain.moment(NOON)
    assert first["budget_forecast"] == first["forecast_usd"] / first["budget_usd"]


def test_the_table_of_usage_is_aligned_and_adds_up(service: Service) -> None:
    """Amounts end in one column, and the last line is their sum."""
    lines = succeed(service, "usage").splitlines()
    rows = [line for line in lines if re.search(r"\d\.\d\d", line)]
    assert len(rows) == len(ACCOUNTS) + 1
    ends = [match.end() for line in rows if (match := re.search(r"^.*?\d\.\d\d(?= )", line))]
    assert len(set(ends)) == 1
    assert AT_FIRST_SIGHT in lines
    documents = json.loads(succeed(service, "usage", "--output=json"))["organizations"]
    total = cents.total(each["month_to_date_usd"] for each in documents)
    forecast = cents.total(each["forecast_usd"] for each in documents)
    assert forecast > total
    assert rows[-1].split()[0] == "Total"
    assert rows[-1].split()[-2:] == [f"{total:,.2f}", f"{forecast:,.2f}"]


def cell(value: object) -> str:
    """Return what CSV has for a value of JSON."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_csv_has_what_json_has(service: Service) -> None:
    """The same rows and fields, under a header; what is a list is in JSON only."""
    for name, part in (("usage", "organizations"), ("invoices", "invoices")):
        rows = list(csv.DictReader(io.StringIO(succeed(service, name, "--output=csv"))))
        plain = json.loads(succeed(service, name, "--output=json"))[part]
        for each in plain:
            for name_of_list in ("costs", "failures", "withheld"):
                each.pop(name_of_list, None)
        assert rows == [{k: cell(v) for k, v in each.items()} for each in plain]


@pytest.mark.parametrize("by", parts.BY)
def test_the_parts_of_a_month_add_up_to_it(by: str, service: Service) -> None:
    """Of each organization and of all together, in JSON, CSV and, to the cent, in the table."""
    arguments = ("usage", f"--by={by}")
    document = json.loads(succeed(service, *arguments, "--output=json"))
    for each in (document["total"], *document["organizations"]):
        costs = [part["amount_usd"] for part in each["parts"] if part["kind"] == "cost"]
        assert costs == sorted(costs, reverse=True)
        amounts = [part["amount_usd"] for part in each["parts"]]
        assert math.fsum(amounts) == pytest.approx(each["month_to_date_usd"], abs=1e-6)
        shares = [part["share"] for part in each["parts"] if part["share"] is not None]
        assert math.fsum(shares) == pytest.approx(1)
    rows = list(csv.DictReader(io.StringIO(succeed(service, *arguments, "--output=csv"))))
    expected = [
        {name: each[name] for name in usage_parts.OF_THE_ORGANIZATION} | part
        for each in document["organizations"]
        for part in each["parts"]
    ]
    assert rows == [{k: cell(v) for k, v in each.items()} for each in expected]
    table = succeed(service, *arguments)
    _, *below = re.split("^ ─+$", table, flags=re.MULTILINE)
    upper, lower = (part.splitlines() for part in below)

    def shown(lines: list[str]) -> list[int]:
        amounts = (re.search(r" (-?[\d,]+)\.(\d\d)(?= |$)", each) for each in lines)
        return [int((match[1] + match[2]).replace(",", "")) for match in amounts if match]

    before, discounts, month_to_date = shown(lower)
    assert sum(shown(upper)) == before
    assert before + discounts == month_to_date
    each = (one["month_to_date_usd"] for one in document["organizations"])
    assert f"{month_to_date / 100:,.2f}" == f"{cents.total(each):,.2f}"


def test_invoices_since_a_day(service: Service) -> None:
    """By their dates, the day itself among them; what is owed in all stays so."""
    whole = json.loads(succeed(service, "invoices", "--output=json"))
    since = json.loads(succeed(service, "invoices", "--output=json", "--since=2025-06-01"))
    listed = [each for each in whole["invoices"] if each["issued"] >= "2025-06-01T00:00:00Z"]
    assert since["invoices"] == listed
    assert any(each["issued"] == "2025-06-01T00:00:00Z" for each in listed)
    assert len(listed) < len(whole["invoices"])
    assert since["organizations"] == whole["organizations"]
    future = within("invoices", "--since=2062-05-01", service.flag)
    assert future.stderr == "viam-billing: --since is in the future\n"
    assert future.stdout.startswith("There are no invoices dated 2062-05-01 or later.\n\n")
    wrong = within("invoices", "--since=June", service.flag)
    assert wrong.returncode == 2
    assert "must be a day as YYYY-MM-DD" in wrong.stderr


def test_with_nothing_unpaid_it_says_so(service: Service) -> None:
    """In words, for people, and no more than is known; for programs there is nothing."""
    paid, other = "--organization=Bramblewick Logistics", SECOND
    unpaid = ("invoices", "--unpaid")
    assert succeed(service, *unpaid, paid).startswith("No invoice is unpaid.\n\n Organization")
    assert succeed(service, *unpaid, paid, "--since=2025-06-01").startswith(
        "No invoice dated 2025-06-01 or later is unpaid.\n"
    )
    assert json.loads(succeed(service, *unpaid, paid, "--output=json"))["invoices"] == []
    assert len(succeed(service, *unpaid, paid, "--output=csv").splitlines()) == 1
    with service.failing("empty:method=GetInvoicesSummary"):
        assert succeed(service, *unpaid, paid).startswith("There are no invoices.\n")
    with service.failing("permission-denied:method=GetInvoicesSummary,organization=2"):
        done = within(*unpaid, paid, other, service.flag)
    assert done.stdout.startswith("No invoice is unpaid in the organizations that could be read.\n")
    with service.failing("nan:method=GetInvoicesSummary,organization=1"):
        said = succeed(service, *unpaid, paid).splitlines()[0]
    assert re.fullmatch(
        r"No invoice is known to be unpaid, but amounts of \d+ cannot be trusted\.", said
    )


def test_sorting_and_choosing(service: Service) -> None:
    """--sort orders, --organization takes ids and names."""

    def names(*arguments: str) -> list[Any]:
        text = succeed(service, "usage", "--output=json", *arguments)
        return [each["org_name"] for each in json.loads(text)["organizations"]]

    assert names("--sort=name") == sorted(NAMES, key=str.casefold)
    one, other = ACCOUNTS[4], ACCOUNTS[1]
    assert names(f"--organization={one.id}", f"--organization={other.name}") == [
        other.name,
        one.name,
    ]
    text = succeed(service, "invoices", "--output=json", "--sort=amount", "--unpaid")
    amounts = [each["amount_usd"] for each in json.loads(text)["invoices"]]
    assert amounts == sorted(amounts, reverse=True)
    assert all(each["unpaid"] for each in json.loads(text)["invoices"])
    assert names("--organization=Dunmarrow: Fleet & Field", f"--organization={one.id}") == [
        one.name
    ]
    refused = within("usage", "--organization=Nobody", service.flag)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "viam-billing: --organization=Nobody: no such id or name\n"


def test_a_name_that_two_organizations_have_means_both(service: Service, tmp_path: Path) -> None:
    """Nobody is to guess which one was meant; an id names one."""
    organizations = yaml.safe_load(service.file.read_text())["organizations"]
    for each in organizations[:2]:
        each["name"] = "Twin"
    flag = changed(service, tmp_path, organizations=organizations)

    def ids(chosen: str) -> list[str]:
        text = within("usage", "--output=json", f"--organization={chosen}", flag).stdout
        return [each["org_id"] for each in json.loads(text)["organizations"]]

    assert ids("Twin") == [ACCOUNTS[0].id, ACCOUNTS[1].id]
    assert ids(ACCOUNTS[1].id) == [ACCOUNTS[1].id]


def test_focus_adds_up_to_month_to_date(service: Service) -> None:
    """The billed costs of an organization are its month to date, in CSV as in JSON."""
    used = json.loads(succeed(service, "usage", "--output=json"))["organizations"]
    document = json.loads(succeed(service, "usage", "--output=focus-json"))
    assert document["FocusVersion"] == "1.4"
    rows = list(csv.DictReader(io.StringIO(succeed(service, "usage", "--output=focus"))))
    assert [list(row) for row in document["Rows"]] == [list(row) for row in rows]
    for each in used:
        for source in (document["Rows"], rows):
            billed = math.fsum(
                float(row["BilledCost"])
                for row in source
                if row["BillingAccountId"] == each["org_id"]
            )
            assert billed == pytest.approx(each["month_to_date_usd"], abs=0.001)


def test_overdue_is_red_on_a_terminal_only(service: Service) -> None:
    """Colour is for terminals, and not for people who have set NO_COLOR."""
    red, folder = "\x1b[31m", service.file.parent
    code, shown = terminal("invoices", SECOND, folder=folder)
    assert code == 0
    assert red in shown
    assert all("overdue" in line for line in shown.splitlines() if red in line and "-usage" in line)
    assert red not in terminal("invoices", SECOND, folder=folder, NO_COLOR="1")[1]
    done = command("invoices", SECOND, folder=folder, now=NOON)
    assert (done.returncode, done.stderr) == (0, "")
    assert "overdue" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_narrow_terminal_cuts_no_amount(service: Service) -> None:
    """A list takes the place of the table, with every amount in it, whatever a terminal says."""
    folder = service.file.parent
    document = json.loads(succeed(service, "usage", "--output=json"))
    for columns, most in ((60, 60), (1, 30), (0, 30)):
        code, shown = terminal("usage", folder=folder, columns=columns, NO_COLOR="1")
        assert code == 0
        lines = [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in shown.splitlines()]
        assert max(map(len, lines)) <= most
        for each in document["organizations"]:
            amount = re.compile(f"Month to date +{each['month_to_date_usd']:,.2f}")
            assert any(map(amount.fullmatch, lines))


def test_at_80_columns_each_organization_is_one_line(service: Service, tmp_path: Path) -> None:
    """Columns give way as --help says; a long name is shortened."""
    organizations = yaml.safe_load(service.file.read_text())["organizations"]
    organizations[0]["name"] = "The Very Long Name of a Company, " * 4
    flag = changed(service, tmp_path, organizations=organizations)
    code, shown = terminal("usage", flag, folder=tmp_path, columns=80, NO_COLOR="1")
    lines = [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()]
    assert code == 0
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if re.search(r"\d\.\d\d", line)]
    assert len(rows) == len(ACCOUNTS) + 1
    assert rows[0][:5] == ["The", "Very", "Long", "Name", "of"]
    assert rows[0][-6].endswith("…")
    assert rows[0][-5:] == ["1,301.27", "2,001.96", "120.00", "1,084%", "1,668%"]
    assert rows[1] == ["Kestrelmoor", "Surveys", "321.81", "495.09", "750.00", "43%", "66%"]
    text = within("usage", "--help").stdout
    assert " ".join(usage_table.LEFT_OUT.split()) in " ".join(text.split())


def test_one_that_fails_hides_no_other(service: Service) -> None:
    """The rest is shown, the total says that it is no total, and the exit code is 1."""
    with service.failing("permission-denied:method=GetCurrentMonthUsage,organization=2"):
        done = within("usage", service.flag)
        document = json.loads(within("usage", "--output=json", service.flag).stdout)
        plain = within("usage", "--output=csv", service.flag)
    assert (done.returncode, plain.returncode) == (1, 1)
    assert done.stderr == plain.stderr
    assert done.stderr == (
        "viam-billing: Kestrelmoor Surveys: GetCurrentMonthUsage: the API key may not read this "
        "bill: the key needs scope organization and role Owner (in a Viam module, VIAM_API_KEY is "
        "a machine's key)\n"
    )
    assert "Total of 7 of 8 organizations" in done.stdout
    assert [each["org_name"] for each in document["organizations"]] == NAMES[:1] + NAMES[2:]
    (failure,) = document["failures"]
    assert (failure["org_id"], failure["cause"]) == (ACCOUNTS[1].id, "permission")
    assert len(plain.stdout.splitlines()) == len(ACCOUNTS)


def test_nothing_that_could_be_read_is_no_amount(service: Service) -> None:
    """In no form of output: an outage is no month, and no debt, of 0.00."""
    with service.failing("permission-denied"):
        for arguments in (
            ("usage",),
            ("usage", "--by=resource"),
            ("usage", "--output=csv"),
            ("usage", "--output=csv", "--by=source"),
            ("invoices",),
            ("invoices", "--unpaid"),
            ("invoices", "--output=csv"),
        ):
            done = within(*arguments, service.flag)
            assert done.returncode == 1
            assert not re.search(r"\d\.\d\d|is unpaid", done.stdout), arguments
        document = json.loads(within("usage", "--output=json", service.flag).stdout)
    assert document["organizations"] == []
    amounts = {name: usd for name, usd in document["total"].items() if name.endswith("_usd")}
    assert len(amounts) == 4
    assert set(amounts.values()) == {None}


@pytest.mark.parametrize("name", ["usage", "invoices"])
def test_what_is_no_number_is_said_to_be_none(name: str, service: Service) -> None:
    """Amounts that nobody could trust read `withheld`, and null: never 0, never NaN."""
    with service.failing("nan:organization=1"):
        table = within(name, service.flag)
        text = within(name, "--output=json", service.flag).stdout
    assert table.returncode == 0
    assert "withheld" in table.stdout
    assert not re.search(r"\bnan\b", table.stdout, re.IGNORECASE)
    assert '_usd": null' in text
    assert "NaN" not in text


def test_credits_are_negative(service: Service) -> None:
    """An invoice below 0 is nothing that somebody has to pay, and the total counts it."""
    with service.failing("negative:method=GetInvoicesSummary,organization=3"):
        text = succeed(service, "invoices", "--organization=Quillback Harvesting")
        documents = succeed(
            service, "invoices", "--output=json", "--organization=Quillback Harvesting"
        )
    listed = json.loads(documents)["invoices"]
    assert any(each["amount_usd"] < 0 for each in listed)
    assert not any(each["unpaid"] for each in listed if each["amount_usd"] < 0)
    total = math.fsum(each["amount_usd"] for each in listed)
    assert re.search(rf"^ Total +{re.escape(f'{total:,.2f}')}$", text, re.MULTILINE)


def test_an_organization_without_invoices(service: Service, tmp_path: Path) -> None:
    """Is one that owes nothing, with nothing to download and no past."""
    arguments = (service.flag, SECOND)
    with service.failing("empty:method=GetInvoicesSummary"):
        table = succeed(service, "invoices", SECOND)
        document = json.loads(succeed(service, "invoices", "--output=json", SECOND))
        files = within("pdf", "--all", f"--dest={tmp_path}", *arguments)
        past = within("backfill", *arguments)
    assert re.search(r"^ Kestrelmoor Surveys +0\.00 +0\.00 +0\.00$", table, re.MULTILINE)
    assert document["invoices"] == []
    assert (files.returncode, files.stdout) == (
        0,
        "0 downloaded, 0 already there, 0 failed\n",
    )
    assert past.returncode == 0
    assert "nothing to write: " in past.stderr


def test_a_hostile_name_does_nothing_to_a_terminal(service: Service, tmp_path: Path) -> None:
    """Escapes are shown, markup is text, and a spreadsheet sees no formula."""
    evil = '\x1b[31m[red]=cmd()"\u202e'
    organizations = yaml.safe_load(service.file.read_text())["organizations"]
    organizations[0]["name"] = "=[red]HYPERLINK[/red]"
    flag = changed(service, tmp_path, organizations=organizations)
    with service.failing("odd-texts"):
        for arguments in (("usage",), ("invoices",), ("usage", "--output=json")):
            shown = within(*arguments, flag).stdout
            assert "[red]HYPERLINK[/red]" in shown
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", shown)
        assert ",'=[red]" in within("usage", "--output=csv", flag).stdout
    refused = within("usage", f"--organization={evil}", flag)
    assert refused.returncode == 2
    assert "\x1b" not in refused.stderr
    assert "\u202e" not in refused.stderr


def test_a_token_that_cannot_be_sent_is_a_failure_of_its_key(service: Service) -> None:
    """A line for its organization, and the others are shown."""
    with service.failing("odd-token:organization=2"):
        done = within("usage", service.flag)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("the answer to Authenticate has no token that can be sent")
    assert "Total of 7 of 8 organizations" in done.stdout


@pytest.mark.parametrize("name", ["株式会社\u3000月面", "Dupont\u00a0& Fils", "می\u200cرود"])
def test_a_name_is_shown_with_its_own_white_space_and_joiners(
    name: str, service: Service, tmp_path: Path
) -> None:
    """In tables and for programs alike, and it can be named by it."""
    organizations = yaml.safe_load(service.file.read_text())["organizations"]
    organizations[0]["name"] = name
    flag = changed(service, tmp_path, organizations=organizations)
    chosen = (f"--organization={name}", flag)
    assert name in within("usage", *chosen).stdout
    assert f",{name}," in within("usage", "--output=csv", *chosen).stdout
    (shown,) = json.loads(within("usage", "--output=json", *chosen).stdout)["organizations"]
    assert shown["org_name"] == name


# --- Discovery ---


def discovering(service: Service, folder: Path, **changes: Any) -> str:
    """Write a configuration that lists nobody; its key reads the first account."""
    settings = yaml.safe_load(service.file.read_text())
    found = {"credentials": settings["organizations"][0]["credentials"], "organizations": []}
    return changed(service, folder, **found, discovery={"enabled": True} | changes)


def test_discovered_organizations_are_shown(service: Service, tmp_path: Path) -> None:
    """As the exporter polls them, with their names; those that are listed as well."""
    flag = discovering(service, tmp_path)
    found = json.loads(within("usage", "--output=json", flag).stdout)
    assert [each["org_name"] for each in found["organizations"]] == NAMES[:1]
    assert within("check", flag).stdout == (
        "the configuration is valid: the organizations that discovery finds\n"
    )


def test_who_is_listed_without_a_name_has_that_of_the_api(service: Service, tmp_path: Path) -> None:
    """In every command, which it can be named by; its id is shown if no name can be had."""
    listed = yaml.safe_load(service.file.read_text())["organizations"][:1]
    del listed[0]["name"]
    flag = changed(service, tmp_path, organizations=listed)
    chosen = f"--organization={NAMES[0]}"
    for arguments in (("usage",), ("invoices",), ("check", "--connect"), ("usage", chosen)):
        done = within(*arguments, flag)
        assert done.returncode == 0
        assert NAMES[0] in done.stdout
        assert ACCOUNTS[0].id not in done.stdout
    with service.failing("permission-denied:method=ListOrganizations"):
        done = within("usage", flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert ACCOUNTS[0].id in done.stdout


def test_a_key_that_cannot_list_hides_no_other(service: Service, tmp_path: Path) -> None:
    """What is listed is shown, the failure is named, the total is said to be one of a part."""
    listed = yaml.safe_load(service.file.read_text())["organizations"]
    listed[0]["credentials"]["api_key"] = "wrong"
    flag = changed(service, tmp_path, organizations=listed[:2], discovery={"enabled": True})
    done = within("usage", flag)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    key_id, refused = ACCOUNTS[0].api_key_id, "the API key was refused: check the key and its id"
    assert first == f"viam-billing: organizations of the key {key_id}: Authenticate: {refused}"
    assert second == f"viam-billing: {NAMES[0]}: Authenticate: {refused}"
    assert NAMES[1] in done.stdout
    assert "Total of 1; there are others" in done.stdout
    failures = json.loads(within("usage", "--output=json", flag).stdout)["failures"]
    assert [each["org_id"] for each in failures] == [None, ACCOUNTS[0].id]
    checked = within("check", "--connect", flag)
    assert checked.returncode == 1
    assert f"organizations of the key {key_id}: " in checked.stderr
    assert "1 of 2 organizations can be read" in checked.stdout
    missing = within("usage", "--organization=Nobody", flag)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.splitlines()[0] == first
    assert "no such id or name among those that could be found" in missing.stderr


def test_discovery_that_finds_nobody(service: Service, tmp_path: Path) -> None:
    """Is a failure with its reason: an empty table would read as if nothing was owed."""
    done = within("usage", discovering(service, tmp_path, name_pattern="nobody"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "viam-billing: no organizations: discovery found none that match discovery.name_pattern\n"
    )


# --- Where the output goes ---


@pytest.mark.parametrize("shell", ["usage", "invoices --output=json", "backfill --step=1d"])
def test_a_reader_that_has_enough_is_no_error(shell: str, service: Service) -> None:
    """`| head` gets its lines, and nobody complains."""
    done = shelled(f"{' '.join(TOOL)} {shell} {service.flag} 2>&1 | head -1")
    assert len(done.stdout.splitlines()) == 1
    assert "Error" not in done.stdout + done.stderr


def test_a_file_that_cannot_be_written(service: Service) -> None:
    """Is one line that says why, and exit code 1."""
    done = shelled(f"{' '.join(TOOL)} usage {service.flag} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "viam-billing: standard output: No space left on device\n"


def shelled(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell."""
    return subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
