"""The ledger of days: what was spent on which, whatever comes between."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.extract.values import exact_sum
from exporter.model import Ledger, Spend, Tally, Windows
from exporter.state.day_rows import (
    APART,
    DAY,
    UNKNOWN,
    Day,
    Entry,
    Glance,
    Moved,
    glance,
    packed,
    sound,
    unpacked,
)
from exporter.state.ledger import (
    IN_MEMORY,
    MOST_PERIODS,
    STORED,
    day_of,
    last_counted,
    made,
    note,
    rows_of,
)
from exporter.state.spend import advance
from support.usages import usage

FIRST = 20_000 * DAY  # a midnight
HOUR = 3600.0
MONTH = 30 * DAY


@dataclass
class Book:
    """An organization's counters and ledger, fed with answers."""

    start: float | None = FIRST
    end: float | None = None
    spend: Spend | None = None
    ledger: Ledger | None = None
    seen: float | None = None
    kept: dict[int, bytes] = field(default_factory=dict)  # all rows that there ever were
    kept_days: int = IN_MEMORY

    def poll(self, now: float, net: float, **costs: float) -> None:
        """Take in a good answer of the current period."""
        step = advance(self.spend, usage(net, self.start, self.end, **costs), now, self.seen)
        self.spend, self.seen = step.spend, now
        self.ledger = note(self.ledger, step, now, self.kept_days)
        self.kept |= self.rows

    @property
    def rows(self) -> dict[int, bytes]:
        """Return the rows in memory."""
        assert self.ledger is not None
        return rows_of(self.ledger)

    def day(self, number: int) -> Day:
        """Return a day, counted from FIRST."""
        row = self.rows.get(day_of(FIRST) + number)
        return UNKNOWN if row is None else unpacked(row)

    @property
    def windows(self) -> Windows:
        """Return what was spent in the windows that people ask for."""
        assert self.ledger is not None
        return self.ledger.windows

    @property
    def last_counted(self) -> int:
        """Return the last day on which month to date was counted, from FIRST."""
        assert self.spend is not None
        return last_counted(replace(self.spend, ledger=self.ledger)) - day_of(FIRST)

    def spends(self, days: int) -> list[float]:
        """Return what was spent on the first days, rounded to a hundredth of a cent."""
        return [round(self.day(number).spend, 4) for number in range(days)]

    def of_period(self, start: float) -> float:
        """Return what the entries of a period come to."""
        entries = [e for row in self.kept.values() for e in unpacked(row).entries]
        return exact_sum(e.spend - e.corrections for e in entries if e.period == start)


def test_growth_is_spread_over_the_time_since_it_was_last_counted() -> None:
    """Evenly, from the period's start at first sight."""
    book = Book()
    book.poll(FIRST + 12 * HOUR, 12.0)
    assert book.spends(1) == [12.0]
    book.poll(FIRST + 36 * HOUR, 36.0)
    assert book.spends(2) == [24.0, 12.0]
    book.poll(FIRST + 36 * HOUR, 36.0)
    book.poll(FIRST + 60 * HOUR, 36.0)  # unchanged: what grows later counts from it
    book.poll(FIRST + 72 * HOUR - 1, 48.0)
    assert book.spends(3) == [24.0, 12.0, 12.0]


SINCE = st.one_of(st.just(0.0), st.floats(0, DAY - 1))  # seconds after a midnight


@given(SINCE, st.integers(0, 61), SINCE, st.floats(0, 1e6), st.floats(0, 1e6))
def test_at_first_sight_each_day_has_its_share_of_the_time(
    start: float, days: int, until: float, net: float, cost: float
) -> None:
    """Whole days have the same, and nothing of the amount is lost."""
    book = Book(start=FIRST + start)
    now = FIRST + days * DAY + max(start, until)
    book.poll(now, net, per_machine=cost)
    total = now - FIRST - start
    for number in range(days + 1):
        begin, end = max(number * DAY, start), min((number + 1) * DAY, now - FIRST)
        share = (end - begin) / total if total else 1.0
        day = book.day(number)
        assert day.unknown == (round(start) if number == 0 else 0)
        assert day.spend == pytest.approx(net * share, rel=1e-9, abs=1e-6)
        moved = day.resources().get("per_machine", Moved(0.0, 0.0))
        assert moved.spend == pytest.approx(cost * share, rel=1e-9, abs=1e-6)
    assert book.of_period(FIRST + start) == pytest.approx(net, rel=1e-15)


def test_days_that_growth_was_divided_among_are_estimated() -> None:
    """If the answers were more than six hours apart; an unchanged amount never is."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.poll(FIRST + DAY - 2 * HOUR, 1.0)
    book.poll(FIRST + DAY + 3 * HOUR, 6.0)
    assert [book.day(n).estimated for n in range(2)] == [0.0, 0.0]
    book.poll(FIRST + 3 * DAY, 6.0)
    assert [book.day(n).estimated for n in range(3)] == [0.0, 0.0, 0.0]
    book.poll(FIRST + 5 * DAY, 26.0)
    assert [book.day(n).estimated for n in range(6)] == [0.0, 0.0, 0.0, 10.0, 10.0, 0.0]
    assert [book.day(n).is_observed for n in range(5)] == [True, True, True, False, False]


def test_an_outage_of_three_days_shows_what_each_cost() -> None:
    """At thirty dollars a day."""
    book = Book()
    for hour in (*range(1, 24 * 7, 6), *range(24 * 10, 24 * 12)):
        book.poll(FIRST + hour * HOUR, 30.0 * hour / 24)
    assert book.spends(11) == [30.0] * 11


def test_a_fall_counts_once_a_second_answer_confirms_it() -> None:
    """On the day of that, down to the larger of the two. One that is taken back was none."""
    book = Book()
    book.poll(FIRST + HOUR, 100.0)
    book.poll(FIRST + 2 * HOUR, 60.0)
    assert book.of_period(FIRST) == 100.0
    book.poll(FIRST + 3 * HOUR, 101.0)
    assert (book.day(0).spend, book.day(0).corrections) == (101.0, 0.0)
    book.poll(FIRST + 23 * HOUR, 60.0)
    book.poll(FIRST + 25 * HOUR, 50.0)
    assert (book.day(0).corrections, book.day(1).corrections) == (0.0, 41.0)
    assert book.of_period(FIRST) == 60.0
    book.poll(FIRST + 26 * HOUR, 50.0)
    assert book.of_period(FIRST) == 50.0


def test_a_rollover_leaves_the_time_between_unknown() -> None:
    """From the last good answer to the start; a day with too much of it is unknown."""
    book = Book()
    book.poll(FIRST + 20 * HOUR, 20.0)
    book.start = FIRST + DAY
    book.poll(FIRST + DAY + HOUR, 1.0)
    assert book.day(0) == Day(4 * HOUR, (Entry(FIRST, 20.0, 0.0, 0.0, {}),))
    assert not book.day(0).is_unknown
    book.start = FIRST + 4 * DAY
    book.poll(FIRST + 5 * DAY, 24.0)
    assert [book.day(n).is_unknown for n in range(6)] == [False, True, True, True, False, False]
    assert book.day(4).spend == 24.0


def test_withheld_amounts_at_the_end_of_a_period_leave_its_last_days_unknown() -> None:
    """From the last number on: the answers without one say nothing of them."""
    book = Book()
    book.poll(FIRST + 20 * HOUR, 20.0)
    for hour in range(24, 80, 4):
        book.poll(FIRST + hour * HOUR, math.nan)
    book.start = FIRST + 4 * DAY
    book.poll(FIRST + 4 * DAY + 2 * HOUR, 2.0)
    assert [book.day(n).unknown / HOUR for n in range(5)] == [4.0, 24.0, 24.0, 24.0, 0.0]
    assert book.windows.seven_days is None


def test_before_the_first_number_nothing_is_known() -> None:
    """However many answers came without one, the same again or another."""
    book = Book(start=None)
    for hour, usd in ((2, math.nan), (20, math.nan), (30, math.inf), (50, 10.0), (51, 11.0)):
        book.poll(FIRST + hour * HOUR, usd)
    assert [book.day(n).unknown / HOUR for n in range(3)] == [24.0, 24.0, 2.0]
    assert book.day(2).spend == 1.0


def test_withheld_days_are_not_listed_until_they_are_known() -> None:
    """Nothing was spent on them as yet, which is not to say that nothing was."""
    book = Book()
    assert last_counted(Spend(None, Tally(), {})) < 0
    book.poll(FIRST + HOUR, math.nan)
    assert book.last_counted < 0
    book.poll(FIRST + 2 * HOUR, 2.0)
    assert book.last_counted == 0
    book.poll(FIRST + DAY + 2 * HOUR, math.nan)
    book.poll(FIRST + 2 * DAY + 2 * HOUR, math.nan)
    assert book.last_counted == 0
    book.poll(FIRST + 3 * DAY, 72.0)
    assert book.last_counted == 3
    assert [round(book.day(n).spend) for n in range(4)] == [24, 24, 24, 0]
    book.start = FIRST + 5 * DAY
    book.poll(FIRST + 5 * DAY + HOUR, math.nan)
    assert book.last_counted == 4, "unknown, and known to be"


def test_months_later_a_new_period_has_its_own_days_and_the_rest_is_unknown() -> None:
    """The day of the last answer, too, if too much of it is missing."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.start = FIRST + 93 * DAY
    book.poll(FIRST + 95 * DAY + 12 * HOUR, 60.0)
    assert [book.day(n).is_unknown for n in (0, 50, 92, 93, 94, 95)] == [True] * 3 + [False] * 3
    assert [round(book.day(n).spend, 6) for n in (93, 94, 95)] == [24.0, 24.0, 12.0]


def test_growth_over_more_than_62_days_is_of_no_day() -> None:
    """It is where the answer is, estimated, so that it is no spike; the days are unknown."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.poll(FIRST + 70 * DAY + 2 * HOUR, 71.0)
    assert [book.day(n).is_unknown for n in (0, 1, 35, 69, 70)] == [True] * 4 + [False]
    assert (book.day(70).spend, book.day(70).estimated) == (70.0, 70.0)
    assert not book.day(70).is_observed
    assert round(book.of_period(FIRST), 6) == 71.0


def test_a_clock_that_was_behind_for_an_answer_makes_no_known_day_unknown() -> None:
    """As on a machine that starts in 1970: what it learns when it is set is of that day."""
    book = Book()
    for day in range(30):
        book.poll(FIRST + day * DAY + 23 * HOUR, 24.0 * day + 23.0)
    book.poll(HOUR, 720.0)
    book.poll(FIRST + 30 * DAY - HOUR / 2, 721.0)
    assert round(book.day(29).spend) == 25.0 - 1.0
    assert book.windows.twenty_eight_days is not None
    book.poll(2 * HOUR, 721.0)
    book.start = FIRST + 31 * DAY
    book.poll(FIRST + 31 * DAY + HOUR, 1.0)
    assert [book.day(n).is_unknown for n in (1, 15, 29, 30, 31)] == [False] * 3 + [True, False]


def test_what_was_withheld_before_a_clock_was_set_back_is_of_the_answer_s_day() -> None:
    """Growth of an answer that is not later than the one before is, whatever came before."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.poll(FIRST + 3 * DAY, math.nan)
    book.poll(FIRST + 2 * DAY, 3.0)
    assert [book.day(n).spend for n in range(4)] == [1.0, 0.0, 2.0, 0.0]


def test_a_period_may_begin_at_any_hour() -> None:
    """Its first day belongs to two periods."""
    start = FIRST + 14.5 * HOUR
    book = Book(start=FIRST - 10 * DAY)
    book.poll(FIRST, 0.0)
    book.poll(start - 60, 14.0)
    book.start = start
    book.poll(start + 9.5 * HOUR, 19.0)
    assert book.spends(1) == [33.0]
    assert [entry.period for entry in book.day(0).entries] == [FIRST - 10 * DAY, start]


def test_before_the_first_start_nothing_is_known() -> None:
    """Nor without a start before the first answer, which counts nothing then."""
    book = Book(start=FIRST + 20 * HOUR)
    book.poll(FIRST + 30 * HOUR, 10.0)
    assert (book.day(-1).is_unknown, book.day(0).is_unknown) == (True, True)
    assert book.spends(2) == [4.0, 6.0]
    for start in None, FIRST - 63 * DAY:
        book = Book(start=start)
        book.poll(FIRST + HOUR, 10.0)
        book.poll(FIRST + 2 * HOUR, 12.0)
        assert book.spends(1) == [2.0]
        assert book.day(0).unknown == HOUR


def test_a_ledger_that_is_younger_than_its_counters_knows_nothing_of_their_day() -> None:
    """As after a restart that kept the counters only: a part of a day is not passed off as it."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.ledger = None
    book.poll(FIRST + 2 * HOUR, 2.0)
    book.poll(FIRST + 3 * HOUR, 3.0)
    assert book.day(0).is_unknown
    assert book.windows.on_it is None
    book.poll(FIRST + DAY + HOUR, 25.0)
    book.poll(FIRST + DAY + 2 * HOUR, 26.0)
    assert round(book.day(1).spend, 6) == 2.0
    book.poll(FIRST + 2 * DAY + HOUR, 49.0)
    assert book.windows.day_before == book.day(1).spend


def test_windows_are_those_of_the_days_that_there_are() -> None:
    """Whatever was kept of them from the answer before."""
    book = Book()
    for hour in range(1, 24 * 20, 7):
        book.poll(FIRST + hour * HOUR, float(hour))
        assert book.ledger is not None
        today = day_of(FIRST + hour * HOUR)
        assert book.ledger == made(book.rows, today, IN_MEMORY)


def test_a_clock_that_was_set_back_has_growth_on_its_own_day() -> None:
    """Whole; days to come are kept, and not looked at."""
    book = Book()
    book.poll(FIRST + 5 * DAY + HOUR, 10.0)
    book.poll(FIRST + 3 * DAY + HOUR, 11.0)
    assert round(book.day(3).spend - 10.0 * 24 / 121, 6) == 1.0
    assert book.of_period(FIRST) == pytest.approx(11.0)
    assert book.windows.answered == day_of(FIRST + 3 * DAY)


def test_resource_types_have_days_too() -> None:
    """Before discounts; they need not add up to the net."""
    book = Book()
    book.poll(FIRST + DAY, 5.0, a=10.0, b=4.0)
    book.poll(FIRST + DAY + HOUR, 6.0, a=11.0)
    book.poll(FIRST + DAY + 2 * HOUR, 6.0, a=11.0)
    assert book.day(0).resources() == {"a": Moved(10.0, 0.0), "b": Moved(4.0, 0.0)}
    assert book.day(1).resources() == {"a": Moved(1.0, 0.0), "b": Moved(0.0, 4.0)}


MOMENTS = st.floats(0, 253_402_300_799)  # to the end of the year 9999
ANYTHING = st.tuples(MOMENTS, st.floats(), st.none() | MOMENTS, st.none() | MOMENTS)


@given(st.lists(ANYTHING, min_size=1, max_size=12))
def test_no_answer_and_no_clock_makes_it_raise(
    answers: list[tuple[float, float, float | None, float | None]],
) -> None:
    """Any amounts, dates and moments: that would end the exporter. And no number is made up."""
    book = Book()
    for now, net, book.start, book.end in answers:
        book.poll(now, net, per_machine=net, made_up=1.0)
        for usd in (book.windows.on_it, book.windows.day_before, book.windows.twenty_eight_days):
            assert usd is None or (math.isfinite(usd) and usd >= 0)


AMOUNT = st.floats(0, 1e12)
NAMES = st.one_of(st.sampled_from(["cloud_storage", "per_machine", "other"]), st.text(max_size=20))
DAYS = st.builds(
    Day,
    st.integers(0, DAY).map(float),
    st.lists(
        st.builds(
            Entry,
            st.floats(0, 1e10),
            AMOUNT,
            AMOUNT,
            AMOUNT,
            st.dictionaries(NAMES, st.builds(Moved, AMOUNT, AMOUNT), max_size=5),
        ),
        max_size=3,
    ).map(tuple),
)


@given(DAYS)
def test_a_day_is_read_as_it_was_kept(kept: Day) -> None:
    """But for resource types of which nothing was spent."""
    again = unpacked(packed(kept))
    assert again.unknown == kept.unknown
    for after, before in zip(again.entries, kept.entries, strict=True):
        assert after[:4] == before[:4]
        nothing = Moved(0.0, 0.0)
        assert after.by_resource == {n: m for n, m in before.by_resource.items() if m != nothing}


@given(DAYS)
def test_what_windows_need_of_a_day_is_what_it_has(kept: Day) -> None:
    """However it is read."""
    row = packed(kept)
    day = unpacked(row)
    if day.is_unknown:
        assert glance(row) == Glance(None, is_observed=False, types=frozenset())
    else:
        assert glance(row) == Glance(day.spend, day.is_observed, frozenset(day.resources()))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_day_or_none(row: bytes) -> None:
    """Nothing else comes of them."""
    try:
        read = unpacked(row)
    except ValueError:
        return
    assert packed(read)
    assert (glance(row).spend is None) == sound(row).is_unknown


def test_made_up_periods_are_added_to_the_last_one() -> None:
    """Each answer may name another start: nothing grows without end, and no money is lost."""
    book = Book(start=FIRST - 10 * DAY, end=FIRST - 10 * DAY + 1)
    for number in range(300):
        book.start = FIRST + 10 * number
        book.end = book.start + 1
        book.poll(book.start + 5, 2.0)
    assert len(book.day(0).entries) == MOST_PERIODS
    assert round(book.day(0).spend, 6) == 600.0


def test_a_clock_that_leaps_by_thousands_of_years_costs_nothing() -> None:
    """Days that are not there are not looked at one by one."""
    book = Book()
    book.poll(FIRST + HOUR, 1.0)
    book.poll(FIRST + 3_000_000 * DAY, 2.0)
    assert book.windows.known + book.windows.others == IN_MEMORY
    assert book.windows.seven_days is None


@pytest.mark.parametrize("kept", [IN_MEMORY, STORED])
def test_as_many_days_are_kept_as_growth_may_need(kept: int) -> None:
    """The oldest go; of those that are stored, it is known how many are known."""
    book = Book(kept_days=kept)
    for number in range(STORED + 10):
        book.poll(FIRST + number * DAY + HOUR, float(number))
        rows = {n: row for n, row in book.kept.items() if n < day_of(FIRST) + number}
        recent = [unpacked(rows[n]).is_observed for n in sorted(rows)[-kept:]]
        assert (book.windows.known, book.windows.others) == (sum(recent), recent.count(False))
    assert len(book.rows) == IN_MEMORY + 1
    assert max(book.rows) == day_of(FIRST) + STORED + 9
    assert APART < DAY
