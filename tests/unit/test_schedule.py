"""What is due when."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.base.timing import MIN_STALE, Deadlines
from exporter.polling.schedule import Schedule, Unit, phase


def units(count: int) -> list[Unit]:
    """Return this many units of as many organizations."""
    return [Unit(f"org-{n}", "usage") for n in range(count)]


def take_all(schedule: Schedule, now: float) -> list[Unit]:
    """Take what is due."""
    taken = []
    while (unit := schedule.take(now)) is not None:
        taken.append(unit)
    return taken


def test_new_units_are_due_at_once() -> None:
    """The first round of polls waits for nothing."""
    schedule = Schedule()
    schedule.replace(dict.fromkeys(units(5), 60.0), now=100.0)
    assert take_all(schedule, 100.0) == units(5)
    assert schedule.next_due() == math.inf


def test_from_the_second_round_on_polls_are_spread() -> None:
    """Ten thousand organizations do not fire together: each tenth of the interval has a tenth."""
    schedule = Schedule()
    schedule.replace(dict.fromkeys(units(10_000), 600.0), now=0.0)
    for unit in take_all(schedule, 0.0):
        schedule.done(unit, 1.0)
    for tenth in range(1, 11):
        taken = take_all(schedule, 1.0 + tenth * 60.0)
        assert 850 < len(taken) < 1150


def test_a_unit_keeps_its_interval_and_its_phase() -> None:
    """However long a poll takes, the next one is at the organization's own place."""
    schedule = Schedule()
    (unit,) = units(1)
    schedule.replace({unit: 60.0}, now=0.0)
    assert schedule.take(0.0) == unit
    schedule.done(unit, 3.0)
    first = schedule.next_due()
    assert 3.0 < first <= 63.0
    assert schedule.take(first) == unit
    schedule.done(unit, first + 5.0)
    assert schedule.next_due() == first + 60.0
    assert first % 60.0 == phase(unit.org_id) * 60.0


def test_a_slow_poll_does_not_overlap_with_the_next() -> None:
    """A unit that was taken is not due until it is done; turns it missed are not made up for."""
    schedule = Schedule()
    (unit,) = units(1)
    schedule.replace({unit: 60.0}, now=0.0)
    assert schedule.take(0.0) == unit
    assert schedule.take(1_000.0) is None
    schedule.done(unit, 1_000.0)
    due = schedule.next_due()
    assert 1_000.0 < due <= 1_060.0


def test_a_change_keeps_the_turn_of_those_who_stay() -> None:
    """New units are due at once, removed ones never again, the others when they would have been."""
    schedule = Schedule()
    a, b, c = units(3)
    schedule.replace({a: 60.0, b: 60.0}, now=0.0)
    for unit in take_all(schedule, 0.0):
        schedule.done(unit, 0.0)
    schedule.replace({b: 60.0, c: 60.0}, now=0.0)
    assert take_all(schedule, 0.0) == [c]
    schedule.done(c, 0.0)
    assert sorted(take_all(schedule, 60.0)) == [b, c]


def test_a_shorter_interval_counts_from_now() -> None:
    """Who is polled hourly and is now to be polled by the minute does not wait for the hour."""
    schedule = Schedule()
    (unit,) = units(1)
    schedule.replace({unit: 3600.0}, now=0.0)
    schedule.done(unit, 0.0) if schedule.take(0.0) else None
    schedule.replace({unit: 60.0}, now=0.0)
    due = schedule.next_due()
    assert due <= 60.0


def test_what_is_removed_while_it_is_polled_does_not_come_back() -> None:
    """Nor is one that is removed and added again polled twice at once."""
    schedule = Schedule()
    a, b = units(2)
    schedule.replace({a: 60.0, b: 60.0}, now=0.0)
    assert take_all(schedule, 0.0) == [a, b]
    schedule.replace({}, now=1.0)
    schedule.replace({b: 60.0}, now=2.0)
    assert schedule.take(1_000.0) is None
    schedule.done(a, 3.0)
    schedule.give_back(b, 3.0)
    assert take_all(schedule, 1_000.0) == [b]


@given(
    st.lists(st.floats(0.5, 100.0), min_size=1, max_size=8),
    st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.0, 30.0)), max_size=40),
)
@settings(max_examples=200)
def test_nobody_starves(intervals: list[float], steps: list[tuple[float, float]]) -> None:
    """Whatever polls take, each unit that is not being polled is due within its interval."""
    schedule = Schedule()
    wanted = dict(zip(units(len(intervals)), intervals, strict=True))
    schedule.replace(wanted, now=0.0)
    now = 0.0
    done_at: dict[Unit, float] = {}
    for wait, work in steps:
        now += wait
        for unit in take_all(schedule, now):
            if unit in done_at:
                assert now > done_at[unit]
            schedule.done(unit, now + work)
            done_at[unit] = now + work
        now += work
        due = schedule.next_due()
        assert due <= min(at + wanted[unit] for unit, at in done_at.items()) + 1e-6


keys = st.integers(0, 5)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), keys, st.floats(0.0, 100.0)),
            st.tuples(st.just("discard"), keys, st.just(0.0)),
            st.tuples(st.just("take"), st.just(0), st.floats(0.0, 100.0)),
        ),
        max_size=300,
    )
)
def test_deadlines_are_those_of_a_plain_table(steps: list[tuple[str, int, float]]) -> None:
    """The next is the smallest time there is, whatever was set over, taken or discarded."""
    deadlines: Deadlines[int] = Deadlines()
    table: dict[int, float] = {}
    for step, key, at in steps:
        if step == "set":
            deadlines.set(key, at)
            table[key] = at
        elif step == "discard":
            deadlines.discard(key)
            table.pop(key, None)
        else:
            taken = deadlines.take(at)
            first = min(table.values(), default=math.inf)
            assert (taken is None) == (first > at)
            assert taken is None or table.pop(taken) == first
        assert deadlines.next() == min(table.values(), default=math.inf)
        assert len(deadlines) == len(table)
        assert deadlines.get(key) == table.get(key)


def test_equal_deadlines_come_in_the_order_in_which_they_were_set() -> None:
    """Nobody is passed over for ever."""
    deadlines: Deadlines[str] = Deadlines()
    for key in "badc":
        deadlines.set(key, 1.0)
    assert [deadlines.take(1.0) for _ in range(5)] == ["b", "a", "d", "c", None]


def test_a_deadline_set_again_and_again_takes_no_memory() -> None:
    """However often, and in whichever direction."""
    deadlines: Deadlines[str] = Deadlines()
    for at in range(10_000):
        deadlines.set("a", 1e6 - at)
        deadlines.set("b", at)
        assert len(deadlines._heap) <= 2 * len(deadlines) + MIN_STALE
