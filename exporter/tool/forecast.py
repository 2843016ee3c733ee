"""`viam-billing forecast`: what was spent on each day, by a file of past answers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from exporter.base import files, plain
from exporter.state.day_rows import Day
from exporter.state.listing import plain_days, text_of
from exporter.tool import arguments as declare
from exporter.tool import output
from exporter.tool.errors import DONE, EXIT_CODES, WRONG_USAGE, CommandError
from exporter.tool.history_file import COLUMNS, HistoryError, readings
from exporter.tool.output import Column, Row
from exporter.tool.replay import Past, replay

FORMATS: Final = ("table", "json")
STANDARD_INPUT: Final = Path("-")
DESCRIPTION: Final = """\
Shows what was spent on each UTC day, by the rules of the exporter's ledger, from a file of what
the bill was at past moments. It needs no account and no exporter. This release has no forecast
yet: its fields are empty.
"""
EPILOG: Final = f"""\
FILE is CSV with the header
  {",".join(COLUMNS)}
and, if wanted, a column for each resource type with its cost before discounts. A row is a good
answer of the billing API, the oldest first. Times are RFC 3339 or Unix seconds. An empty cell is a
date or a resource type that the answer does not have.

{EXIT_CODES}
"""
NO_FORECAST: Final = "This release has no forecast yet."


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _forecast, DESCRIPTION, EPILOG)
    command.add_argument(
        "--history",
        metavar="FILE",
        type=files.path_argument,
        help="the file; - is standard input",
    )
    command.add_argument(
        "--at",
        metavar="TIME",
        type=declare.moment,
        help="what was known at this time, RFC 3339 or Unix seconds: rows that came later are left "
        "out (default: the time of the last row)",
    )
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="table",
        help="a table for people, JSON for programs (default: %(default)s)",
    )


def _forecast(arguments: argparse.Namespace) -> int:
    if arguments.history is None:
        raise CommandError(
            "name a file of past answers with --history, or - for standard input", WRONG_USAGE
        )
    name = "standard input" if arguments.history == STANDARD_INPUT else str(arguments.history)
    try:
        with _opened(arguments.history) as stream:
            past = replay(readings(stream, output.printable(name)), arguments.at)
    except files.IrregularError:
        raise CommandError(
            f"--history={output.printable(name)}: must name a regular file, or be -", WRONG_USAGE
        ) from None
    except HistoryError as error:
        raise CommandError(str(error)) from error
    if past is None:
        when = "" if arguments.at is None else f" up to {plain.moment(arguments.at)}"
        raise CommandError(f"{output.printable(name)}: has no row{when}, so nothing is known")
    if arguments.output == "json":
        output.write_json(_plain(past))
    else:
        _table(past)
    return DONE


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # One that is closed is empty by now, and has no object of Python's.
    standard_input = open(0, "rb", closefd=False)  # noqa: SIM115
    with standard_input if path == STANDARD_INPUT else files.opened(path) as stream:
        yield stream


def _plain(past: Past) -> dict[str, Any]:
    return {
        "at": plain.moment(past.at),
        "month_to_date_usd": plain.number(past.month_to_date),
        "forecast_usd": None,
        "forecast_lower_usd": None,
        "forecast_upper_usd": None,
        "method": None,
        "methods": [],
        "days": plain_days(past.days),
        "expected_day_usd": None,
        "expected_day_upper_usd": None,
        "known_days": past.known,
    }


def _table(past: Past) -> None:
    print(f"Month to date at {plain.moment(past.at)}: {output.money(past.month_to_date)} USD")
    print(f"Known days before: {past.known}. {NO_FORECAST}")
    print()
    columns = (
        Column("Day"),
        *(Column(title, number=True) for title in ("Spend", "Corrections", "Estimated")),
    )
    output.show(columns, [_row(number, day) for number, day in past.days.items()])


def _row(number: int, day: Day) -> Row:
    if day.is_unknown:
        return Row((text_of(number), "unknown", "", ""))
    money = output.money
    return Row(
        (text_of(number), money(day.spend), money(day.corrections), money(day.estimated)),
    )
