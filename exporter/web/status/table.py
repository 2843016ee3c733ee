"""The lines of the status page that are asked for: which, in which order, and how many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlencode

from exporter.metrics import cents
from exporter.metrics.problems import Kind
from exporter.web.summary import BAD, OK, WAIT, Summary

PAGE_ROWS: Final = 100
MAX_SEARCH: Final = 100  # characters
MAX_DIGITS: Final = 9  # of a page's number


class Column(NamedTuple):
    """A column. `key` is what it is sorted by; None sorts behind everything."""

    name: str  # in a query
    title: str
    key: Callable[[Summary], float | str | None]
    largest_first: bool = False  # where one begins to look


def _urgency(row: Summary) -> int:
    """Return the place of a state in their order, the most pressing first."""
    if row.level == BAD:
        return 0
    return 1 if row.problems else 2 + (WAIT, OK).index(row.level)


COLUMNS: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        Column("name", "Organization", lambda row: row.name.casefold()),
        Column("month", "Month so far", lambda row: row.month_to_date, largest_first=True),
        Column("forecast", "Forecast", lambda row: row.forecast_usd, largest_first=True),
        Column("budget", "Budget", lambda row: row.budget_used, largest_first=True),
        Column("days", "Last 28 days", lambda row: row.spend_28d, largest_first=True),
        Column("owed", "Owed", lambda row: row.owed, largest_first=True),
        Column("overdue", "Overdue", lambda row: row.overdue, largest_first=True),
        Column("success", "Last success", lambda row: row.last_success),
        Column("next", "Next poll", lambda row: row.next_poll),
        Column("state", "State", _urgency),
    )
}
DEFAULT_SORT: Final = "state"


class Filter(NamedTuple):
    """A choice of organizations."""

    title: str
    matches: Callable[[Summary], bool]


FILTERS: Final[Mapping[str, Filter]] = {
    "all": Filter("all", lambda _row: True),
    "failing": Filter("failing", lambda row: row.level == BAD),
    "waiting": Filter("waiting for a poll", lambda row: row.level == WAIT),
    "readable": Filter("readable", lambda row: row.level == OK),
    "withdrawn": Filter("with withdrawn data", lambda row: bool(row.withdrawn)),
    "over-limit": Filter("over the series limit", lambda row: row.over_limit),
    "problems": Filter("with money problems", lambda row: bool(row.problems)),
    "overdue": Filter("with overdue invoices", lambda row: Kind.OVERDUE in row.problems),
    "payment-failed": Filter(
        "with failed payments", lambda row: Kind.PAYMENT_FAILED in row.problems
    ),
    "over-budget": Filter("over budget", lambda row: Kind.OVER_BUDGET in row.problems),
    "forecast-over-budget": Filter(
        "forecast over budget", lambda row: (row.budget_forecast or 0) > 1
    ),
}


FORMER: Final = {"up": "readable"}  # names of filters that bookmarks may have


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody asks for."""

    search: str = ""  # a part of the name or the id
    show: str = "all"  # of FILTERS
    sort: str = DEFAULT_SORT  # of COLUMNS
    descending: bool = False
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """Return what the parameters of a URL mean. What means nothing has its default."""
        show = parameters.get("show", "")
        show = FORMER.get(show, show)
        sort = parameters.get("sort", "")
        page = parameters.get("page", "")
        known = sort.removeprefix("-") in COLUMNS
        return cls(
            search=parameters.get("q", "").strip()[:MAX_SEARCH],
            show=show if show in FILTERS else "all",
            sort=sort.removeprefix("-") if known else DEFAULT_SORT,
            descending=known and sort.startswith("-"),
            page=int(page) if page.isascii() and page.isdecimal() and len(page) < MAX_DIGITS else 1,
        )

    @property
    def order(self) -> str:
        """The order as a parameter."""
        return f"-{self.sort}" if self.descending else self.sort

    def link(self, *, order: str | None = None, page: int = 1) -> str:
        """Return the query of a link to the same in another order, or to another page of it."""
        order = self.order if order is None else order
        parameters = {
            "q": self.search,
            "show": "" if self.show == "all" else self.show,
            "sort": "" if order == DEFAULT_SORT else order,
            "page": "" if page == 1 else str(page),
        }
        return "?" + urlencode({name: value for name, value in parameters.items() if value})

    def link_by(self, column: Column) -> str:
        """Return the query of a link that sorts by a column, the other way if it does already."""
        reverse = not self.descending if self.sort == column.name else column.largest_first
        return self.link(order=f"-{column.name}" if reverse else column.name)


class Total(NamedTuple):
    """The sum of a column, of amounts as they are shown."""

    usd: float
    unknown: int  # organizations without a number


@dataclass(frozen=True, slots=True)
class Table:
    """A page of lines."""

    query: Query  # with the number of a page that there is
    rows: Sequence[Summary]
    matching: int  # organizations, on all pages
    pages: int
    totals: Mapping[str, Total]  # of those that match, by the name of the column


def table(organizations: Iterable[Summary], query: Query) -> Table:
    """Return the page of lines that is asked for."""
    matches = FILTERS[query.show].matches
    search = query.search.casefold()
    rows = [
        row
        for row in organizations
        if matches(row) and (search in row.name.casefold() or search in row.id.casefold())
    ]
    key = COLUMNS[query.sort].key
    keyed = [(key(row), row) for row in sorted(rows, key=lambda row: (row.name.casefold(), row.id))]
    known = [(value, row) for value, row in keyed if value is not None]
    known.sort(key=lambda each: each[0], reverse=query.descending)
    ordered = [row for _, row in known] + [row for value, row in keyed if value is None]
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(max(query.page, 1), pages)
    return Table(
        Query(query.search, query.show, query.sort, query.descending, page),
        ordered[(page - 1) * PAGE_ROWS : page * PAGE_ROWS],
        len(rows),
        pages,
        {name: _total(rows, COLUMNS[name]) for name in ("month", "forecast", "owed", "overdue")},
    )


def _total(rows: Sequence[Summary], column: Column) -> Total:
    values = [column.key(row) for row in rows]
    numbers = [value for value in values if isinstance(value, float)]
    return Total(cents.total(numbers), len(rows) - len(numbers))
