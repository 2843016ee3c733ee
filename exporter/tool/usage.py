"""`viam-billing usage`: the current month of each organization."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.api.calls import ReadRpc
from exporter.config import Config
from exporter.metrics.extract import usage
from exporter.metrics.extract.values import exact_sum
from exporter.model import FoundOrganization
from exporter.tool import arguments as declare
from exporter.tool import bills, focus, ledger_sources, outcomes, output
from exporter.tool.api_answers import OrganizationLine
from exporter.tool.errors import DONE, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.ledger_sources import Ledgers, LedgersRead, Place
from exporter.tool.outcomes import ReadFailure
from exporter.tool.output import Column, Row, printable
from exporter.tool.usage_lines import COLUMNS, Bill, UsageLine, of_bill

FORMATS: Final = ("table", "json", "csv", "focus", "focus-json")
DESCRIPTION: Final = """\
Shows the cost of the current billing period so far. The numbers match the exporter's. They come
from the billing API or, without an API key, from running exporters (--exporter) or the storage of a
stopped one (--storage.path). Amounts are in US dollars.
"""


def _descending(value: float | None) -> float:
    """Order numbers from the largest, what is none last."""
    return math.inf if value is None else -value


SORTS: Final[Mapping[str, Callable[[UsageLine], Any]]] = {
    "name": lambda each: (each.line.org_name.casefold(), each.line.org_id),
    "month-to-date": lambda each: _descending(each.line.month_to_date_usd),
    "budget-used": lambda each: _descending(each.line.budget_used),
}


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _usage, DESCRIPTION)
    declare.add_configuration(command)
    ledger_sources.add(command)
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="table",
        help=f"table for people, JSON or CSV for programs, or the columns of FOCUS {focus.VERSION} "
        "as CSV or JSON (default: %(default)s)",
    )
    command.add_argument(
        "--sort",
        choices=SORTS,
        help="sort by name, or by amount with the largest first (default: as configured; by name "
        "with --exporter and no --config.file)",
    )


class _Found(NamedTuple):
    """What there is to show, and what could not be read."""

    lines: Sequence[UsageLine]
    failures: Sequence[ReadFailure]


def _usage(arguments: argparse.Namespace) -> int:
    of_focus = arguments.output.startswith("focus")
    has_ledger = ledger_sources.is_named(arguments)
    if has_ledger and of_focus:
        raise CommandError(
            f"--output={arguments.output} needs the bill itself: leave out --exporter and "
            "--storage.path",
            WRONG_USAGE,
        )
    config = None
    if has_ledger and arguments.config_file is None:
        bills.keep_secrets()
    else:
        config = bills.configuration(arguments)
    with ledger_sources.named(arguments) as place:
        lines, failures = bills.run(_read(place, config, arguments))
    if arguments.sort:
        lines = sorted(lines, key=SORTS[arguments.sort])
    received = [each.bill for each in lines if each.bill is not None]
    match arguments.output:
        case "table":
            _table(lines, outcomes.total_of(lines, failures), told=has_ledger)
        case "json":
            organizations = [each.plain() | {"costs": each.costs()} for each in lines]
            output.write_json(
                {"organizations": organizations, "failures": outcomes.plain(failures)}
            )
        case "csv":
            output.write_csv(COLUMNS, [each.plain() for each in lines])
        case "focus":
            output.write_csv(focus.COLUMNS, focus.rows(received))
        case _:
            output.write_json(focus.document(received))
    outcomes.report(failures)
    wrong = [*_failing(lines)]
    if of_focus:
        wrong += [f"{printable(each.name)}: {what}" for each, what in focus.gaps(received)]
    for what in wrong:
        complain(what)
    return FAILED if failures or wrong else DONE


async def _read(
    place: Place | None, config: Config | None, arguments: argparse.Namespace
) -> _Found:
    """Ask the sources that were named. Without a configuration those are ledgers only."""
    told, names = LedgersRead[OrganizationLine]((), ()), arguments.organizations

    async def line(ledgers: Ledgers, organization: FoundOrganization) -> OrganizationLine:
        return await ledgers.line(organization.id)

    if place is not None:
        told = await ledger_sources.read(place, names, line, config, arguments.clock)
        complain(f"read from {place.name}")
    if config is None:
        return _Found([UsageLine(each) for each in told.made], told.failures)
    read, failures = await bills.answers(config, ReadRpc.GET_CURRENT_MONTH_USAGE, names)
    known = {each.org_id: each for each in told.made}
    lines = [
        of_bill(Bill(organization, usage.view(answer)), known.get(organization.id))
        for organization, answer in read
    ]
    return _Found(lines, [*failures, *told.failures])


def _failing(lines: Sequence[UsageLine]) -> Iterator[str]:
    """Yield what exporters could not poll last, in words."""
    for each in lines:
        for failure in each.line.failures:
            yield printable(f"{each.line.org_name}: {failure.collector}: {failure.reason}")


def _table(lines: Sequence[UsageLine], total_of: str, *, told: bool) -> None:
    """Print a line for each organization, with a forecast if exporters have `told` of them."""
    money = output.money
    amounts = {"Month to date": [each.summand(each.line.month_to_date_usd) for each in lines]}
    if not told or any(each.bill is not None for each in lines):
        amounts = {
            "Before discounts": [each.summand(each.gross) for each in lines],
            "Discount": [each.summand(each.discount) for each in lines],
            **amounts,
        }
    if told:
        amounts["Forecast"] = [each.line.forecast_usd for each in lines]
        total_of = outcomes.with_forecasts(total_of, amounts["Forecast"])
    rows = [
        Row(
            (
                each.line.org_name,
                _period(each.line),
                *map(money, usd),
                money(each.line.budget_usd),
                _percent(each.summand(each.line.budget_used) if each.line.budget_usd else None),
            ),
            alarming=(each.line.budget_used or 0.0) > 1,
        )
        for each, *usd in zip(lines, *amounts.values(), strict=True)
    ]
    total = [exact_sum(one for one in usd if one is not None) for usd in amounts.values()]
    columns = (
        Column("Organization"),
        Column("Period"),
        *(Column(title, number=True) for title in (*amounts, "Budget", "Used")),
    )
    output.show(columns, rows, (total_of, "", *map(money, total), "", ""))


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.0%}" if math.isfinite(share) else output.WITHHELD


def _period(line: OrganizationLine) -> str:
    start, end = line.period_start, line.period_end
    return f"{(start or '')[:10]} to {(end or '')[:10]}" if start or end else ""
