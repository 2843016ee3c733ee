"""An organization in a line: the numbers are those that are on /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from exporter.base import plain
from exporter.forecast import ahead
from exporter.forecast.outlook import Said
from exporter.metrics.catalog import COLLECTORS, Collector
from exporter.metrics.extract.invoices import FAILURE_REASONS
from exporter.metrics.problems import Kind, failure_words, is_over
from exporter.metrics.render import figure
from exporter.metrics.report import MONTH_TO_DATE, OrganizationReport, report_on
from exporter.model import (
    Answer,
    Cause,
    Failure,
    Forecast,
    InvoiceDetail,
    Moment,
    OrganizationState,
    Windows,
)
from exporter.page.limit import Limit
from exporter.polling.schedule import Unit
from exporter.state.messages import unpacked

PERIOD_START: Final = "viam_billing_usage_period_start_timestamp_seconds"
PERIOD_END: Final = "viam_billing_usage_period_end_timestamp_seconds"
OWED: Final = "viam_billing_invoices_unpaid_amount_usd"
OVERDUE: Final = "viam_billing_invoices_overdue_amount_usd"
FAILED: Final = "viam_billing_invoices_payment_failed_amount_usd"
OUTSTANDING: Final = "viam_billing_outstanding_balance_usd"
USAGE: Final = "usage"

# The collector that a figure comes from.
COLLECTOR_OF: Final[Mapping[str, str]] = {
    spec.name: collector.name for collector in COLLECTORS for spec in collector.specs if spec.figure
}

BAD, WAIT, OK = "bad", "wait", "ok"


class PageContext(NamedTuple):
    """What a page is rendered with beside states: the moment, the schedule and the limit then."""

    time: float  # Unix seconds
    monotonic: float
    next_poll: Callable[[Unit], float | None]  # on the monotonic clock; None while it is polled
    limit: Limit = Limit()


def words(cause: Cause) -> str:
    """Return a cause as people read it."""
    return cause.replace("_", " ")


def between(errors: Iterable[float | None]) -> str:
    """Say how often periods end within the bounds of a forecast, by its methods' past errors."""
    if any(error is not None for error in errors):
        return "four times out of five, it ends between"
    return "with no history to judge by, it may end between"


class Summary:
    """What is known of an organization. Only what is asked for is worked out."""

    def __init__(self, state: OrganizationState, context: PageContext) -> None:
        self.state = state
        self.context = context
        self.id = state.organization.id
        self.name = state.organization.name

    # --- Whether its bill can be read ---

    @cached_property
    def level(self) -> str:
        """BAD if a poll failed, WAIT before the first ones, else OK."""
        if self.failures:
            return BAD
        return OK if all(each.polled for each in self.state.collectors.values()) else WAIT

    @cached_property
    def failures(self) -> Mapping[str, Failure]:
        """Why the last poll failed, of each collector that it failed of."""
        collectors = self.state.collectors.items()
        return {name: each.failure for name, each in collectors if each.failure is not None}

    @property
    def is_unreadable(self) -> bool:
        """Whether polls fail and there is no collector whose last one succeeded."""
        states = self.state.collectors.values()
        return bool(self.failures) and not any(each.polled and not each.failure for each in states)

    @property
    def state_text(self) -> str:
        """The state in a few words. Of failures it has the causes only."""
        if self.level == BAD:
            causes = ", ".join(dict.fromkeys(words(each.cause) for each in self.failures.values()))
            what = "" if self.is_unreadable else f"{', '.join(self.failures)} "
            text = f"{what}cannot be read: {causes}"
        elif self.level == WAIT:
            collectors = self.state.collectors.items()
            waiting = [name for name, each in collectors if not each.polled]
            text = f"waiting for the first poll since the start: {', '.join(waiting)}"
        else:
            text = "bill readable"
        if withdrawn := self.withdrawn:
            text += f"; withdrawn as too old: {', '.join(withdrawn)}"
        return f"{text}; not on /metrics: over limits.max_series" if self.over_limit else text

    @property
    def over_limit(self) -> bool:
        """Whether limits.max_series keeps all of it off /metrics."""
        return self.context.limit.withholds(self.id)

    @property
    def withdrawn(self) -> list[str]:
        """The collectors whose data is too old to be shown."""
        collectors = self.state.collectors.items()
        return [name for name, each in collectors if each.answer and name not in self.current]

    @cached_property
    def last_success(self) -> float | None:
        """When all collectors had succeeded, Unix seconds; None if one never did."""
        answers = [each.answer for each in self.state.collectors.values()]
        times = [answer.received for answer in answers if answer is not None]
        return min(times) if times and len(times) == len(answers) else None

    @cached_property
    def next_poll(self) -> float | None:
        """In how many seconds any collector is polled next; None while all are."""
        units = [Unit(self.id, name) for name in self.state.collectors]
        dues = [due for unit in units if (due := self.context.next_poll(unit)) is not None]
        return max(0.0, min(dues) - self.context.monotonic) if dues else None

    # --- Amounts: None where there is nothing that may be shown ---

    @cached_property
    def report(self) -> OrganizationReport:
        """What is current."""
        return report_on(self.state, Moment(self.context.time, self.context.monotonic))

    def reread(
        self, collector: Collector[Any, Any], invoice_detail: InvoiceDetail
    ) -> tuple[Message, Any] | None:
        """Return the last good answer of a collector, as it was kept, and what it means now.

        None if there is none. May take long, as an answer may have 4 MiB.
        """
        known = self.state.collectors.get(collector.name)
        if known is None or known.answer is None:
            return None
        message = collector.message.FromString(unpacked(known.answer.message))
        return message, collector.view(message, self.context.time, invoice_detail)

    @property
    def current(self) -> Mapping[str, Answer]:
        """The collectors whose data may be shown."""
        return self.report.current

    def value(self, metric: str) -> float | None:
        """Return the only sample that a figure has on /metrics, or None if it has none."""
        answer = self.report.current.get(COLLECTOR_OF[metric])
        return answer.reading.figures.get(metric) if answer else None

    def why_not(self, metric: str) -> str:
        """Say why a metric has no sample."""
        collector = COLLECTOR_OF[metric]
        known = self.state.collectors.get(collector)
        if known is None:
            return "not polled"
        if known.answer is None:
            return "unknown"
        return "withheld" if collector in self.current else "withdrawn"

    @cached_property
    def month_to_date(self) -> float | None:
        """US dollars."""
        return self.value(MONTH_TO_DATE)

    @property
    def ended(self) -> float | None:
        """When the period of month to date ended, if it has: the API is late with the next one."""
        end = self.value(PERIOD_END)
        if self.month_to_date is None or end is None or end > self.context.time:
            return None
        return end

    @cached_property
    def forecast(self) -> Forecast | None:
        """Where the month will end; None as long as nobody knows."""
        return None if self.month_to_date is None else self.report.forecast

    @property
    def forecast_usd(self) -> float | None:
        """US dollars."""
        return self.forecast.usd if self.forecast else None

    @property
    def why_no_forecast(self) -> str:
        """Why there is no forecast."""
        return self.why_not(MONTH_TO_DATE) if self.month_to_date is None else "none"

    @property
    def between(self) -> str:
        """Say how often periods end within the bounds of the forecast, in front of them."""
        return between(said.error for said in self.methods)

    @property
    def windows(self) -> Windows | None:
        """What was spent on the last days; None while month to date is not known."""
        return self.report.windows

    @property
    def spend_28d(self) -> float | None:
        """What was spent on the last 28 whole days, in US dollars; None unless all are known."""
        return None if self.windows is None else self.windows.twenty_eight_days

    @property
    def methods(self) -> Sequence[Said]:
        """What each method of the forecast says, those that count most first."""
        usage = self.current.get(USAGE)
        if usage is None or self.forecast is None:
            return ()
        return ahead.said(self.state.spend, usage.received, self.month_to_date)

    @property
    def budget(self) -> float | None:
        """US dollars."""
        return self.state.organization.budget_usd

    @cached_property
    def budget_used(self) -> float | None:
        """Month to date as a share of the budget."""
        return self._of_budget(self.month_to_date)

    @property
    def budget_forecast(self) -> float | None:
        """The forecast as a share of the budget."""
        return self._of_budget(self.forecast_usd)

    def _of_budget(self, usd: float | None) -> float | None:
        return plain.share(usd, self.budget)

    @cached_property
    def owed(self) -> float | None:
        """Sum of the unpaid invoices, in US dollars."""
        return self.value(OWED)

    @cached_property
    def overdue(self) -> float | None:
        """Sum of the overdue invoices, in US dollars."""
        return self.value(OVERDUE)

    @property
    def failed_payments(self) -> Sequence[str]:
        """Why the last payments of unpaid invoices failed, each reason once."""
        answer = self.current.get(COLLECTOR_OF[FAILED])
        figures = answer.reading.figures if answer else {}
        return [reason for reason in FAILURE_REASONS if figure(FAILED, reason) in figures]

    @cached_property
    def problems(self) -> Mapping[Kind, str]:
        """What is wrong with its money, in words, the most urgent first."""
        found = {}
        if is_over(self.month_to_date, self.budget):
            found[Kind.OVER_BUDGET] = Kind.OVER_BUDGET.words
        if self.overdue:
            found[Kind.OVERDUE] = Kind.OVERDUE.words
        if self.failed_payments:
            why = ", ".join(map(failure_words, self.failed_payments))
            found[Kind.PAYMENT_FAILED] = f"{Kind.PAYMENT_FAILED.words}: {why}"
        return found
