"""Pieces of expressions.

A metric of the exporter may come from several replicas and shards: an organization is counted once
before anything is added up. `picked` takes the amounts that belong together from one exporter, the
rules' choice; `most` takes the greatest. What the rules record has no label `job`, and is counted
once.
"""

from __future__ import annotations

from typing import Final

from exporter.metrics import catalog
from exporter.rules.readings import MEMORY as READING_DAYS
from exporter.rules.readings import SPENT
from exporter.rules.series import ANSWERED, PICKED, READINGS, SINCE

BY_ORGANIZATION: Final = frozenset(spec.name for spec in catalog.SPECS)
JOB: Final = 'job=~"$job"'
ORGANIZATION: Final = 'org_id=~"$organization"'
MEMORY: Final = f"{READING_DAYS}d"
# Answers further apart than this, with a midnight between, are said to have a gap between them: it
# is what the ledger's days are called estimated for.
APART: Final = 6 * 3600  # seconds


def metric(name: str, *matchers: str) -> str:
    """Return a selector of a metric: of the jobs and the organizations that are chosen."""
    chosen = [JOB]
    if name in BY_ORGANIZATION:
        chosen.append(ORGANIZATION)
    return f"{name}{{{','.join([*chosen, *matchers])}}}"


def recorded(name: str, *matchers: str) -> str:
    """Return a selector of what a rule records of the organizations that are chosen."""
    return f"{name}{{{','.join([ORGANIZATION, *matchers])}}}"


def most(labels: str, selector: str) -> str:
    """Return the greatest of several replicas or shards, by these labels."""
    return f"max by ({labels}) ({selector})"


def by_id(name: str, *matchers: str) -> str:
    """Return a metric, or a recorded series, by nothing but the id of the organization."""
    select = recorded if ":" in name else metric
    return most("org_id", select(name, *matchers))


def picked(name: str, *matchers: str, labels: str = "org_id") -> str:
    """Return a metric of the exporter that the rules picked for each organization."""
    return picked_of(metric(name, *matchers), labels)


def picked_of(expr: str, labels: str = "org_id") -> str:
    """Return an expression of metrics, of the exporter that the rules picked."""
    chosen = f"{PICKED}{{{JOB},{ORGANIZATION}}}"
    return most(labels, f"{expr} and on (job, instance, org_id) {chosen}")


def named(name: str, *matchers: str) -> str:
    """Return a metric, or a recorded series, by the organization's id and name."""
    select = recorded if ":" in name else metric
    return most("org_id, org_name", select(name, *matchers))


def read(function: str, window: str, *modifiers: str) -> str:
    """Return a function of what each organization has spent, as it is read each hour, by its id."""
    selector = recorded(READINGS, f'reading="{SPENT}"')
    return most("org_id", f"{function}({' '.join([f'{selector}[{window}]', *modifiers])})")


def spent(days: int, *modifiers: str) -> str:
    """Return what each organization spent in so many days before a moment, by its id.

    It is the difference of what was last known at both ends, so that days add up whatever was
    missing. Where nothing was known when they began, it is what was spent from the first reading.
    """
    after = read("last_over_time", MEMORY, *modifiers)
    before = read("last_over_time", MEMORY, *modifiers, f"offset {days}d")
    first = read("min_over_time", f"{days}d", *modifiers)
    return f"{after} - ({before} or {first})"


# Of a day that begins, what is true at its end, and that it is over: of today nothing is shown yet.
AT_END: Final = "offset -1d"
OVER: Final = "(vector(time()) < max_over_time(vector(time())[1d:1d] @ end()))"
# And that the bill was read until near its end, or later: one that cannot be read any more has no
# bar for half a day.
READ_TO_END: Final = (
    f"(max by (org_id) (last_over_time({recorded(ANSWERED)}[{MEMORY}] @ end()))"
    f" > time() + {86400 - APART})"
)


def spent_on_day() -> str:
    """Return what each organization spent on the UTC day that begins, by its id."""
    after, before = read("last_over_time", MEMORY, AT_END), read("last_over_time", MEMORY)
    first = read("min_over_time", "1d", AT_END)
    # A day of which nothing was heard has no bar, rather than one of $0.
    known = f"{first} and on (org_id) {READ_TO_END}"
    return f"({after} - ({before} or {first}) and on (org_id) {known} and on () {OVER})"


# At every step: what is known of the organizations reaches back far enough to be seen in a chart.
_NOW: Final = "max_over_time(vector(time())[1m:1m] @ end())"
LONG: Final = f"(min({recorded(SINCE)} @ end()) <= {_NOW} - $__range_s / 48)"

RANKS: Final = 8  # of series that have a colour of their own


def ranked(series: str, by: str, size: str) -> str:
    """Return series with their rank by size at the end of the time range, "-" where there are more.

    `size` is an expression that is the same at every step; `by` are the labels of both.
    """

    def with_rank(expr: str, rank: object) -> str:
        return f'label_replace({expr}, "rank", "{rank}", "", "")'

    ranks = [with_rank(f"bottomk(1, topk({n}, {size}))", n) for n in range(1, RANKS + 1)]
    joined = f" or on ({by}) ".join([*ranks, with_rank(size, "-")])
    return f"({series}) * on ({by}) group_left (rank) (({joined}) ^ 0)"


def told_apart(names: str) -> str:
    """Return series by id and name, with the id in the name where several have that name."""
    shared = f"count by (org_name) ({names}) > 1"
    longer = (
        f'label_join({names} and on (org_name) {shared}, "org_name", ", ", "org_name", "org_id")'
    )
    return f"({names} unless on (org_name) {shared} or {longer})"


def with_name(of_day: str) -> str:
    """Return what is of the day that begins with the name that each organization had at its end."""
    name = f"topk by (org_id) (1, last_over_time({recorded(ANSWERED)}[{MEMORY}] {AT_END}))"
    return f"({of_day} + on (org_id) group_left (org_name) 0 * {told_apart(name)})"


def share_on_day(amount: str, all_of_it: str, period_start: str, period_end: str) -> str:
    """Return by how much each amount of one organization grew on the UTC day that begins.

    They are amounts of a period: where another one has begun, what the one before came to is added.
    One that is missing while all of it is known is 0.
    """

    def last(function: str, expr: str, *modifiers: str) -> str:
        return f"{function}({' '.join([f'{expr}[{MEMORY}:15m]', *modifiers])})"

    def known(*modifiers: str) -> str:
        seen, all_seen = (
            last("max_over_time", f"timestamp({expr})", *modifiers) for expr in (amount, all_of_it)
        )
        value = last("last_over_time", amount, *modifiers)
        return f"{value} * ({seen} >= bool on () group_left () {all_seen})"

    start, start_before = (last("max_over_time", period_start, *at) for at in ([AT_END], []))
    nothing = f"0 * {last('last_over_time', amount, AT_END)}"
    # Of nothing that was known when the day began, the first that was known on it.
    first = f"min_over_time({amount}[1d:15m] {AT_END})"
    before = f"({known()} or ({nothing} and on () {last('last_over_time', all_of_it)}) or {first})"
    ending = f"({amount} and on () {period_end} < time() + 86400)"
    closed = f"(last_over_time({ending}[1d:15m] {AT_END}) or {known()})"
    ended = f"({closed} and on () {start} - {start_before} >= 86400 or {nothing})"
    # As in `spent_on_day`: no bar of $0.
    heard = f"max_over_time({all_of_it}[1d:15m] {AT_END})"
    over = f"{OVER} and on () {READ_TO_END}"
    return f"({known(AT_END)} - {before} + {ended} and on () {heard} and on () {over})"


def day_after_a_gap() -> str:
    """Return when a day began before which answers were missing, in milliseconds; else nothing.

    Its bar holds what was spent since the last one.
    """
    before = most("org_id", f"last_over_time({recorded(ANSWERED)}[{MEMORY}])")
    first = f"min by (org_id) (min_over_time({recorded(ANSWERED)}[1d] {AT_END}))"
    return f"1000 * time() + 0 * (max({first} - {before}) > {APART})"
