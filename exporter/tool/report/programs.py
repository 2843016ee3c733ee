"""The report for programs: JSON with all of it, and CSV with a row for each organization."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from exporter.base import cells, plain
from exporter.state.listing import text_of
from exporter.tool import outcomes
from exporter.tool.report.compares import Compared
from exporter.tool.report.months import Month, Report

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
    "estimated_usd",
    "unknown_days",
    "forecast_usd",
    "forecast_lower_usd",
    "forecast_upper_usd",
    "budget_usd",
    "budget_used",
    "budget_exhausted_at",
    "compared_usd",
    "compared_before_usd",
    "compared_change_usd",
    "compared_change_ratio",
    "compared_days",
    "spikes",
    "unpaid_usd",
    "overdue_usd",
)


def json_of(report: Report) -> str:
    """Return it as JSON, in ASCII, so that no terminal acts upon a name in it."""
    document = {
        "generated_at": plain.moment(report.generated),
        "organizations": [_whole(each) for each in report.months],
        "nothing_known": [
            {"org_id": each.org_id, "org_name": each.org_name} for each in report.nothing
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
        "estimated_usd": month.days.estimated if month.days.days else None,
        "unknown_days": month.days.unknown if month.days.days else None,
        "forecast_usd": forecast and forecast.forecast_usd,
        "forecast_lower_usd": forecast and forecast.forecast_lower_usd,
        "forecast_upper_usd": forecast and forecast.forecast_upper_usd,
        "budget_usd": whole.budget_usd,
        "budget_used": month.budget_used,
        "budget_exhausted_at": forecast and forecast.budget_exhausted_at,
        "compared_usd": found and found.pair.now,
        "compared_before_usd": found and found.pair.before,
        "compared_change_usd": found and found.pair.change,
        "compared_change_ratio": found and found.pair.share,
        "compared_days": found and found.days,
        "spikes": len(month.days.spikes) if month.days.expected else None,
        "unpaid_usd": whole.unpaid_usd,
        "overdue_usd": whole.overdue_usd,
    }


def _whole(month: Month) -> Mapping[str, Any]:
    whole, period = month.whole, month.period
    costs, dated, billed = period.costs, month.dated, period.billed
    return {
        **_row(month),
        "costs": None if costs is None else [each.model_dump() for each in costs],
        "days": [
            {
                "date": text_of(number),
                "spend_usd": None if day.is_unknown else day.spend,
                "corrections_usd": None if day.is_unknown else day.corrections,
                "estimated_usd": None if day.is_unknown else day.estimated,
            }
            for number, day in month.days.days
        ],
        "changes": None if month.compared is None else _changes(month.compared),
        "expected_days": [each.model_dump() for each in month.days.expected.values()],
        "invoices": None if dated is None else [each.model_dump() for each in dated],
        "invoices_after": None if billed is None else [each.model_dump() for each in billed],
        "last_success": whole.last_success,
        "failures": [each.model_dump() for each in whole.failures],
        "withheld": [each.model_dump() for each in whole.withheld],
    }


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
