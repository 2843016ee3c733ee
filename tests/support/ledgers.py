"""Organizations whose ledger is made up day by day, for the pages."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.forecast import ahead
from exporter.model import OrganizationState, Spend, Tally
from exporter.state.day_rows import NOTHING, Day, Entry, Moved, packed
from exporter.state.ledger import made
from support.reader import organization
from support.status import DAY, state, usage
from support.virtual import START

TODAY = int(START // DAY)
PERIOD_START = START - 15 * DAY  # of the answers of `usage`
PERIOD_END = START + 15 * DAY
OF_PERIOD = 15  # days before today that are of that period


def day(
    spend: float,
    corrections: float = 0.0,
    estimated: float = 0.0,
    period: float = PERIOD_START,
    **types: float,
) -> Day:
    """Return a day of one period, in US dollars."""
    by_resource = {name: Moved(usd, 0.0) for name, usd in types.items()}
    return Day(0.0, (Entry(period, spend, corrections, estimated, by_resource),))


def with_days(
    days: Mapping[int, Day], *, received: float = 100.0, budget: float | None = None
) -> OrganizationState:
    """Return an organization with these days, by how long they are ago, and what they make expect.

    Its month to date is what those of the current period add up to. Others are unknown.
    """
    moved = [
        entry.spend - entry.corrections
        for each in days.values()
        for entry in each.entries
        if entry.period == PERIOD_START
    ]
    month_to_date = sum(moved)
    rows = {TODAY - ago: packed(each) for ago, each in ({0: NOTHING} | {**days}).items()}
    spend = Spend(
        PERIOD_START,
        Tally(spend=month_to_date, baseline=month_to_date),
        {},
        period_end=PERIOD_END,
        ledger=made(rows, TODAY, 62),
    )
    spend = ahead.look_ahead(spend, START, None)
    who = organization("a", name="Acme", max_age=3600.0, budget_usd=budget)
    known = state(who, usage(month_to_date), received=received)
    forecast = ahead.forecast(spend, START, month_to_date, budget)
    return known._replace(spend=spend, forecast=forecast)
