"""Worlds to look at dashboards in: the quarter, and moments at which much is missing or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.model import Cause
from exporter.simulator import Account, demo_fleet, fleet
from exporter.simulator.accounts import PaymentHabit, Upfront
from support.quarter.story import BANK, CREDITED, DECLINED, END, FREE, GROSS, QUARTER
from support.quarter.world import DAY, HOUR, AccountsReader, Life, World

FIVE_WEEKS: Final = END - 35 * DAY
ROLLOVER: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
FAILING_FROM: Final = END - 3 * DAY

# One of them has an invoice of $1,200 open, due in four days.
OPEN: Final = replace(
    GROSS, upfront=Upfront(day=12, usd=1200.0), budget_usd=1500.0, subtotal_is_gross=False
)
# What it spends is free, and it is given more each month.
ONLY_CREDITS: Final = replace(FREE, credit_usd=4859.95)


class _Outage(AccountsReader):
    """Nobody is answered any more."""

    def failure(self, rpc: ReadRpc, account: Account, now: float) -> BillingError | None:  # noqa: ARG002
        """Return what a call fails with."""
        if now >= FAILING_FROM:
            return BillingError(Cause.OUTAGE, "UNAVAILABLE", "an outage", transient=True)
        return None


class _Large(AccountsReader):
    """A few of many organizations were never read."""

    def failure(self, rpc: ReadRpc, account: Account, now: float) -> BillingError | None:  # noqa: ARG002
        """Return what a call fails with."""
        if account in LARGE[40::60]:
            return BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "not an owner")
        if account in LARGE[70::90]:
            return BillingError(Cause.OUTAGE, "UNAVAILABLE", "an outage", transient=True)
        return None


def _large() -> tuple[Account, ...]:
    """Return 200 organizations: some pay late, some have no budget, two have the same name."""
    accounts = [*fleet(200)]
    for number in range(5, 200, 17):
        late = PaymentHabit(paid_after=55.0, failure="card_declined")
        accounts[number] = replace(accounts[number], payment_habit=late)
    for number in range(2, 200, 4):
        accounts[number] = replace(accounts[number], budget_usd=None)
    accounts[8] = replace(accounts[8], name=accounts[7].name)
    accounts[9] = replace(accounts[9], name="The Long-Winded Automation and Robotics Company " * 2)
    return tuple(accounts)


LARGE: Final = _large()


def _world(*accounts: Account, start: float, end: float = END, interval: float = HOUR / 2) -> World:
    return World(accounts, start, end, (Life(start, end + 1, interval),), AccountsReader)


WORLDS: Final[Mapping[str, World]] = {
    "quarter": QUARTER,
    "first-hour": replace(
        _world(CREDITED, start=END - HOUR, interval=HOUR / 4), coarse=60.0, fine=60.0
    ),
    "large": replace(
        _world(*LARGE, start=END - 16 * DAY, interval=5 * HOUR),
        reader=_Large,
        requests_per_day=10_000,
        coarse=8 * HOUR,
        fine=2 * HOUR,
    ),
    "outage": replace(_world(OPEN, BANK, DECLINED, start=FIVE_WEEKS), reader=_Outage),
    "rollover": _world(*demo_fleet(1), start=ROLLOVER - 35 * DAY, end=ROLLOVER + 3 * HOUR),
    "credits": _world(ONLY_CREDITS, start=FIVE_WEEKS),
}
