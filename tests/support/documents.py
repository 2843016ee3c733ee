"""What the documents tell their readers to type, and whether what came of it is what they show.

A block of commands is fenced as `sh`, or as `console` with `$ ` before each command and its output
below. The line before the fence, which the page does not show, says who runs it:

    <!-- run: PLACE -->                  tests/integration/test_documents.py, see `support.terminal`
    <!-- run: PLACE, fails -->           the same; its last command fails, as it should
    <!-- run: PLACE, soon -->            the same; again and again until it prints what is shown
    <!-- run: PLACE, serves PORT -->     the same; it runs until the page ends, or the port is taken
    <!-- run: PLACE, each serves PORT -->  the same, line by line
    <!-- run: PLACE, stops PORT -->      the same, after what serves there was stopped
    <!-- tested by: tests/FILE.py -->    that test, which takes the commands from the page
    <!-- not run: REASON -->             nobody

A block with `<!-- file: NAME -->` before it is a file, which readers have written by then.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from support.process import ROOT

LANGUAGES: Final = frozenset({"console", "sh"})  # of commands
# These pages show what one command each prints at a moment that stands still. What they fence as
# `console` is run there without saying so.
COMMANDS: Final = ROOT / "docs" / "commands"
STANDSTILL: Final = "standstill"
GLOBS: Final = ("*.md", "docs/**/*.md", "deploy/**/*.md", "grafana/**/*.md")

_BLOCK: Final = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[^\n]*) -->\n *)?```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_MARK: Final = re.compile(r"(?P<kind>run|tested by|not run|file): (?P<rest>.+)")
_SERVES: Final = re.compile(r"serves (\d+)")
_STOPS: Final = re.compile(r"stops (\d+)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int  # of its first line, from 1 on
    language: str
    text: str
    kind: str  # `run`, `tested by`, `not run`, `file`, or empty
    rest: str  # what follows that

    @property
    def name(self) -> str:
        """Where it is."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_commands(self) -> bool:
        """Whether readers are to type it."""
        return self.language in LANGUAGES

    @property
    def place(self) -> str:
        """Where it is run."""
        return self.rest.partition(",")[0]

    @property
    def fails(self) -> bool:
        """Whether its last command does."""
        return "fails" in self.rest.split(", ")

    @property
    def soon(self) -> bool:
        """Whether what it prints takes a while to come about."""
        return "soon" in self.rest.split(", ")

    @property
    def port(self) -> int | None:
        """Where it serves, if it does not end."""
        match = _SERVES.search(self.rest)
        return int(match[1]) if match else None

    @property
    def stops(self) -> int | None:
        """What is stopped before it is typed, by its port."""
        match = _STOPS.search(self.rest)
        return int(match[1]) if match else None

    @property
    def alternatives(self) -> Sequence[Block]:
        """Itself, or a block for each line if each of them serves."""
        if "each serves" not in self.rest:
            return [self]
        lines = self.text.splitlines(keepends=True)
        return [replace(self, text=line, line=self.line + at) for at, line in enumerate(lines)]

    @property
    def steps(self) -> Sequence[tuple[str, str]]:
        """Its commands, each with the output shown below it; of `sh`, one for all of it."""
        if self.language == "sh":
            return [(self.text, "...\n")]
        steps: list[tuple[str, str]] = []
        for line in self.text.splitlines(keepends=True):
            if line.startswith("$ "):
                steps.append((line.removeprefix("$ "), ""))
            elif line.startswith("> ") and not steps[-1][1]:
                steps[-1] = (steps[-1][0] + line.removeprefix("> "), "")
            else:
                steps[-1] = (steps[-1][0], steps[-1][1] + line)
        return steps


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        mark = _MARK.fullmatch(match["mark"] or "")
        if mark is None and page.parent == COMMANDS and match["language"] == "console":
            mark = _MARK.fullmatch(f"run: {STANDSTILL}")
        yield Block(
            page,
            text.count("\n", 0, match.start("text")) + 1,
            match["language"],
            textwrap.dedent(match["text"]),
            mark["kind"] if mark else "",
            mark["rest"] if mark else "",
        )


def pages() -> Sequence[Path]:
    """Return every page for readers: not the decisions, which are what was thought at the time."""
    found = {page for pattern in GLOBS for page in ROOT.glob(pattern)}
    return sorted(page for page in found if "adr" not in page.parts)


def fenced(page: Path, heading: str, language: str) -> str:
    """Return the first fenced block of a language below a heading of the second level."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found, f"{page}: {heading}"
    return found[1]


def commands_of(page: str, test: str) -> Sequence[Block]:
    """Return the blocks of a page that are marked as tested by a file; both as in the mark."""
    test_file = str(Path(test).relative_to(ROOT)) if Path(test).is_absolute() else test
    found = [b for b in blocks(ROOT / page) if b.kind == "tested by" and b.rest == test_file]
    assert found, f"{page} has no commands that are tested by {test_file}"
    return found


def shows(expected: str, actual: str) -> bool:
    """Tell whether output is what a page shows of it, where `...` stands for anything.

    On a line of its own it stands for any number of lines, or none.
    """
    pattern = ""
    for line in map(str.rstrip, expected.splitlines()):
        if line == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.split("..."))) + "\n"
    lines = map(str.rstrip, actual.splitlines())
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None
