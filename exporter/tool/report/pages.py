"""The report as one HTML file: nothing in it runs, nothing is loaded, and all text is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final, NamedTuple

import jinja2

from exporter.base.plain import HALF_A_CENT
from exporter.metrics import cents
from exporter.process.version import version
from exporter.state.day_rows import DAY, Day
from exporter.state.ledger import day_of
from exporter.state.listing import text_of
from exporter.tool import parts
from exporter.tool.api_answers import WholeOrganization
from exporter.tool.report import invoice_tables, made_of, sheets
from exporter.tool.report.compares import MAX_TYPES, STEPS
from exporter.tool.report.glossary import explained, undivided
from exporter.tool.report.months import Month, Report, together
from exporter.tool.report.periods import State
from exporter.tool.report.problems import pressing_first, troubles, unread
from exporter.tool.report.sums import sums
from exporter.web.status import templates
from exporter.web.status.bars import Bars, bars
from exporter.web.status.html_pages import REASONS
from exporter.web.summary import between

PACKAGE: Final = "exporter.tool.report"
WEEK: Final = 7
MONDAY: Final = 4  # 1970-01-01 was a Thursday
MAX_CAUSES: Final = 3  # of a spike
MAX_MONTHS: Final = 2  # in a title
MAX_WHOLE: Final = 10  # organizations that have a part of their own each
MAX_NAMES: Final = 3  # of organizations that a sum lacks
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Cell(NamedTuple):
    """A day in the calendar."""

    number: int  # from 1970 on
    day: Day
    is_spike: bool
    is_first: bool  # of those that are shown, or of its month
    cut: str | None  # what part of it is known, if that is not all of it

    @property
    def text(self) -> str:
        """Its date, with the month where that is not clear."""
        date = datetime.fromtimestamp(self.number * DAY, UTC)
        return f"{date:%b} {date.day}" if self.is_first or date.day == 1 else f"{date.day}"


@cache  # reading them takes longer than to fill them in
def _templates() -> tuple[jinja2.Environment, str]:
    """Return what renders the report, and its style."""
    environment = templates.environment(PACKAGE, templates.PAGES)
    environment.filters["part"] = parts.words
    environment.filters["month_in_words"] = _month_in_words
    environment.filters["month_ranges"] = _month_ranges
    environment.filters["between"] = _between
    environment.filters["dates"] = _dates
    environment.filters["dated"] = invoice_tables.dated
    environment.filters["shown"] = made_of.shown
    environment.filters["explained"] = explained
    environment.filters["undivided"] = undivided
    environment.filters["invoice_state"] = invoice_tables.state_at
    environment.filters["unpaid"] = invoice_tables.unpaid
    environment.filters["in_cents"] = lambda of: of and of.in_cents()
    environment.filters["unread"] = unread
    style = "".join(environment.get_template(name).render() for name in ("style.css", "report.css"))
    return environment, style


def html(report: Report) -> str:
    """Return the report as HTML."""
    environment, style = _templates()
    found = pressing_first(report.months)
    months = [month for month, _ in found]
    whole = months if len(months) <= MAX_WHOLE else []
    one = months[0] if len(months) == 1 and not report.nothing else None
    title = _title(months)
    style += sheets.style(whole, title, report.generated, is_one=one is not None)
    names = Counter(each.org_name for each in (*(one.whole for one in months), *report.nothing))
    text = environment.get_template("report.html").render(
        report=report,
        style=style,
        policy=templates.policy(style),
        version=version().number,
        title=title,
        one=one,
        every=found,
        whole_parts=whole,
        numbers={each.whole.org_id: number for number, each in enumerate(whole, 1)},
        troubles=troubles(found, report.nothing),
        in_trouble=sum(bool(each) for _, each in found) + len(report.nothing),
        befores={each.compared.before.month for each in months if each.compared},
        sums=sums(report, cents.total),
        together=together(months),
        shared={name for name, count in names.items() if count > 1},
        pictures=[_picture(each) for each in whole],
        calendars=[_calendar(each) for each in whole],
        reasons=REASONS,
        State=State,
        WEEKDAYS=WEEKDAYS,
        WHICH=parts.TITLES,
        DAY=DAY,
        MAX_TYPES=MAX_TYPES,
        STEPS=STEPS,
        MAX_NAMES=MAX_NAMES,
        MAX_WHOLE=MAX_WHOLE,
        MAX_CAUSES=MAX_CAUSES,
        HALF_A_CENT=HALF_A_CENT,
    )
    return f"{text}\n"


def _title(months: Sequence[Month]) -> str:
    """Return the months that a report is about, as people write them."""
    names = sorted({each.period.month for each in months if each.period.month})
    if not names:
        return "the current month"
    if len(names) <= MAX_MONTHS:
        return " and ".join(map(_month_in_words, names))
    return f"{_month_in_words(names[0])} to {_month_in_words(names[-1])}"


def _month_in_words(month: str) -> str:
    year, _, number = month.partition("-")
    return f"{MONTHS[int(number) - 1]} {year}"


def _between(whole: WholeOrganization) -> str:
    """Say how often months end within the bounds of the forecast."""
    return between(each.past_error for each in whole.forecast_methods or ())


def _dates(numbers: Iterable[int]) -> str:
    """Return days, which are numbered from 1970 on, as dates and ranges of dates."""
    return _ranges(numbers, text_of)


def _month_ranges(months: Iterable[str]) -> str:
    """Return months of a year in words, with ranges of them."""
    return _ranges((int(each[-2:]) for each in months), lambda number: MONTHS[number - 1])


def _ranges(numbers: Iterable[int], words: Callable[[int], str]) -> str:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ", ".join(
        words(first) if first == last else f"{words(first)} to {words(last)}"
        for first, last in ranges
    )


def _picture(month: Month) -> Bars | None:
    days = month.days
    if all(day.is_unknown for _, day in days.days):
        return None
    return bars(days.shown, {number for number, _ in days.spikes})


def _calendar(month: Month) -> Sequence[Sequence[Cell | None]]:
    """Return the days of a month by week, from Monday to Sunday."""
    days = dict(month.days.shown)
    if not days:
        return ()
    spikes = {number for number, _ in month.days.spikes}
    first = min(days)

    def cell(number: int) -> Cell | None:
        if number not in days:
            return None
        return Cell(number, days[number], number in spikes, number == first, _cut(month, number))

    return [
        [cell(number) for number in range(monday, monday + WEEK)]
        for monday in range(first - (first - MONDAY) % WEEK, max(days) + 1, WEEK)
    ]


def _cut(month: Month, number: int) -> str | None:
    """Say up to when a day is known, if the last answer came before it was over."""
    period = month.period
    if period.state is State.RUNNING:
        return "so far" if number >= month.days.until else None
    if period.seen is None:
        return "incomplete" if number >= month.days.until else None
    if number != day_of(period.seen) or (period.state is State.ENDED and not period.is_incomplete):
        return None
    return f"until {datetime.fromtimestamp(period.seen, UTC):%H:%M}"
