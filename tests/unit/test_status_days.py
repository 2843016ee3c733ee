"""Pictures of the last days: what the ledger has of each, drawn and in words."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from exporter.state.day_rows import NOTHING, UNKNOWN, Day
from exporter.web.status.bars import HEIGHT, PITCH, bars
from support.ledgers import TODAY, day, with_days
from support.reader import organization
from support.status import page, state, status


def places(path: str) -> list[int]:
    """Return which days, from 0 on, the bars of a path are of."""
    return [int(x) // PITCH for x in re.findall(r"M(\d+) ", path)]


def test_each_kind_of_day_is_drawn_its_own_way() -> None:
    """Spend above the line and corrections below it, on one scale; nothing is no bar."""
    days = [day(30.0), UNKNOWN, day(10.0, estimated=8.0), day(20.0, 10.0), NOTHING, day(15.0)]
    drawn = bars([*enumerate(days, start=100)], spikes={105})
    base = HEIGHT * 3 // 4
    assert drawn.base == base
    assert drawn.observed == f"M2 {base}V0M14 {base}V24"
    assert drawn.unknown == f"M6 0V{HEIGHT}"
    assert drawn.estimated == f"M10 {base}V48"
    assert drawn.corrections == f"M14 {base}V{HEIGHT}"
    assert drawn.spikes == f"M22 {base}V36"
    assert drawn.width == len(days) * PITCH


def test_the_words_have_what_is_drawn() -> None:
    """For those who do not see it."""
    days = [day(30.0), UNKNOWN, day(10.0, estimated=8.0), day(20.0, 10.0), NOTHING, day(15.0)]
    drawn = bars([*enumerate(days, start=TODAY - 6)], spikes={TODAY - 1})
    assert drawn.words == (
        "2026-11-17 to 2026-11-22: $75.00 spent on 5 days, 1 unknown; "
        "most on 2026-11-17: $30.00; 1 day estimated; corrections of $10.00; "
        "spikes on 2026-11-22"
    )
    assert bars([(TODAY, NOTHING)]).words == "2026-11-23 to 2026-11-23: $0.00 spent"
    shared = day(10.0, estimated=10.0)
    assert bars([(TODAY - 1, shared), (TODAY, shared)]).words == (
        "2026-11-22 to 2026-11-23: $20.00 spent; all of it estimated"
    )
    assert bars([(TODAY, UNKNOWN)]).words == "2026-11-23 to 2026-11-23: no day is known"


AMOUNTS = st.floats(0, 1e15)


@given(st.lists(st.builds(day, AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=28))
def test_whatever_was_spent_is_seen_and_inside(days: list[Day]) -> None:
    """The least amount has a bar, and the largest one fits."""
    drawn = bars([*enumerate(days)])
    spent = sorted(places(drawn.observed) + places(drawn.estimated))
    assert spent == [n for n, each in enumerate(days) if each.spend]
    assert places(drawn.corrections) == [n for n, each in enumerate(days) if each.corrections]
    for path in (drawn.observed, drawn.estimated, drawn.corrections):
        for start, end in re.findall(r"M\d+ (\d+)V(\d+)", path):
            assert start != end
            assert 0 <= int(end) <= HEIGHT


def test_the_status_page_has_the_last_28_whole_days_of_each_organization() -> None:
    """Not today, which is not over, and none older; their sum only if all are known."""
    days = {ago: day(2.0) for ago in range(40)}
    html = status(with_days(days))
    cell = html.row("Acme")[4]
    assert cell.startswith("2026-10-26 to 2026-11-22: $56.00 spent; most on ")
    assert cell.endswith(" $56.00")
    drawn = [path for name, path in html.attributes if name == "d" and path.startswith("M2 ")]
    assert [places(path) for path in drawn] == [[*range(28)]]
    del days[5]
    cell = status(with_days(days)).row("Acme")[4]
    assert ": $54.00 spent on 27 days, 1 unknown; most on " in cell
    assert cell.endswith("2026-10-26: $2.00")


def test_there_is_no_picture_of_days_that_are_withdrawn() -> None:
    """But the word for it; nor without any answer."""
    assert status(with_days({1: day(2.0)}, received=-1e6)).row("Acme")[4] == "withdrawn"
    never = state(organization("a", name="Acme", max_age=3600.0))
    assert status(never).row("Acme")[4] == "unknown"


def test_organizations_sort_by_what_the_days_cost() -> None:
    """The largest first; where not all are known there is no sum to sort by."""
    little = with_days({ago: day(1.0) for ago in range(30)})
    much = with_days({ago: day(2.0) for ago in range(30)})
    some = with_days({1: day(9.0)})
    known = [
        each._replace(organization=organization(name, name=name, max_age=3600.0))
        for name, each in (("some", some), ("little", little), ("much", much))
    ]
    assert status(*known, sort="-days").column() == ["much", "little", "some"]


def test_the_page_of_an_organization_has_the_same_picture() -> None:
    """Above the table of days."""
    html = page(with_days({ago: day(2.0) for ago in range(40)}))
    assert "2026-10-26 to 2026-11-22: $56.00 spent" in html.text


def test_without_a_known_day_an_organization_has_no_picture() -> None:
    """There is nothing to see in it; the table says of each day that it is unknown."""
    html = page(with_days({}))
    assert "no day is known" not in html.text
    assert "Spend per day" in html.text
