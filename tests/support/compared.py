"""What the exporter takes in beside the truth, which hears the same answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.metrics.report import report_on
from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    InvoiceDetail,
    Moment,
    Organization,
    OrganizationState,
    SavedAnswer,
    SavedOrganization,
)
from exporter.pb import billing_pb2 as pb
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.state.archive import Archive
from exporter.state.day_rows import DAY, Day, unpacked
from exporter.state.ledger import IN_MEMORY, rows_of
from exporter.state.store import Store
from support.reader import organization
from support.truth import NET, SIX_HOURS, Amount, Book, Truth

CENT: Final = 0.005
TYPES: Final = {"remote_control": 3, "standard_compute": 4}
FOREVER: Final = 3_000_000  # days since 1970
USAGE: Final = Unit("o1", "usage")
EVERYTHING: Final = ("usage", "billing_information")


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        """Return Unix seconds."""
        return self.now

    def monotonic(self) -> float:
        """Return the same: nothing here depends on more."""
        return self.now


class Kept(NamedTuple):
    """What a process left on disk, and what was known at that moment."""

    saved: SavedOrganization
    heard: int
    days: Mapping[int, Day]
    rows: Mapping[int, bytes]


class Compared:
    """An intake with one organization, and the truth about it."""

    def __init__(self, now: float) -> None:
        self.clock = SetClock(now)
        self.truth = Truth()
        self.organization = organization()
        self.days: dict[int, Day] = {}  # all that there ever were, as they were last known
        self.rows: dict[int, bytes] = {}  # of days to come, too, if a clock was ahead
        self.kept: list[Kept] = []
        self._begin({})

    def _begin(self, saved: Mapping[str, SavedOrganization]) -> None:
        self.store = Store()
        self._archive = Archive(self.store)
        telemetry = Telemetry("1.2.3", "abc")
        self._intake = Intake(self.store, telemetry, self.clock, InvoiceDetail(), saved)

    async def configure(
        self, *organizations: Organization, collectors: Collection[str] = EVERYTHING
    ) -> None:
        """Start, or reload."""
        by_id = {each.id: each for each in organizations}
        await self._intake.configure(by_id, collectors, InvoiceDetail())

    async def answer(
        self, net: float | None, start: float | None, end: float | None, **costs: float
    ) -> None:
        """Take in a good answer; one without sources if there is no amount."""
        message = pb.GetCurrentMonthUsageResponse()
        for moment, date in ((start, message.start_date), (end, message.end_date)):
            if moment is not None:
                date.FromNanoseconds(int(Fraction(moment) * 10**9))
        if net is not None:
            bill = message.resource_usage_costs_by_source.add().resource_usage_costs
            bill.total_with_discount = net
            for name, usd in costs.items():
                bill.usage_costs.add(resource_type=TYPES[name], cost=usd)
        await self._intake.succeed(USAGE, message.SerializeToString(), 0.1)
        heard = {} if net is None else costs
        self.truth.hear(self.clock.now, net or 0.0, start, end, **heard)
        shown = dict(await self._archive.days("o1", 0, FOREVER))
        first = next(iter(shown), 0)
        older = {number: day for number, day in self.days.items() if number < first}
        self.days = older | shown
        state = self.store.get("o1")
        assert state is not None
        assert state.spend is not None
        assert state.spend.ledger is not None
        self.rows |= rows_of(state.spend.ledger)
        saved = _saved(state)
        self.kept.append(Kept(saved, len(self.truth.heard), dict(self.days), dict(self.rows)))

    async def kill(self, moment: int) -> None:
        """Go on from what was on disk after an answer: what came later is lost."""
        kept = self.kept[moment]
        del self.kept[moment + 1 :]
        self.truth.forget(kept.heard)
        self.days, self.rows = dict(kept.days), dict(kept.rows)
        self._begin({"o1": kept.saved})
        await self.configure(self.organization)

    # --- Comparison ---

    def check(self) -> None:
        """Compare all that is known with the truth."""
        book = self.check_sums()
        if self.days or book.is_counted:
            assert max(self.days) == book.answered
        for number, day in self.days.items():
            if book.counted is not None and number <= book.counted:
                check_day(number, day, book)
        if self.days:
            assert self.days.keys() == {*range(min(self.days), max(self.days) + 1)}

    def check_sums(self) -> Book:
        """Compare the counters, and what the entries of each period come to."""
        book = self.truth.book()
        state = self.store.get("o1")
        assert state is not None
        assert state.spend is not None
        for name, tally in ((NET, state.spend.month_to_date), *state.spend.by_resource.items()):
            spend, corrections = book.counter(name)
            assert abs(tally.spend - spend) < CENT, name
            assert abs(tally.corrections - corrections) < CENT, name
        entries = [entry for row in self.rows.values() for entry in unpacked(row).entries]
        for start in {Fraction(entry.period) for entry in entries} | book.starts:
            found = exact_sum(e.spend - e.corrections for e in entries if e.period == start)
            assert abs(found - book.of_period(start)) < CENT, start
        return book

    def check_windows(self) -> None:
        """Compare what the gauges say with the truth about their days."""
        book = self.truth.book()
        if not book.is_counted or book.is_pending:
            return
        state = self.store.get("o1")
        assert state is not None
        windows = report_on(state, Moment(self.clock.now, self.clock.now)).windows
        if book.is_withheld:
            assert windows is None
            return
        if self.truth.heard[-1].amounts[NET] is None:
            return  # it does not count, and whether month to date is shown is for others to test
        assert windows is not None
        today = windows.answered
        assert today == book.answered
        for usd, first, until in (
            (windows.on_it, today, today + 1),
            (windows.day_before, today - 1, today),
            (windows.seven_days, today - 7, today),
            (windows.seven_before, today - 14, today - 7),
            (windows.twenty_eight_days, today - 28, today),
        ):
            true = [book.day(number) for number in range(first, until)]
            if any(abs(day.unknown - SIX_HOURS) < 2 for day in true):
                continue
            assert (usd is None) == any(day.is_unknown for day in true)
            assert usd is None or abs(usd - sum(day.sum("spend") for day in true)) < CENT
        whole = range(max(min(self.days), today - IN_MEMORY), today)
        known = [book.day(number).observed for number in whole]
        assert known.count(True) <= windows.known <= len(known) - known.count(False)
        assert windows.known + windows.others == len(whole)

    def check_shown(self) -> None:
        """No day after now is shown, whatever a clock said before."""
        state = self.store.get("o1")
        assert state is not None
        report = report_on(state, Moment(self.clock.now, self.clock.now))
        assert report.windows is None or report.windows.answered <= self.clock.now // DAY


def _saved(state: OrganizationState) -> SavedOrganization:
    answers = {
        name: SavedAnswer(each.answer.message, each.answer.received, each.answer.changed)
        for name, each in state.collectors.items()
        if each.answer is not None
    }
    return SavedOrganization(state.organization.id, answers, state.spend)


def check_day(number: int, day: Day, book: Book) -> None:
    """Compare a day with the truth: each amount of each period to the cent, time to the second."""
    true = book.day(number)
    assert day.is_unknown == true.is_unknown or abs(true.unknown - SIX_HOURS) < 2, number
    assert day.is_unknown or abs(day.unknown - true.unknown) < 2, number
    found: dict[tuple[Fraction, str], Amount] = {}
    for entry in day.entries:
        start = Fraction(entry.period)
        estimated = Fraction(entry.estimated)
        found[start, NET] = Amount(Fraction(entry.spend), Fraction(entry.corrections), estimated)
        for name, moved in entry.by_resource.items():
            found[start, name] = Amount(Fraction(moved.spend), Fraction(moved.corrections))
    for key in found.keys() | true.amounts.keys():
        one, other = found.get(key, Amount()), true.amounts.get(key, Amount())
        assert abs(one.spend - other.spend) < CENT, (number, key)
        assert abs(one.corrections - other.corrections) < CENT, (number, key)
        if key[1] == NET:
            assert abs(one.estimated - other.estimated) < CENT, (number, key)
