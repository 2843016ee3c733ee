"""`viam-billing usage`: the current month of each organization."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from exporter.api.calls import ReadRpc
from exporter.config import Config
from exporter.metrics.extract import usage
from exporter.model import FoundOrganization
from exporter.tool import arguments as declare
from exporter.tool import (
    bills,
    focus,
    ledger_sources,
    outcomes,
    output,
    parts,
    usage_parts,
    usage_table,
)
from exporter.tool.api_answers import OrganizationLine
from exporter.tool.errors import DONE, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.ledger_sources import Ledgers, LedgersRead, Place
from exporter.tool.outcomes import ReadFailure
from exporter.tool.output import printable
from exporter.tool.usage_lines import COLUMNS, Bill, UsageLine, of_bill, plain_total

FORMATS: Final = ("table", "json", "csv", "focus", "focus-json")
DESCRIPTION: Final = f"""\
Shows the cost of the current billing period so far, and its forecast. Costs match the exporter's.
The data comes from the billing API or, without an API key, from running exporters (--exporter) or
the storage of a stopped one (--storage.path). Those have earlier days on record, so their forecast
is better. Amounts are in US dollars.

On a terminal of {output.NARROW} columns or more, each organization takes one line. To make it fit,
long names are shortened, and then columns are left out in this order:
{textwrap.fill(usage_table.LEFT_OUT, 96, initial_indent="  ", subsequent_indent="  ")}.
A narrower terminal shows a list. Amounts are never cut.
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
    command.add_argument(
        "--by",
        choices=parts.BY,
        help="show what the month is made of, all organizations together and the largest part "
        "first: by resource type, by source, or by the tier of the source",
    )


class _Found(NamedTuple):
    """What there is to show, and what could not be read."""

    lines: Sequence[UsageLine]
    failures: Sequence[ReadFailure]


def _usage(arguments: argparse.Namespace) -> int:
    has_ledger = ledger_sources.is_named(arguments)
    if arguments.output.startswith("focus"):
        _refuse_what_focus_has_not(arguments, has_ledger=has_ledger)
    config = None
    if has_ledger and arguments.config_file is None:
        bills.keep_secrets()
    else:
        config = bills.configuration(arguments)
    with ledger_sources.named(arguments) as place:
        lines, failures = bills.run(_read(place, config, arguments))
    if arguments.sort:
        lines = sorted(lines, key=SORTS[arguments.sort])
    wrong = [*_failing(lines)]
    if arguments.output.startswith("focus"):
        wrong += _focus(lines, arguments.output)
    else:
        _show(lines, failures, arguments, told=has_ledger)
    outcomes.report(failures)
    for what in wrong:
        complain(what)
    return FAILED if failures or wrong else DONE


def _refuse_what_focus_has_not(arguments: argparse.Namespace, *, has_ledger: bool) -> None:
    if arguments.by is not None:
        raise CommandError(
            f"--output={arguments.output} has a row for each cost: leave out --by", WRONG_USAGE
        )
    if has_ledger:
        raise CommandError(
            f"--output={arguments.output} needs the bill itself: leave out --exporter and "
            "--storage.path",
            WRONG_USAGE,
        )


def _focus(lines: Sequence[UsageLine], form: str) -> Sequence[str]:
    """Print bills in the columns of FOCUS. Returns what they lack, in words."""
    received = [each.bill for each in lines if each.bill is not None]
    if form == "focus":
        output.write_csv(focus.COLUMNS, focus.rows(received))
    else:
        output.write_json(focus.document(received))
    return [f"{printable(each.name)}: {what}" for each, what in focus.gaps(received)]


def _show(
    lines: Sequence[UsageLine],
    failures: Sequence[ReadFailure],
    arguments: argparse.Namespace,
    *,
    told: bool,
) -> None:
    by = arguments.by
    match arguments.output:
        case "json":
            output.write_json(_document(lines, failures, by))
        case "csv" if by is None:
            output.write_csv(COLUMNS, [each.plain() for each in lines])
        case "csv":
            output.write_csv(usage_parts.COLUMNS, usage_parts.rows(lines, by))
        case _ if by is None:
            usage_table.show(lines, failures, told=told)
        case _:
            usage_parts.show(lines, failures, by)


async def _read(
    place: Place | None, config: Config | None, arguments: argparse.Namespace
) -> _Found:
    """Ask the sources that were named. Without a configuration those are ledgers only."""
    told, names = LedgersRead[OrganizationLine]((), ()), arguments.organizations

    async def line(ledgers: Ledgers, organization: FoundOrganization) -> OrganizationLine:
        if config is None and arguments.by is not None:  # then the bill is read from there, too
            return await ledgers.whole(organization.id)
        return await ledgers.line(organization.id)

    if place is not None:
        told = await ledger_sources.read(place, names, line, config, arguments.clock)
        place.say_read(told.failures)
    if config is None:
        return _Found([UsageLine(each) for each in told.made], told.failures)
    read, failures = await bills.answers(config, ReadRpc.GET_CURRENT_MONTH_USAGE, names)
    alone_at = arguments.clock.time() if place is None else None
    known = {each.org_id: each for each in told.made}
    lines = [
        of_bill(Bill(organization, usage.view(answer)), known.get(organization.id), alone_at)
        for organization, answer in read
    ]
    return _Found(lines, [*failures, *told.failures])


def _document(
    lines: Sequence[UsageLine], failures: Sequence[ReadFailure], by: str | None
) -> dict[str, Any]:
    """Return all there is, as JSON has it."""
    organizations = [each.plain() | {"costs": each.costs()} for each in lines]
    total = plain_total(lines)
    if by is not None:
        total["parts"] = usage_parts.plain(lines, by)
        for each, organization in zip(lines, organizations, strict=True):
            organization["parts"] = usage_parts.plain([each], by)
    return {
        "organizations": organizations,
        "total": total,
        "failures": outcomes.plain(failures),
    }


def _failing(lines: Sequence[UsageLine]) -> Iterator[str]:
    """Yield what exporters could not poll last, in words."""
    for each in lines:
        for failure in each.line.failures:
            yield printable(f"{each.line.org_name}: {failure.collector}: {failure.reason}")
