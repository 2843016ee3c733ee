"""One file of text that holds many small ones, each with the message that it is answered by.

    ==== name_of_the_first.yml
    what is in the file

    ---- message
    what is said to it

    ==== name_of_the_second.yml
    ...

The line feed before a marker belongs to the marker. So the empty line there says that the text
above ends with a line feed of its own, and every text is kept to the byte. A case may have no
message. What comes before the first one is for whoever reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

_CASE: Final = "\n==== "
_MESSAGE: Final = "\n---- message\n"


class Case(NamedTuple):
    """What is in a file, and what is said to it, if anything."""

    given: str
    message: str = ""


def parse(text: str) -> tuple[str, dict[str, Case]]:
    """Return what comes before the first case, and the cases by name."""
    head, *parts = text.split(_CASE)
    cases: dict[str, Case] = {}
    for part in parts:
        name, _, rest = part.partition(".yml\n")
        given, _, message = rest.partition(_MESSAGE)
        if name in cases or _MESSAGE in message:
            raise ValueError(f"{name}: comes twice, or has two messages")
        cases[name] = Case(given, message)
    return head, cases


def dump(head: str, cases: Mapping[str, Case]) -> str:
    """Return the text that is parsed into these; refuses what has a marker in it."""
    text = head
    for name, case in cases.items():
        text += f"{_CASE}{name}.yml\n{case.given}"
        if case.message:
            text += f"{_MESSAGE}{case.message}"
    if parse(text) != (head, cases):
        raise ValueError("a text has what looks like a marker")
    return text


def read(file: Path) -> dict[str, Case]:
    """Return the cases in a file by name."""
    # Not as text: a carriage return would become a line feed.
    return parse(file.read_bytes().decode())[1]


def update(file: Path, name: str, message: str) -> None:
    """Write a case's message anew and leave the rest of the file as it is."""
    head, cases = parse(file.read_bytes().decode())
    cases[name] = cases[name]._replace(message=message)
    file.write_bytes(dump(head, cases).encode())


def lay_out(file: Path, folder: Path) -> None:
    """Make each case a file of its own again, named as in its message."""
    folder.mkdir(exist_ok=True)
    for name, case in read(file).items():
        (folder / f"{name}.yml").write_bytes(case.given.encode())
