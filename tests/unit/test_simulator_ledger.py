"""The ledger of the simulator: what accounts owe is plausible, and adds up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.pb import billing_pb2
from exporter.simulator import SimulatedClock, demo_fleet, fleet, ledger
from exporter.simulator.accounts import Account, BankAccount, Card

DEMO = {account.name: account for account in demo_fleet(1)}
OVER_BUDGET = DEMO["Bramblewick Logistics"]
DECLINED = DEMO["Kestrelmoor Surveys"]
UNVERIFIED = DEMO["Quillback Harvesting"]
CREDITED = DEMO["Ossuline Foundry"]
FRAGMENTS = DEMO["Dunmarrow: Fleet & Field"]
FREE = DEMO["Little Acorn Robotics Club"]
GROSS_SUBTOTAL = DEMO["Ørnefjell Inspection"]


def utc(year: int, month: int, day: int, hour: int = 0) -> float:
    """Return a date as Unix seconds."""
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


accounts = st.sampled_from([*DEMO.values(), *fleet(5, seed=2)])
moments = st.floats(utc(2021, 1, 1), utc(2045, 1, 1))
shares = st.floats(0, 1, exclude_max=True)


class FakeClock:
    """A wall clock that stands where it is put."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        """Return the moment that was set."""
        return self.now

    def monotonic(self) -> float:
        """Return the same, as nothing here jumps."""
        return self.now


# --- Time ---------------------------------------------------------------------------------


@given(start=moments, passed=st.floats(0, 1e9), moment=moments)
def test_speed_1_is_real_time(start: float, passed: float, moment: float) -> None:
    """At speed 1 simulated time is wall time, and what is sent is not moved."""
    clock = FakeClock(start)
    simulated = SimulatedClock(clock)
    clock.now += passed
    assert simulated.time() == clock.now
    assert simulated.wall(moment) == moment


@given(start=moments, passed=st.floats(0, 1e6), speed=st.floats(0.01, 10_000))
def test_the_present_is_the_same_in_both_times(start: float, passed: float, speed: float) -> None:
    """Whatever the speed, the simulated present maps to the wall clock's present."""
    clock = FakeClock(start)
    simulated = SimulatedClock(clock, speed)
    clock.now += passed
    assert simulated.wall(simulated.time()) == pytest.approx(clock.now, abs=1e-3)


def test_a_month_takes_five_minutes_at_speed_8640() -> None:
    """A month of 30 days is stamped five minutes long, and passes in five minutes."""
    clock = FakeClock(utc(2025, 6, 1))
    simulated = SimulatedClock(clock, 8640)
    june = ledger.period_at(simulated.time())
    assert simulated.wall(june.end) - simulated.wall(june.start) == pytest.approx(300, abs=1e-6)
    clock.now += 300
    assert ledger.period_at(simulated.time()).start == june.end == utc(2025, 7, 1)


def test_the_real_clock_tells_lifetimes() -> None:
    """Seconds that a token lives are real ones at any speed."""
    clock = FakeClock(100.0)
    assert SimulatedClock(clock, 8640).monotonic() == clock.monotonic()


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_time_moves_forward(speed: float) -> None:
    """A clock that stands still or runs backwards is refused."""
    with pytest.raises(ValueError, match="above 0"):
        SimulatedClock(FakeClock(0.0), speed)


@given(moments)
def test_every_moment_lies_in_its_period(moment: float) -> None:
    """A period starts at its start and ends just before its end, on the first of a month."""
    period = ledger.period_at(moment)
    assert period.start <= moment < period.end
    assert ledger.period_at(period.end).start == period.end
    for border in (period.start, period.end):
        date = datetime.fromtimestamp(border, UTC)
        assert (date.day, date.hour, date.minute, date.second) == (1, 0, 0, 0)


# --- Usage --------------------------------------------------------------------------------


@given(account=accounts, moment=moments, share=shares)
def test_costs_grow_within_a_period(account: Account, moment: float, share: float) -> None:
    """Costs and gross never fall within a period; net does so only at the credit's moment."""
    period = ledger.period_at(moment)
    earlier = period.start + (moment - period.start) * share
    before, after = ledger.usage(account, earlier), ledger.usage(account, moment)
    assert after.gross >= before.gross
    for old, new in zip(before.sources, after.sources, strict=True):
        for (_, old_cost), (_, new_cost) in zip(old.costs, new.costs, strict=True):
            assert new_cost >= old_cost
    credited = earlier < period.start + ledger.CREDIT_AFTER <= moment
    assert after.net >= before.net - (account.credit_usd if credited else 0)


@given(account=accounts, moment=moments)
def test_a_period_starts_at_nothing(account: Account, moment: float) -> None:
    """Whatever the old period cost, the new one begins with zero in every line."""
    old = ledger.period_at(moment)
    new = ledger.usage(account, old.end)
    assert new.period.start == old.end
    assert new.net == new.gross == new.subtotal == 0
    assert ledger.final_usage(account, old).gross > 0


@given(account=accounts, moment=moments)
def test_a_period_ends_at_its_final_usage(account: Account, moment: float) -> None:
    """Just before its end, a period's usage is what its invoice will say."""
    period = ledger.period_at(moment)
    last = ledger.usage(account, period.end - 0.001)
    assert last.net == pytest.approx(ledger.final_usage(account, period).net, abs=1e-4)


@given(account=accounts, moment=moments)
def test_parts_add_up(account: Account, moment: float) -> None:
    """In every source the costs make the gross, and gross less discount makes the net."""
    usage = ledger.usage(account, moment)
    for source in usage.sources:
        assert source.gross == pytest.approx(sum(cost for _, cost in source.costs), abs=1e-9)
        assert source.net == pytest.approx(source.gross - source.discount, abs=1e-9)
    expected = usage.gross if account.subtotal_is_gross else usage.net
    assert usage.subtotal == pytest.approx(expected, abs=1e-9)


def test_a_credit_lowers_the_month_to_date_once() -> None:
    """At the credit's moment the net falls by it, by way of a greater discount."""
    moment = utc(2025, 6, 15, hour=12)
    before, after = (ledger.usage(CREDITED, at) for at in (moment - 0.001, moment))
    assert after.net - before.net == pytest.approx(-60, abs=1e-3)
    assert after.sources[0].discount - before.sources[0].discount == pytest.approx(60, abs=1e-3)
    assert after.gross == pytest.approx(before.gross, abs=1e-3)


@given(account=accounts, moment=moments)
def test_nobody_is_owed_money(account: Account, moment: float) -> None:
    """No credit is greater than what has been used by then."""
    assert ledger.usage(account, moment).net >= 0


def test_weekends_are_quiet() -> None:
    """What people do costs less on a Sunday than on the Monday after; what is rented, as much."""

    def ratio(resource_type: billing_pb2.UsageCostType) -> float:
        at = (utc(2025, 6, 8), utc(2025, 6, 9), utc(2025, 6, 10))  # a Sunday, a Monday
        costs = [dict(ledger.usage(OVER_BUDGET, m).sources[0].costs)[resource_type] for m in at]
        return (costs[1] - costs[0]) / (costs[2] - costs[1])

    uploads = ratio(billing_pb2.USAGE_COST_TYPE_BINARY_DATA_UPLOAD)
    machines = ratio(billing_pb2.USAGE_COST_TYPE_PER_MACHINE)
    assert uploads == pytest.approx(machines / 4)
    assert 0.8 / 1.2 <= machines <= 1.2 / 0.8


# --- Invoices -----------------------------------------------------------------------------


@given(account=accounts, moment=moments)
def test_an_invoice_is_the_final_net_to_the_cent(account: Account, moment: float) -> None:
    """An invoice for usage is dated when its period ends, and is that period's net, rounded."""
    found = [i for i in ledger.invoices(account, moment) if i.billed]
    assert len(found) == ledger.HISTORY_MONTHS
    for invoice in found:
        assert invoice.billed
        assert invoice.issued == invoice.billed.end <= moment
        assert invoice.amount == round(ledger.final_usage(account, invoice.billed).net, 2)


@given(account=accounts, moment=moments)
def test_invoices_do_not_know_the_future(account: Account, moment: float) -> None:
    """Ids are unique, the order is newest first, and nothing is dated later than now."""
    found = ledger.invoices(account, moment)
    assert len({invoice.id for invoice in found}) == len(found)
    assert all(newer.issued >= older.issued for newer, older in pairwise(found))
    for invoice in found:
        assert invoice.issued <= moment
        failed = invoice.last_failure(moment)
        assert failed is None or invoice.issued < failed <= min(moment, invoice.paid)


def test_a_fee_in_advance_is_invoiced_on_its_day() -> None:
    """An account with an anniversary gets a second invoice in the same month, from that day on."""
    day = utc(2025, 6, 18)
    before, after = (ledger.invoices(FRAGMENTS, at) for at in (day - 1, day))
    assert [i.issued for i in before[:2]] == [utc(2025, 6, 1), utc(2025, 5, 18)]
    assert (after[0].issued, after[0].amount, after[0].billed) == (day, 240.0, None)


@given(moment=moments)
def test_the_demo_has_a_story_at_any_date(moment: float) -> None:
    """There is always an invoice to come due, and one that is overdue with a declined card."""
    unpaid = [
        invoice
        for account in DEMO.values()
        for invoice in ledger.invoices(account, moment)
        if invoice.amount > 0 and moment < invoice.paid
    ]
    assert any(invoice.due > moment for invoice in unpaid)
    assert any(
        invoice.due <= moment
        and invoice.failure == "card_declined"
        and invoice.last_failure(moment)
        for invoice in unpaid
    )


def test_an_invoice_is_outstanding_then_processed_then_paid() -> None:
    """The status follows the payment, in the API's spelling."""
    invoice = ledger.invoices(OVER_BUDGET, utc(2025, 6, 20))[0]
    hours = {0: "outstanding", 23: "outstanding", 24: "payment_processing", 48: "paid"}
    assert {h: invoice.status(invoice.issued + h * 3600) for h in hours} == hours


def test_what_costs_nothing_is_free() -> None:
    """Invoices of zero have the status `free` and are not outstanding."""
    moment = utc(2025, 6, 1)
    found = ledger.invoices(FREE, moment)
    assert {(i.amount, i.status(moment)) for i in found} == {(0.0, "free")}
    assert ledger.outstanding_balance(found, moment) == 0


def test_the_outstanding_balance_excludes_the_current_month() -> None:
    """What is unpaid of earlier cycles counts until it is paid; this month's fee does not."""
    just_issued = utc(2025, 6, 9, hour=1)
    fee, *older = ledger.invoices(GROSS_SUBTOTAL, just_issued)
    assert fee.status(just_issued) == "outstanding"
    balance = ledger.outstanding_balance((fee, *older), just_issued)
    assert balance == ledger.outstanding_balance(tuple(older), just_issued) == older[0].amount
    first = utc(2025, 6, 1)
    found = ledger.invoices(GROSS_SUBTOTAL, first)
    assert ledger.outstanding_balance(found, first) == found[0].amount > 0


# --- Fleets -------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_fleet() -> None:
    """A fleet, its keys and its costs follow from the seed alone."""
    moment = utc(2025, 6, 20)
    assert demo_fleet(7) == demo_fleet(7)
    assert fleet(20, 7) == fleet(20, 7)
    assert demo_fleet(7) != demo_fleet(8)
    nets = [[ledger.usage(a, moment).net for a in fleet(20, seed)] for seed in (7, 7, 8)]
    assert nets[0] == nets[1] != nets[2]


def test_a_fleet_is_made_of_different_organizations() -> None:
    """No two accounts share an id, a name or a key, and every current type of cost occurs."""
    many = fleet(500)
    for key in ("id", "name", "api_key_id", "api_key", "billing_email"):
        assert len({getattr(account, key) for account in many}) == 500
    types = {pace.resource_type for account in many for pace in account.sources[0].paces}
    assert len(types) == 24
    assert billing_pb2.USAGE_COST_TYPE_UNSPECIFIED not in types


@given(moments)
def test_one_invoice_is_always_overdue(moment: float) -> None:
    """The account whose card is declined has an overdue invoice, or two, at any moment."""
    late = [
        invoice
        for invoice in ledger.invoices(DECLINED, moment)
        if invoice.status(moment) == "outstanding" and invoice.due < moment
    ]
    assert late
    assert {invoice.failure for invoice in late} == {"card_declined"}
    assert all(invoice.last_failure(moment) is not None for invoice in late)


@given(moments)
def test_a_budget_is_spent_within_days(moment: float) -> None:
    """One account is over its budget from the third day of any month."""
    period = ledger.period_at(moment)
    assert OVER_BUDGET.budget_usd
    third = ledger.usage(OVER_BUDGET, period.start + 3 * ledger.DAY)
    assert third.net > OVER_BUDGET.budget_usd
    others = (a for a in DEMO.values() if a is not OVER_BUDGET and a.budget_usd)
    assert all(ledger.final_usage(a, period).net < (a.budget_usd or 0) for a in others)


def test_sources_share_labels() -> None:
    """One account has equal tiers, an equal type within one source, and a source without costs."""
    usage = ledger.usage(FRAGMENTS, utc(2025, 6, 20))
    tiers = Counter((source.source_type, source.tier) for source in usage.sources)
    assert tiers[billing_pb2.SOURCE_TYPE_FRAGMENT, "Fleet Gold"] == 2
    types = [Counter(kind for kind, _ in source.costs) for source in usage.sources]
    assert any(count == 2 for counter in types for count in counter.values())
    assert () in {source.costs for source in usage.sources}


def test_private_values_are_complete() -> None:
    """Key, email and every field of the payment method are listed as private."""
    bank = UNVERIFIED.payment_method
    assert isinstance(bank, BankAccount)
    private = {bank.bank_name, bank.last_four, bank.routing_number, bank.account_type}
    private |= {bank.verification_url, UNVERIFIED.api_key, UNVERIFIED.billing_email}
    assert set(UNVERIFIED.private_values) == private
    assert "" not in private
    card = OVER_BUDGET.payment_method
    assert isinstance(card, Card)
    assert card.last_four in OVER_BUDGET.private_values
    verified = replace(UNVERIFIED, payment_method=replace(bank, verification_url=""))
    assert "" not in verified.private_values


def test_a_printed_account_hides_its_key() -> None:
    """The key is not part of an account's repr, which test reports show."""
    assert OVER_BUDGET.api_key not in repr(OVER_BUDGET)
