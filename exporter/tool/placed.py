"""Files that a command brings along, put into a folder that a later version replaces them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from exporter.base import files
from exporter.tool.errors import CommandError
from exporter.tool.folder import Folder
from exporter.tool.output import printable

NEW: Final = ".new"  # what the name of a file ends with that would replace somebody's work


def put(
    dest: Path, folder: Folder, parts: Sequence[str], text: str, *, edited: bool = False
) -> None:
    """Write a file and say so. One that people edit, and that differs, is left alone."""
    path, content = dest.joinpath(*parts), text.encode()
    try:
        there = files.content(path, len(content) + 1) if folder.has(parts) else None
        if there == content:
            print(f"unchanged {printable(str(path))}")
            return
        if there is not None and edited:
            print(f"left alone {printable(str(path))}, which differs from the new one:")
            parts = [*parts[:-1], parts[-1] + NEW]
            path = dest.joinpath(*parts)
        with folder.new(parts) as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    print(f"wrote {printable(str(path))}")
