"""Pure: what the series of an organization were in the past, as far as its invoices tell.

An invoice says when it was issued, when it was due and when it was paid. So what the exporter would
have shown at a past moment can be put together for some of its metrics, with the same names, labels
and sums. One sweep over those moments, in which each invoice changes at most three times, keeps
the work in line with their number: an answer for each moment would square it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush, merge
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

from exporter.metrics import render
from exporter.metrics.catalog import INVOICE, INVOICES
from exporter.metrics.extract import invoices
from exporter.metrics.extract.invoices import SETTLED, Invoice, Invoices, Place
from exporter.metrics.extract.values import Samples, exact_sum, unix_time
from exporter.model import ORG, InvoiceDetail, Metric, MetricSpec, Organization
from exporter.pb import billing_pb2 as pb


def _invoice_amount(view: Invoices) -> Samples:
    for invoice in view.shown:
        yield (invoice.id,), invoice.usd


# What no live series says, for a reason: live, an amount has its invoice's status as a label, and
# which status an unpaid invoice had on a past day is in no answer.
OWN: Final[tuple[MetricSpec[Invoices], ...]] = (
    MetricSpec(
        "viam_billing_backfill_invoice_amount_usd",
        "Amount of an invoice at a past moment, as polled when it was backfilled. See also "
        "viam_billing_invoice_amount_usd, the live metric, which also has the status.",
        INVOICE,
        extract=_invoice_amount,
    ),
    MetricSpec(
        "viam_billing_backfill_invoiced_usd",
        "Sum of all invoices dated up to a past moment, as polled when it was backfilled.",
        ORG,
        value=lambda view: exact_sum(invoice.usd for invoice in view.all),
    ),
)

# Live names that follow from the dates of invoices alone.
FROM_DATES: Final = frozenset(
    {
        "viam_billing_invoice_latest_amount_usd",
        "viam_billing_invoice_previous_median_amount_usd",
        "viam_billing_backfill_invoiced_usd",
    }
)
# And those that also need to know when each was paid.
FROM_PAYMENTS: Final = frozenset(
    {
        "viam_billing_invoices_unpaid",
        "viam_billing_invoices_unpaid_amount_usd",
        "viam_billing_invoices_overdue",
        "viam_billing_invoices_overdue_amount_usd",
        "viam_billing_invoice_next_due_timestamp_seconds",
        "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds",
        "viam_billing_invoice_issued_timestamp_seconds",
        "viam_billing_invoice_due_timestamp_seconds",
        "viam_billing_invoice_paid_timestamp_seconds",
        "viam_billing_backfill_invoice_amount_usd",
    }
)
SPECS: Final[tuple[MetricSpec[Invoices], ...]] = tuple(
    spec for spec in (*INVOICES, *OWN) if spec.name in FROM_DATES | FROM_PAYMENTS
)


Changes = list[tuple[float, float | None]]  # from when on, Unix seconds, and its value, if any


class History(NamedTuple):
    """The past of an organization."""

    organization: Organization
    labels: tuple[tuple[str, str], ...]  # more of them, for each sample
    series: Mapping[str, Mapping[tuple[str, ...], Changes]]  # by metric, then by its own labels
    start: float | None  # Unix seconds; None if there is nothing
    uncertain_from: float  # Unix seconds, from which on not all payments are known; or infinity


def history(
    organization: Organization,
    answer: pb.GetInvoicesSummaryResponse,
    detail: InvoiceDetail,
    labels: tuple[tuple[str, str], ...],
    end: float,
) -> History:
    """Return the past up to `end`, Unix seconds, with more labels on each sample."""
    events = sorted(
        (moment, index)
        for index, invoice in enumerate(answer.invoices)
        for moment in _moments(invoice)
        if moment <= end
    )
    sweep = _Sweep(answer, detail)
    for moment, changed in groupby(events, itemgetter(0)):
        sweep.pass_(moment, [index for _, index in changed])
    start = events[0][0] if events else None
    return History(organization, labels, sweep.series, start, uncertain_from(answer))


class _Sum:
    """An exact sum that parts come to and go from."""

    UNIT: Final = 2**1074  # of the smallest float

    def __init__(self) -> None:
        self._units = 0
        self._odd: list[float] = []  # what is no number

    def add(self, usd: float, sign: int = 1) -> None:
        """Add a part, or take it away."""
        if math.isfinite(usd):
            numerator, denominator = usd.as_integer_ratio()
            self._units += sign * numerator * (self.UNIT // denominator)
        else:
            self._odd.append(usd)

    @property
    def value(self) -> float:
        """What `exact_sum` returns: rounded correctly, once."""
        if self._odd:
            return exact_sum(self._odd[:1])
        try:
            return self._units / self.UNIT
        except OverflowError:
            return math.inf


class _Sweep:
    """Goes through the moments at which something changed, in order, and notes what did."""

    def __init__(self, answer: pb.GetInvoicesSummaryResponse, detail: InvoiceDetail) -> None:
        every = invoices.view(answer, 0.0, detail="none", limit=0).all
        self._invoices = [
            each._replace(paid=_paid(received))
            for each, received in zip(every, answer.invoices, strict=True)
        ]
        self._shown = _Shown(self._invoices, detail)
        self._known: set[int] = set()  # invoices that there are, by their place in the answer
        self._unpaid: set[int] = set()
        self._overdue: set[int] = set()
        self._sums = {name: _Sum() for name in ("all", "unpaid", "overdue")}
        self._dues: list[tuple[float, int]] = []  # heaps of what is, or was, unpaid
        self._coming: list[tuple[float, int]] = []
        # Of those above 0 and of each place in a month, as many as a median looks at.
        self._newest: defaultdict[Place, list[Invoice]] = defaultdict(list)
        self._billed: Sequence[Invoice] = ()  # of the newest one's kind
        self.series: dict[str, dict[tuple[str, ...], Changes]] = {s.name: {} for s in SPECS}

    def pass_(self, moment: float, changed: Sequence[int]) -> None:
        """Come to a moment at which these invoices changed."""
        for index in changed:
            self._change(moment, index)
        view = self._view(moment)
        for name, value in (
            ("viam_billing_backfill_invoiced_usd", self._sums["all"].value),
            ("viam_billing_invoice_latest_amount_usd", invoices.latest_amount(view)),
            (
                "viam_billing_invoice_previous_median_amount_usd",
                invoices.previous_median_amount(view),
            ),
            ("viam_billing_invoices_unpaid", float(len(self._unpaid))),
            ("viam_billing_invoices_unpaid_amount_usd", self._sums["unpaid"].value),
            ("viam_billing_invoices_overdue", float(len(self._overdue))),
            ("viam_billing_invoices_overdue_amount_usd", self._sums["overdue"].value),
            ("viam_billing_invoice_next_due_timestamp_seconds", view.next_change),
            (
                "viam_billing_invoice_oldest_unpaid_due_timestamp_seconds",
                self._earliest(self._dues, -math.inf),
            ),
        ):
            self._note(name, (), moment, value)
        for invoice_id, shown in self._shown.news():
            paid = shown.paid if shown and shown.paid and shown.paid <= moment else None
            for name, value in (
                ("viam_billing_backfill_invoice_amount_usd", shown and shown.usd),
                ("viam_billing_invoice_issued_timestamp_seconds", shown and shown.issued),
                ("viam_billing_invoice_due_timestamp_seconds", shown and shown.due),
                ("viam_billing_invoice_paid_timestamp_seconds", paid),
            ):
                self._note(name, (invoice_id,), moment, value)

    def _change(self, moment: float, index: int) -> None:
        invoice = self._invoices[index]
        if index not in self._known:
            self._known.add(index)
            self._sums["all"].add(invoice.usd)
            if math.isfinite(invoice.usd) and invoice.usd > 0:
                self._bill(invoice)
                if invoice.due is not None:
                    heappush(self._dues, (invoice.due, index))
                    heappush(self._coming, (invoice.due, index))
        paid = invoice.paid is not None and invoice.paid <= moment
        unpaid = math.isfinite(invoice.usd) and invoice.usd > 0 and not paid
        overdue = unpaid and invoice.due is not None and invoice.due <= moment
        for now, name, members in (
            (unpaid, "unpaid", self._unpaid),
            (overdue, "overdue", self._overdue),
        ):
            if now is not (index in members):
                self._sums[name].add(invoice.usd, 1 if now else -1)
                (members.add if now else members.remove)(index)
        self._shown.place(index, unpaid=unpaid)

    def _bill(self, invoice: Invoice) -> None:
        """Take in an invoice above 0: none that came before is newer."""
        at = invoices.place(invoice.issued or 0.0)
        newest = self._newest[at]
        insort(newest, invoice, key=invoices.newest_first)
        del newest[1 + invoices.MAX_FOR_MEDIAN :]
        alike = [those for place, those in self._newest.items() if invoices.same_kind(place, at)]
        self._billed = [*merge(*alike, key=invoices.newest_first)]

    def _view(self, moment: float) -> Invoices:
        """Return what the exporter's own extractors read, of those that read but little."""
        return Invoices(
            outstanding_balance=0.0,
            all=(),
            unpaid=(),
            overdue=(),
            billed=self._billed,
            shown=(),
            duplicates=(),
            next_change=self._earliest(self._coming, moment),
        )

    def _earliest(self, heap: list[tuple[float, int]], after: float) -> float | None:
        while heap and (heap[0][1] not in self._unpaid or heap[0][0] <= after):
            heappop(heap)
        return heap[0][0] if heap else None

    def _note(self, name: str, labels: tuple[str, ...], moment: float, value: float | None) -> None:
        changes = self.series[name].setdefault(labels, [])
        if value != (changes[-1][1] if changes else None):
            changes.append((moment, value))


class _Shown:
    """Which invoices have series of their own: of each id one, the most pressing up to a limit."""

    def __init__(self, every: Sequence[Invoice], detail: InvoiceDetail) -> None:
        self._invoices = every
        self._detail = detail
        self._wanted: dict[
            str, list[int]
        ] = {}  # by id, in the order of the answer: the first has it
        self._keys: dict[int, Any] = {}  # of those that are wanted
        self._order: list[tuple[Any, int]] = []  # of those that have their id
        self._news: set[str] = set()

    def place(self, index: int, *, unpaid: bool) -> None:
        """Put an invoice where it belongs now."""
        invoice = self._invoices[index]
        self._news.add(invoice.id)
        group = self._wanted.setdefault(invoice.id, [])
        if group:
            self._move(group[0], insert=False)
        if index in self._keys:
            del self._keys[index]
            group.pop(bisect_left(group, index))
        if self._detail.detail == "all" or (self._detail.detail == "open" and unpaid):
            self._keys[index] = invoices.most_pressing_first(invoice._replace(unpaid=unpaid))
            insort(group, index)
        if group:
            self._move(group[0], insert=True)

    def _move(self, index: int, *, insert: bool) -> None:
        """Put it into the order or take it out, which brings another one over the limit."""
        entry, limit = (self._keys[index], index), self._detail.limit
        at = bisect_left(self._order, entry)
        if insert:
            self._order.insert(at, entry)
        else:
            self._order.pop(at)
        border = limit if insert else limit - 1
        if at <= border < len(self._order):
            self._news.add(self._invoices[self._order[border][1]].id)

    def news(self) -> Iterator[tuple[str, Invoice | None]]:
        """Yield the ids that may have changed, with the invoice that is shown, if any."""
        for invoice_id in sorted(self._news):
            group = self._wanted.get(invoice_id)
            shown = None
            if group:
                entry = (self._keys[group[0]], group[0])
                if bisect_left(self._order, entry) < self._detail.limit:
                    shown = self._invoices[group[0]]
            yield invoice_id, shown
        self._news.clear()


def uncertain_from(answer: pb.GetInvoicesSummaryResponse) -> float:
    """Return from when on it is not known which invoices were unpaid; infinity if it is known.

    An amount that is settled without a date of payment was unpaid until nobody knows when; one
    without a date of its own, from nobody knows when.
    """
    return min(
        (
            unix_time(invoice.invoice_date) or -math.inf
            for invoice in answer.invoices
            if math.isfinite(invoice.invoice_amount)
            and invoice.invoice_amount > 0
            and (
                unix_time(invoice.invoice_date) is None
                or (_is_settled(invoice) and _paid(invoice) is None)
            )
        ),
        default=math.inf,
    )


def sample_times(start: float, stop: float, step: float, end: float) -> Iterator[int]:
    """Yield the multiples of `step` from `start` on, before `stop` and up to `end`, in seconds."""
    number = math.ceil(start / step)
    while (time := number * step) <= end and time < stop:
        yield int(time)
        number += 1


def write(
    histories: Sequence[History],
    step: float,
    since: float,
    end: float,
    put: Callable[[str], Any],
) -> int:
    """Write the samples of all organizations as OpenMetrics, and return how many there are.

    Each family and each series stands at a stretch, and within a series, time goes on. A line is
    put as soon as it is made: there may be millions. The mark of the end is for who has no more.
    """
    count = 0
    for spec in SPECS:
        put(render.header(_described(spec), render.Format.OPENMETRICS).decode())
        for past in histories:
            until = math.inf if spec.name in FROM_DATES else past.uncertain_from
            for labels, changes in past.series[spec.name].items():
                for (start, value), (stop, _) in pairwise([*changes, (math.inf, None)]):
                    if value is None or not (line := _line(spec, past, labels, value)):
                        continue
                    for time in sample_times(max(start, since), min(stop, until), step, end):
                        put(f"{line} {time}\n")
                        count += 1
    return count


def _line(spec: MetricSpec[Invoices], past: History, labels: tuple[str, ...], value: float) -> str:
    """Return a sample without its time; empty for what is no number."""
    if not math.isfinite(value):
        return ""
    made = render.fragment(spec, past.organization, [(labels, value + 0.0)], past.labels)
    return made.decode().removesuffix("\n")


def _described(spec: MetricSpec[Invoices]) -> Metric:
    return Metric(spec.name, spec.help, spec.labels, spec.type)


def _is_settled(invoice: pb.InvoiceSummary) -> bool:
    return invoice.status.lower() in SETTLED


def _paid(invoice: pb.InvoiceSummary) -> float | None:
    """Return when an invoice was paid; a date on one that is still owed does not count."""
    return unix_time(invoice.paid_date) if _is_settled(invoice) else None


def _moments(invoice: pb.InvoiceSummary) -> Iterator[float]:
    """Yield when something changed, from the invoice's date on."""
    issued = unix_time(invoice.invoice_date)
    if issued is not None:
        yield issued
        for moment in (unix_time(invoice.due_date), _paid(invoice)):
            if moment is not None and moment > issued:
                yield moment
