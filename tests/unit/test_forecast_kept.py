"""What is kept for the forecast is the same after it was bytes; bytes of another kind are none."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.forecast import kept
from exporter.forecast.expectation import Expectations
from exporter.forecast.forecast import Learned, begin
from exporter.forecast.history import Period
from exporter.forecast.kept import Kept, Middle
from exporter.forecast.record import Record
from exporter.model import ExpectedDay
from exporter.state.day_rows import DAY, UNKNOWN, Day, Entry

FIRST = 20_000  # in days since 1970


def bill(spends: Sequence[float | None]) -> dict[int, Day]:
    """Return days of one period after another, of thirty days each."""
    found = {}
    for number, usd in enumerate(spends):
        period = float((FIRST + number // 30 * 30) * DAY)
        day = Day(0.0, (Entry(period, usd or 0.0, 0.0, 0.0, {}),))
        found[FIRST + number] = UNKNOWN if usd is None else day
    return found


def period_of(number: int) -> Period:
    """Return the period of a day."""
    start = FIRST + (number - FIRST) // 30 * 30
    return Period(float(start * DAY), float((start + 30) * DAY))


def kept_after(learned: Learned, spends: Sequence[float | None], first: int = 0) -> Kept:
    """Return what is kept after these days, each of which was begun from `first` on."""
    days = bill(spends)
    for number in range(FIRST + first, FIRST + len(spends) + 1):
        begun = begin(learned, days, number, period_of(number))
    return Kept(*begun, *packed(learned), Middle(is_past=False))


def packed(learned: Learned) -> tuple[bytes, bytes]:
    """Return what was learned as bytes."""
    return learned.record.packed(), learned.said.packed()


amounts = st.one_of(st.none(), st.floats(0, 1e6), st.just(0.0), st.just(10.0))


@given(st.lists(amounts, min_size=1, max_size=70), st.integers(0, 70))
@settings(max_examples=40)
def test_a_record_that_was_bytes_goes_on_as_if_it_had_not_been(
    spends: list[float | None], at: int
) -> None:
    """Whenever that happens: the same weights, errors and bounds, to the last bit."""
    at = min(at, len(spends))
    whole = kept_after(Learned.nothing(), spends)
    before = Learned.nothing()
    kept_after(before, spends[:at])
    record, said = packed(before)
    again = Learned(Record.unpacked(record), Expectations.unpacked(said))
    assert packed(again) == (record, said)
    assert kept_after(again, spends, at) == whole


@given(
    st.lists(amounts, min_size=1, max_size=40),
    st.booleans(),
    st.one_of(st.none(), st.floats(-1e9, 1e9)),
    st.dictionaries(st.text(max_size=5).filter(lambda name: name.isprintable()), st.floats(0, 9)),
    st.booleans(),
)
@settings(max_examples=40)
def test_what_is_kept_comes_back_whole(
    spends: list[float | None],
    is_past: bool,  # noqa: FBT001 - as it is drawn
    usd: float | None,
    types: dict[str, float],
    is_learning: bool,  # noqa: FBT001
) -> None:
    """With the days that were expected, and the forecast of the period's middle."""
    made = kept_after(Learned.nothing(), spends)
    outlook = made.outlook._replace(
        day_before=ExpectedDay(3.0, 9.0, ExpectedDay.packed(types)), on_it=None
    )
    whole = made._replace(
        outlook=outlook, middle=Middle(is_past, usd), past_error=usd, is_learning=is_learning
    )
    again = kept.unpacked(whole.packed())
    assert again is not None
    assert again.packed() == whole.packed()
    assert again.middle == whole.middle
    assert (again.past_error, again.is_learning) == (usd, is_learning)
    assert again.outlook.day_before == outlook.day_before
    assert again.outlook.day_before is not None
    assert again.outlook.day_before.by_resource == types
    assert again.basis == whole.basis._replace(
        methods={name: tuple(days) for name, days in whole.basis.methods.items()}
    )


@pytest.mark.parametrize("bad", [b"", b"x", b"\0" * 500])
def test_bytes_of_another_kind_are_nothing(bad: bytes) -> None:
    """As of a release with other methods: what was learned from its days is learned again."""
    whole = kept_after(Learned.nothing(), [10.0] * 40).packed()
    form = struct.pack("<I", kept.FORM ^ 1)
    for each in (bad, form + whole[4:], whole[:50]):
        assert kept.unpacked(each) is None
    with pytest.raises(ValueError, match="not a record"):
        Record.unpacked(bad[:5])
