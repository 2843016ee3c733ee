"""Credits and corrections: what a month and its change would have been without them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exporter.state.day_rows import UNKNOWN, Day, Entry, Moved
from exporter.state.ledger import day_of
from exporter.tool.report import pages
from exporter.tool.report.credits import credits_of
from support.months import ACME, Costs, lived
from support.reports import CREDIT, month, report, usual
from support.status import Html


def day(spend: float, corrections: float = 0.0, gross: float | None = None) -> Day:
    """Return one with a tenth of discounts, unless told otherwise."""
    types = {"per_machine": Moved(spend / 0.9 if gross is None else gross, 0.0)}
    return Day(0.0, (Entry(0.0, spend, corrections, 0.0, types),))


def test_a_credit_is_larger_than_the_fall_of_the_bill() -> None:
    """By what was spent in the same hours, which its costs before discounts tell."""
    days = [(1, day(9.0)), (2, day(4.0, 7.0, gross=10.0)), (3, day(9.0))]
    assert credits_of(days) == {2: pytest.approx(12.0)}
    assert month(usual()).days.credits == {day_of(CREDIT): pytest.approx(12.0)}


def test_a_fall_is_the_least_that_a_credit_was() -> None:
    """Where nothing else is known: without other days, without costs, at the edges of a month."""
    assert credits_of([(1, day(9.0)), (2, day(9.0, 7.0, gross=0.0)), (3, day(9.0))]) == {2: 7.0}
    assert credits_of([(1, day(4.0, 7.0, gross=10.0)), (2, day(9.0))]) == {1: 7.0}
    assert credits_of([(1, day(9.0)), (2, day(4.0, 7.0, gross=10.0))]) == {2: 7.0}
    assert credits_of([(number, day(4.0, 7.0)) for number in (1, 2, 3)]) == {1: 7, 2: 7, 3: 7}


def test_days_without_a_fall_and_unknown_ones_have_no_credit() -> None:
    """Nor does a fraction of a cent count."""
    assert credits_of([]) == {}
    assert credits_of([(1, UNKNOWN), (2, day(9.0)), (3, day(9.0, 0.001))]) == {}


def test_the_total_and_the_change_are_given_without_credits() -> None:
    """In dollars and percent: a credit makes growth look smaller."""
    found = month(usual())
    assert found.period.usd is not None
    assert found.without_credits == pytest.approx(found.period.usd + 12.0)
    assert found.compared is not None
    without = found.compared.without_credits
    assert without is not None
    assert without.change == pytest.approx((found.compared.pair.change or 0.0) + 12.0)
    html = Html.of(pages.html(report([usual()])))
    usd = f"${found.without_credits:.2f}"
    assert f"So far${found.period.usd:.2f}about {usd} without credits" in html.text
    assert f"about +${without.change:.2f} (+12%) without credits and corrections" in html.text
    assert "On 2026-11-10 the bill fell: a credit or correction of about $12.00." in html.text
    assert "without credits" not in Html.of(pages.html(report([usual()], "2026-10"))).text


def test_a_credit_of_the_month_before_is_no_growth() -> None:
    """What is compared of a month that is not over is without the days after as many."""

    def spending(_: datetime) -> Costs:
        return {("org", "", "per_machine"): 10.0}

    early, late = (datetime(2026, 10, each, 6, tzinfo=UTC).timestamp() for each in (10, 28))
    began = datetime(2026, 9, 1, tzinfo=UTC)
    for at, credited in ((early, 30.0), (late, 0.0)):
        one = lived(spending, began, who=ACME, credits_={at: 30.0}, discount=0.0)
        found = month(one).compared
        assert found is not None
        assert found.pair.change == pytest.approx(credited)
        without = found.without_credits
        assert (without.change if without else 0.0) == pytest.approx(0.0, abs=1e-6)
        whole = month(one, "2026-10").compared
        assert whole is not None
        assert whole.credits[:2] == pytest.approx((30.0, 0.0))
