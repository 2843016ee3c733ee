"""`viam-billing invoices`: what was billed, what is owed and what is late."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.api.calls import ReadRpc
from exporter.base import plain
from exporter.config import Config
from exporter.metrics import parts
from exporter.metrics.extract import invoices
from exporter.metrics.extract.invoices import Invoice, Invoices
from exporter.metrics.extract.values import exact_sum
from exporter.model import Organization
from exporter.tool import arguments as declare
from exporter.tool import bills, outcomes, output
from exporter.tool.errors import DONE, FAILED
from exporter.tool.output import Column, Row

FORMATS: Final = ("table", "json", "csv")
DESCRIPTION: Final = """\
Lists the invoices of each organization, then everything it owes, whichever invoices are listed. The
numbers match the exporter's. Amounts are in US dollars. An unpaid invoice is overdue once its due
date has passed.
"""
COLUMNS: Final = (
    "org_id",
    "org_name",
    "invoice_id",
    "issued",
    "due",
    "paid",
    "status",
    "unpaid",
    "overdue",
    "amount_usd",
    "payment_failure",
)


class Line(NamedTuple):
    """An invoice of an organization."""

    organization: Organization
    invoice: Invoice
    overdue: bool


def _latest_first(seconds: float | None) -> float:
    return math.inf if seconds is None else -seconds


def _earliest_first(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


SORTS: Final[Mapping[str, Callable[[Line], Any]]] = {
    "name": lambda line: (line.organization.name.casefold(), line.organization.id),
    "issued": lambda line: _latest_first(line.invoice.issued),
    "due": lambda line: _earliest_first(line.invoice.due),
    "amount": lambda line: -line.invoice.usd if math.isfinite(line.invoice.usd) else math.inf,
}


def every_invoice(answer: Any, now: float) -> Invoices:
    """Return what an answer means at `now`, in Unix seconds, with every invoice in it."""
    return invoices.view(answer, now, detail="all", limit=sys.maxsize)


def lines(organization: Organization, found: Invoices) -> list[Line]:
    """Return the invoices of an organization, the newest first."""
    return [Line(organization, *each) for each in parts.every_invoice(found)]


def is_since(invoice: Invoice, since: float | None) -> bool:
    """Tell whether an invoice is dated at that moment or later, in Unix seconds; any is of None."""
    return since is None or (invoice.issued is not None and invoice.issued >= since)


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _invoices, DESCRIPTION)
    declare.add_configuration(command)
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="table",
        help="table for people, JSON or CSV for programs (default: %(default)s)",
    )
    command.add_argument(
        "--sort",
        choices=SORTS,
        help="sort by name, newest first, earliest due date first, or largest first (default: "
        "organizations as configured, invoices newest first)",
    )
    command.add_argument("--unpaid", action="store_true", help="list unpaid invoices only")
    command.add_argument(
        "--since",
        metavar="DATE",
        type=declare.date,
        help="list invoices dated on or after this day, YYYY-MM-DD in UTC",
    )


def _invoices(arguments: argparse.Namespace) -> int:
    declare.warn_of_future(arguments.since, arguments.clock.time())
    config = bills.configuration(arguments)
    return bills.run(_show(arguments, config))


async def _show(arguments: argparse.Namespace, config: Config) -> int:
    call = ReadRpc.GET_INVOICES_SUMMARY
    read, failures = await bills.answers(config, call, arguments.organizations)
    now = arguments.clock.time()
    found = [(each.organization, every_invoice(each.value, now)) for each in read]
    dated = [
        line
        for organization, every in found
        for line in lines(organization, every)
        if is_since(line.invoice, arguments.since)
    ]
    listed = [line for line in dated if line.invoice.unpaid or not arguments.unpaid]
    if arguments.sort:
        listed.sort(key=SORTS[arguments.sort])
    match arguments.output:
        case "table":
            total_of = outcomes.total_of(read, failures)
            if listed:
                _table(listed)
            else:
                print(_nothing(arguments, dated, read=bool(read), failed=bool(failures)))
            if read:
                print()
                _balances(found, total_of)
        case "json":
            output.write_json(
                {
                    "organizations": [_balance(*each) for each in found],
                    "invoices": list(map(_plain, listed)),
                    "failures": outcomes.plain(failures),
                }
            )
        case _:
            output.write_csv(COLUMNS, map(_plain, listed))
    outcomes.report(failures)
    return FAILED if failures else DONE


def _nothing(
    arguments: argparse.Namespace, dated: Sequence[Line], *, read: bool, failed: bool
) -> str:
    """Say that nothing is listed, and no more than is known."""
    if not read:
        return "No invoices could be read."
    which = "" if arguments.since is None else f" dated {output.day(arguments.since)} or later"
    where = " in the organizations that could be read" if failed else ""
    if not dated:
        return f"There are no invoices{which}{where}."
    if doubtful := sum(not math.isfinite(line.invoice.usd) for line in dated):
        return (
            f"No invoice{which} is known to be unpaid{where}, but "
            f"{'the amount' if doubtful == 1 else 'amounts'} of {doubtful} cannot be trusted."
        )
    return f"No invoice{which} is unpaid{where}."


def _table(listed: Sequence[Line]) -> None:
    rows = [
        Row(
            (
                organization.name,
                invoice.id,
                output.day(invoice.issued),
                output.day(invoice.due),
                output.day(invoice.paid),
                f"{invoice.status}, overdue" if overdue else invoice.status,
                output.money(invoice.usd),
            ),
            alarming=overdue,
        )
        for organization, invoice, overdue in listed
    ]
    columns = (
        *map(Column, ("Organization", "Invoice", "Date", "Due", "Paid", "Status")),
        Column("Amount", number=True),
    )
    amount = output.money(exact_sum(line.invoice.usd for line in listed))
    output.show(columns, rows, ("Total", "", "", "", "", "", amount))


def _balances(found: Sequence[tuple[Organization, Invoices]], total_of: str) -> None:
    sums = [
        (
            organization.name,
            every.outstanding_balance,
            exact_sum(invoice.usd for invoice in every.unpaid),
            exact_sum(invoice.usd for invoice in every.overdue),
        )
        for organization, every in found
    ]
    rows = [Row((name, *map(output.money, usd)), alarming=usd[-1] > 0) for name, *usd in sums]
    total = (output.money(exact_sum(usd)) for usd in zip(*(s[1:] for s in sums), strict=True))
    columns = (
        Column("Organization"),
        Column("Balance of the last cycle", number=True),
        Column("Unpaid", number=True),
        Column("Overdue", number=True),
    )
    output.show(columns, rows, (total_of, *total))


def _balance(organization: Organization, found: Invoices) -> dict[str, Any]:
    return {
        "org_id": organization.id,
        "org_name": organization.name,
        "outstanding_balance_usd": plain.number(found.outstanding_balance),
        "invoices": len(found.all),
        "unpaid": len(found.unpaid),
        "unpaid_usd": plain.number(exact_sum(invoice.usd for invoice in found.unpaid)),
        "overdue": len(found.overdue),
        "overdue_usd": plain.number(exact_sum(invoice.usd for invoice in found.overdue)),
    }


def _plain(line: Line) -> dict[str, Any]:
    organization, invoice, overdue = line
    return {
        "org_id": organization.id,
        "org_name": organization.name,
        **parts.invoice(invoice, overdue=overdue),
    }
