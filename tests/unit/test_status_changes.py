"""What changed: the last day and week beside the ones before, with the numbers of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.state.day_rows import Day
from exporter.web.status.changes import MAX_TYPES
from exporter.web.summary import Summary
from support.ledgers import day, with_days
from support.status import CONTEXT, Html, page

WEEKS = {
    ago: day(12.0, per_machine=8.0, log=4.0) if ago <= 7 else day(10.0, per_machine=6.0, log=4.0)
    for ago in range(1, 15)
}


def shown(days: Mapping[int, Day]) -> Html:
    """Return the page of an organization with these days."""
    return page(with_days(days))


def test_a_day_and_a_week_stand_beside_the_ones_before() -> None:
    """In US dollars and as a share, all together and by type."""
    html = shown({**WEEKS, 1: day(15.0, per_machine=11.0, log=4.0)})
    assert html.row("Total")[1:] == [
        "$15.00",
        "$12.00",
        "+$3.00 (+25%)",
        "$87.00",
        "$70.00",
        "+$17.00 (+24%)",
    ]
    machine = [row for row in html.rows if row and row[0] == "per_machine" and len(row) == 7]
    assert machine == [
        ["per_machine", "$11.00", "$8.00", "+$3.00 (+38%)", "$59.00", "$42.00", "+$17.00 (+40%)"]
    ]
    assert not [row for row in html.rows if row and row[0] == "log"], "it did not change"


def test_the_numbers_are_those_of_the_windows() -> None:
    """Which are on /metrics."""
    known = with_days(WEEKS)
    windows = Summary(known, CONTEXT).windows
    assert windows is not None
    assert (windows.day_before, windows.seven_days, windows.seven_before) == (12.0, 84.0, 70.0)
    row = page(known).row("Total")
    assert (row[1], row[4], row[5]) == ("$12.00", "$84.00", "$70.00")


def test_less_has_a_minus_and_a_new_type_no_share() -> None:
    """There is nothing to compare it with; the largest change comes first."""
    html = shown({**WEEKS, 1: day(6.0, log=1.0, mail=5.0)})
    assert html.row("Total")[3] == "−$6.00 (−50%)"  # noqa: RUF001 - a real minus
    types = [
        row[0] for row in html.rows if len(row) == 7 and row[0] in {"per_machine", "log", "mail"}
    ]
    assert types == ["per_machine", "mail", "log"]
    mail = [row for row in html.rows if row and row[0] == "mail" and len(row) == 7]
    assert mail[0][3] == mail[0][6] == "+$5.00"


def test_what_is_not_known_is_not_compared() -> None:
    """A day that is missing hides its week, and not the other numbers."""
    days = {**WEEKS}
    del days[10]
    row = shown(days).row("Total")
    assert row[1:] == ["$12.00", "$12.00", "$0.00 (0%)", "$84.00", "unknown", "unknown"]
    assert "What changed" not in shown({1: day(5.0)}).text, "there is no day before it"
    assert "What changed" in shown({1: day(5.0), 2: day(5.0)}).text


def test_estimates_are_said_to_be_some() -> None:
    """Of days that are compared; and that nothing changed."""
    estimates = "Some of these days are estimates."
    assert estimates in shown({**WEEKS, 9: day(10.0, estimated=9.0)}).text
    html = shown({ago: day(10.0, log=1.0) for ago in range(1, 15)})
    assert estimates not in html.text
    assert "No type of cost changed." in html.text


def test_estimates_are_not_compared() -> None:
    """Growth that was spread evenly over days would show that nothing changed."""
    guessed = {ago: day(10.0, estimated=10.0) for ago in range(1, 15)}
    assert "What changed" not in shown(guessed).text
    row = shown(guessed | {1: day(12.0), 2: day(10.0)}).row("Total")
    assert row[3:] == ["+$2.00 (+20%)", "$72.00", "$70.00", "unknown"]
    row = shown({**WEEKS, 1: day(12.0, estimated=12.0)}).row("Total")
    assert row[3:] == ["unknown", "$84.00", "$70.00", "+$14.00 (+20%)"]


def test_no_more_types_are_listed_than_can_be_read() -> None:
    """Those that changed most."""
    many = {f"t{n:02}": float(n + 1) for n in range(MAX_TYPES + 3)}
    html = shown({**WEEKS, 1: day(500.0, **many)})
    assert "5 more types changed by less." in html.text
    assert len([row for row in html.rows if len(row) == 7 and row[0].startswith("t")]) < MAX_TYPES
