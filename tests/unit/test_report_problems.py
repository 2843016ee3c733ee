"""What is wrong with a month: each problem with its amount, date and reason, the worst first."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from exporter.metrics.problems import Kind
from exporter.tool.api_answers import InvoiceLine, Withheld
from exporter.tool.report import pages
from exporter.tool.report.months import Month, Report
from exporter.tool.report.problems import of_nothing, pressing_first, problems, troubles
from support.months import NOW
from support.process import ROOT
from support.reports import month, never_read, new, of_many_lines, report, stale, usual
from support.status import Html


def changed(of: Month, **fields: Any) -> Month:
    """Return a month of which the exporter says something else."""
    return replace(of, whole=of.whole.model_copy(update=fields))


def kinds(of: Month) -> list[str]:
    """Return what is wrong with it."""
    return [str(each.kind) for each in problems(of)]


def test_a_month_without_problems_has_none() -> None:
    """A new one is no problem."""
    assert problems(month(new())) == []


def test_each_problem_has_its_amount_its_date_and_its_reason() -> None:
    """So that nobody has to look for them."""
    overdue, spike = problems(month(usual()))
    assert overdue == (
        Kind.OVERDUE,
        241.2,
        "2026-10-16",
        "INV-0006; the last payment failed: card declined",
    )
    assert (spike.kind, spike.since) == (Kind.SPIKE, "2026-11-14")
    assert spike.usd == pytest.approx(25.48, abs=0.01)
    assert spike.detail == "binary data cloud storage +$30.01, data egress +$0.40"
    unread, over, spike = problems(month(stale()))
    assert (unread.kind, unread.usd, unread.since) == (Kind.UNREAD, None, "2026-11-20")
    assert unread.detail.startswith("the bill is as of 2026-11-20; usage, billing information")
    assert over.kind == Kind.OVER_BUDGET
    assert over.since == "2026-11-18"
    assert over.usd == pytest.approx((month(stale()).period.usd or 0.0) - 200.0)
    assert spike.kind == Kind.SPIKE


def test_what_is_over_budget_by_the_forecast_alone_says_when() -> None:
    """One that is over it has one problem with its budget, not two."""
    spent = month(usual()).period.usd or 0.0
    forecast = changed(
        month(usual()), budget_usd=spent + 5.0, budget_exhausted_at="2026-11-24T01:00:00Z"
    )
    (found,) = [each for each in problems(forecast) if each.kind == Kind.FORECAST_OVER_BUDGET]
    assert found.since == "2026-11-24"
    assert found.usd == pytest.approx((forecast.whole.forecast_usd or 0.0) - spent - 5.0)
    assert "forecast_over_budget" not in kinds(changed(forecast, budget_usd=spent - 5.0))
    assert "over_budget" not in kinds(changed(forecast, budget_usd=spent - 1e-9))


def test_a_month_that_was_not_read_to_its_end_lacks_something() -> None:
    """About as much as it cost before, in the same time."""
    (found,) = [
        each for each in problems(month(usual(), "2026-10")) if each.kind == Kind.INCOMPLETE
    ]
    assert found.usd == pytest.approx((month(usual(), "2026-10").period.usd or 0.0) / 123)
    assert found.detail == "last read 6 h before the end of the period"


def test_amounts_that_are_withheld_are_a_problem() -> None:
    """They are in no sum."""
    withheld = [Withheld(collector="usage", reason="not_a_number", samples=2)]
    found = problems(changed(month(new()), withheld=withheld))
    assert [(each.kind, each.detail) for each in found] == [
        (Kind.WITHHELD, "usage: 2 amounts withheld")
    ]


def test_many_invoices_are_a_line() -> None:
    """Three of them are named, and a payment that failed is told before it is overdue."""
    lines = month(of_many_lines())
    (overdue,) = [each for each in problems(lines) if each.kind == Kind.OVERDUE]
    assert overdue.usd == lines.whole.overdue_usd
    late = [each for each in lines.whole.invoices or () if each.overdue]
    assert overdue.detail.endswith(f", {len(late) - 3} more")
    failed = [
        InvoiceLine.model_validate(
            each.model_dump() | {"overdue": False, "payment_failure": "card_declined"}
        )
        for each in late[:1]
    ]
    (found,) = problems(changed(month(new()), invoices=failed))
    assert found.kind == Kind.PAYMENT_FAILED
    assert found.usd == failed[0].amount_usd


def test_the_worst_kind_comes_first_and_of_each_the_largest_amount() -> None:
    """Whoever has the problem."""
    of = report([usual(), stale(), never_read(), new()])
    found = pressing_first(of.months)
    assert [each.whole.org_name[:4] for each, _ in found] == ["Quil", "Acme", "Barr"]
    every = troubles(found, of.nothing)
    assert every[0].problem == of_nothing(of.nothing[0])
    urgencies = [each.problem.kind.urgency for each in every]
    assert urgencies == sorted(urgencies)
    spikes = [each.problem.usd or 0.0 for each in every if each.problem.kind == Kind.SPIKE]
    assert len(spikes) > 1
    assert spikes == sorted(spikes, reverse=True)


def test_the_page_names_every_kind_of_problem_in_its_order() -> None:
    """Programs get them by these names."""
    text = (ROOT / "docs" / "commands" / "report.md").read_text()
    table = text.split("| problem | |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*Kind]


def test_organizations_that_share_a_reason_are_a_line() -> None:
    """In an outage there are hundreds of them; what is about an amount stays of each."""
    one = month(stale())
    many = [changed(one, org_id=str(number), org_name=f"Org {number}") for number in range(5)]
    every = troubles(pressing_first(many), [])
    unread, *others = every
    assert [each.org_name for each in unread.wholes] == [f"Org {number}" for number in range(5)]
    assert {each.problem.kind for each in others} == {Kind.OVER_BUDGET, Kind.SPIKE}
    assert [len(each.wholes) for each in others] == [1] * 10
    html = Html.of(pages.html(Report(many, [], [], NOW, "a running exporter")))
    assert html.row("Cannot be read")[1] == "Org 0, Org 1, Org 2 and 2 more"
    listed = {row[0] for row in html.rows if row[-1].startswith("cannot be read")}
    assert listed == {f"Org {number}" for number in range(5)}
