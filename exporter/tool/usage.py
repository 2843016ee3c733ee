"""`viam-billing usage`: the current month of each organization."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.api.calls import ReadRpc
from exporter.base import plain
from exporter.config import Config
from exporter.metrics import parts
from exporter.metrics.extract import usage
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import Organization
from exporter.tool import arguments as declare
from exporter.tool import bills, focus, output
from exporter.tool.errors import DONE, FAILED, complain
from exporter.tool.output import Column, Row, printable

FORMATS: Final = ("table", "json", "csv", "focus", "focus-json")
DESCRIPTION: Final = """\
Shows what the current billing period has cost so far, from the billing API, with the numbers
that the exporter shows. Amounts are US dollars.
"""
COLUMNS: Final = (
    "org_id",
    "org_name",
    "period_start",
    "period_end",
    "gross_usd",
    "discount_usd",
    "month_to_date_usd",
    "subtotal_usd",
    "budget_usd",
    "budget_used",
)


class Bill(NamedTuple):
    """What an organization's current period has cost so far, in US dollars."""

    organization: Organization
    usage: Usage

    @property
    def budget_used(self) -> float | None:
        """The share of the budget that is spent; None without one, or if it is 0."""
        budget = self.organization.budget_usd
        return self.usage.month_to_date / budget if budget else None


def _descending(value: float | None) -> float:
    """Order numbers from the largest, what is none last."""
    return math.inf if value is None or not math.isfinite(value) else -value


SORTS: Final[Mapping[str, Callable[[Bill], Any]]] = {
    "name": lambda bill: (bill.organization.name.casefold(), bill.organization.id),
    "month-to-date": lambda bill: _descending(bill.usage.month_to_date),
    "budget-used": lambda bill: _descending(bill.budget_used),
}


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _usage, DESCRIPTION)
    declare.add_configuration(command)
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="table",
        help="a table for people, JSON or CSV for programs, or the columns of FOCUS "
        f"{focus.VERSION} as CSV or JSON (default: %(default)s)",
    )
    command.add_argument(
        "--sort",
        choices=SORTS,
        help="by name, or by an amount from the largest (default: as configured)",
    )


def _usage(arguments: argparse.Namespace) -> int:
    config = bills.configuration(arguments)
    return bills.run(_show(arguments, config))


async def _show(arguments: argparse.Namespace, config: Config) -> int:
    call = ReadRpc.GET_CURRENT_MONTH_USAGE
    read, failures = answers = await bills.answers(config, call, arguments.organizations)
    found = [Bill(each.organization, usage.view(each.value)) for each in read]
    if arguments.sort:
        found.sort(key=SORTS[arguments.sort])
    match arguments.output:
        case "table":
            _table(found, bills.total_of(answers))
        case "json":
            output.write_json(
                {
                    "organizations": [_plain(b) | {"costs": parts.costs(b.usage)} for b in found],
                    "failures": bills.plain(failures),
                }
            )
        case "csv":
            output.write_csv(COLUMNS, map(_plain, found))
        case "focus":
            output.write_csv(focus.COLUMNS, focus.rows(found))
        case _:
            output.write_json(focus.document(found))
    bills.report(failures)
    if not arguments.output.startswith("focus"):
        return FAILED if failures else DONE
    gaps = [*focus.gaps(found)]
    for organization, what in gaps:
        complain(f"{printable(organization.name)}: {what}")
    return FAILED if failures or gaps else DONE


def _table(found: Sequence[Bill], total_of: str) -> None:
    money = output.money
    rows = [
        Row(
            (
                bill.organization.name,
                f"{output.day(bill.usage.period_start)} to {output.day(bill.usage.period_end)}",
                money(bill.usage.gross),
                money(bill.usage.discount),
                money(bill.usage.month_to_date),
                money(bill.organization.budget_usd),
                "" if bill.budget_used is None else _percent(bill.budget_used),
            ),
            alarming=(bill.budget_used or 0.0) > 1,
        )
        for bill in found
    ]
    total = (
        total_of,
        "",
        money(exact_sum(bill.usage.gross for bill in found)),
        money(exact_sum(bill.usage.discount for bill in found)),
        money(exact_sum(bill.usage.month_to_date for bill in found)),
        "",
        "",
    )
    columns = (
        Column("Organization"),
        Column("Period"),
        Column("Before discounts", number=True),
        Column("Discount", number=True),
        Column("Month to date", number=True),
        Column("Budget", number=True),
        Column("Used", number=True),
    )
    output.show(columns, rows, total)


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else output.WITHHELD


def _plain(bill: Bill) -> dict[str, Any]:
    return {
        "org_id": bill.organization.id,
        "org_name": bill.organization.name,
        "period_start": plain.moment(bill.usage.period_start),
        "period_end": plain.moment(bill.usage.period_end),
        "gross_usd": plain.number(bill.usage.gross),
        "discount_usd": plain.number(bill.usage.discount),
        "month_to_date_usd": plain.number(bill.usage.month_to_date),
        "subtotal_usd": plain.number(bill.usage.subtotal),
        "budget_usd": plain.number(bill.organization.budget_usd),
        "budget_used": plain.number(bill.budget_used),
    }
