"""Bars of what each day cost: they add up to what was spent, whatever was missing.

What is asked are the dashboards' own queries, of what real exporters showed in virtual time. The
ledger is the test's: it knows what was spent, and which part of it nobody could know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.rules.readings import SELDOM
from exporter.rules.series import ANSWERED, READINGS
from grafana.source.promql import RANKS
from rules.harness import DAY, HOUR, MINUTE, Pages, rising, series
from rules.lived import MONTH, SCRAPED, Bill, Life, Span, even, live, with_events
from support.dashboards import ANY, dashboards, expand, targets

pytestmark = pytest.mark.timeout(300)  # promtool goes through many days
PER_DAY: Final = 30.0
PER_HOUR: Final = PER_DAY / 24
LATE: Final = 1.5 * PER_HOUR  # a poll and a reading may be as old, at each end of a day
SECOND: Final = "exporter-1:8426"
STEADY: Final = Bill(even(PER_DAY))


@pytest.fixture(scope="module", autouse=True)
def _each_stack() -> None:
    """Have each test check with each stack: what it checks takes as long to make."""


def query(uid: str, title: str) -> str:
    """Return what the bars of a panel come to, altogether: the sum of its queries."""
    found = [t for t in targets() if t.uid == uid and t.panel["title"] == title]
    return f"sum({' or '.join(f'({expand(t.expr, ANY)})' for t in found)})"


FLEET: Final = query("viam-billing-fleet", "Spend per day by organization")
ONE: Final = query("viam-billing-organization", "Spend per day")
PARTS: Final = [
    query("viam-billing-organization", f"Spend per day by {parts}")
    for parts in ("resource type, before discounts", "source and tier")
]
(MARKS,) = {
    expand(mark["expr"], ANY)
    for dashboard in dashboards()
    for mark in dashboard["annotations"]["list"]
    if mark["name"] == "More than a day"
}


@dataclass(frozen=True)
class Scenario:
    """What happens, and what the days cost then."""

    days: int
    bars: Mapping[int, float | None]  # by the number of the day; None: there is none
    bill: Bill = STEADY
    lives: Sequence[Life] = (Life(),)
    unscraped: Sequence[Span] = ()
    gaps: Sequence[int] = ()  # days whose bars hold more


def at(day: float, hour: float = 0) -> float:
    """Return a moment in seconds from the beginning."""
    return day * DAY + hour * HOUR


def two(ends: float, starts: float, storage: str | None = None) -> Sequence[Life]:
    """Return an exporter that stops, and is started again."""
    return Life(ends=ends, storage=storage), Life(starts, storage=storage)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "nothing is missing": Scenario(4, {1: PER_DAY, 2: PER_DAY, 3: PER_DAY}),
    "Prometheus away for 30 hours": Scenario(
        5,
        {1: 20 * PER_HOUR, 2: None, 3: 52 * PER_HOUR, 4: PER_DAY},
        unscraped=[(at(1, 20), at(3, 2))],
        gaps=[3],
    ),
    "Prometheus away for three days": Scenario(
        7,
        {2: 6 * PER_HOUR, 3: None, 4: None, 5: 90 * PER_HOUR, 6: PER_DAY},
        unscraped=[(at(2, 6), at(5, 6))],
        gaps=[5],
    ),
    "the exporter away for 12 hours": Scenario(
        4,
        {1: 18 * PER_HOUR, 2: 30 * PER_HOUR, 3: PER_DAY},
        lives=two(at(1, 18), at(2, 6), "kept"),
        gaps=[2],
    ),
    "the exporter away for three days": Scenario(
        7,
        {2: 6 * PER_HOUR, 3: None, 4: None, 5: 90 * PER_HOUR, 6: PER_DAY},
        lives=two(at(2, 6), at(5, 6), "kept"),
        gaps=[5],
    ),
    "the same without storage": Scenario(
        7,
        {2: 6 * PER_HOUR, 3: None, 4: None, 5: 90 * PER_HOUR, 6: PER_DAY},
        lives=two(at(2, 6), at(5, 6)),
        gaps=[5],
    ),
    "a restart without storage": Scenario(
        4,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY},
        lives=two(at(2, 12), at(2, 12.2)),
    ),
    "the API away for three days": Scenario(
        7,
        {2: 6 * PER_HOUR, 3: None, 4: None, 5: 90 * PER_HOUR, 6: PER_DAY},
        bill=Bill(even(PER_DAY), away=[(at(2, 6), at(5, 6))]),
        gaps=[5],
    ),
    "the API away for less than the exporter shows its last answer": Scenario(
        5,
        {},  # it depends on the minute of the polls
        bill=Bill(even(PER_DAY), away=[(at(1, 19), at(2, 9))]),
        lives=[Life(interval=3.0 * HOUR)],
        gaps=[2],
    ),
    "a period that ends at midnight": Scenario(
        5,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY, 4: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3))),
    ),
    "a period that ends at 14:30": Scenario(
        5,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY, 4: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3, 14.5))),
    ),
    "a period that ends while Prometheus is away": Scenario(
        6,
        {2: 20 * PER_HOUR, 3: None, 4: 52 * PER_HOUR, 5: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3, 14.5))),
        unscraped=[(at(2, 20), at(4, 2))],
        gaps=[4],
    ),
    "a period that ends while the exporter is away": Scenario(
        5,
        {2: 18 * PER_HOUR, 3: 24 * PER_HOUR, 4: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3))),
        lives=two(at(2, 18), at(3, 6), "kept"),
        gaps=[3],
    ),
    "the same without storage, and 14:30": Scenario(
        5,
        {2: PER_DAY, 3: 21.5 * PER_HOUR, 4: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3, 14.5))),
        lives=two(at(3, 12), at(3, 18)),
    ),
    "a credit larger than spend": Scenario(
        5,
        {1: PER_DAY, 2: PER_DAY - 100, 3: PER_DAY},
        bill=Bill(with_events(even(PER_DAY), (at(2, 9), -100.0))),
    ),
    "a credit larger than the period": Scenario(
        5,
        {2: PER_DAY, 3: PER_DAY - 400, 4: PER_DAY},
        bill=Bill(with_events(even(PER_DAY), (at(3, 9), -400.0)), starts=(-10 * DAY, at(3, 2))),
    ),
    "two replicas, of which one has storage": Scenario(
        6,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY, 4: PER_DAY, 5: PER_DAY},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(4))),
        lives=(
            Life(ends=at(3, 7), storage="kept"),
            Life(at(1, 5.1), at(2, 3), SECOND),
            Life(at(2, 4.1), instance=SECOND),
        ),
    ),
    "a move to another shard and back": Scenario(
        6,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY, 4: PER_DAY, 5: PER_DAY},
        lives=(
            Life(ends=at(2, 13), storage="first"),
            Life(at(2, 12.5), at(4, 3), SECOND, storage="second"),
            Life(at(4, 2.8), storage="first"),
        ),
    ),
    "a new name": Scenario(
        4,
        {1: PER_DAY, 2: PER_DAY, 3: PER_DAY},
        lives=(
            Life(ends=at(2, 12), storage="kept"),
            Life(at(2, 12.1), storage="kept", org_name="Acme Robotics & Sons"),
        ),
    ),
    "answers of the period before": Scenario(
        6,
        {2: PER_DAY, 3: PER_DAY, 4: 22.5 * PER_HOUR, 5: 25.5 * PER_HOUR},
        bill=Bill(even(PER_DAY), starts=(-10 * DAY, at(3)), behind=[(at(4, 22.5), at(5, 1.5))]),
    ),
}


def no_dates(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Leave the dates of the period out."""
    answer.ClearField("start_date")
    answer.ClearField("end_date")


def far_start(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Let the period begin in a month."""
    answer.start_date.seconds += MONTH + 20 * DAY


def too_large(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Let it have cost more than anything does."""
    costs = answer.resource_usage_costs_by_source[0].resource_usage_costs
    costs.total_with_discount = 1e12


def remote_control(answer: pb.GetCurrentMonthUsageResponse) -> None:
    """Let all of it be of another resource type."""
    costs = answer.resource_usage_costs_by_source[0].resource_usage_costs
    costs.usage_costs[0].resource_type = pb.USAGE_COST_TYPE_REMOTE_CONTROL


def bar(day: int) -> str:
    """Return the bar of a day, as a dashboard has it that is looked at later."""
    return f"last_over_time(({ONE})[1h:1d] @ {day * DAY})"


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_bars_add_up_to_what_was_spent(scenario: Scenario, tmp_path: Path) -> None:
    """Within half a percent; the bar after a gap holds the gap, and a mark says so."""
    bill, days = scenario.bill, scenario.days
    lived = live(tmp_path, days, bill, *scenario.lives, unscraped=scenario.unscraped)
    pages, end = lived.pages, days * DAY
    spent = lived.seen(bill, end - SCRAPED)
    for panel in (FLEET, ONE):
        total = f"sum_over_time(({panel})[{days * 24 + 1}h:1d])"
        pages.expect_near(total, end, spent, within=abs(spent) * 0.005)
    seen = lived.seen(bill, end - SCRAPED, scenario.unscraped)
    for panel in PARTS:
        total = f"sum_over_time(({panel})[{days * 24 + 1}h:1d])"
        pages.expect_near(total, end, seen, within=abs(seen) * 0.005)
    for day, usd in scenario.bars.items():
        if usd is None:
            pages.expect_sample(bar(day), end)
        else:
            pages.expect_near(bar(day), end, usd, within=LATE)
    marks = f"count_over_time(({MARKS})[{days * 24 + 1}h:1d])"
    if scenario.gaps:
        pages.expect_near(marks, end, len(scenario.gaps))
    else:
        pages.expect_sample(marks, end)
    for day in scenario.gaps:
        pages.expect_near(f"last_over_time(({MARKS})[1h:1d] @ {day * DAY})", end, 1000 * day * DAY)
    pages.check_with_each_stack(tmp_path)


def test_today_has_no_bar_yet(tmp_path: Path) -> None:
    """It would look like a day on which little was spent."""
    pages = live(tmp_path, 3, STEADY).pages
    noon = int(at(2, 12))
    for panel in (FLEET, ONE, *PARTS):
        pages.expect_near(f"last_over_time(({panel})[1h:1d] @ {DAY})", noon, PER_DAY, within=LATE)
        pages.expect_sample(f"last_over_time(({panel})[1h:1d] @ {2 * DAY})", noon)
    pages.check_with_each_stack(tmp_path)


def test_the_day_on_which_answers_ended_has_no_bar(tmp_path: Path) -> None:
    """Half a day would look like a saving. It has one once the bill can be read again."""
    pages = live(tmp_path, 5, Bill(even(PER_DAY), away=[(at(2, 12), at(4, 6))])).pages
    for panel in (FLEET, ONE, *PARTS):
        for end, usd in ((at(3, 12), None), (at(5), PER_DAY / 2)):
            found = f"last_over_time(({panel})[1h:1d] @ {2 * DAY})"
            if usd is None:
                pages.expect_sample(found, int(end))
            else:
                pages.expect_near(found, int(end), usd, within=LATE)
    pages.check_with_each_stack(tmp_path)


@pytest.mark.parametrize("wrong", [no_dates, far_start, too_large])
def test_odd_answers_are_in_no_bar(
    wrong: Callable[[pb.GetCurrentMonthUsageResponse], None], tmp_path: Path
) -> None:
    """What was known before them stands for the midnight that they are around."""
    bill = Bill(even(PER_DAY), odd=[(at(1, 22), at(2, 2))], wrong=wrong)
    pages = live(tmp_path, 4, bill).pages
    for day, usd in ((1, 22 * PER_HOUR), (2, 26 * PER_HOUR), (3, PER_DAY)):
        pages.expect_near(bar(day), 4 * DAY, usd, within=LATE)
    pages.check_with_each_stack(tmp_path)


def test_bars_need_no_dates(tmp_path: Path) -> None:
    """Of an organization that never has any, period or not."""
    bill = Bill(even(PER_DAY), odd=[(0, 4 * DAY)], wrong=no_dates)
    pages = live(tmp_path, 4, bill).pages
    for panel in (FLEET, ONE, *PARTS):
        total = f"sum_over_time(({panel})[97h:1d])"
        pages.expect_near(total, 4 * DAY, 4 * PER_DAY, within=LATE)
    pages.check_with_each_stack(tmp_path)


def test_a_resource_type_ends_with_the_period_that_it_was_in(tmp_path: Path) -> None:
    """A gap does not bring it back, and the one that is new counts whole."""
    bill = Bill(even(PER_DAY), (-10 * DAY, at(2)), odd=[(0, at(2))], wrong=remote_control)
    pages = live(tmp_path, 6, bill, unscraped=[(at(3, 20), at(4, 2))]).pages
    (types,) = (
        expand(target.expr, ANY)
        for target in targets()
        if target.panel["title"] == "Spend per day by resource type, before discounts"
    )
    of_day = (PER_DAY, PER_DAY, PER_DAY, 20 * PER_HOUR, 28 * PER_HOUR, PER_DAY)
    for name, days in (("remote_control", range(2)), ("data_upload", range(2, 6))):
        named = f'label_replace(vector(1), "resource_type", "{name}", "", "")'
        for day in range(days.start, 6):
            bars = f"last_over_time(({types})[1h:1d] @ {day * DAY}) and on (resource_type) {named}"
            usd = of_day[day] if day in days else 0.0
            of = f"max by (resource_type) ({bars})"
            pages.expect_near(of, 6 * DAY, usd, {"resource_type": name}, within=LATE)
    pages.check_with_each_stack(tmp_path)


def test_midnight_has_what_was_known_then(tmp_path: Path) -> None:
    """The hour's last minutes are read, also of pages that are scraped every five minutes."""
    pages = live(tmp_path, 3, STEADY).pages
    pages.every = MINUTE
    pages.expect_near(bar(1), 3 * DAY, PER_DAY, within=0.001)
    read = f'count_over_time({READINGS}{{reading="spent"}}[23h] @ {2 * DAY})'
    pages.expect_near(f"sum({read})", 3 * DAY, 23 * SELDOM)
    pages.check_with_each_stack(tmp_path)


def test_those_beyond_the_colours_have_one_bar_together(tmp_path: Path) -> None:
    """They are the ones that spent least in the week before the end of the time range.

    The others have their rank, by which each has a colour of its own.
    """
    pages = Pages(9 * 24, HOUR)
    for number in range(1, RANKS + 3):
        org = {"org_id": f"o{number}", "org_name": f"O{number}"}
        pages.set(READINGS, rising(100, number), reading="spent", org_id=org["org_id"])
        pages.set(ANSWERED, rising(0, HOUR), org)
    end, at_seven = 9 * DAY, f"[1h:1d] @ {7 * DAY}"
    named, others, *credited = (
        f"last_over_time(({expand(t.expr, ANY)}){at_seven})"
        for t in targets()
        if t.panel["title"] == "Spend per day by organization"
    )
    ranked = [
        (series("", org_id=f"o{n}", org_name=f"O{n}", rank=str(RANKS + 3 - n)), 24 * n)
        for n in range(3, RANKS + 3)
    ]
    pages.expect_sample(named, end, *ranked)
    pages.expect_near(others, end, 24 * (1 + 2))
    for none in credited:
        pages.expect_sample(none, end)
    pages.check_with_each_stack(tmp_path, [])
