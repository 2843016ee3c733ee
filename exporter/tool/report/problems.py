"""What is wrong with a month of an organization, a line for each problem, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from exporter.base import plain
from exporter.metrics.problems import Kind, failure_words
from exporter.state.listing import text_of
from exporter.tool.api_answers import Failing, InvoiceLine, WholeOrganization
from exporter.tool.parts import words
from exporter.tool.report import invoice_tables
from exporter.tool.report.months import Month
from exporter.tool.report.periods import State
from exporter.web.status.failing import without_call
from exporter.web.status.formatting import count, day, span, usd

MAX_NAMED: Final = 3  # invoices, or causes of a spike


class Problem(NamedTuple):
    """Something that is wrong."""

    kind: Kind
    usd: float | None  # how much it is about, in US dollars
    since: str | None  # a date, or of a spike its day
    detail: str


class Trouble(NamedTuple):
    """A problem, and whose it is: of all that share it, if it is about no amount."""

    wholes: Sequence[WholeOrganization]
    problem: Problem


class Unread(NamedTuple):
    """Why something could not be read."""

    collectors: Sequence[str]
    reason: str
    since: str | None  # RFC 3339: the first of them

    @property
    def words(self) -> str:
        """What could not be read, and why."""
        return f"{', '.join(self.collectors)}: {self.reason}"


def unread(whole: WholeOrganization) -> Sequence[Unread]:
    """Return what could not be read of an organization, each reason once."""
    found: dict[str, list[Failing]] = {}
    for each in whole.failures:
        found.setdefault(without_call(each.reason), []).append(each)
    return [
        Unread(
            [each.collector.replace("_", " ") for each in failing],
            reason,
            min((each.since for each in failing if each.since), default=None),
        )
        for reason, failing in found.items()
    ]


def of_nothing(whole: WholeOrganization) -> Problem:
    """Return the problem of an organization of which nothing is known in a month."""
    return _unread(whole, "nothing is known of this month")


def problems(month: Month) -> Sequence[Problem]:
    """Return what is wrong with a month, the worst first."""
    return [*_reading(month), *_money(month)]


def pressing_first(months: Iterable[Month]) -> Sequence[tuple[Month, Sequence[Problem]]]:
    """Return months with their problems: by the worst of them, then the most expensive first."""
    none = len(Kind)
    return sorted(
        ((month, problems(month)) for month in months),
        key=lambda each: (
            min((problem.kind.urgency for problem in each[1]), default=none),
            -(each[0].period.usd or 0.0),
        ),
    )


def troubles(
    months: Iterable[tuple[Month, Sequence[Problem]]], nothing: Iterable[WholeOrganization]
) -> Sequence[Trouble]:
    """Return the problems of all organizations by kind, the largest amount of each first."""
    every = [(whole, of_nothing(whole)) for whole in nothing]
    every += [(month.whole, each) for month, found in months for each in found]
    # In an outage, hundreds of organizations have the same reason.
    shared: dict[Problem, list[WholeOrganization]] = {}
    for whole, problem in every:
        if problem.usd is None:
            shared.setdefault(problem, []).append(whole)
    listed = [Trouble(wholes, problem) for problem, wholes in shared.items()]
    listed += [Trouble([whole], problem) for whole, problem in every if problem.usd is not None]
    return sorted(listed, key=lambda each: (each.problem.kind.urgency, -(each.problem.usd or 0.0)))


def _reading(month: Month) -> Iterator[Problem]:
    whole, period = month.whole, month.period
    is_stale = period.state is State.LAST_KNOWN
    seen = "an unknown date" if month.seen is None else day(month.seen)
    as_of = f"the bill is as of {seen}" if is_stale else ""
    if whole.failures:
        yield _unread(whole, as_of)
    elif is_stale:
        yield Problem(Kind.OUT_OF_DATE, None, None, as_of)
    for each in whole.withheld:
        what = each.collector.replace("_", " ")
        detail = f"{what}: {count(each.samples, 'amount')} withheld"
        yield Problem(Kind.WITHHELD, None, None, detail)


def _money(month: Month) -> Iterator[Problem]:
    period, budget = month.period, month.whole.budget_usd
    spikes = month.days.spikes
    if budget is not None and month.budget_left is not None and month.has_exceeded:
        used_up = month.used_up
        estimated = "; the date is an estimate" if used_up and used_up.is_estimated else ""
        detail = f"{usd(budget - month.budget_left)} of {usd(budget)}{estimated}"
        yield Problem(Kind.OVER_BUDGET, -month.budget_left, used_up and used_up.day, detail)
    yield from _unpaid(month.whole)
    if month.is_forecast_over and budget is not None and month.end_usd is not None:
        date = (month.whole.budget_exhausted_at or "")[:10] or None
        expected = "; the date is when the forecast uses it up" if date else ""
        detail = f"{usd(month.end_usd)} of {usd(budget)}{expected}"
        yield Problem(Kind.FORECAST_OVER_BUDGET, month.end_usd - budget, date, detail)
    if period.is_incomplete:
        detail = f"last read {span(period.unseen)} before the end of the period"
        yield Problem(Kind.INCOMPLETE, period.missing_usd, None, detail)
    if spikes:
        number, largest = max(spikes, key=lambda each: each[1].above_usd or 0.0)
        causes = [
            f"{words(each.resource_type, 'resource')} +{usd(each.above_usd)}"
            for each in largest.causes[:MAX_NAMED]
        ]
        others = [f"and {count(len(spikes) - 1, 'smaller spike')}"] if len(spikes) > 1 else []
        detail = "; ".join([", ".join(causes) or "no single cause", *others])
        yield Problem(Kind.SPIKE, largest.above_usd, text_of(number), detail)


def _unpaid(whole: WholeOrganization) -> Iterator[Problem]:
    owed = [each for each in whole.invoices or () if each.unpaid]
    late = [each for each in owed if each.overdue]
    if whole.overdue_usd:
        yield _invoices(Kind.OVERDUE, late, whole.overdue_usd)
    if failed := [each for each in owed if each.payment_failure and not each.overdue]:
        yield _invoices(Kind.PAYMENT_FAILED, failed, invoice_tables.amounts(failed))


def _invoices(kind: Kind, every: Sequence[InvoiceLine], amount: float) -> Problem:
    due = sorted(each.due[:10] for each in every if each.due)
    ids = [each.invoice_id for each in every[:MAX_NAMED]]
    more = [f"{len(every) - MAX_NAMED} more"] if len(every) > MAX_NAMED else []
    failures = {failure_words(each.payment_failure) for each in every if each.payment_failure}
    failed = [f"the last payment failed: {', '.join(sorted(failures))}"] if failures else []
    detail = "; ".join([", ".join([*ids, *more]), *failed])
    return Problem(kind, plain.number(amount), due[0] if due else None, detail)


def _unread(whole: WholeOrganization, seen: str) -> Problem:
    reasons = unread(whole)
    since = min((each.since[:10] for each in reasons if each.since), default=None)
    detail = "; ".join([*([seen] if seen else []), *(each.words for each in reasons)])
    return Problem(Kind.UNREAD, None, since, detail)
