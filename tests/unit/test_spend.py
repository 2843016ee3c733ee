"""The spend counters: the rule for each case of docs/adr/0009."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.extract.usage import Totals, Usage
from exporter.model import Spend, Tally
from exporter.state.spend import (
    MAX_RESOURCE_TYPES,
    REST,
    TOO_LARGE,
    Change,
    advance,
    after_a_kill,
    is_settled,
    period_end,
    restored,
    without_answer,
)
from support import usages

HOUR, DAY = 3600.0, 86_400.0
JULY, AUGUST, SEPTEMBER = 20_000 * DAY, 20_031 * DAY, 20_062 * DAY
NOW = SEPTEMBER + DAY


def usage(net: float, start: float | None = JULY, **costs: float) -> Usage:
    """Return an answer of July, unless told."""
    return usages.usage(net, start, **costs)


def after(*answers: Usage) -> Spend:
    """Return the counters after these answers."""
    spend = None
    for answer in answers:
        spend = advance(spend, answer, NOW).spend
    assert spend is not None
    return spend


def counted(*answers: Usage) -> tuple[float, float]:
    """Return spend and corrections of month to date after these answers."""
    tally = after(*answers).month_to_date
    return tally.spend, tally.corrections


def resource(name: str, *answers: Usage) -> tuple[float, float]:
    """Return spend and corrections of a resource type after these answers."""
    tally = after(*answers).by_resource[name]
    return tally.spend, tally.corrections


def test_first_sight_sets_the_baseline_and_counts_nothing() -> None:
    """What was spent before anybody looked is nobody's increase."""
    assert counted(usage(500.0)) == (0.0, 0.0)
    assert resource("a", usage(500.0, a=500.0)) == (0.0, 0.0)


def test_growth_is_spend() -> None:
    """By as much as it grew."""
    assert counted(usage(10.0), usage(12.5), usage(20.0)) == (10.0, 0.0)


def test_a_credit_is_a_correction_and_no_spend() -> None:
    """Once a second answer confirms it; nor is what is spent after it counted twice."""
    assert counted(usage(10.0), usage(4.0)) == (0.0, 0.0)
    assert counted(usage(10.0), usage(4.0), usage(4.0), usage(9.0)) == (5.0, 6.0)


def test_a_fall_that_is_taken_back_was_none() -> None:
    """An answer from a replica that lags, for one. What is larger than before is growth."""
    assert counted(usage(10.0), usage(4.0), usage(10.0), usage(4.0), usage(12.0)) == (2.0, 0.0)


def test_a_fall_counts_down_to_the_larger_of_two_answers() -> None:
    """What the second has fallen further has yet to be confirmed."""
    assert counted(usage(10.0), usage(4.0), usage(7.0)) == (0.0, 3.0)
    assert counted(usage(10.0), usage(7.0), usage(4.0)) == (0.0, 3.0)
    assert counted(usage(10.0), usage(7.0), usage(4.0), usage(5.0)) == (0.0, 5.0)
    assert counted(usage(10.0), usage(7.0), usage(4.0), usage(9.0)) == (2.0, 3.0)


def test_an_answer_that_cannot_be_counted_confirms_nothing() -> None:
    """Nor does it take a fall back."""
    assert counted(usage(10.0), usage(4.0), usage(math.nan)) == (0.0, 0.0)
    assert counted(usage(10.0), usage(4.0), usage(math.nan), usage(4.0)) == (0.0, 6.0)


def test_a_new_period_counts_whole() -> None:
    """From 0, whatever the old one ended with."""
    assert counted(usage(100.0), usage(130.0), usage(7.0, AUGUST)) == (37.0, 0.0)


def test_a_new_period_that_begins_below_zero_is_a_correction() -> None:
    """A credit on the first day, once it is confirmed."""
    assert counted(usage(100.0), usage(-5.0, AUGUST), usage(-5.0, AUGUST)) == (0.0, 5.0)


def test_starts_that_are_less_than_a_tenth_of_a_period_apart_are_of_one() -> None:
    """At most a day: an API may correct the hour, or say it in another time zone."""
    july = replace(usage(100.0), period_end=JULY + 10 * HOUR)
    assert counted(july, usage(110.0, JULY + HOUR - 1), usage(120.0, JULY)) == (20.0, 0.0)
    assert counted(july, usage(110.0, JULY + HOUR)) == (110.0, 0.0)
    assert counted(july, usage(110.0, JULY - HOUR + 1)) == (10.0, 0.0)
    assert counted(july, usage(110.0, JULY - HOUR)) == (0.0, 0.0)
    long = replace(usage(100.0), period_end=AUGUST)
    assert counted(long, usage(110.0, JULY + DAY - 1)) == (10.0, 0.0)
    assert counted(long, usage(110.0, JULY + DAY)) == (110.0, 0.0)
    assert counted(usage(100.0), usage(110.0, JULY + DAY - 1)) == (10.0, 0.0)


def test_starts_are_compared_with_the_first_one_of_the_period() -> None:
    """One that moves a little with each answer cannot carry a period along for ever."""
    long = replace(usage(100.0), period_end=AUGUST)
    assert counted(long, usage(110.0, JULY + 20 * HOUR), usage(120.0, JULY + 23 * HOUR)) == (
        20.0,
        0,
    )
    assert counted(long, usage(110.0, JULY + 20 * HOUR), usage(5.0, JULY + 40 * HOUR)) == (15.0, 0)


def test_an_answer_without_a_start_after_the_end_changes_nothing() -> None:
    """It may be of the next period."""
    july = replace(usage(100.0), period_end=AUGUST)
    undated = usage(5.0, None)
    assert counted(july, undated, undated, usage(7.0, AUGUST)) == (7.0, 0.0)
    early = advance(after(july), usage(101.0, None), AUGUST).spend
    assert early.month_to_date.spend == 1.0


def test_ends_are_as_much_later_as_they_were_before() -> None:
    """An end that names the last day, or its last second, is followed by a start a little later."""
    july = replace(usage(100.0), period_end=AUGUST - DAY)
    august = replace(usage(5.0, AUGUST), period_end=SEPTEMBER - DAY)
    step = advance(after(july), august, NOW, AUGUST)
    assert period_end(step.spend) == SEPTEMBER
    july = replace(july, period_end=AUGUST - DAY - 1)
    assert period_end(advance(after(july), august, NOW, AUGUST).spend) == SEPTEMBER - DAY
    july = replace(july, period_end=AUGUST - 1)
    step = advance(after(july), august, NOW, AUGUST)
    assert period_end(step.spend) == SEPTEMBER - DAY + 1
    exact = replace(usage(5.0, SEPTEMBER), period_end=NOW)
    assert period_end(advance(step.spend, exact, NOW, NOW).spend) == NOW + DAY
    at_once = replace(usage(5.0, SEPTEMBER - DAY), period_end=NOW)
    assert period_end(advance(step.spend, at_once, NOW, NOW).spend) == NOW


def test_a_successor_that_begins_early_says_nothing_about_ends() -> None:
    """Ends stay as much later as one after an end showed: a plan may change in mid-month."""
    july = replace(usage(100.0), period_end=AUGUST - DAY)
    august = replace(usage(5.0, AUGUST), period_end=SEPTEMBER - DAY)
    early = replace(usage(5.0, AUGUST + 10 * DAY), period_end=SEPTEMBER - DAY)
    spend = advance(after(july), august, NOW, AUGUST).spend
    assert period_end(advance(spend, early, NOW, NOW).spend) == SEPTEMBER


def test_an_end_from_before_the_start_was_known_is_none_if_it_is_not_after_it() -> None:
    """Else no start would be near enough to it to be of the same period."""
    undated = replace(usage(100.0, None), period_end=JULY)
    assert counted(undated, usage(110.0), usage(120.0)) == (20.0, 0.0)


def test_the_same_answer_again_may_mean_something() -> None:
    """It confirms a fall; after the end it may be of no known period; or nothing is known yet."""
    july = advance(None, replace(usage(100.0), period_end=AUGUST), JULY + DAY).spend
    assert is_settled(july, JULY + DAY, AUGUST)
    assert not is_settled(july, JULY + DAY, AUGUST + 1)
    assert is_settled(july, AUGUST + 1, AUGUST + 2)
    assert not is_settled(july, AUGUST + 1, AUGUST), "a clock was set back"
    assert not is_settled(after(usage(100.0), usage(90.0)), NOW, NOW + 1)
    assert not is_settled(after(usage(math.nan, None)), NOW, NOW + 1)
    assert not is_settled(after(usage(100.0)), NOW, NOW + 63 * DAY), "too long to spread over"


def test_counters_without_their_answer_go_on_from_when_it_came() -> None:
    """It is kept for when its period has ended. One that is paused goes on from there."""
    kept = without_answer(after(usage(100.0)), JULY + DAY, b"answer")
    assert (kept.paused, kept.held) == (JULY + DAY, b"answer")
    assert without_answer(kept, NOW, b"behind") == kept
    step = advance(kept, usage(110.0), JULY + 3 * DAY)
    assert step.month_to_date == Change(JULY + DAY, 10.0, 0.0)
    assert (step.spend.paused, step.spend.held) == (None, None)
    lost = without_answer(after(usage(100.0)), None, None)
    assert advance(lost, usage(110.0), JULY + 3 * DAY).month_to_date == Change(
        JULY + 3 * DAY, 10.0, 0.0
    )


def test_a_missed_period_counts_what_was_seen() -> None:
    """Nothing is known of August; September counts whole."""
    assert counted(usage(100.0), usage(30.0, SEPTEMBER)) == (30.0, 0.0)


def test_an_earlier_period_counts_nothing() -> None:
    """An answer from behind changes nothing, so that the newer period is not counted again."""
    answers = (usage(100.0), usage(10.0, AUGUST), usage(140.0, JULY), usage(12.0, AUGUST))
    assert counted(*answers) == (12.0, 0.0)


def test_an_unset_start_is_the_same_period() -> None:
    """Also where the first answer had none."""
    assert counted(usage(10.0), usage(12.0, None), usage(13.0)) == (3.0, 0.0)
    assert counted(usage(10.0, None), usage(12.0), usage(5.0, AUGUST)) == (7.0, 0.0)


def test_a_new_label_set_in_a_known_period_counts_whole() -> None:
    """It was not there before: it was 0."""
    assert resource("b", usage(1.0, a=1.0), usage(6.0, a=1.0, b=5.0)) == (5.0, 0.0)


def test_a_label_set_that_vanishes_counts_as_zero_and_may_return() -> None:
    """Gone is a correction once it is confirmed, back is spend."""
    answers = (usage(5.0, b=5.0), usage(0.0), usage(0.0), usage(6.0, b=6.0))
    assert resource("b", *answers) == (6.0, 5.0)
    assert resource("b", *answers[:2], answers[3]) == (1.0, 0.0)


def test_a_withheld_part_keeps_its_baseline() -> None:
    """A NaN is no answer; what follows counts from the last number."""
    answers = (usage(10.0, a=10.0), usage(math.nan, a=math.nan), usage(15.0, a=15.0))
    assert counted(*answers) == (5.0, 0.0)
    assert resource("a", *answers) == (5.0, 0.0)


def test_a_part_withheld_from_the_start_counts_from_its_first_number() -> None:
    """Unless a new period begins meanwhile, which counts whole."""
    assert counted(usage(math.inf), usage(15.0), usage(16.0)) == (1.0, 0.0)
    assert counted(usage(math.inf), usage(15.0, AUGUST)) == (15.0, 0.0)


def test_a_part_withheld_over_a_period_s_end_counts_the_new_period_whole() -> None:
    """The old baseline says nothing about it."""
    assert counted(usage(400.0), usage(math.nan, AUGUST), usage(20.0, AUGUST)) == (20.0, 0.0)


def test_sources_and_tiers_of_one_resource_type_are_one_amount() -> None:
    """A tier that changes in mid-month moves cost from one label to another: no spend."""
    july = usage(3.0)
    low = replace(july, costs={("org", "low", "a"): [3.0]})
    high = replace(july, costs={("org", "high", "a"): [3.5]})
    assert resource("a", low, high) == (0.5, 0.0)


@pytest.mark.parametrize("amount", [1e300, -1e300, TOO_LARGE, -TOO_LARGE])
def test_an_amount_too_large_to_count_counts_as_none(amount: float) -> None:
    """Of either sign: what follows counts from the last amount that was a bill's."""
    answers = (usage(20.0, a=20.0), usage(amount, a=amount), usage(30.0, a=30.0), usage(40.0, a=40))
    assert counted(*answers) == (20.0, 0.0)
    assert resource("a", *answers) == (20.0, 0.0)
    assert counted(*answers[1:]) == (10.0, 0.0)  # its first number is the baseline
    assert counted(usage(20.0), usage(amount, AUGUST), usage(30.0, AUGUST)) == (30.0, 0.0)


def test_a_sum_with_a_part_too_large_to_count_counts_as_none() -> None:
    """Nor does one that only its parts make so large; parts that cancel out tell no bill either."""
    odd = replace(
        usage(20.0),
        costs={("org", "x", "a"): [1e300, 5.0], ("org", "y", "a"): [-1e300]},
        totals={("org", ""): Totals([0.0], [0.0], [1e300, 25.0, -1e300])},
    )
    assert counted(usage(20.0), odd, usage(30.0)) == (10.0, 0.0)
    assert resource("a", usage(20.0, a=1.0), odd, usage(30.0, a=2.0)) == (1.0, 0.0)
    many = replace(usage(20.0), totals={("org", ""): Totals([0.0], [0.0], [9e11, 9e11])})
    assert counted(usage(20.0), many, usage(30.0)) == (10.0, 0.0)


def test_stored_counters_that_took_in_too_much_begin_anew() -> None:
    """As releases before this rule left them. A baseline alone costs no counter."""
    stored = Spend(
        JULY,
        Tally(5.0, 1.0, baseline=1e300),
        {"a": Tally(1e300, 1e300, baseline=30.0), "b": Tally(1.0, 2.0, 3.0)},
    )
    sound = restored(stored)
    assert sound.by_resource == {"a": Tally(), "b": Tally(1.0, 2.0, 3.0)}
    after_two = sound
    for amount in 30.0, 40.0:
        step = advance(after_two, usage(amount, a=amount, b=3.0), NOW)
        after_two = step.spend
    assert after_two.month_to_date == Tally(15.0, 1.0, 40.0)
    assert after_two.by_resource["a"] == Tally(10.0, 0.0, 40.0)


def test_a_start_date_far_ahead_is_none() -> None:
    """Else every answer until then, decades away, would be from behind it and count nothing."""
    far = JULY + 3e9
    answers = (usage(10.0), usage(20.0, far), usage(30.0), usage(5.0, AUGUST), usage(9.0, AUGUST))
    assert counted(*answers) == (29.0, 0.0)
    assert after(usage(10.0, far), usage(12.0)).period_start == JULY
    stored = Spend(far, Tally(5.0, 1.0, 2.0), {})
    assert advance(stored, usage(7.0), NOW, NOW).spend.month_to_date.spend == 10.0


def test_a_clock_that_is_behind_for_a_while_forgets_no_start() -> None:
    """As on a machine without a battery for it: what was stored is judged when it is right."""
    behind = JULY - 1000 * DAY
    spend = restored(after(usage(100.0), usage(130.0)))
    spend = advance(spend, usage(131.0), behind, JULY).spend
    assert spend.period_start == JULY
    spend = advance(spend, usage(7.0, AUGUST), NOW, behind).spend
    assert spend.month_to_date == Tally(38.0, 0.0, 7.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(usage(240.0), (140.0, 30.0), id="growth goes on"),
        pytest.param(usage(20.0, AUGUST), (20.0, 0.0), id="a new period"),
        pytest.param(usage(500.0, AUGUST), (600.0, 0.0), id="more than what was stored: goes on"),
        pytest.param(usage(150.0), (0.0, 0.0), id="a credit meanwhile"),
        pytest.param(usage(math.nan), (0.0, 0.0), id="withheld"),
        pytest.param(usage(7.0, JULY - 31 * DAY), (0.0, 0.0), id="from behind"),
    ],
)
def test_after_a_kill_no_counter_seems_to_have_fallen_from_where_it_was(
    answer: Usage, expected: tuple[float, float]
) -> None:
    """What was shown may be ahead of what is stored: it goes on above that, or from 0."""
    stored = after(usage(130.0), usage(100.0), usage(100.0), usage(200.0))
    assert stored.month_to_date == Tally(100.0, 30.0, 200.0)
    first = after_a_kill(stored, advance(stored, answer, NOW).spend)
    assert (first.month_to_date.spend, first.month_to_date.corrections) == expected
    assert first.period_start == advance(stored, answer, NOW).spend.period_start


def test_after_a_kill_each_counter_begins_anew_by_itself() -> None:
    """One that grew goes on, beside one whose part of the bill fell."""
    stored = after(usage(0.0, a=1.0, b=1.0), usage(9.0, a=5.0, b=6.0))
    answer = usage(9.0, a=8.0, b=2.0, c=1.0)
    first = after_a_kill(stored, advance(stored, answer, NOW).spend)
    assert {name: tally.spend for name, tally in first.by_resource.items()} == {
        "a": 7.0,
        "b": 0.0,
        "c": 1.0,
    }
    assert advance(first, answer, NOW).spend.by_resource["b"] == Tally(0.0, 4.0, 2.0)


CENTS = st.integers(0, 10_000_000).map(lambda cents: cents / 100)


@given(st.lists(st.tuples(CENTS, st.booleans()), min_size=1, max_size=60))
def test_counters_only_grow_and_add_up_to_the_cent(steps: list[tuple[float, bool]]) -> None:
    """Spend less corrections is what the periods came to, less the baseline of first sight."""
    spend: Spend | None = None
    start, expected, last = JULY, 0.0, 0.0
    before = (0.0, 0.0)
    for index, (amount, rollover) in enumerate(steps):
        if rollover and index:
            start += 2 * DAY
            last = 0.0
        first = advance(spend, usage(amount, start), start).spend
        spend = advance(first, usage(amount, start), start).spend  # which confirms
        expected += amount - last if index else 0.0
        last = amount
        tally = spend.month_to_date
        assert tally.spend >= before[0]
        assert tally.corrections >= before[1]
        before = (tally.spend, tally.corrections)
    assert round(before[0] - before[1] - expected, 4) == 0.0


def test_made_up_resource_types_share_one_counter() -> None:
    """The first hundred keep theirs, whoever comes later; no money is lost, no memory grows."""
    first = {f"b{n:03}": 1.0 for n in range(MAX_RESOURCE_TYPES)}
    answers = [usage(0.0, **first)]
    for turn in range(1, 20):
        made_up = {f"a{turn}_{n}": 2.0 for n in range(50)}
        answers += [usage(0.0, **made_up, b000=1.0 + turn)] * 2
        by_resource = after(*answers).by_resource
        assert by_resource.keys() == {*first, REST}
        assert by_resource["b000"] == Tally(spend=turn, baseline=1.0 + turn)
        assert by_resource["b001"] == Tally(corrections=1.0, baseline=0.0)
        assert by_resource[REST] == Tally(spend=100.0, baseline=100.0)


def test_at_first_sight_names_decide_who_shares() -> None:
    """Not the order in which the answer has them."""
    costs = {f"r{n:03}": 1.0 for n in reversed(range(MAX_RESOURCE_TYPES + 5))}
    by_resource = after(usage(0.0, **costs)).by_resource
    assert by_resource.keys() == {f"r{n:03}" for n in range(MAX_RESOURCE_TYPES)} | {REST}
    assert by_resource[REST] == Tally(baseline=5.0)
