"""Numbers and times as people read them, and the history of polls."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.state import history
from exporter.state.history import LENGTH, NEWS, OUTCOMES, PastPoll
from exporter.web.status import formatting
from support.virtual import START


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (-0.0, "$0.00"),
        (-0.001, "$0.00"),
        (1234.5, "$1,234.50"),
        (-60.0, "−$60.00"),  # noqa: RUF001 - a real minus
        (1e300, "$1e+300"),
        (math.nan, "not a number"),
        (-math.inf, "infinite"),
    ],
)
def test_amounts_have_cents(amount: float, text: str) -> None:
    """And a sign that is none of a rounded nothing."""
    assert formatting.usd(amount) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (1.2, "120%"),
        (-0.6, "−60%"),  # noqa: RUF001 - a real minus, as amounts have
        (-0.001, "0%"),
        (1e300, "far above 100%"),
        (-1e300, "far below −100%"),  # noqa: RUF001
    ],
)
def test_shares_have_the_sign_of_amounts(part: float, text: str) -> None:
    """And none of a rounded nothing."""
    assert formatting.share(part) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(1.5, "$1.50"), (1.23456, "$1.23456"), (0.000001, "$0.000001")]
)
def test_amounts_as_received_are_not_rounded_to_cents(amount: float, text: str) -> None:
    """Or nobody could add them up."""
    assert formatting.exact_usd(amount) == text


def test_durations_have_two_units_and_rough_ones_one() -> None:
    """As exact as anybody asks."""
    assert [formatting.span(s) for s in (0, 59, 60, 3599, 90_061, 86_400)] == [
        "0 s",
        "59 s",
        "1 min",
        "59 min 59 s",
        "1 d 1 h",
        "1 d",
    ]
    assert [formatting.ago(s) for s in (-5, 0.4, 61, 7300)] == [
        "0 s ago",
        "0 s ago",
        "1 min ago",
        "2 h ago",
    ]
    assert [formatting.ahead(s) for s in (-1, 0, 90)] == ["now", "now", "in 1 min"]


@given(st.floats())
def test_no_time_and_no_amount_has_no_words(value: float) -> None:
    """An API can send any."""
    for make in (
        formatting.usd,
        formatting.exact_usd,
        formatting.moment,
        formatting.day,
        formatting.iso_time,
    ):
        assert isinstance(make(value), str)


def test_times_are_utc() -> None:
    """For people and machines alike."""
    assert formatting.moment(START) == "2026-11-23 12:00:00 UTC"
    assert formatting.iso_time(START) == "2026-11-23T12:00:00Z"
    assert formatting.day(START) == "2026-11-23"
    assert formatting.moment(1e18) == "1000000000000000000 s after 1970"


@given(st.lists(st.sampled_from(OUTCOMES), max_size=12))
def test_the_last_polls_are_remembered_and_no_more(outcomes: list[str]) -> None:
    """Packed into so few bytes that 30 000 collectors take three megabytes."""
    packed = b""
    for number, outcome in enumerate(outcomes):
        packed = history.add(packed, PastPoll(START + number, 0.5, outcome))
    expected = [PastPoll(START + n, 0.5, outcome) for n, outcome in enumerate(outcomes)]
    assert history.polls(packed) == expected[::-1][:LENGTH]
    assert len(packed) <= 13 * LENGTH


def test_a_poll_that_brought_no_answer_has_failed() -> None:
    """Whatever the cause."""
    failed = [outcome for outcome in OUTCOMES if PastPoll(0.0, 0.0, outcome).failed]
    assert failed == [*OUTCOMES[2:]]
    assert not PastPoll(0.0, 0.0, NEWS).failed
