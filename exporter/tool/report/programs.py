"""The report for programs: JSON with all of it, and CSV with a row for each organization."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from exporter.base import cells, plain
from exporter.state.listing import text_of
from exporter.tool import outcomes
from exporter.tool.report.compares import Compared
from exporter.tool.report.months import Month, Report
from exporter.tool.report.problems import Problem, of_nothing, problems
from exporter.tool.report.sums import Total, sums

# The columns of CSV, and the first members of an organization in JSON.
COLUMNS: Final = (
    "org_id",
    "org_name",
    "month",
    "state",
    "period_start",
    "period_end",
    "seen_at",
    "total_usd",
    "gross_usd",
    "discount_usd",
    "credits_usd",
    "total_without_credits_usd",
    "is_incomplete",
    "missing_usd",
    "invoiced_usd",
    "invoiced_difference_usd",
    "estimated_usd",
    "unknown_days",
    "forecast_usd",
    "forecast_lower_usd",
    "forecast_upper_usd",
    "budget_usd",
    "budget_used",
    "budget_left_usd",
    "budget_used_up_on",
    "budget_used_up_is_estimated",
    "budget_exhausted_at",
    "budget_forecast",
    "compared_month",
    "compared_usd",
    "compared_before_usd",
    "compared_change_usd",
    "compared_change_ratio",
    "compared_days",
    "compared_left_out_days",
    "compared_change_per_day_usd",
    "compared_without_credits_change_usd",
    "compared_without_credits_change_ratio",
    "spikes",
    "unpaid_usd",
    "overdue_usd",
    "year_to_date_usd",
    "year_to_date_unknown_months",
    "problem_kinds",
)


def json_of(report: Report) -> str:
    """Return it as JSON, in ASCII, so that no terminal acts upon a name in it."""
    document = {
        "generated_at": plain.moment(report.generated),
        "organizations": [_whole(each) for each in report.months],
        "totals": _totals(report),
        "nothing_known": [
            {
                "org_id": each.org_id,
                "org_name": each.org_name,
                "problems": _problems([of_nothing(each)]),
            }
            for each in report.nothing
        ],
        "failures": outcomes.plain(report.failures),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def csv_of(report: Report) -> str:
    """Return it as CSV with a header. What is a formula to a spreadsheet is quoted."""
    lines = [",".join(COLUMNS)]
    for each in report.months:
        row = _row(each)
        lines.append(cells.line(row[column] for column in COLUMNS))
    return "\n".join(lines) + "\n"


def _row(month: Month) -> Mapping[str, Any]:
    whole, period, found = month.whole, month.period, month.compared
    forecast = whole if month.has_forecast else None
    has_days = bool(month.days.days)
    per_day = found and found.per_day
    without = found and found.without_credits
    year = month.past and month.past.year
    return {
        "org_id": whole.org_id,
        "org_name": whole.org_name,
        "month": period.month,
        "state": str(period.state),
        "period_start": plain.moment(period.start),
        "period_end": plain.moment(period.end),
        "seen_at": plain.moment(period.seen),
        "total_usd": period.usd,
        "gross_usd": period.gross,
        "discount_usd": period.discount,
        "credits_usd": month.credits_usd if has_days else None,
        "total_without_credits_usd": month.without_credits if has_days else None,
        "is_incomplete": period.is_incomplete,
        "missing_usd": period.missing_usd if period.is_incomplete else None,
        "invoiced_usd": month.invoiced_usd,
        "invoiced_difference_usd": month.invoiced_more,
        "estimated_usd": month.days.estimated if has_days else None,
        "unknown_days": sum(day.is_unknown for _, day in month.days.shown) if has_days else None,
        "forecast_usd": forecast and forecast.forecast_usd,
        "forecast_lower_usd": forecast and forecast.forecast_lower_usd,
        "forecast_upper_usd": forecast and forecast.forecast_upper_usd,
        "budget_usd": whole.budget_usd,
        "budget_used": month.budget_used,
        "budget_left_usd": month.budget_left,
        "budget_used_up_on": month.used_up and month.used_up.day,
        "budget_used_up_is_estimated": month.used_up and month.used_up.is_estimated,
        "budget_exhausted_at": forecast and forecast.budget_exhausted_at,
        "budget_forecast": month.budget_forecast if forecast else None,
        "compared_month": found and found.before.month,
        "compared_usd": found and found.pair.now,
        "compared_before_usd": found and found.pair.before,
        "compared_change_usd": found and found.pair.change,
        "compared_change_ratio": found and found.pair.share,
        "compared_days": found and found.days,
        "compared_left_out_days": found and found.left_out,
        "compared_change_per_day_usd": per_day and per_day.change,
        "compared_without_credits_change_usd": without and without.change,
        "compared_without_credits_change_ratio": without and without.share,
        "spikes": len(month.days.spikes) if month.days.expected else None,
        "unpaid_usd": whole.unpaid_usd,
        "overdue_usd": whole.overdue_usd,
        "year_to_date_usd": year and year.usd,
        "year_to_date_unknown_months": None if year is None else len(year.unknown),
        "problem_kinds": " ".join(each.kind for each in problems(month)),
    }


def _whole(month: Month) -> Mapping[str, Any]:
    whole, period = month.whole, month.period
    costs, credits_ = period.costs, month.days.credits
    unpaid = whole.invoices and [each for each in whole.invoices if each.unpaid]
    return {
        **_row(month),
        "problems": _problems(problems(month)),
        "costs": _dumped(costs),
        "parts": [part for by, made in month.made_of.items() for part in made.plain(by)] or None,
        "days": [
            {
                "date": text_of(number),
                "spend_usd": None if day.is_unknown else day.spend,
                "corrections_usd": None if day.is_unknown else day.corrections,
                "credit_usd": None if day.is_unknown else credits_.get(number, 0.0),
                "estimated_usd": None if day.is_unknown else day.estimated,
            }
            for number, day in month.days.shown
        ],
        "changes": None if month.compared is None else _changes(month.compared),
        "change_steps": None if month.compared is None else _steps(month.compared),
        "expected_days": _dumped(month.days.expected.values()),
        "unpaid_invoices": _dumped(unpaid),
        "invoices": _dumped(month.dated),
        "invoices_after": _dumped(period.billed),
        "months": None if month.past is None else [_month(*each) for each in month.past.months],
        "forecast_closed_period_error": whole.forecast_closed_period_error
        if month.has_forecast
        else None,
        "forecast_methods": _dumped(whole.forecast_methods) if month.has_forecast else None,
        "last_success": whole.last_success,
        "failures": _dumped(whole.failures),
        "withheld": _dumped(whole.withheld),
    }


def _dumped(every: Iterable[Any] | None) -> list[dict[str, Any]] | None:
    return None if every is None else [each.model_dump() for each in every]


def _problems(every: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {"kind": str(kind), "amount_usd": usd, "since": since, "detail": detail}
        for kind, usd, since, detail in every
    ]


def _month(month: str, usd: float | None, note: str) -> dict[str, Any]:
    return {"month": month, "total_usd": usd, "state": (note or "whole").replace(" ", "_")}


def _changes(found: Compared) -> list[dict[str, Any]]:
    return [
        {
            "resource_type": each.resource_type,
            "usd": each.pair.now,
            "before_usd": each.pair.before,
            "change_usd": each.pair.change,
            "days": [{"date": text_of(number), "above_usd": usd} for number, usd in each.days],
        }
        for each in found.types
    ]


def _steps(found: Compared) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "usd": pair.now, "before_usd": pair.before, "change_usd": pair.change}
        for kind, pair in found.steps
    ]


def _totals(report: Report) -> dict[str, Any]:
    """Return the sums of all organizations, each with those that it lacks."""
    found = sums(report)

    def total(of: Total) -> dict[str, Any]:
        return {"usd": of.usd, "lacks": [each.org_id for each in of.lacks]}

    def least(of: Total) -> dict[str, Any]:
        return {**total(of), "at_least": [each.org_id for each in of.at_least]}

    return {
        "organizations": found.number,
        "in_trouble": sum(bool(problems(each)) for each in report.months) + len(report.nothing),
        "not_completely_read": found.unread,
        "not_over": found.running,
        "with_budget": found.budgets,
        "over_budget": found.over,
        "total": least(found.cost),
        "final_or_forecast": least(found.end),
        "budget": total(found.budget),
        "unpaid": total(found.unpaid),
        "overdue": total(found.overdue),
        "compared_change": total(Total(found.change.change, found.not_compared)),
    }
