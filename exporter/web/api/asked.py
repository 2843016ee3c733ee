"""The parameters of requests. What is none of them is refused: no slip goes unnoticed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar

from exporter.state.listing import number_of
from exporter.web.api import cursor
from exporter.web.refusals import Refusal

T = TypeVar("T")

MOST: Final = 500  # organizations on a page
FORMS: Final = ("json", "csv")
LONG_AGO: Final = 0  # days since 1970

Query = Iterable[tuple[str, str]]  # names and values, as they came


class Page(NamedTuple):
    """Which organizations are asked for."""

    limit: int
    after: str  # the id behind which they begin; empty for the first

    @classmethod
    def of(cls, query: Query) -> Page:
        """Read it from a query. Raises Refusal."""
        asked = _Parameters(query, "limit", "cursor")
        return cls(asked.get("limit", _limit, MOST), asked.get("cursor", cursor.read, ""))


class Days(NamedTuple):
    """Which days are asked for, numbered from 1970 on, and in which form if that is said."""

    first: int
    last: int
    form: str | None

    @classmethod
    def of(cls, query: Query, today: int) -> Days:
        """Read it from a query; none is after today. Raises Refusal."""
        asked = _Parameters(query, "from", "to", "format")
        first = asked.get("from", number_of, LONG_AGO)
        last = asked.get("to", number_of, max(first, today))
        if last < first:
            raise _wrong("from must not be after to")
        return cls(first, min(last, today), asked.get("format", _form, None))


def whose(part: str, query: Query) -> tuple[str, Query]:
    """Return the id of the organization that is asked for, and the other parameters.

    What some clients would change in a path, as two dots, may be a parameter in its place.
    """
    if part:
        return part, query
    ids = [value for name, value in query if name == "id"]
    return ids[0] if len(ids) == 1 else "", [each for each in query if each[0] != "id"]


def nothing(query: Query) -> None:
    """Raise Refusal if there are parameters."""
    _Parameters(query)


class _Parameters:
    """Reads parameters one by one."""

    def __init__(self, query: Query, *names: str) -> None:
        """Raise Refusal if there are others, or one is there twice."""
        query = list(query)
        times = Counter(name for name, _ in query)
        if times.keys() - {*names} or len(times) < len(query):
            known = f"only {', '.join(names)}, each once" if names else "no parameters"
            raise _wrong(f"this takes {known}")
        self._values = dict(query)

    def get(self, name: str, read: Callable[[str], T], default: T) -> T:
        """Return what a parameter means, or the default without it. Raises Refusal."""
        if name not in self._values:
            return default
        try:
            return read(self._values[name])
        except ValueError as error:
            raise _wrong(f"{name} {error}") from None


def _limit(text: str) -> int:
    if not (re.fullmatch("[0-9]{1,3}", text) and 1 <= int(text) <= MOST):
        raise ValueError(f"must be a whole number from 1 to {MOST}")
    return int(text)


def _form(text: str) -> str | None:
    if text not in FORMS:
        raise ValueError(f"must be {' or '.join(FORMS)}")
    return text


def _wrong(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, message)
