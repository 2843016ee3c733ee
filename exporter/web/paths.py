"""Which path of a request is whose. Paths are compared, never resolved.

They are split before they are decoded: an id may hold a slash, which is %2F in a path.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

ANY_ID: Final = "<id>"  # stands for one part of a path


class Paths:
    """Knows the paths that are answered under. At most one part of each is ANY_ID."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._exact: dict[tuple[str, ...], str] = {}
        self._with_id: list[tuple[tuple[str, ...], str]] = []
        for path in paths:
            parts = tuple(path.split("/"))
            if ANY_ID in parts:
                self._with_id.append((parts, path))
            else:
                self._exact[parts] = path

    def find(self, raw: str) -> str | None:
        """Return the path, as it was given, that the path of a request is, as it came."""
        try:
            parts = tuple([_decoded(part) for part in raw.split("/")])
        except UnicodeDecodeError:
            return None
        if parts in self._exact:
            return self._exact[parts]
        for known, path in self._with_id:
            place = known.index(ANY_ID)
            if known == (*parts[:place], ANY_ID, *parts[place + 1 :]):
                return path
        return None


def id_in(raw: str, path: str) -> str:
    """Return what stands for ANY_ID of a path in that of a request, for which it was found."""
    return _decoded(raw.split("/")[path.split("/").index(ANY_ID)])


def _decoded(part: str) -> str:
    return unquote(part, errors="strict")
