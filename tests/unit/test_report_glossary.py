"""Words of a bill that people who pay do not know are explained where they are."""

from __future__ import annotations

import pytest

from exporter.tool.parts import BY
from exporter.tool.report import pages
from exporter.tool.report.glossary import MEANINGS, explained
from support.reports import TYPES, month, new, of_many_lines, report, usual
from support.status import Html


def test_what_is_in_a_bill_is_explained_and_nothing_else() -> None:
    """Each word once."""
    text = explained(month(usual()).made_of)
    assert text.count('"Egress"') == 1
    assert '"Fragment"' in text
    assert '"no tier"' in text
    assert "Compute" not in text
    assert text in Html.of(pages.html(report([usual()]))).text


def test_a_table_that_is_not_there_needs_no_words() -> None:
    """Nor does a month of which nothing is known."""
    assert explained({}) == ""
    one_source = {"source": month(of_many_lines()).made_of["source"]}
    assert explained(one_source) == ""


@pytest.mark.parametrize("word", MEANINGS["resource"])
def test_every_word_is_in_the_name_of_a_type(word: str) -> None:
    """One that the billing API does not use would be explained to nobody."""
    assert any(word in name for name in TYPES)


def test_each_way_to_break_down_has_words() -> None:
    """In the order of the tables."""
    assert [*MEANINGS] == [*BY]


@pytest.mark.parametrize("word", ["API", "ledger", "answer"])
def test_the_report_has_no_words_of_programmers(word: str) -> None:
    """Whoever pays reads it."""
    for of in (report([usual()]), report([usual()], "2026-10"), report([new()])):
        assert word not in Html.of(pages.html(of)).text
