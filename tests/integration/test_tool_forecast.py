"""`viam-billing forecast --history`: the days of a file, for people and for programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exporter.base import plain
from support.process import PATIENCE, TOOL
from support.standing import ENVIRON, command, terminal, within

HEADER = "time,month_to_date_usd,period_start,period_end,premium_module"
DAY = 86_400
START = 1_793_491_200  # 2026-11-01
END = START + 30 * DAY
FIELDS = [
    "at",
    "month_to_date_usd",
    "forecast_usd",
    "forecast_lower_usd",
    "forecast_upper_usd",
    "method",
    "methods",
    "days",
    "expected_day_usd",
    "expected_day_upper_usd",
    "known_days",
]


def row(hour: float, usd: float) -> str:
    """Return an answer that came so many hours after the period's start."""
    return f"{plain.moment(START + 3600 * hour)},{usd},{START},{END},{usd / 2}"


def written(folder: Path, *rows: str) -> str:
    """Write a file, and return the argument that names it."""
    file = folder / "past.csv"
    file.write_text("\n".join((HEADER, *rows, "")))
    return f"--history={file}"


def document(*arguments: str) -> dict[str, Any]:
    """Return the JSON that the command prints, which must succeed without another word."""
    done = within("forecast", "--output=json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def spends(found: dict[str, Any]) -> list[float | None]:
    """Return the spend of each day kept, to the cent."""
    return [
        None if day["spend_usd"] is None else round(day["spend_usd"], 2) for day in found["days"]
    ]


def test_an_outage_of_three_days_is_divided_among_them(tmp_path: Path) -> None:
    """At thirty dollars a day: not ninety on the day on which the API is back."""
    hours = (*range(1, 75), *range(146, 160))
    found = document(written(tmp_path, *(row(h, 30 * h / 24) for h in hours)))
    assert spends(found) == [30.0] * 6 + [18.75]
    assert [day["date"] for day in found["days"]] == [f"2026-11-0{n}" for n in range(1, 8)]
    estimated = [round(day["estimated_usd"], 2) for day in found["days"]]
    assert estimated == [0.0, 0.0, 0.0, 27.5, 30.0, 30.0, 2.5]
    assert found["known_days"] == 3
    assert [day["resources"] for day in found["days"]] == [
        {"premium_module": pytest.approx(usd / 2)} for usd in [30.0] * 6 + [18.75]
    ]


def test_the_fields_are_those_of_the_contract(tmp_path: Path) -> None:
    """With each method, how much it counts and how wrong it was."""
    found = document(written(tmp_path, row(20, 25.0), row(23, 30.125)))
    assert list(found) == FIELDS
    assert found["at"] == "2026-11-01T23:00:00Z"
    assert found["month_to_date_usd"] == 30.125
    whole = pytest.approx(30.125 * 30 * 24 / 23)
    assert found["forecast_usd"] == whole
    assert found["forecast_lower_usd"] == 30.125
    assert found["forecast_upper_usd"] > 1.9 * found["forecast_usd"]
    assert found["method"] == "period_so_far"
    assert found["methods"] == [
        {"name": "period_so_far", "forecast_usd": whole, "weight": 1.0, "past_error": None}
    ]
    assert found["expected_day_usd"] is None
    assert found["expected_day_upper_usd"] is None
    assert found["days"] == [
        {
            "date": "2026-11-01",
            "spend_usd": 30.125,
            "corrections_usd": 0.0,
            "estimated_usd": 0.0,
            "unknown_seconds": 0.0,
            "resources": {"premium_module": 15.0625},
            "resource_corrections": {},
        }
    ]


def test_what_cannot_be_known_is_null(tmp_path: Path) -> None:
    """After an outage over a period's end, and on days that have no answer yet."""
    rolled = f"{START + 41 * DAY},20,{END},{END + 31 * DAY},"
    found = document(
        written(tmp_path, row(1, 1.0), row(24 * 28, 280.0), rolled),
        f"--at={plain.moment(START + 43 * DAY)}",
    )
    by_date = {day["date"]: day for day in found["days"]}
    assert by_date["2026-11-28"]["spend_usd"] == pytest.approx(10.0, abs=0.1)
    for date in ("2026-11-29", "2026-11-30", "2026-12-13", "2026-12-14"):
        unknown = dict.fromkeys(by_date[date])
        assert by_date[date] == unknown | {"date": date, "unknown_seconds": 86400.0}
    assert by_date["2026-12-01"]["spend_usd"] == pytest.approx(20 / 11)
    assert list(by_date)[-1] == "2026-12-14"


def test_at_leaves_out_what_came_later(tmp_path: Path) -> None:
    """And is RFC 3339 or Unix seconds."""
    flag = written(tmp_path, *(row(h, float(h)) for h in range(1, 60)))
    short = document(written(tmp_path, *(row(h, float(h)) for h in range(1, 31))))
    written(tmp_path, *(row(h, float(h)) for h in range(1, 60)))
    for at in (
        plain.moment(START + 30 * 3600),
        str(START + 30 * 3600),
        "2026-11-02T07:00:00+01:00",
    ):
        assert document(flag, f"--at={at}") == short
    early = within("forecast", flag, "--at=2026-11-01T00:00:00Z")
    assert (early.returncode, early.stdout) == (1, "")
    assert early.stderr == (
        f"viam-billing: {tmp_path / 'past.csv'}: no rows up to 2026-11-01T00:00:00Z\n"
    )
    wrong = within("forecast", flag, "--at=yesterday")
    assert wrong.returncode == 2
    assert "argument --at: 'yesterday': must be a time as RFC 3339 or Unix seconds" in wrong.stderr


def shelled(before: str, after: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command that reads standard input in a line of a shell."""
    shell = f"{before} {' '.join(TOOL)} forecast --history=- --output=json {after}"
    return subprocess.run(
        ["sh", "-c", shell],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_standard_input_is_read(tmp_path: Path) -> None:
    """By a process, as the end of a pipe."""
    flag = written(tmp_path, row(1, 1.0), row(30, 40.0))
    done = shelled(f"cat '{flag.partition('=')[2]}' |")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == document(flag)
    for empty in shelled("", "< /dev/null"), shelled("", "<&-"):  # closed, that is
        assert (empty.returncode, empty.stdout) == (1, "")
        assert empty.stderr.startswith("viam-billing: standard input:1: must be a header that")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    """Missing, a folder, a pipe without a writer: nothing is waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name, code, reason in (
        ("missing", 1, ": No such file or directory\n"),
        (".", 2, ": must name a regular file, or be -\n"),
        ("pipe", 2, ": must name a regular file, or be -\n"),
    ):
        done = within("forecast", f"--history={tmp_path / name}")
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.endswith(reason)
    done = within("forecast", written(tmp_path))
    assert done.stderr == f"viam-billing: {tmp_path / 'past.csv'}: no rows\n"


def test_a_row_that_is_none_is_told_with_its_place(tmp_path: Path) -> None:
    """In a line, with exit code 1, and nothing of the file is repeated."""
    flag = written(tmp_path, row(1, 1.0), "2026-11-02T00:00:00Z,secret,,,")
    done = within("forecast", flag)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"viam-billing: {tmp_path / 'past.csv'}:3: month_to_date_usd: must be an amount in US "
        "dollars, such as 12.34\n"
    )


def test_without_a_past_it_says_what_is_missing() -> None:
    """With exit code 2."""
    done = within("forecast")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "viam-billing: give --exporter=URL of a running exporter, --storage.path=DIR of a stopped "
        "one, or --history=FILE of past answers\n"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--history=x", "--exporter=http://localhost"), "use one of --history, --exporter and"),
        (("--storage.path=x", "--exporter=http://localhost"), "use either --exporter or"),
        (("--exporter=http://localhost", "--backtest"), "--backtest, --at and --output=jsonl need"),
        (("--storage.path=x", "--at=5"), "--backtest, --at and --output=jsonl need"),
        (("--output=jsonl",), "--backtest, --at and --output=jsonl need"),
    ],
)
def test_flags_that_do_not_go_together_are_told(flags: tuple[str, ...], message: str) -> None:
    """Nothing is read or asked."""
    done = within("forecast", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_an_answer_that_does_not_count_has_no_forecast(tmp_path: Path) -> None:
    """One of an earlier period, or of an amount that no bill has: null, and said in words."""
    later = f"{START + 40 * DAY},5.0,{START + 30 * DAY},{START + 60 * DAY},"
    for last, why in (
        (f"{START + 41 * DAY},99.0,{START},{START + 30 * DAY},", "is for an earlier period"),
        (
            f"{START + 41 * DAY},2e12,{START + 30 * DAY},{START + 60 * DAY},",
            "is too large for a bill",
        ),
    ):
        flag = written(tmp_path, row(1, 1.0), later, last)
        assert document(flag)["forecast_usd"] is None
        _, shown = terminal("forecast", flag, folder=tmp_path)
        assert why in shown


def test_a_table_has_the_forecast_its_methods_and_each_day(tmp_path: Path) -> None:
    """In words, the methods that count most first; those that hardly count are left out."""
    flag = written(tmp_path, row(1, 1.0), row(23, 30.0), row(24 * 5, 150.0), row(24 * 5 + 1, 151.0))
    code, shown = terminal("forecast", flag, folder=tmp_path)
    assert code == 0
    assert "Forecast: 895.95 USD, between 151.00 and 1,640.91" in shown
    assert "median of the last week" in shown
    assert "average of the last eight weeks" not in shown
    assert "Month to date at 2026-11-06T01:00:00Z: 151.00 USD" in shown
    assert "Known days before that: 1" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(" 2026-")] == [
        f"2026-11-0{n}" for n in range(1, 7)
    ]


def test_an_answer_without_dates_has_no_forecast(tmp_path: Path) -> None:
    """Which is said, and why."""
    flag = written(tmp_path, f"{START + 3600},1.0,,,")
    found = document(flag)
    assert [name for name in FIELDS if found[name] is None][:4] == [
        "forecast_usd",
        "forecast_lower_usd",
        "forecast_upper_usd",
        "method",
    ]
    assert found["methods"] == []
    code, shown = terminal("forecast", flag, folder=tmp_path)
    assert code == 0
    assert "No forecast: the last answer does not say when its period starts and ends" in shown


def two_months() -> list[str]:
    """Return answers of a month at ten dollars a day, and of most of the next."""
    found = []
    for day in range(50):
        start, end = (START, END) if day < 30 else (END, END + 31 * DAY)
        for hour in range(0, 24, 6):
            now = START + day * DAY + hour * 3600
            found.append(f"{now},{(now - start) / DAY * 10},{start},{end},")
    return found


def test_a_backtest_says_what_was_forecast_at_each_midnight(tmp_path: Path) -> None:
    """A line of JSON for each, with what the period came to, once it has ended."""
    done = within("forecast", "--backtest", "--output=jsonl", written(tmp_path, *two_months()))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["at"] for line in lines] == [
        plain.moment(START + day * DAY) for day in range(1, 50)
    ]
    days = ["expected_day_usd", "expected_day_upper_usd", "day_spend_usd"]
    assert [*lines[0]] == [*FIELDS[:7], "actual_usd", *days]
    assert {lines[5][name] for name in days} == {None}
    assert [lines[20][name] for name in days] == pytest.approx([10.0, 12.5, 10.0])
    assert [line["actual_usd"] for line in lines] == [297.5] * 29 + [None] * 20
    assert all(line["forecast_usd"] == pytest.approx(300.0) for line in lines if line["actual_usd"])
    early = within(
        "forecast",
        "--backtest",
        "--output=jsonl",
        f"--at={START + 40 * DAY}",
        written(tmp_path, *two_months()),
    )
    shown = [json.loads(line) for line in early.stdout.splitlines()]
    assert shown[:39] == lines[:39]
    assert shown[39] == lines[39] | dict.fromkeys(days)  # which is not over


def test_a_backtest_for_people_is_by_day_of_the_period(tmp_path: Path) -> None:
    """With the mean error and how often the bounds held; the total is below."""
    code, shown = terminal(
        "forecast", "--backtest", written(tmp_path, *two_months()), folder=tmp_path
    )
    assert code == 0
    lines = [re.sub(r"\x1b\[\d*m", "", line).split() for line in shown.splitlines()]
    assert ["2", "1", "0.8%", "100.0%", "0.0%"] in lines
    assert ["All", "29", "0.8%", "100.0%", "0.0%"] in lines
    done = within("forecast", "--backtest", written(tmp_path, *two_months()[:20]))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "viam-billing: no period ends in the file, so there is nothing to compare a forecast with\n"
    )


def test_a_spike_is_told_with_what_made_it(tmp_path: Path) -> None:
    """The day after it, with what was expected; and in a backtest, with all others."""
    rows = []
    for day in range(40):
        start, end = (START, END) if day < 30 else (END, END + 31 * DAY)
        for hour in range(0, 24, 6):
            now = START + day * DAY + hour * 3600
            usd = (now - start) / DAY * 10 + 90 * (day == 34 and hour > 0) + 90 * (day > 34)
            rows.append(f"{now},{usd},{start},{end},{usd}")
    flag = written(tmp_path, *rows[: 4 * 35 + 1])
    found = document(flag)
    assert found["expected_day_usd"] == pytest.approx(10.0)
    assert found["expected_day_upper_usd"] == pytest.approx(12.5)
    code, shown = terminal("forecast", flag, folder=tmp_path)
    assert code == 0
    assert (
        "2026-12-05 was a spike: 100.00 USD, 90.00 more than expected; 90.00 of it premium_module, "
        "before discounts" in " ".join(shown.split())
    )
    assert " was a spike" not in within("forecast", written(tmp_path, *rows)).stdout
    done = within("forecast", "--backtest", written(tmp_path, *rows))
    assert done.stdout.startswith("Spikes: 1 of 32 days\n")
    (line,) = [line.split() for line in done.stdout.splitlines() if "2026-12-05" in line]
    assert line == ["2026-12-05", "100.00", "10.00", "12.50", "premium_module"]


def test_json_is_of_one_moment_and_jsonl_of_many(tmp_path: Path) -> None:
    """Which of them goes with what is said, with exit code 2."""
    flag = written(tmp_path, *two_months())
    for arguments in (("--backtest", "--output=json"), ("--output=jsonl",)):
        done = within("forecast", flag, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "viam-billing: --output=jsonl needs --backtest, and --output=json cannot be used with "
            "it\n"
        )


def test_a_column_of_any_name_is_shown_and_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    """It is a label of a resource type, whatever it says."""
    file = tmp_path / "past.csv"
    name = "=cmd()\u3000日本 [red]"
    file.write_text(f'{HEADER},"{name}"\n{row(20, 1.0)},5\n')
    found = document(f"--history={file}")
    assert found["days"][0]["resources"] == {"premium_module": 0.5, name: 5.0}


def test_it_needs_no_account_and_no_exporter(tmp_path: Path) -> None:
    """A broken configuration where it is looked for is not even read."""
    (tmp_path / "exporter.yml").write_text("{")
    flag = written(tmp_path, row(1, 1.0))
    done = command("forecast", flag, folder=tmp_path, environ={"VIAM_API_KEY_ID": "half"})
    assert (done.returncode, done.stderr) == (0, "")
