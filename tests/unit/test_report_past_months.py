"""The last months and the year to date, as far as they are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporter.tool.report import pages
from exporter.tool.report.months import Report
from exporter.tool.report.past_months import SHOWN, PastMonths, past_months
from exporter.tool.report.periods import Period, State
from support.months import NOW
from support.reports import month, report, usual
from support.status import Html


def period(name: str, usd: float | None, state: State = State.ENDED, unseen: float = 0.0) -> Period:
    """Return one that begins with a month."""
    year, number = map(int, name.split("-"))
    start = datetime(year, number, 1, tzinfo=UTC).timestamp()
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    end = following.timestamp()
    return Period(state, start, end, usd, end - unseen)


def found(*every: Period) -> PastMonths:
    """Return the months up to the first of these."""
    past = past_months(every, every[0])
    assert past is not None
    return past


def test_months_are_listed_down_to_the_first_that_is_known() -> None:
    """Unknown ones between them, too; a year begins in January."""
    past = found(
        period("2027-02", 20.0, State.RUNNING), period("2027-01", 30.0), period("2026-11", 50.0)
    )
    assert past.months == [
        ("2027-02", 20.0, "not over"),
        ("2027-01", 30.0, ""),
        ("2026-12", None, "unknown"),
        ("2026-11", 50.0, ""),
    ]
    assert past.year == ("2027", 50.0, [])


def test_a_year_says_which_months_it_lacks() -> None:
    """And is not known if none of them is."""
    past = found(period("2026-03", 20.0), period("2026-01", 5.0))
    assert past.year == ("2026", 25.0, ["2026-02"])
    past = found(period("2026-02", None), period("2025-12", 5.0))
    assert past.year == ("2026", None, ["2026-01", "2026-02"])


def test_twelve_months_are_shown() -> None:
    """Those after the one that the report is about are not."""
    every = [period(f"{year}-{number:02}", 1.0) for year in (2026, 2025) for number in range(1, 13)]
    every.sort(key=lambda each: -(each.start or 0.0))
    past = past_months(every, every[3])
    assert past is not None
    assert len(past.months) == SHOWN
    assert (past.months[0].month, past.months[-1].month) == ("2026-09", "2025-10")
    assert past.year == ("2026", 9.0, [])


def test_a_total_that_is_too_low_says_so() -> None:
    """Whether it is known to be, or may be."""
    past = found(period("2026-03", 20.0, State.LAST_KNOWN), period("2026-02", 1.0, unseen=7200.0))
    assert [each.note for each in past.months] == ["may be incomplete", "incomplete"]


def test_two_periods_of_one_month_are_added_up() -> None:
    """An account whose day of billing was moved has such months."""
    assert found(period("2026-03", 20.0), period("2026-03", 1.5)).months[0].usd == 21.5
    assert found(period("2026-03", 20.0), period("2026-03", None)).months == []


def test_a_month_without_dates_has_no_months_before_it() -> None:
    """Nobody knows which they are."""
    assert past_months([], Period(State.RUNNING, None, None, 1.0, None)) is None


def test_the_report_has_them_with_the_year() -> None:
    """Their sum is that of what is shown of the year."""
    html = Html.of(pages.html(report([usual()])))
    past = month(usual()).past
    assert past is not None
    for each in past.months:
        assert each.usd is not None
        assert f"${each.usd:.2f}" in html.text
    assert past.year.usd == pytest.approx(sum(each.usd or 0.0 for each in past.months))
    assert html.row("2026 to date")[1:] == [
        f"${past.year.usd:,.2f}",
        "January to July are not known, and not in this sum",
    ]
    assert "Nothing is known before" not in html.text


def test_the_months_before_the_first_that_is_known_are_not() -> None:
    """Which the line of the year says, unless they are of another year."""
    past = found(period("2027-02", 20.0, State.RUNNING), period("2027-01", 30.0))
    one = replace(month(usual()), past=past)
    html = Html.of(pages.html(Report([one], [], [], NOW, "a running exporter")))
    assert html.row("2027 to date")[1:] == ["$50.00", ""]
    assert "Nothing is known before January 2027." in html.text
