"""Which billing period a month is, and what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.tool.api_answers import DayLine, WholeOrganization
from exporter.tool.report.periods import PREVIOUS, Period, State, before, known_periods, wanted
from support.exporter_api import day, line

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def organization(**fields: Any) -> WholeOrganization:
    """Return one as the API tells of it."""
    return WholeOrganization.model_validate(line("a", **fields))


def closed(start: str | None, end: str, usd: float = 90.0) -> dict[str, Any]:
    """Return a period that has ended, and was seen to its end."""
    return {"period_start": start, "period_end": end, "usage_usd": usd, "usage_seen_at": end}


def in_days(start: str, *dates: str, usd: float = 10.0) -> list[DayLine]:
    """Return days of one period."""
    parts = {"spend_usd": usd, "corrections_usd": 1.0, "estimated_usd": 0.0}
    return [
        DayLine.model_validate(day(each, usd) | {"periods": [{"period_start": start, **parts}]})
        for each in dates
    ]


RUNNING = {
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
    "month_to_date_usd": 50.0,
    "usage_seen_at": "2026-11-23T11:45:00Z",
}
PAST = [
    closed("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    closed("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z", 80.0),
]


@pytest.mark.parametrize(
    ("start", "month"),
    [
        ("2026-10-01T00:00:00Z", "2026-10"),
        ("2026-10-20T14:30:00Z", "2026-10"),
        # Midnight of the first, where the day begins first, and where it begins last.
        ("2026-09-30T10:00:00Z", "2026-10"),
        ("2026-10-01T12:00:00Z", "2026-10"),
        ("2026-09-30T09:00:00Z", "2026-09"),
    ],
)
def test_a_month_is_the_period_that_begins_in_it(start: str, month: str) -> None:
    """In whichever time zone."""
    began = datetime.fromisoformat(start).timestamp()
    assert Period(State.ENDED, began, None, 1.0, None).month == month


def test_without_a_start_its_end_tells_the_month() -> None:
    """A period is about a month long."""
    end = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert Period(State.ENDED, None, end, 1.0, None).month == "2026-10"
    assert Period(State.RUNNING, None, None, 1.0, None).month is None


def test_the_current_month_is_meant_unless_another_is() -> None:
    """Or the one that ended last, by its end and not by the calendar."""
    every = known_periods(organization(**RUNNING, closed_periods=PAST), [], NOW)
    assert [(each.month, each.state, each.usd) for each in every] == [
        ("2026-11", State.RUNNING, 50.0),
        ("2026-10", State.ENDED, 90.0),
        ("2026-09", State.ENDED, 80.0),
    ]
    for asked, month in ((None, "2026-11"), (PREVIOUS, "2026-10"), ("2026-09", "2026-09")):
        found = wanted(every, asked, NOW)
        assert found is not None
        assert found.month == month
    assert wanted(every, "2026-08", NOW) is None


def test_a_month_that_ended_is_the_previous_one_before_its_successor_is_known() -> None:
    """At the first of the month nobody waits for the next bill; and it is not final yet."""
    december = datetime(2026, 12, 1, 0, 30, tzinfo=UTC).timestamp()
    every = known_periods(organization(**RUNNING, closed_periods=PAST), [], december)
    found = wanted(every, PREVIOUS, december)
    assert found is not None
    assert (found.month, found.state) == ("2026-11", State.LAST_KNOWN)


def test_what_ended_long_ago_is_not_the_previous_month() -> None:
    """A report that is sent each month would be of the same one for ever."""
    later = datetime(2027, 3, 1, tzinfo=UTC).timestamp()
    every = known_periods(organization(closed_periods=PAST), [], later)
    assert wanted(every, PREVIOUS, later) is None


def test_a_month_that_is_withdrawn_is_what_its_days_add_up_to() -> None:
    """Spend less corrections, as of the last answer; and nothing if one of them is not known."""
    days = in_days("2026-11-01T00:00:00Z", "2026-11-01", "2026-11-02")
    (found,) = known_periods(organization(), days, NOW)
    assert (found.state, found.usd, found.seen, found.month) == (
        State.LAST_KNOWN,
        18.0,
        None,
        "2026-11",
    )
    unknown = DayLine.model_validate(day("2026-11-03", None) | {"periods": []})
    (found,) = known_periods(organization(), [*days, unknown], NOW)
    assert found.usd is None


def test_the_month_before_is_the_one_that_ended_then() -> None:
    """An older one is none, nor is the month itself."""
    now, last, first = known_periods(organization(**RUNNING, closed_periods=PAST), [], NOW)
    assert before([now, last, first], now) == last
    assert before([now, first], now) is None
    assert before([last, first], first) is None


def test_what_came_after_the_last_answer_is_told_of_a_month_that_ended() -> None:
    """Nobody knows it."""
    (now, last, _) = known_periods(organization(**RUNNING, closed_periods=PAST), [], NOW)
    assert last.unseen == 0.0
    early = last._replace(seen=(last.end or 0.0) - 7200.0)
    assert early.unseen == 7200.0
    assert now.unseen == 0.0
