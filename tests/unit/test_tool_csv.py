"""CSV for spreadsheets and programs: no formula, no cell that some of them would take for two."""

from __future__ import annotations

import csv
import io
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tool import output


def written(*cells: object) -> str:
    """Return the line that is made of cells."""
    columns = [f"c{number}" for number in range(len(cells))]
    out = io.StringIO()
    with redirect_stdout(out):
        output.write_csv(columns, [dict(zip(columns, cells, strict=True))])
    header, line = out.getvalue().split("\n", 1)
    assert header == ",".join(columns)
    return line


@pytest.mark.parametrize(
    "sign", [*"=+-@", *"\uff1d\uff0b\uff0d\uff20", *"\ufe66\ufe62\ufe63\ufe6b"]
)
@pytest.mark.parametrize("before", ["", " ", "\u3000", "\u00a0", "\t", "\r", "\n", "\ufeff", "\0"])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(before: str, sign: str) -> None:
    """In full width or small, too, and whatever a spreadsheet skips before it."""
    text = f'{before}{sign}HYPERLINK("x")'
    assert written(text) == "\"'" + text.replace('"', '""') + '"\n'


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_a_cell_that_begins_with_a_control_of_lines_gets_one(text: str) -> None:
    """A spreadsheet may drop it and look at what comes next."""
    assert written(text) == f'"\'{text}"\n'


@pytest.mark.parametrize("separator", [*',;|"', *"\t\r\n\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"])
def test_a_cell_with_what_may_separate_cells_or_lines_is_quoted(separator: str) -> None:
    """Which of them does depends on the country and on the program."""
    text = f"a{separator}=1+1"
    assert written(text) == '"' + text.replace('"', '""') + '"\n'


def test_numbers_stay_numbers() -> None:
    """Negative ones are no formulas; what is not known is empty."""
    assert written(-1.5, 12, None, True, 1e22, 1e-7) == (
        "-1.5,12,,true,10000000000000000000000,0.0000001\n"
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4))
def test_what_is_read_is_what_was_written(cells: list[str]) -> None:
    """But for the apostrophe: nothing is cut, altered or taken for two."""
    (row,) = csv.reader(io.StringIO(written(*cells), newline=""))
    assert [text.removeprefix("'") for text in row] == [text.removeprefix("'") for text in cells]
