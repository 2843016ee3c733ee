"""Pure: billing periods that have ended, beside the invoices that came after each."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from exporter.base import plain
from exporter.metrics import parts
from exporter.metrics.extract.invoices import Invoice, Invoices
from exporter.metrics.extract.values import exact_sum
from exporter.model import ClosedPeriod, Spend

DAY: Final = 86_400.0  # seconds
# The API says neither in which time zone a period ends nor whether its last day belongs to it: an
# invoice for it may be dated so much before the end that is known.
TOLERANCE: Final = DAY
LONGEST_MONTH: Final = 31 * DAY


class ClosedBill(NamedTuple):
    """A period that has ended, and what was invoiced in the month after it.

    `invoices` has each invoice with whether it is overdue, the newest first; None if invoices are
    not known. Amounts are US dollars.
    """

    period: ClosedPeriod
    invoices: Sequence[tuple[Invoice, bool]] | None

    @property
    def invoiced(self) -> float | None:
        """The sum of the invoices; None if there is none to add up."""
        return exact_sum(each.usd for each, _ in self.invoices) if self.invoices else None

    @property
    def difference(self) -> float | None:
        """What was invoiced minus month to date; None where there is nothing to compare with."""
        return None if self.invoiced is None else self.invoiced - self.period.usage

    def plain(self) -> dict[str, Any]:
        """Return it as programs get it, but for the invoices, of which there may be many."""
        return {
            "period_start": plain.moment(self.period.start),
            "period_end": plain.moment(self.period.end),
            "usage_usd": plain.number(self.period.usage),
            "usage_seen_at": plain.moment(self.period.seen),
            "invoices_usd": plain.number(self.invoiced),
            "difference_usd": plain.number(self.difference),
        }


def closed_periods(spend: Spend, invoices: Invoices | None) -> Sequence[ClosedBill]:
    """Return the periods that have ended, the newest first, each with the invoices of its month.

    Those are the invoices dated from a day before the period's end until a day before the same
    moment of the next month, so that periods a month apart share none. Their dates are all that
    connects them with the period: a fee that is billed in advance is among them, too.
    """
    dated = [
        (each, overdue)
        for each, overdue in (parts.every_invoice(invoices) if invoices is not None else ())
        if each.issued is not None
    ]
    found = []
    for period in reversed([*spend.closed]):
        first, until = period.end - TOLERANCE, _month_later(period.end) - TOLERANCE
        inside = [each for each in dated if first <= (each[0].issued or 0.0) < until]
        found.append(ClosedBill(period, None if invoices is None else inside))
    return found


def _month_later(moment: float) -> float:
    """Return the same moment of the next month in UTC, on its last day if it has no such day."""
    try:
        at = datetime.fromtimestamp(moment, UTC)
        year, month = at.year + at.month // 12, at.month % 12 + 1
        day = min(at.day, monthrange(year, month)[1])
        return at.replace(year=year, month=month, day=day).timestamp()
    except (OverflowError, OSError, ValueError):  # beyond the calendar
        return moment + LONGEST_MONTH
