"""Days of the ledger as programs get them."""

from __future__ import annotations

import pytest

from exporter.state.day_rows import UNKNOWN, Day, Entry, Moved
from exporter.state.listing import number_of, plain, text_of


def test_a_day_of_two_periods() -> None:
    """The amounts of both are added, and a type that only fell is listed, too."""
    day = Day(
        3600.0,
        (
            Entry(1.0, 2.5, 0.0, 0.5, {"binary_egress": Moved(2.0, 0.0)}),
            Entry(2.0, 1.25, 4.0, 0.0, {"binary_egress": Moved(1.5, 0.0), "log": Moved(0.0, 3.0)}),
        ),
    )
    assert plain(20_000, day) == {
        "date": "2024-10-04",
        "spend_usd": 3.75,
        "corrections_usd": 4.0,
        "estimated_usd": 0.5,
        "unknown_seconds": 3600.0,
        "resources": {"binary_egress": 3.5, "log": 0.0},
        "resource_corrections": {"log": 3.0},
    }


def test_an_unknown_day_has_no_amounts() -> None:
    """Not even 0."""
    assert plain(0, UNKNOWN) == {
        "date": "1970-01-01",
        "spend_usd": None,
        "corrections_usd": None,
        "estimated_usd": None,
        "unknown_seconds": 86_400.0,
        "resources": None,
        "resource_corrections": None,
    }


@pytest.mark.parametrize("number", [0, 1, 20_000, 2_932_896])
def test_a_date_is_read_as_it_is_written(number: int) -> None:
    """Up to the end of the calendar."""
    assert number_of(text_of(number)) == number


@pytest.mark.parametrize("text", ["", "2026-13-01", "20261123", "2026-W48-1", "2026-1-1", "soon"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Whatever else the calendar's standard allows."""
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        number_of(text)
