"""Periods that have ended, and which invoices stand beside them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.closed import closed_periods
from exporter.metrics.extract.invoices import Invoices, view
from exporter.model import ClosedPeriod, ClosedPeriods, Spend, Tally
from exporter.pb import billing_pb2 as pb

DAY = 86_400.0


def at(text: str) -> float:
    """Return Unix seconds of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def dated(*dates: float | None, usd: float = 1.0) -> Invoices:
    """Return an invoice for each date; the ids are their numbers."""
    answer = pb.GetInvoicesSummaryResponse()
    for number, date in enumerate(dates):
        invoice = answer.invoices.add(id=str(number), invoice_amount=usd)
        if date is not None:
            invoice.invoice_date.FromSeconds(int(date))
    return view(answer, 0.0, detail="none", limit=0)


def ended(*ends: float, usage: float = 10.0) -> Spend:
    """Return counters of an organization, of which periods ended then."""
    closed = ClosedPeriods()
    for end in ends:
        closed = closed.plus(ClosedPeriod(None, end, usage, end))
    return Spend(None, Tally(), {}, closed=closed)


def beside(end: str, *dates: str) -> list[str]:
    """Return which of these dates are those of invoices beside a period that ended then."""
    (period,) = closed_periods(ended(at(end)), dated(*map(at, dates)))
    assert period.invoices is not None
    return [dates[int(invoice.id)] for invoice, _ in period.invoices]


@pytest.mark.parametrize(
    ("end", "inside", "outside"),
    [
        (
            "2026-11-01",
            ["2026-11-29T23:59:59", "2026-11-18", "2026-11-01", "2026-10-31"],
            ["2026-10-30T23:59:59", "2026-11-30", "2026-12-01"],
        ),
        ("2026-10-31T23:59:59", ["2026-11-01", "2026-10-30T23:59:59"], ["2026-11-30"]),
        ("2026-11-15T14:30", ["2026-12-14T14:29:59"], ["2026-12-14T14:30"]),
        ("2026-12-01", ["2026-12-30T12:00"], ["2026-12-31"]),
        ("2027-01-31", ["2027-02-26T23:59:59"], ["2027-02-27"]),
    ],
)
def test_invoices_of_the_month_after_stand_beside_a_period(
    end: str, inside: list[str], outside: list[str]
) -> None:
    """From a day before its end until a day before the same moment of the next month."""
    assert beside(end, *inside, *outside) == inside


@given(st.floats(at("2020-01-01"), at("2030-01-01")), st.integers(1, 24))
def test_no_invoice_stands_beside_two_periods_in_a_row(date: float, months: int) -> None:
    """Periods that end on the first of each month."""
    firsts = [datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(months)]
    found = closed_periods(ended(*(first.timestamp() for first in firsts)), dated(date))
    assert [each.period.end for each in found] == [each.timestamp() for each in firsts][::-1]
    assert sum(bool(each.invoices) for each in found) <= 1


def test_an_invoice_without_a_date_stands_beside_none() -> None:
    """Nothing says when it was."""
    (period,) = closed_periods(ended(at("2026-11-01")), dated(None))
    assert period.invoices == []


def test_the_difference_is_what_was_invoiced_minus_what_was_seen() -> None:
    """A sum with a part that is no number is none, and none of nothing is not 0."""
    end = at("2026-11-01")
    (period,) = closed_periods(ended(end), dated(end, end + DAY, usd=7.25))
    assert (period.period.usage, period.invoiced, period.difference) == (10.0, 14.5, 4.5)
    (nothing,) = closed_periods(ended(end), dated())
    assert (nothing.invoiced, nothing.difference) == (None, None)
    (wrong,) = closed_periods(ended(end), dated(end, usd=math.nan))
    assert (wrong.plain()["invoices_usd"], wrong.plain()["difference_usd"]) == (None, None)


def test_invoices_that_are_not_known_are_not_none() -> None:
    """None of them is something else."""
    (period,) = closed_periods(ended(at("2026-11-01")), None)
    assert period.invoices is None
    assert closed_periods(Spend(None, Tally(), {}), dated()) == []


@given(st.floats())
def test_any_end_has_a_month_after_it(end: float) -> None:
    """Damage, or an API, may say any."""
    (period,) = closed_periods(ended(end), dated(0.0, 1e9))
    assert period.invoices is not None
