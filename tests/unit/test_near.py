"""What somebody meant who mistyped a name."""

from __future__ import annotations

import pytest

from exporter.base.near import did_you_mean, near

NAMES = ["Bramblewick Logistics", "Kestrelmoor Surveys", "Kestrelmoor Labs", "Ørnefjell Inspection"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Bramblewik", ["Bramblewick Logistics"]),
        ("bramblewick logistic", ["Bramblewick Logistics"]),
        ("kestrelmoor", ["Kestrelmoor Surveys", "Kestrelmoor Labs"]),
        ("ØRNEFJEL", ["Ørnefjell Inspection"]),
        ("Quillback", []),
        ("", []),
        ("x" * 100_000, []),
    ],
)
def test_only_what_is_close_was_meant(typed: str, meant: list[str]) -> None:
    """By a few letters, in any case; the beginning of a name is enough."""
    assert [*near(typed, NAMES)] == meant


def test_not_many_are_named() -> None:
    """A fleet may have hundreds that begin alike."""
    assert len(near("robot", [f"Robot {number}" for number in range(100)])) == 3


def test_the_question_names_them() -> None:
    """And is none without a name."""
    assert did_you_mean(["a", "b"]) == "did you mean a or b?"
    assert did_you_mean([]) == ""
