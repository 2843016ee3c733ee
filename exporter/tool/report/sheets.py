"""What is at the edges of each printed sheet: whose bill it is, of which month, and as of when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from exporter.base.text import escaped
from exporter.tool.report.months import Month
from exporter.web.status.formatting import day, moment

MAX_NAME: Final = 60  # characters: there is one line
_ODD: Final = re.compile(r"[^A-Za-z0-9 ,.:-]")


def style(months: Sequence[Month], title: str, now: float, *, is_one: bool) -> str:
    """Return the CSS of the sheets of a report, which is safe in HTML whatever names are.

    `is_one` is of a report that is about one organization alone.
    """
    if is_one:
        (month,) = months
        return _page("", f"{_name(month)}: Viam bill, {title}", _seen(month))
    return "".join(_of_several(months, title, now))


def _of_several(months: Sequence[Month], title: str, now: float) -> Iterator[str]:
    yield _page("", f"Viam bills, {title}", moment(now))
    for number, month in enumerate(months, 1):
        name = f"organization-{number}"
        yield _page(f" {name}", f"{_name(month)}: Viam bill, {title}", _seen(month))
        # Another name would begin a sheet, so the footer goes on with the last one.
        footer = ", footer" if number == len(months) else ""
        yield f"@media print {{ #{name}{footer} {{ page: {name}; }} }}\n"


def _page(name: str, what: str, seen: str) -> str:
    return (
        f"@page{name} {{ @top-left {{ content: {text(what)}; }} "
        f"@bottom-left {{ content: {text(f'As of {seen}')}; }} }}\n"
    )


def text(what: str) -> str:
    """Return a text as a string of CSS: what could end it, or the element, is a number in it."""
    return '"' + _ODD.sub(lambda found: f"\\{ord(found[0]):x} ", escaped(what)) + '"'


def _name(month: Month) -> str:
    name = month.whole.org_name
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _seen(month: Month) -> str:
    if month.seen is None:
        return "an unknown date"
    return moment(month.seen) if month.period.seen is not None else day(month.seen)
