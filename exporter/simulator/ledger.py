"""What an account owes at a moment: pure functions of the account and of simulated time.

Moments are Unix seconds, amounts US dollars, months those of the UTC calendar. The tests of an
exporter compare its counters with what these functions say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from zlib import crc32

from exporter.pb.billing_pb2 import SourceType, UsageCostType
from exporter.simulator.accounts import Account, Source

DAY = 86_400
CREDIT_AFTER = 14.5 * DAY  # of a period's start
DUE_AFTER = 15 * DAY  # of an invoice's date
RETRY_AFTER = 7 * DAY  # of a failed payment
SATURDAY_AND_SUNDAY = (5, 6)  # counted from Monday
HISTORY_MONTHS = 14  # bounded, so that a simulation can run for years


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month: from `start`, up to but without `end`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SourceUsage:
    """What one source has cost. `gross` is the sum of `costs`, `net` is gross less discount."""

    source_type: SourceType
    tier: str
    costs: tuple[tuple[UsageCostType, float], ...]
    gross: float
    discount: float
    net: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What a period has cost so far. Not rounded: only invoices are to the cent."""

    period: Period
    sources: tuple[SourceUsage, ...]
    subtotal: float  # as the API sends it

    @property
    def gross(self) -> float:
        """The cost before discounts and credits."""
        return math.fsum(source.gross for source in self.sources)

    @property
    def net(self) -> float:
        """The cost after discounts and credits: month to date."""
        return math.fsum(source.net for source in self.sources)


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice and what becomes of it. A caller must not look beyond the moment."""

    id: str
    issued: float
    due: float
    amount: float  # to the cent; zero for what is free
    processing: float  # when the payment starts that succeeds
    paid: float
    failure: str  # the API's reason of each attempt before that; empty if none fails
    billed: Period | None  # whose usage it is for; None for a fee in advance

    def status(self, moment: float) -> str:
        """Return the status as the API spells it."""
        if self.amount == 0:
            return "free"
        if moment < self.processing:
            return "outstanding"
        return "payment_processing" if moment < self.paid else "paid"

    def last_failure(self, moment: float) -> float | None:
        """Return when a payment last failed. It stays known once the invoice is paid."""
        first = self.issued + DAY
        if not self.failure or moment < first:
            return None
        return first + (min(moment, self.paid) - first) // RETRY_AFTER * RETRY_AFTER


def period_at(moment: float) -> Period:
    """Return the month that `moment` lies in."""
    day = datetime.fromtimestamp(math.floor(moment), UTC)  # floor: it rounds, into the next month
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    end = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
    return Period(start.timestamp(), end.timestamp())


def usage(account: Account, moment: float) -> Usage:
    """Return what the period of `moment` has cost up to then."""
    return _usage(account, period_at(moment), moment)


def final_usage(account: Account, period: Period) -> Usage:
    """Return what `period` costs in the end: what its invoice is made from."""
    return _usage(account, period, period.end)


def history(account: Account, period: Period) -> tuple[Invoice, ...]:
    """Return the invoices up to the end of `period`, newest first.

    One for the usage of each of the 14 months before `period`, dated the first of the next
    month, and the fees in advance. Constant during a period, hence worth keeping; those whose
    date is still to come are to be left out, as `invoices` does.
    """
    found = []
    month = period
    for _ in range(HISTORY_MONTHS):
        if account.upfront:
            date = month.start + (account.upfront.day - 1) * DAY
            found.append(_invoice(account, date, account.upfront.usd, None))
        billed = period_at(month.start - 1)
        found.append(_invoice(account, month.start, final_usage(account, billed).net, billed))
        month = billed
    return tuple(found)


def invoices(account: Account, moment: float) -> tuple[Invoice, ...]:
    """Return the invoices that exist at `moment`, newest first."""
    return issued(history(account, period_at(moment)), moment)


def issued(found: tuple[Invoice, ...], moment: float) -> tuple[Invoice, ...]:
    """Return those of a history that exist at `moment`."""
    return tuple(invoice for invoice in found if invoice.issued <= moment)


def outstanding_balance(found: tuple[Invoice, ...], moment: float) -> float:
    """Return what is still unpaid of the invoices up to the end of the last cycle."""
    cycle_end = period_at(moment).start
    unpaid = (i.amount for i in found if i.issued <= cycle_end and moment < i.paid)
    return round(math.fsum(unpaid), 2)


def _usage(account: Account, period: Period, moment: float) -> Usage:
    credit = account.credit_usd if moment >= period.start + CREDIT_AFTER else 0.0
    working, weekend = _activity(account.seed, period.start, moment)
    sources = []
    for source in account.sources:
        sources.append(_charge(source, working, weekend, credit))
        credit = 0.0  # it is granted once, as a greater discount on the first source
    total = math.fsum(s.gross if account.subtotal_is_gross else s.net for s in sources)
    return Usage(period, tuple(sources), total)


def _charge(source: Source, working: float, weekend: float, credit: float) -> SourceUsage:
    costs = tuple(
        (pace.resource_type, pace.usd_per_day * (working + pace.weekend * weekend))
        for pace in source.paces
    )
    gross = math.fsum(cost for _, cost in costs)
    # In this order, because a rounded product never falls while its factor grows, and a rounded
    # difference may: the net cost must not flicker.
    net = gross * (1 - source.discount) - credit
    return SourceUsage(source.source_type, source.tier, costs, gross, gross - net, net)


def _activity(seed: int, start: float, moment: float) -> tuple[float, float]:
    """Return the working and the weekend days from `start` to `moment`, as busy as they were.

    A day counts 0.8 to 1.2, evenly from midnight to midnight. It never falls as time goes on.
    """
    working = weekend = 0.0
    for day in range(int(start) // DAY, math.ceil(moment / DAY)):
        busy = 0.8 + 0.4 * crc32(b"%d/%d" % (seed, day)) / 2**32
        busy *= min(moment / DAY - day, 1.0)
        if (day + 3) % 7 in SATURDAY_AND_SUNDAY:  # day 0, in 1970, was a Thursday
            weekend += busy
        else:
            working += busy
    return working, weekend


def _invoice(account: Account, issued: float, usd: float, billed: Period | None) -> Invoice:
    date = datetime.fromtimestamp(issued, UTC)
    habit = account.payment_habit
    paid = issued + habit.paid_after * DAY
    return Invoice(
        id=f"{account.id[:8].upper()}-{date:%Y%m%d}-{'usage' if billed else 'upfront'}",
        issued=issued,
        due=issued + DUE_AFTER,
        amount=round(usd, 2),
        processing=paid - habit.processing * DAY,
        paid=paid,
        failure=habit.failure,
        billed=billed,
    )
