"""The report for programs: every fact of the page, under names that the documentation has."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from exporter.tool.report import pages
from exporter.tool.report.compares import STEPS
from exporter.tool.report.months import Report
from exporter.tool.report.programs import COLUMNS, csv_of, json_of
from support.process import ROOT
from support.reports import never_read, new, report, stale, usual
from support.status import Html
from support.tables import amounts

PAGE = (ROOT / "docs" / "commands" / "report.md").read_text()


def documented(head: str) -> list[str]:
    """Return the names in the first column of a table of the page."""
    table = PAGE.split(f"| {head} | |\n", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines()))


def organization(of: Report) -> Mapping[str, Any]:
    """Return what JSON has of the only organization."""
    (found,) = json.loads(json_of(of))["organizations"]
    assert isinstance(found, dict)
    return found


def numbers(found: Any) -> Sequence[float]:
    """Return all numbers in a document."""
    if isinstance(found, dict):
        return [each for value in found.values() for each in numbers(value)]
    if isinstance(found, list):
        return [each for value in found for each in numbers(value)]
    return [found] if isinstance(found, (int, float)) and not isinstance(found, bool) else []


def test_all_names_are_documented_in_their_order() -> None:
    """And no others: they are an API."""
    assert documented("column") == [*COLUMNS]
    assert [*organization(report([usual()]))] == [*COLUMNS, *documented("member")]
    for name in json.loads(json_of(report([usual()])))["totals"]:
        assert f"`{name}`" in PAGE.rsplit("`totals`", 1)[1]
    assert all(f"`{kind}`" in PAGE for kind in STEPS)


@pytest.mark.parametrize("month", [None, "2026-10"])
def test_every_amount_of_the_page_is_in_json(month: str | None) -> None:
    """But for what is an amount in the text of one, and what is left at the forecast's bounds."""
    of = report([usual()], month)
    known = {round(abs(each) * 100) for each in numbers(organization(of))}
    text = Html.of(pages.html(of)).text
    text = re.sub(r"forecast to reach.*?over\b|forecast to reach.*?left", "", text)
    missing = {abs(each) for each in amounts(text)} - known
    # Rounded to add up, an amount is less than a cent away.
    near = {each for each in missing if {each - 1, each + 1} & known}
    sums = {round(sum_of * 100) for sum_of in _sums(organization(of))}
    assert missing - near - sums == set()


def _sums(found: Mapping[str, Any]) -> Sequence[float]:
    """Return what the page adds up of what is in JSON."""
    days = [each for each in found["days"] if each["spend_usd"] is not None]
    return [
        sum(each["spend_usd"] - each["corrections_usd"] for each in days),
        sum(each["spend_usd"] for each in days),
        sum(each["amount_usd"] for each in found["invoices"]),
        (found["compared_usd"] + found["credits_usd"]),
        *(
            day["spend_usd"] - (expected["above_usd"] or 0.0)
            for expected in found["expected_days"]
            for day in days
            if day["date"] == expected["date"]
        ),
    ]


def test_what_is_not_known_is_null_in_json_and_empty_in_csv() -> None:
    """Never 0."""
    found = organization(report([new()]))
    unknown = ("compared_usd", "compared_month", "compared_without_credits_change_usd", "spikes")
    assert [found[name] for name in unknown] == [None] * 4
    (row,) = csv.DictReader(io.StringIO(csv_of(report([new()]))))
    assert [row[name] for name in unknown] == [""] * 4
    assert (row["problem_kinds"], row["is_incomplete"]) == ("", "false")
    found = organization(report([stale()]))
    assert [each["date"][-2:] for each in found["days"] if each["spend_usd"] is None] == [
        "21",
        "22",
        "23",
    ]
    assert found["unknown_days"] == 3
    assert found["unpaid_invoices"] is None


def test_credits_and_past_months_are_there() -> None:
    """As they are on the page."""
    found = organization(report([usual()]))
    assert found["credits_usd"] == pytest.approx(12.0)
    assert sum(day["credit_usd"] for day in found["days"]) == pytest.approx(12.0)
    assert found["total_without_credits_usd"] == pytest.approx(found["total_usd"] + 12.0)
    assert [each["state"] for each in found["months"]] == ["not_over", *["incomplete"] * 3]
    assert found["year_to_date_unknown_months"] == 7
    ended = organization(report([usual()], "2026-10"))
    assert ended["is_incomplete"]
    assert ended["missing_usd"] == pytest.approx(ended["total_usd"] / 123)
    assert ended["compared_change_per_day_usd"] == pytest.approx(0.79, abs=0.01)
    assert ended["invoiced_difference_usd"] == pytest.approx(255.5 - ended["total_usd"])


def test_totals_name_the_organizations_that_they_lack() -> None:
    """By their ids, which are theirs alone."""
    of = report([usual(), stale(), never_read()])
    document = json.loads(json_of(of))
    totals = document["totals"]
    assert totals["total"]["lacks"] == ["never"]
    assert totals["total"]["usd"] == pytest.approx(
        sum(each.period.usd or 0.0 for each in of.months)
    )
    assert totals["final_or_forecast"]["lacks"] == ["never"]
    assert totals["final_or_forecast"]["at_least"] == totals["total"]["at_least"] == ["stale"]
    assert totals["not_over"] == 1
    assert (totals["organizations"], totals["in_trouble"], totals["over_budget"]) == (3, 3, 1)
    (nothing,) = document["nothing_known"]
    (problem,) = nothing["problems"]
    assert problem["kind"] == "cannot_be_read"
