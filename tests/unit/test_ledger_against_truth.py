"""The ledger and the counters against a truth that is worked out the long way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.compared import Compared
from support.truth import DAY
from support.virtual import run

HOUR = 3600.0
FIRST = 20_000.0 * DAY  # a midnight


OF_THE_EXPORTER = ("kill", "restart", "rename", "off and on", "leave")
GROWS = ("grow", "part", "shifted", "undated", *OF_THE_EXPORTER)


class Event(NamedTuple):
    """What happens, to the bill or to the exporter, and for how long nothing else does."""

    seconds: float
    what: str
    usd: float


@dataclass
class Bill:
    """What the API knows. Periods follow each other; it names the next one a little late."""

    start: float
    length: float
    end: float | None  # how long before the next start a period is said to end; None: not at all
    late: float
    is_dated: bool  # if not, only in the second half of each period
    net: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)

    def begin(self, start: float, net: float = 0.0) -> None:
        """Begin a period."""
        self.start, self.net, self.costs = start, net, {}

    def answer(
        self, event: Event, now: float
    ) -> tuple[float | None, float | None, float | None, dict[str, float]]:
        """Return month to date, start, end and costs as the API says them."""
        what, usd = event.what, event.usd
        ended = (now - self.late - self.start) // self.length
        if ended > 0:
            self.begin(self.start + ended * self.length)
        if what in GROWS:
            self.net += usd
            self.costs["remote_control"] = self.costs.get("remote_control", 0.0) + usd
        elif what == "fall":
            self.net -= usd / 2
            self.costs["standard_compute"] = usd
        elif what == "below":
            self.net = -usd
        elif what == "sooner":
            self.begin(now - event.seconds / 3, usd)
        odd = {"nan": math.nan, "infinite": -math.inf, "too large": 1e12, "no sources": None}
        shift = min(self.length / 11, 0.9 * DAY) * (1 if usd > 2500 else -1)
        start = {
            "undated": None,
            "behind": self.start - self.length,
            "shifted": self.start + shift if self.start + shift < now else self.start,
        }.get(what, self.start)
        if not (self.is_dated or now > self.start + self.length / 2):
            start = None
        end = None
        if self.end is not None and self.end < self.length:
            end = self.start + self.length - self.end
        part = {"standard_compute": math.nan} if what == "part" else {}
        return odd.get(what, self.net), start, end, self.costs | part


async def befall(told: Compared, event: Event) -> None:
    """Let something happen to the exporter."""
    own = told.organization
    if event.what == "kill" and told.kept:
        await told.kill(int(event.usd) % len(told.kept))
    elif event.what == "restart" and told.kept:
        await told.kill(-1)
    elif event.what == "rename":
        told.organization = replace(own, name=f"Acme {event.usd}")
        await told.configure(told.organization)
    elif event.what == "off and on":
        await told.configure(own, collectors=["billing_information"])
    elif event.what == "leave":
        await told.configure()


async def happen(told: Compared, bill: Bill, event: Event) -> None:
    """Let something happen, time pass, and the API answer."""
    await befall(told, event)
    told.clock.now += event.seconds
    if event.what in ("off and on", "leave"):
        await told.configure(told.organization)
    net, start, end, costs = bill.answer(event, told.clock.now)
    await told.answer(net, start, end, **costs)


WHAT = (
    *(["grow"] * 6),
    *(["same"] * 3),
    *(["fall"] * 3),
    *("below", "nan", "infinite", "too large", "part", "no sources"),
    *("undated", "shifted", "behind", "sooner"),
    *OF_THE_EXPORTER,
)
HOURS = (1 / 60, 0.25, 1.0, 5.0, 7.0, 12.0, 24.0, 84.0, 480.0, 1680.0)
USD = st.integers(1, 500_000).map(lambda cents: cents / 100)


def events(at_most: float) -> st.SearchStrategy[Event]:
    """Return events with at most so many hours between them."""
    seconds = [hours * HOUR for hours in HOURS if hours <= at_most]
    return st.builds(Event, st.sampled_from(seconds), st.sampled_from(WHAT), USD)


EVENTS = events(math.inf)
BILLS = st.builds(
    Bill,
    st.integers(0, 40 * 48).map(lambda halves: FIRST - halves * HOUR / 2),
    st.sampled_from([1.0, 7.0, 28.0, 30.0, 31.0, 365.0]).map(lambda days: days * DAY),
    st.sampled_from([None, 0.0, 1.0, float(DAY)]),
    st.sampled_from([0.0, 0.0, 2 * HOUR, 20 * HOUR]),
    st.sampled_from([True, True, True, False]),
)
# No answer comes at the very start of a period, of which it could be either.
FIRST_ANSWERS = st.integers(0, 3 * 1440).map(lambda minutes: FIRST + 60 * minutes + 7.25)


@pytest.mark.long
@settings(max_examples=200)
@given(BILLS, FIRST_ANSWERS, st.lists(EVENTS, min_size=1, max_size=30))
def test_the_ledger_is_what_the_answers_say(bill: Bill, first: float, events: list[Event]) -> None:
    """Whatever order growth, falls, gaps, ends of periods, kills and reloads come in."""

    async def story() -> None:
        told = Compared(first)
        await told.configure(told.organization)
        for event in events:
            await happen(told, bill, event)
            told.check()
        told.check_windows()

    run(story())


# Also beyond the days in memory, which are the ones that can be added to.
LEAPS = st.sampled_from(
    [-400 * DAY, -70 * DAY, -50 * DAY, -DAY, -HOUR, -60.0, 0.0, 60.0, HOUR, 3 * DAY, 10 * DAY]
)
LEAPS_AND_EVENTS = st.lists(st.tuples(LEAPS, events(84.0)), min_size=1, max_size=20)


# Back by more than a year, and on to a day that was not the last one then: twice.
TWICE = [
    (leap, Event(seconds, "grow", 0.01))
    for leap, seconds in (
        *((-50 * DAY, 60.0), (-400 * DAY, float(DAY)), (10 * DAY, 60.0)),
        *((-400 * DAY, 60.0), (10 * DAY, 60.0)),
    )
]


@pytest.mark.long
@example(Bill(FIRST, 7 * DAY, None, 0.0, True), FIRST + 7.25, TWICE)
@given(BILLS, FIRST_ANSWERS, LEAPS_AND_EVENTS)
def test_a_clock_that_jumps_loses_and_doubles_nothing(
    bill: Bill, first: float, events: list[tuple[float, Event]]
) -> None:
    """Both ways, by minutes or weeks: counters and periods come to what the answers say."""

    async def story() -> None:
        told = Compared(first)
        await told.configure(told.organization)
        for leap, event in events:
            if event.what in ("rename", "restart", "off and on", "leave"):
                await befall(told, event)
                await told.configure(told.organization)
            true_time = told.clock.now + event.seconds
            told.clock.now = true_time + leap
            net, start, end, costs = bill.answer(event, true_time)
            await told.answer(net, start, end, **costs)
            told.clock.now = true_time
            told.check_sums()
            told.check_shown()

    run(story())
