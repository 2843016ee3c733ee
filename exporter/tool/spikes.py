"""Days that cost far more than was expected of them, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.base import plain
from exporter.forecast.spikes import Compared
from exporter.state.ledger import day_of
from exporter.state.listing import text_of
from exporter.tool import output
from exporter.tool.backtest import Guess
from exporter.tool.output import Column, Row
from exporter.tool.replay import Judged


def plain_expected(found: Compared | None) -> dict[str, Any]:
    """Return what was expected of a day, in US dollars; null if nothing was, or it is not known."""
    return {
        "expected_day_usd": None if found is None else plain.number(found.expected.usd),
        "expected_day_upper_usd": None if found is None else plain.number(found.expected.upper),
    }


def plain_compared(found: Compared | None) -> dict[str, Any]:
    """Return the same, and what the day came to."""
    spend = None if found is None else plain.number(found.spend)
    return {**plain_expected(found), "day_spend_usd": spend}


def sentence(judged: Judged | None) -> str | None:
    """Return what to say of a day if it was a spike."""
    found = None if judged is None else judged.compared
    if judged is None or found is None or not found.is_spike:
        return None
    spent, above = output.money(found.spend), output.money(found.above)
    most = ""
    if found.more:
        name, usd = found.more[0]
        most = f"; {output.money(usd)} of it {output.printable(name)}, before discounts"
    return f"{text_of(judged.day)} was a spike: {spent} USD, {above} more than expected{most}"


def show(guesses: Iterable[Guess]) -> None:
    """Show which days were spikes, of those that something was expected of."""
    days = [(day_of(each.at), each.compared) for each in guesses if each.compared is not None]
    found = [_row(number, each) for number, each in days if each.is_spike]
    if not days:
        return
    print(f"Spikes: {len(found)} of {len(days)} days")
    if found:
        amounts = (Column(title, number=True) for title in ("Spend", "Expected", "Limit"))
        output.show((Column("Day"), *amounts, Column("Most of it")), found)
    print()


def _row(number: int, day: Compared) -> Row:
    amounts = (day.spend, day.expected.usd, day.expected.upper)
    most = output.printable(day.more[0][0]) if day.more else ""
    return Row((text_of(number), *map(output.money, amounts), most))
