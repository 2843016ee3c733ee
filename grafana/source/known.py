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

from exporter.rules.series import EXPORTERS_DOWN, MONTH_TO_DATE, SEEN, SUCCEEDED, last
from grafana.source.panels import BELOW_ZERO, PLAIN, SHORT_MOMENT, Beside, Panel, Steps, stat
from grafana.source.promql import by_id, metric, named

OUT_OF_DATE_AFTER: Final = 2  # poll intervals
NUMBER: Final = "known"  # what a number is called when something stands beside it
CREDIT: Final = "credit"  # what an amount is called that is below $0
LESS: Final = "less"  # and a difference
AS_OF: Final = "as of"
OUT_OF_DATE: Final = "orgs out of date"
MISSING: Final = "orgs missing"
STATE: Final = "state"


class State(IntEnum):
    """Why there is no number. Of several organizations, the greatest counts."""

    NONE = 1  # the answer is good, and has none
    PENDING = 2
    UNREADABLE = 3


@dataclass(frozen=True)
class Origin:
    """Where a number comes from: whose last poll failed, who waits for one, and who answered.

    Each is an expression. `succeeded` is when, and empty for what does not age.
    """

    failing: str
    pending: str
    answered: str
    succeeded: str = ""

    @property
    def old(self) -> str:
        """Return when those had their last good poll whose number is out of date."""
        interval = by_id("viam_billing_poll_interval_seconds")
        age = f"{self.succeeded} < time() - {OUT_OF_DATE_AFTER} * {interval}"
        return f"({age} or {self.succeeded} unless on (org_id) {interval})"


ORGANIZATIONS: Final = by_id(SEEN)
POLLED: Final = by_id("viam_billing_org_info")
# On no page, as their exporter is down.
GONE: Final = f"({ORGANIZATIONS} unless on (org_id) {POLLED})"
DOWN: Final = f"({EXPORTERS_DOWN} > 0)"


def collector(name: str) -> Origin:
    """Return the origin of what a collector polls."""
    of = f'collector="{name}"'
    success = by_id("viam_billing_collector_success", of)
    # One that was said twice is there once: nothing is missing for it.
    withheld = by_id("viam_billing_withheld_samples", of, 'reason!="duplicate"')
    return Origin(
        failing=f"({success} == 0 or {withheld} or {GONE})",
        pending=f"({ORGANIZATIONS} unless on (org_id) {success})",
        answered=f"({success} == 1)",
        succeeded=by_id(SUCCEEDED, of),
    )


USAGE: Final = collector("usage")
BILLING: Final = collector("billing_information")
INVOICES: Final = collector("invoices")
# What needs no poll: it is on the page of an exporter that runs.
CONFIGURED: Final = Origin(failing=GONE, pending="", answered=POLLED)
# What is said of budgets matters only for organizations that have one: -1 is remembered of others.
BUDGETED: Final = f"({by_id(last('viam_billing_budget_usd'))} >= 0)"
USAGE_OF_BUDGET: Final = Origin(
    failing=f"({USAGE.failing} and on (org_id) {BUDGETED})",
    pending=f"({USAGE.pending} and on (org_id) {BUDGETED})",
    answered=POLLED,
    succeeded=USAGE.succeeded,
)
# Each part of the bill says how old it is by itself.
_SUCCESS: Final = by_id("viam_billing_collector_success")
ANY_PART: Final = Origin(
    failing=f"({_SUCCESS} == 0 or {GONE})",
    pending=f"({ORGANIZATIONS} unless on (org_id) {_SUCCESS})",
    answered=POLLED,
)
EXPORTER: Final = Origin(DOWN, "", f"count({metric('viam_billing_exporter_build_info')})")


def amount(name: str) -> str:
    """Return an amount of each organization as it was last known, by its id."""
    return by_id(last(name))


def month_to_date() -> str:
    """Return month to date as it was last known. What is withheld is not known to be $0."""
    fresh = by_id("viam_billing_usage_period_start_timestamp_seconds")
    remembered = f"{amount('viam_billing_usage_month_to_date_usd')} unless on (org_id) {fresh}"
    return f"({by_id(MONTH_TO_DATE)} or {remembered})"


def state(value: str, origin: Origin) -> str:
    """Return the worst state of those that have no value, if none has one."""
    states = [f"{State.UNREADABLE} + 0 * {origin.failing}"]
    if origin.pending:
        states.append(f"{State.PENDING} + 0 * {origin.pending}")
    states.append(f"{State.NONE} + 0 * {origin.answered}")
    states.append(f"{State.UNREADABLE} + 0 * ({DOWN} unless on () {ORGANIZATIONS})")
    return f"max({' or '.join(states)}) unless on () ({value})"


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
    always: bool = True,
    colours: Steps = PLAIN,
    url: str | None = None,
    mappings: Sequence[Any] = (),
    decimals: int | None = None,
    also: Sequence[Beside] = (),
    name: str = NUMBER,
    below_zero: str | None = None,
    width: int = 4,
    height: int = 4,
) -> Panel:
    """Return a tile of one organization's value, or of what those of all come to: `total`.

    It says of when the value is if it is out of date; of a total, of how many organizations it is,
    and how many are missing from it, if they `always` have a value. One that may be below $0 is
    called `below_zero` then.
    """
    number = total or value
    beside = [why(number, origin, none)]
    if below_zero:
        # Grafana would write $-1.00. As a query of its own it has its sign before the currency.
        beside.append(Beside(below_zero, f"-({number}) > 0", BELOW_ZERO))
    beside += also
    if total and always:
        missing = f"count({ORGANIZATIONS} unless on (org_id) {value}) and on () {total}"
        beside.append(Beside(MISSING, missing, colour="orange"))
    if origin.succeeded:
        old = f"{origin.old} and on (org_id) ({value})"
        beside.append(
            Beside(OUT_OF_DATE, f"count({old})", colour="orange")
            if total
            else Beside(AS_OF, f"1000 * ({old})", SHORT_MOMENT, "orange")
        )
    return stat(
        title,
        description,
        f"({number}) >= 0" if below_zero else number,
        name=name,
        unit=unit,
        colours=colours,
        url=url,
        mappings=mappings,
        decimals=decimals,
        beside=beside,
        width=width,
        height=height,
    )


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


# What a cell holds in place of a number, and `tables` has words for: no amount is either.
UNREADABLE: Final = "0 / 0"  # NaN
NOT_YET: Final = "-1 / 0"  # -Inf


def cell(value: str, origin: Origin, *, takes_time: bool = False) -> str:
    """Return the value of each organization for a table, or why it has none; nothing if it is none.

    What `takes_time` is not known yet where the answer is good and has none.
    """
    pending = ORGANIZATIONS if takes_time else origin.pending
    cells = [value, f"0 * {origin.failing} + {UNREADABLE}"]
    if pending:
        cells.append(f"0 * {pending} + {NOT_YET}")
    return " or on (org_id) ".join(cells)


def rows(value: str, origin: Origin, label: str) -> str:
    """Return the rows of a table, by a label beside the organization's id and name.

    An organization that has none because it cannot be read has a row that says so. So has one that
    was not polled yet; and if there are no rows at all, one says that there is none.
    """
    name = f"({named(SEEN)} > bool 0)"

    def saying(what: str, of: str, number: str) -> str:
        value = f"(0 * {of} + {number}) * on (org_id) group_left (org_name) {name}"
        # With the organization in it: rows are joined by it.
        return f'label_replace({value}, "{label}", "{what}: $1", "org_id", "(.*)")'

    unreadable = saying("cannot be read", origin.failing, UNREADABLE)
    pending = saying("not polled yet", origin.pending, NOT_YET)
    none = f'label_replace(0 * count({origin.answered}), "{label}", "none", "", "")'
    return f"{value} or on (org_id) {unreadable} or on (org_id) {pending} or on () {none}"


def parts(value: str, origin: Origin, label: str, none: str = "none") -> str:
    """Return the rows of a table of what something is made of, by a label.

    If there are none, one row says why; `none` where the answer is good.
    """

    def saying(what: str, of: str) -> str:
        return f'label_replace(max({of}), "{label}", "{what}", "", "")'

    unreadable = saying("cannot be read", f"0 * {origin.failing} + {UNREADABLE}")
    pending = saying("not polled yet", f"0 * {origin.pending} + {NOT_YET}")
    good = saying(none, f"0 * {origin.answered}")
    return f"{value} or on () {unreadable} or on () {pending} or on () {good}"
