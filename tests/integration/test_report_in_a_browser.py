"""Reports in Chromium: on a screen in both themes, on a telephone, and on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from pypdf import PdfReader

from exporter.tool.report import invoice_tables, pages
from exporter.tool.report.months import Report
from support.browser import DESK, PHONE, Theme, document
from support.reports import never_read, new, of_many_lines, report, stale, usual

REPORTS: Final[Mapping[str, Callable[[], Report]]] = {
    "usual": lambda: report([usual()]),
    "new": lambda: report([new()]),
    "fleet": lambda: report([usual(), new(), stale(), never_read()]),
    "lines": lambda: report([of_many_lines()]),
}
# Points: 72 of them are an inch.
PAPERS: Final = {"A4": (595, 842), "Letter": (612, 792)}


@pytest.fixture(params=REPORTS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a file as it comes with a mail."""
    path = tmp_path / f"{request.param}.html"
    path.write_text(pages.html(REPORTS[request.param]()))
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_from_reading_it(file: Path, theme: Theme) -> None:
    """In both themes, by axe-core; the browser complains of nothing and asks for nothing."""
    with document(file, theme=theme) as opened:
        assert opened.obstacles() == ""
        assert opened.complaints == []
        assert opened.requests == [file.as_uri()]
        dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 27)"}[theme]


def test_it_fits_a_telephone(file: Path) -> None:
    """Nothing is moved to the side: the calendar is a list there."""
    with document(file, width=PHONE) as opened:
        assert opened.overflow == 0
        assert opened.hidden == 0


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_long_name_without_spaces_is_broken(width: int, tmp_path: Path) -> None:
    """In titles, tables and the sums that name what they lack: nothing is moved to the side."""
    of = report([usual(), new(), stale(), never_read()])
    names = [each.whole.model_copy(update={"org_name": "W" * 120}) for each in of.months]
    months = [replace(each, whole=whole) for each, whole in zip(of.months, names, strict=True)]
    file = tmp_path / "long.html"
    file.write_text(pages.html(replace(of, months=months)))
    with document(file, width=width) as opened:
        assert (opened.overflow, opened.hidden) == (0, 0)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_prints_black_on_white(file: Path, paper: str, theme: Theme, tmp_path: Path) -> None:
    """On both papers, whatever the theme of the screen; nothing is cut off or lost."""
    with document(file, theme=theme) as opened:
        opened.page.emulate_media(media="print")
        colours = opened.page.evaluate(
            "[...document.querySelectorAll('main *')].map(each => getComputedStyle(each).color)"
        )
        assert set(colours) <= {"rgb(0, 0, 0)", "rgb(68, 68, 68)"}
        assert (
            opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
            == "rgb(255, 255, 255)"
        )
        opened.page.emulate_media()
        printed = tmp_path / "printed.pdf"
        opened.page.pdf(path=printed, format=paper)
        shown = set(re.findall(r"\$[\d,]+\.\d\d", opened.page.inner_text("main")))
    sheets = PdfReader(printed).pages
    for sheet in sheets:
        size = (float(sheet.mediabox.width), float(sheet.mediabox.height))
        assert size == pytest.approx(PAPERS[paper], abs=1)
    text = "".join(sheet.extract_text() for sheet in sheets)
    assert shown <= set(re.findall(r"\$[\d,]+\.\d\d", text))


def test_each_sheet_says_whose_it_is(tmp_path: Path) -> None:
    """One that lies alone is not lost: organization, month, as of, and its number."""
    file, printed = tmp_path / "fleet.html", tmp_path / "printed.pdf"
    file.write_text(pages.html(REPORTS["fleet"]()))
    with document(file, width=DESK) as opened:
        opened.page.pdf(path=printed, format="A4")
    texts = [" ".join(sheet.extract_text().split()) for sheet in PdfReader(printed).pages]
    names = ["Quillback <Harvesting> & Söhne", "Acme Robotics", "Barrel Mapping"]
    titles = ["Viam bills", *(f"{name}: Viam bill" for name in names)]
    seen = [0]
    for number, text in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in text
        (place,) = [
            place
            for place, title in enumerate(titles)
            if f"{title}, November 2026" in text
            and f"As of 2026-11-2{0 if place == 1 else 3}" in text
        ]
        seen.append(place)
    # One after another; the footer is not a sheet of its own.
    assert sorted(seen) == seen
    assert {*seen} == {*range(len(titles))}


def test_a_table_that_goes_on_has_its_head_again_and_no_row_is_broken(tmp_path: Path) -> None:
    """Two hundred invoices take several sheets."""
    file = tmp_path / "lines.html"
    of = report([of_many_lines()])
    file.write_text(pages.html(of))
    printed = tmp_path / "printed.pdf"
    with document(file, width=DESK) as opened:
        opened.page.pdf(path=printed, format="A4")
    texts = [sheet.extract_text() for sheet in PdfReader(printed).pages]
    rows = [re.findall(r"^INV-\d{4}.*$", text, re.MULTILINE) for text in texts]
    with_bills = [number for number, found in enumerate(rows) if found]
    assert len(with_bills) > 1
    for number in with_bills:
        assert "Dated" in texts[number]
        # A row is on one line with its amount, so none is torn.
        assert all(re.search(r"\$[\d,]+\.\d\d$", row) for row in rows[number])
    (one,) = of.months
    owed = sum(each.unpaid for each in one.whole.invoices or ())
    assert sum(map(len, rows)) == owed + invoice_tables.MAX_INVOICES
