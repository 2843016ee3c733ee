"""How bills are shown: as tables for people, as JSON and CSV for programs."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.base import cells, plain
from exporter.base.text import escaped
from exporter.tool import widths

NARROW: Final = 80  # characters: on a narrower terminal no column gives way
NARROWEST: Final = 30  # characters; terminals break what is wider, and no amount is cut
NARROWEST_TITLE: Final = 8  # characters, of a list
PADDING: Final = 2  # characters between a title and what it is of, in a list
PIPE_WIDTH: Final = 100_000  # characters: where there is no terminal, there is room
RULE: Final = "─"  # what the lines in tables are made of, and what they are where there is none
ASCII_SIMPLE: Final = box.Box(str(box.SIMPLE).replace(RULE, "-"), ascii=True)
ELLIPSIS: Final = "…"  # in place of the end of a name
WITHHELD: Final = "withheld"  # in place of an amount that is no number


class Column(NamedTuple):
    """A column of a table; those of numbers are aligned at the right.

    If one of them gives way on a terminal, each row is one line there: those with 1 are left out
    first, then those with 2, and so on. Those with 0 stay.
    """

    title: str
    number: bool = False
    gives_way: int = 0


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


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of a whole for people; empty for none."""
    if share is None:
        return ""
    return f"{share:,.{digits}%}" if math.isfinite(share) else WITHHELD


def day(seconds: float | None) -> str:
    """Return the day, in UTC, of Unix seconds; empty if unset, or beyond the calendar."""
    return (plain.moment(seconds) or "")[:10]


def show(
    columns: Sequence[Column], rows: Sequence[Row], *totals: Sequence[str], heading: str = ""
) -> None:
    """Print a table below a heading; `totals` are the lines at its end.

    On a terminal that is too narrow for it, what would be a line is a list: no amount is ever cut.
    """
    console = Console(highlight=False)
    if console.width < NARROWEST:  # a terminal may say anything, 0 too
        console = Console(highlight=False, width=NARROWEST)
    if not console.is_terminal:
        table = _table(columns, rows, totals, PIPE_WIDTH)
        plain = io.StringIO()
        Console(file=plain, width=PIPE_WIDTH, highlight=False, force_terminal=False).print(table)
        lines = "\n".join(line.rstrip() for line in plain.getvalue().splitlines()).strip("\n")
        print(f"{heading}\n\n{lines}" if heading else lines)
        return
    if heading:
        console.print(Text(heading), end="\n\n")
    if table := _table(columns, rows, totals, console.width):
        console.print(table)
    else:
        for row in (*rows, *map(Row, totals)):
            console.print(_list(columns, row, console.width))


def _table(
    columns: Sequence[Column], rows: Sequence[Row], totals: Sequence[Sequence[str]], width: int
) -> Table | None:
    """Return a table of up to that many characters in width, or None if there is none."""
    cells = widths.Cells(
        [column.title for column in columns],
        [_printable(row.cells) for row in rows],
        [_printable(total) for total in totals],
    )
    layout = _layout(columns, cells, width)
    if layout is None:
        return None
    rules = box.SIMPLE if displayable(RULE) == RULE else ASCII_SIMPLE
    table = Table(box=rules, show_footer=bool(totals), pad_edge=False)
    for number, room in zip(*layout, strict=True):
        total = "\n".join(line[number] for line in cells.totals)
        table.add_column(
            Text(columns[number].title),
            Text(total),
            justify="right" if columns[number].number else "left",
            width=room,
        )
    ellipsis = ELLIPSIS if displayable(ELLIPSIS) == ELLIPSIS else "..."
    for row, texts in zip(rows, cells.rows, strict=True):
        shown = [texts[number] for number in layout.columns]
        if _gives_way(columns):
            shown[0] = widths.shortened(shown[0], layout.widths[0], ellipsis)
        table.add_row(*(_text(text, row) for text in shown))
    return table


def _layout(columns: Sequence[Column], cells: widths.Cells, width: int) -> widths.Layout | None:
    if not _gives_way(columns):
        return widths.broken(cells, width)
    if width < NARROW:  # a list says more than what is left of a table
        return widths.unbroken(cells, width)
    return widths.giving_way(cells, [column.gives_way for column in columns], width)


def _gives_way(columns: Iterable[Column]) -> bool:
    return any(column.gives_way for column in columns)


def _list(columns: Sequence[Column], row: Row, width: int) -> Table:
    """Return a row with a line for each cell that is not empty, and an empty line."""
    lines = zip(columns, _printable(row.cells), strict=True)
    shown = [(column, text) for column, text in lines if text]
    longest = max((cell_len(text) for column, text in shown if column.number), default=0)
    room = max(width - PADDING - longest, NARROWEST_TITLE)
    titles = min(room, max((len(column.title) for column, _ in shown), default=0))
    table = Table.grid(padding=(0, PADDING))
    table.add_column(width=titles)
    table.add_column(max_width=width - titles - PADDING)
    for column, text in shown:
        table.add_row(Text(column.title, overflow="fold"), _text(text, row))
    table.add_row()
    return table


def _printable(cells: Iterable[str]) -> Sequence[str]:
    return [printable(cell) for cell in cells]


def _text(text: str, row: Row) -> Text:
    return Text(text, "red" if row.alarming else "", overflow="fold")


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
