"""What the exporter's own pages say, as text: a line for each block, and each row of a table."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

# What stays in the line it is in.
INLINE: Final = {"a", "abbr", "b", "bdi", "code", "em", "small", "span", "strong", "time", "wbr"}
CELLS: Final = {"td", "th"}
# What is the same in every state, and what programs say to programs.
UNREAD: Final = {"style", "nav", "form", "details"}
VOID: Final = {"meta", "link", "input", "rect", "path", "br", "hr", "col", "img", "wbr"}


class Text(HTMLParser):
    """The lines of a page."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._line = ""
        self._open: list[str] = []

    @classmethod
    def of(cls, html: str) -> list[str]:
        """Return what a person reads on a page."""
        parsed = cls()
        parsed.feed(html)
        parsed.close()
        parsed._end()
        return parsed._lines

    def handle_starttag(self, tag: str, _: object) -> None:
        """Begin a line, or a cell of one."""
        if tag in VOID:
            return
        self._open.append(tag)
        if tag in CELLS:
            self._line += " | " if self._line.strip() else ""
        elif tag == "dd":
            self._line += ": "
        elif tag not in INLINE and not self._in_row():
            self._end()

    def handle_startendtag(self, *_: object) -> None:
        """Take no notice of what has no content."""

    def handle_endtag(self, tag: str) -> None:
        """End a line."""
        if tag in VOID:
            return
        if tag == "tr" or not (tag in INLINE or tag in {*CELLS, "dt"} or self._in_row()):
            self._end()
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add text to the line."""
        if not UNREAD & {*self._open}:
            self._line += data

    def _in_row(self) -> bool:
        return "tr" in self._open

    def _end(self) -> None:
        line = " ".join(self._line.split())
        if line:
            self._lines.append(line)
        self._line = ""
