"""What printed sheets say at their edges: names of others are text there, too."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.tool.report import sheets
from support.months import NOW
from support.reports import report, stale, usual


@given(st.text())
def test_text_never_ends_its_string_or_the_style(what: str) -> None:
    """Whatever it is: quotes, tags, line ends and escapes are numbers in it."""
    found = sheets.text(what)
    assert re.fullmatch(r'"(?:[A-Za-z0-9 ,.:-]|\\[0-9a-f]+ )*"', found)


def test_a_text_is_what_it_was() -> None:
    """A number ends with a space, which is none of the text."""
    assert sheets.text("Söhne & Co: 1") == '"S\\f6 hne \\26  Co: 1"'


def test_sheets_are_those_of_each_organization() -> None:
    """A report of one has the same on all sheets."""
    months = report([usual(), stale()]).months
    several = sheets.style(months, "November 2026", NOW, is_one=False)
    assert several.count("@page") == 3
    assert "#organization-2, footer { page: organization-2; }" in several
    one = sheets.style(months[:1], "November 2026", NOW, is_one=True)
    assert one == (
        '@page { @top-left { content: "Acme Robotics: Viam bill, November 2026"; } '
        '@bottom-left { content: "As of 2026-11-23 12:00:00 UTC"; } }\n'
    )


def test_a_long_name_is_cut() -> None:
    """There is one line for it."""
    (month,) = report([stale()]).months
    month = replace(month, whole=month.whole.model_copy(update={"org_name": "x" * 61}))
    css = sheets.style([month], "November 2026", NOW, is_one=True)
    assert f'"{"x" * 59}\\2026 : Viam bill' in css
