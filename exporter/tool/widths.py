"""Pure: how wide the columns of a table are, so that it fits a terminal and cuts no amount.

Widths are in characters of a terminal, of which some letters take two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size

BETWEEN: Final = 3  # characters from one column to the next
AROUND: Final = 2  # characters at the two ends of a line
SHORTEST_NAME: Final = 20  # characters, unless names are shorter anyway


class Cells(NamedTuple):
    """The text of a table, line by line."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    totals: Sequence[Sequence[str]] = ()

    def longest(self, number: int) -> int:
        """Return the width of a column in which nothing breaks."""
        return max(cell_len(line[number]) for line in (self.titles, *self.rows, *self.totals))

    def unbroken_rows(self, number: int) -> int:
        """Return the width of a column in which only titles and totals break, between words."""
        return max([self.outside_rows(number), *(cell_len(row[number]) for row in self.rows)])

    def outside_rows(self, number: int) -> int:
        """Return the width of the longest word in the title and the totals of a column."""
        return max(_longest_word(line[number]) for line in (self.titles, *self.totals))

    def longest_word(self, number: int) -> int:
        """Return the width of the longest word in a column."""
        return max([self.outside_rows(number), *(_longest_word(row[number]) for row in self.rows)])


class Layout(NamedTuple):
    """Which columns a table has, by number, and how wide each is."""

    columns: Sequence[int]
    widths: Sequence[int]


def broken(cells: Cells, width: int) -> Layout | None:
    """Return a layout of all columns, in which cells may break between words.

    None if words do not fit: a library would cut them, and an amount is one.
    """
    numbers = range(len(cells.titles))
    return _shrunk(cells, numbers, [cells.longest_word(each) for each in numbers], width)


def unbroken(cells: Cells, width: int) -> Layout | None:
    """Return a layout of all columns, in which each row is one line; None if it does not fit."""
    numbers = range(len(cells.titles))
    return _shrunk(cells, numbers, [cells.unbroken_rows(each) for each in numbers], width)


def giving_way(cells: Cells, ranks: Sequence[int], width: int) -> Layout | None:
    """Return a layout in which each row is one line, whatever it takes but an amount.

    First the names in the first column are shortened, but not below SHORTEST_NAME. Then columns
    are left out: those of rank 1, then those of rank 2, and so on. Those of rank 0 stay. None if
    they do not fit either.
    """
    for left_out in range(max(ranks) + 1):
        kept = [number for number, rank in enumerate(ranks) if not 0 < rank <= left_out]
        names, *others = (cells.unbroken_rows(each) for each in kept)
        if (layout := _shrunk(cells, kept, [names, *others], width)) is not None:
            return layout
        room = _room(width, len(kept)) - sum(others)
        if room >= max(cells.outside_rows(0), min(names, SHORTEST_NAME)):
            return Layout(kept, [room, *others])
    return None


def shortened(text: str, width: int, ellipsis: str) -> str:
    """Return text that is at most so wide, with an ellipsis in place of what it lacks."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - cell_len(ellipsis)).rstrip() + ellipsis


def _shrunk(
    cells: Cells, columns: Sequence[int], least: Sequence[int], width: int
) -> Layout | None:
    """Take from the columns that have most to spare until they fit, or return None."""
    widths = [cells.longest(number) for number in columns]
    room = _room(width, len(columns))
    while sum(widths) > room:
        at = max(range(len(widths)), key=lambda n: widths[n] - least[n])
        if widths[at] == least[at]:
            return None
        widths[at] -= 1
    return Layout(columns, widths)


def _room(width: int, columns: int) -> int:
    return width - BETWEEN * (columns - 1) - AROUND


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)
