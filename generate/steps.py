"""What is generated, and how it gets to where it belongs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
# A part of a document that is otherwise written by hand.
BLOCK: Final = re.compile(r"(<!-- generated: (?P<name>[\w:.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """Files that are made together."""

    command: str  # what to type
    generated: Callable[[], Mapping[Path, str]]
    folders: Sequence[Path] = ()  # there is nothing else in these
    ignored: bool = False  # git leaves the folders out, so that a checkout may be without them
    program: Path | None = None  # it is left aside without this

    def run(self, *, check: bool) -> int:
        """Write the files that differ, or with `check` say so. Returns the exit code."""
        if check and self.ignored and not any(folder.exists() for folder in self.folders):
            return 0
        if self.program and not self.program.exists():
            lacking = self.program.relative_to(ROOT)
            print(f"left aside without {lacking}, some files of: {self.command}", file=sys.stderr)
            return 0
        return settle(self.generated(), self.folders, check=check, command=self.command)


def settle(
    expected: Mapping[Path, str],
    folders: Iterable[Path] = (),
    *,
    check: bool,
    command: str,
    root: Path = ROOT,
) -> int:
    """Write the generated files that differ, or with `check` say so. Returns the exit code.

    In the folders there is nothing else: what is too many goes. `command` is what to type.
    """
    there = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    unknown = there - expected.keys()
    differing = [p for p, text in expected.items() if not p.exists() or p.read_text() != text]
    for path in [*differing, *unknown]:
        if check:
            print(f"{path.relative_to(root)} is not up to date: {command}", file=sys.stderr)
        elif path in unknown:
            path.unlink()
            print(f"removed {path.relative_to(root)}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[path])
            print(f"wrote {path.relative_to(root)}")
    return 1 if check and (differing or unknown) else 0
