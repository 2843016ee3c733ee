"""What is known of a number: the number, how old it is, or why there is none.

A tile asks for its number as it was last known, and beside it for what must not be missed: since
when it is out of date, how many organizations a sum lacks, and, where there is no number at all,
whether it cannot be read, is not polled yet, or does not exist. A cell of a table says the same in
its place, by numbers that no amount can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from exporter.rules import series
from exporter.rules.series import EXPORTERS_DOWN, MONTH_TO_DATE, SEEN, last
from grafana.source.money_panels import NEXT_DUE, OVERDUE
from grafana.source.panels import (
    BELOW_ZERO,
    COMING_DAY,
    PLAIN,
    SHORT_MOMENT,
    Beside,
    Panel,
    Steps,
    stat,
)
from grafana.source.promql import JOB, by_id, metric, named

LAST_KNOWN: Final = "last known"  # what a number is called when something stands beside it
CREDIT: Final = "credit"  # what an amount is called that is below $0
LESS: Final = "change"  # and a difference
ESTIMATED: Final = "estimated"  # and an amount of which nothing was seen as it was spent
AS_OF: Final = "as of"
OUT_OF_DATE: Final = "orgs out of date"
MISSING: Final = "orgs missing"
STATE: Final = "state"
COMING: Final = "coming"


class State(IntEnum):
    """Why there is no number. Of several organizations, the greatest counts."""

    NONE = series.READABLE  # the answer is good, and has none
    PENDING = 2
    UNREADABLE = series.UNREADABLE


@dataclass(frozen=True)
class Origin:
    """Where a number comes from: the state of each organization, and when it was read.

    Both are expressions. `old` is when those had their last good poll whose number is out of date;
    it is empty for what does not age.
    """

    state: str
    old: str = ""

    def of(self, state: State) -> str:
        """Return those that are in a state."""
        return f"({self.state} == {state})"


ORGANIZATIONS: Final = by_id(SEEN)
POLLED: Final = by_id("viam_billing_org_info")
# On no page, as their exporter is down.
GONE: Final = f"({ORGANIZATIONS} unless on (org_id) {POLLED})"
DOWN: Final = f"({EXPORTERS_DOWN} > 0)"
# 0 as long as rules are evaluated, whatever they find.
EXPORTERS: Final = f"{series.EXPORTERS}{{{JOB}}}"
EVALUATED: Final = f"0 * (count({EXPORTERS}) or max({EXPORTERS_DOWN}))"


def _each(state: str) -> str:
    """Return a state that is recorded of some, and of all others that there was no poll yet."""
    return f"({state} or on (org_id) 0 * {ORGANIZATIONS} + {State.PENDING})"


def collector(name: str) -> Origin:
    """Return the origin of what a collector polls."""
    # One on no page has no collector.
    return Origin(
        _each(by_id(series.STATE, f'collector=~"{name}|"')),
        by_id(series.OUT_OF_DATE, f'collector="{name}"'),
    )


USAGE: Final = collector("usage")
BILLING: Final = collector("billing_information")
INVOICES: Final = collector("invoices")
# What needs no poll: it is on the page of an exporter that runs.
CONFIGURED: Final = Origin(
    f"(0 * {GONE} + {State.UNREADABLE} or on (org_id) 0 * {POLLED} + {State.NONE})"
)
# What is said of budgets matters only for organizations that have one: -1 is remembered of others.
BUDGETED: Final = f"({by_id(last('viam_billing_budget_usd'))} >= 0)"
USAGE_OF_BUDGET: Final = Origin(
    f"({USAGE.state} and on (org_id) {BUDGETED} or on (org_id) 0 * {POLLED} + {State.NONE})",
    USAGE.old,
)
# Each part of the bill says how old it is by itself.
ANY_PART: Final = Origin(_each(by_id(series.STATE)))
EXPORTER: Final = Origin(
    f"(0 * {DOWN} + {State.UNREADABLE} or"
    f" 0 * count({metric('viam_billing_exporter_build_info')}) + {State.NONE})"
)


def amount(name: str) -> str:
    """Return an amount of each organization as it was last known, by its id."""
    return by_id(last(name))


def month_to_date() -> str:
    """Return month to date as it was last known. What is withheld is not known to be $0."""
    fresh = by_id("viam_billing_usage_period_start_timestamp_seconds")
    remembered = f"{amount('viam_billing_usage_month_to_date_usd')} unless on (org_id) {fresh}"
    return f"({by_id(MONTH_TO_DATE)} or {remembered})"


def overdue_usd() -> str:
    """Return what is overdue as it was last known, but no $0 once a due date has passed unread."""
    usd = amount(OVERDUE)
    passed = f"({amount(NEXT_DUE)} > 0 < time())"
    return f"({usd} > 0 or ({usd} unless on (org_id) {passed}))"


def state(value: str, origin: Origin) -> str:
    """Return the worst state of those that have no value, if none has one."""
    nobody = f"0 * {DOWN} + {State.UNREADABLE}"  # no organization is known any more
    return f"max({origin.state} or on () {nobody}) unless on () ({value})"


def why(value: str, origin: Origin, none: str) -> Beside:
    """Return what a tile says in place of its number; `none` where the answer is that."""
    texts = {
        str(State.NONE.value): (none, "text"),
        str(State.PENDING.value): ("Not polled yet", "text"),
        str(State.UNREADABLE.value): ("Cannot be read", "red"),
    }
    return Beside(STATE, state(value, origin), texts=texts)


def tile(  # noqa: PLR0913 - a tile is what it is called with
    title: str,
    description: str,
    value: str,
    origin: Origin,
    *,
    none: str,
    unit: str,
    total: str | None = None,
    having: str = ORGANIZATIONS,
    colours: Steps = PLAIN,
    url: str | None = None,
    mappings: Sequence[Any] = (),
    decimals: int | None = None,
    also: Sequence[Beside] = (),
    coming: str = "",
    name: str = "",
    below_zero: str | None = None,
    seen: str = "",
    width: int = 4,
    height: int = 4,
) -> Panel:
    """Return a tile of one organization's value, or of what those of all come to: `total`.

    `coming` is when each organization will have a value, in Unix seconds, where that is known.
    The tile says of when the value is if it is out of date; of a total, of how many organizations
    it is, and how many of those `having` a value by right are missing from it. One that may be
    below $0 is called `below_zero` then; one that `seen` has nothing of is called estimated.
    """
    number = total or value
    shown = f"({number}) >= 0" if below_zero else number
    shown = f"{number} and on () {seen}" if seen else shown
    beside = [why(f"({number}) or {coming}" if coming else number, origin, none)]
    if coming:
        day = f"1000 * min({coming}) unless on () ({number})"
        beside.append(Beside(COMING, day, COMING_DAY))
    if below_zero:
        # Grafana would write $-1.00. As a query of its own it has its sign before the currency.
        beside.append(Beside(below_zero, f"-({number}) > 0", BELOW_ZERO))
    if seen:
        beside.append(Beside(ESTIMATED, f"{number} unless on () {seen}", unit))
    beside += also
    if total and having:
        missing = f"count({having} unless on (org_id) {value}) and on () {total}"
        beside.append(Beside(MISSING, missing, colour="orange"))
    if origin.old:
        old = f"{origin.old} and on (org_id) ({value})"
        beside.append(
            Beside(OUT_OF_DATE, f"count({old})", colour="orange")
            if total
            else Beside(AS_OF, f"1000 * ({old})", SHORT_MOMENT, "orange")
        )
    return stat(
        title,
        description,
        shown,
        name=name or LAST_KNOWN,
        unit=unit,
        colours=colours,
        url=url,
        mappings=mappings,
        decimals=decimals,
        beside=beside,
        width=width,
        height=height,
    )


def of_all(number: str) -> Beside:
    """Return how many organizations there are, beside a number of them that is not 0."""
    return Beside("of", f"count({ORGANIZATIONS}) and on () {number} > 0")


def of_exporters(  # noqa: PLR0913 - a tile is what it is called with
    title: str,
    description: str,
    value: str,
    *,
    none: str,
    unit: str,
    colours: Steps = PLAIN,
    url: str | None = None,
    mappings: Sequence[Any] = (),
    width: int = 4,
) -> Panel:
    """Return a tile of what exporters say of themselves."""
    return stat(
        title,
        description,
        value,
        unit=unit,
        colours=colours,
        url=url,
        mappings=mappings,
        beside=[why(value, EXPORTER, none)],
        width=width,
    )


# What a cell holds in place of a number, and `tables` has words for: no amount is any of these.
CANNOT_BE_READ: Final = "0 / 0"  # NaN
NOT_POLLED: Final = "-1 / 0"  # -Inf
LATER: Final = "1 / 0"  # Inf: the answer is good, and has none yet


def cell(value: str, origin: Origin, *, later: bool = False) -> str:
    """Return the value of each organization for a table, or why it has none; nothing if it is none.

    `later` says of a good answer that it will have one.
    """
    states = [(State.UNREADABLE, CANNOT_BE_READ), (State.PENDING, NOT_POLLED)]
    states += [(State.NONE, LATER)] if later else []
    cells = [value, *(f"0 * {origin.of(state)} + {number}" for state, number in states)]
    return " or on (org_id) ".join(cells)


def rows(value: str, origin: Origin, label: str) -> str:
    """Return the rows of a table, by a label beside the organization's id and name.

    An organization that has none because it cannot be read has a row that says so. So has one that
    was not polled yet; and if there are no rows at all, one says that there is none.
    """
    name = f"({named(SEEN)} > bool 0)"

    def saying(what: str, of: State, number: str) -> str:
        value = f"(0 * {origin.of(of)} + {number}) * on (org_id) group_left (org_name) {name}"
        # With the organization in it: rows are joined by it.
        return f'label_replace({value}, "{label}", "{what}: $1", "org_id", "(.*)")'

    unreadable = saying("cannot be read", State.UNREADABLE, CANNOT_BE_READ)
    pending = saying("not polled yet", State.PENDING, NOT_POLLED)
    none = f'label_replace(0 * count({origin.of(State.NONE)}), "{label}", "none listed", "", "")'
    return f"{value} or on (org_id) {unreadable} or on (org_id) {pending} or on () {none}"


def parts(
    value: str, origin: Origin, label: str, none: str = "none", *, later: bool = False
) -> str:
    """Return the rows of a table of what something is made of, by a label.

    If there are none, one row says why; `none` where the answer is good. `later` says of a good
    answer that there will be some, as in a cell.
    """

    def saying(what: str, of: State, number: str) -> str:
        why = f"max(0 * {origin.of(of)} + {number})"
        return f'label_replace({why}, "{label}", "{what}", "", "")'

    unreadable = saying("cannot be read", State.UNREADABLE, CANNOT_BE_READ)
    pending = saying("not polled yet", State.PENDING, NOT_POLLED)
    good = saying(none, State.NONE, LATER if later else "0")
    return f"{value} or on () {unreadable} or on () {pending} or on () {good}"
