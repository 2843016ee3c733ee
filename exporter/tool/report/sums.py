"""What several organizations come to together, and which of them each sum lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.tool.api_answers import WholeOrganization
from exporter.tool.report.months import Month, Report
from exporter.tool.report.periods import State
from exporter.web.status.changes import Pair

Adding = Callable[[Iterable[float]], float]


class Total(NamedTuple):
    """The sum of a column in US dollars, None if nothing of it is known."""

    usd: float | None
    lacks: Sequence[WholeOrganization]  # those that it is not known of
    # Those of which more may be to come than it has, the largest first.
    at_least: Sequence[WholeOrganization] = ()


class Sums(NamedTuple):
    """The sums of all organizations that a report is about."""

    number: int  # of organizations
    cost: Total
    end: Total  # final, or by the forecast; without one, what it has cost so far
    running: int  # organizations of which the month is not over
    seen: float | None  # when the oldest of their bills was read, Unix seconds
    ended: int  # those of which it is; of the rest, the bill is out of date
    unpaid: Total
    overdue: Total
    budget: Total  # of those with a budget and a cost
    budgets: int  # how many these are
    over: int  # how many of them have cost more
    unread: int  # organizations that could not be read, or not completely
    change: Pair  # of those that are compared with the month before
    not_compared: Sequence[WholeOrganization]


def sums(report: Report, add: Adding = exact_sum) -> Sums:
    """Return what the organizations of a report come to; `add` makes a sum of amounts."""
    months = report.months
    largest = sorted(months, key=lambda each: -(each.period.usd or 0.0))
    wholes = [*(each.whole for each in months), *report.nothing]
    running = [each for each in months if each.period.state is State.RUNNING]
    nothing = [None for _ in report.nothing]
    used = [each for each in months if each.budget_left is not None]
    budgets = {each.whole.org_id: each.whole.budget_usd for each in used}
    with_budget = [each for each in wholes if each.budget_usd is not None]
    return Sums(
        len(wholes),
        _total(
            add,
            [*(each.period.usd for each in months), *nothing],
            wholes,
            [each.whole for each in largest if each.period.state is State.LAST_KNOWN],
        ),
        _total(
            add,
            [*(_end(each) for each in months), *nothing],
            wholes,
            [
                each.whole
                for each in largest
                if each.end_usd is None and each.period.usd is not None
            ],
        ),
        len(running),
        min((each.seen for each in running if each.seen is not None), default=None),
        sum(each.period.state is State.ENDED for each in months),
        _total(add, [each.unpaid_usd for each in wholes], wholes),
        _total(add, [each.overdue_usd for each in wholes], wholes),
        _total(add, [budgets.get(each.org_id) for each in with_budget], with_budget),
        len(used),
        sum(each.has_exceeded for each in used),
        sum(bool(each.whole.failures) for each in months) + len(report.nothing),
        Pair(
            _known(add, (each.compared and each.compared.pair.now for each in months)),
            _known(add, (each.compared and each.compared.pair.before for each in months)),
        ),
        [*(each.whole for each in months if each.compared is None), *report.nothing],
    )


def _end(month: Month) -> float | None:
    return month.period.usd if month.end_usd is None else month.end_usd


def _total(
    add: Adding,
    usds: Sequence[float | None],
    wholes: Sequence[WholeOrganization],
    at_least: Sequence[WholeOrganization] = (),
) -> Total:
    lacks = [whole for usd, whole in zip(usds, wholes, strict=True) if usd is None]
    return Total(_known(add, usds), lacks, at_least)


def _known(add: Adding, usds: Iterable[float | None]) -> float | None:
    known = [usd for usd in usds if usd is not None]
    return add(known) if known else None
