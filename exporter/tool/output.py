"""How bills are shown: as tables for people, as JSON and CSV for programs."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.base import cells, plain
from exporter.base.text import escaped

NARROWEST: Final = 30  # characters; terminals break what is wider, and no amount is cut
PIPE_WIDTH: Final = 100_000  # characters: where there is no terminal, there is room
RULE: Final = "─"  # what the lines in tables are made of, and what they are where there is none
ASCII_SIMPLE: Final = box.Box(str(box.SIMPLE).replace(RULE, "-"), ascii=True)
WITHHELD: Final = "withheld"  # in place of an amount that is no number


class Column(NamedTuple):
    """A column of a table; those of numbers are aligned at the right."""

    title: str
    number: bool = False


class Row(NamedTuple):
    """A line of a table. `alarming` ones are red on a terminal that has colours."""

    cells: Sequence[str]
    alarming: bool = False


def printable(text: str) -> str:
    r"""Return text for a terminal, with what it would act upon or cannot show as escapes: \x1b."""
    return displayable(escaped(text))


def displayable(text: str) -> str:
    """Return text with what the encoding of standard output does not have as escapes."""
    return text.encode(_encoding(), "backslashreplace").decode(_encoding())


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def money(usd: float | None) -> str:
    """Return an amount for people, to the cent."""
    if usd is None:
        return ""
    if not math.isfinite(usd):
        return WITHHELD
    text = f"{usd:,.2f}"
    return "0.00" if text == "-0.00" else text


def day(seconds: float | None) -> str:
    """Return the day, in UTC, of Unix seconds; empty if unset, or beyond the calendar."""
    return (plain.moment(seconds) or "")[:10]


def show(columns: Sequence[Column], rows: Sequence[Row], total: Sequence[str] = ()) -> None:
    """Print a table; `total` is the line below it.

    On a terminal that is too narrow for it, what would be a line is a list: no amount is ever cut.
    """
    console = Console(highlight=False)
    if console.width < NARROWEST:  # a terminal may say anything, 0 too
        console = Console(highlight=False, width=NARROWEST)
    if not console.is_terminal:
        table = _table(columns, rows, total, PIPE_WIDTH)
        plain = io.StringIO()
        Console(file=plain, width=PIPE_WIDTH, highlight=False, force_terminal=False).print(table)
        print("\n".join(line.rstrip() for line in plain.getvalue().splitlines()).strip("\n"))
    elif table := _table(columns, rows, total, console.width):
        console.print(table)
    else:
        for row in (*rows, Row(total)) if total else rows:
            console.print(_list(columns, row))


def _table(
    columns: Sequence[Column], rows: Iterable[Row], total: Sequence[str], room: int
) -> Table | None:
    """Return a table of up to that many characters in width, or None if there is none."""
    titles = [Text(column.title) for column in columns]
    footer = [*_texts(Row(total))] or [Text()] * len(columns)
    cells = [[*_texts(row)] for row in rows]
    widths = _widths([titles, footer, *cells], room - 3 * (len(columns) - 1) - 2)
    if widths is None:
        return None
    rules = box.SIMPLE if displayable(RULE) == RULE else ASCII_SIMPLE
    table = Table(box=rules, show_footer=bool(total), pad_edge=False)
    for column, title, foot, width in zip(columns, titles, footer, widths, strict=True):
        table.add_column(title, foot, justify="right" if column.number else "left", width=width)
    for each in cells:
        table.add_row(*each)
    return table


def _widths(lines: Sequence[Sequence[Text]], room: int) -> Sequence[int] | None:
    """Return the widths of columns that fit into the room, or None if their words do not.

    A library would cut words, and an amount is one.
    """
    columns = [[text.plain for text in column] for column in zip(*lines, strict=True)]
    least = [
        max(cell_len(w) for text in texts for w in (text.split() or [""])) for texts in columns
    ]
    widths = [max(map(cell_len, texts)) for texts in columns]
    while sum(widths) > room:
        number = max(range(len(widths)), key=lambda n: widths[n] - least[n])
        if widths[number] == least[number]:
            return None
        widths[number] -= 1
    return widths


def _list(columns: Sequence[Column], row: Row) -> Table:
    """Return a row with a line for each cell that is not empty, and an empty line."""
    table = Table.grid(padding=(0, 2))
    for column, text in zip(columns, _texts(row), strict=True):
        if text:
            table.add_row(Text(column.title), text)
    table.add_row()
    return table


def _texts(row: Row) -> Iterator[Text]:
    style = "red" if row.alarming else ""
    return (Text(printable(cell), style, overflow="fold") for cell in row.cells)


def write_json(document: object) -> None:
    """Print a document as JSON, in ASCII, so that no terminal acts upon a name in it."""
    write_as_utf8()
    print(json.dumps(document, indent=2, allow_nan=False))


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as CSV with a header, in UTF-8. What is a formula to a spreadsheet is quoted."""
    write_as_utf8()
    print(",".join(columns))
    terminal = sys.stdout.isatty()
    for row in rows:
        values = (row[column] for column in columns)
        # Programs get a text as it is.
        shown = (escaped(v) if terminal and isinstance(v, str) else v for v in values)
        print(cells.line(shown))


def write_as_utf8() -> None:
    """Have standard output take data for programs, which is UTF-8 whatever the locale says."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
