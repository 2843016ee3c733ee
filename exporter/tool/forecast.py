"""`viam-billing forecast`: where the month will end, by exporters or a file of past answers."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from exporter.base import files, plain
from exporter.forecast.outlook import Said
from exporter.model import Forecast
from exporter.state.day_rows import Day
from exporter.state.listing import plain_days, text_of
from exporter.state.spend import TOO_LARGE
from exporter.tool import arguments as declare
from exporter.tool import forecasts, ledger_sources, output, spikes
from exporter.tool.backtest import Guess, Score, backtest, scores
from exporter.tool.errors import DONE, EXIT_CODES, WRONG_USAGE, CommandError
from exporter.tool.history_file import COLUMNS, HistoryError, Reading, readings
from exporter.tool.output import Column, Row
from exporter.tool.replay import Past, replay

FORMATS: Final = ("table", "json", "jsonl")
STANDARD_INPUT: Final = Path("-")
DESCRIPTION: Final = """\
Shows the forecast for the end of the billing period, how certain it is, and which methods it uses.
It comes from a running exporter (--exporter), from the storage of a stopped one
(--storage.path), or from a file of past answers (--history), which needs neither an account nor an
exporter and also shows the spend of each UTC day.
"""
EPILOG: Final = f"""\
FILE is CSV with the header
  {",".join(COLUMNS)}
and, optionally, a column for each resource type with its cost before discounts. Each row is a
successful answer from the billing API, oldest first. Times are RFC 3339 or Unix seconds. A cell is
empty if the answer lacks that date or resource type.

{EXIT_CODES}
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _forecast, DESCRIPTION, EPILOG)
    declare.add_configuration(command)
    ledger_sources.add(command)
    command.add_argument(
        "--history",
        metavar="FILE",
        type=files.path_argument,
        help="file of past API answers, used instead of an exporter; - is standard input",
    )
    command.add_argument(
        "--at",
        metavar="TIME",
        type=declare.moment,
        help="with --history: show the forecast as of this time, RFC 3339 or Unix seconds; later "
        "rows are ignored (default: the time of the last row)",
    )
    command.add_argument(
        "--backtest",
        action="store_true",
        help="with --history: show what the forecast would have been at each midnight, and how "
        "wrong it was",
    )
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="table",
        help="table for people, json for programs; with --backtest, jsonl instead of json, one "
        "line for each midnight (default: %(default)s)",
    )


def _forecast(arguments: argparse.Namespace) -> int:
    if arguments.history is None:
        return _of_ledgers(arguments)
    if ledger_sources.is_named(arguments):
        raise CommandError("use one of --history, --exporter and --storage.path", WRONG_USAGE)
    if arguments.output == ("json" if arguments.backtest else "jsonl"):
        raise CommandError(
            "--output=jsonl needs --backtest, and --output=json cannot be used with it", WRONG_USAGE
        )
    name = "standard input" if arguments.history == STANDARD_INPUT else str(arguments.history)
    name = output.printable(name)
    try:
        with _opened(arguments.history) as stream:
            _show(readings(stream, name), name, arguments)
    except files.IrregularError:
        raise CommandError(
            f"--history={name}: must name a regular file, or be -", WRONG_USAGE
        ) from None
    except HistoryError as error:
        raise CommandError(str(error)) from error
    return DONE


def _of_ledgers(arguments: argparse.Namespace) -> int:
    if arguments.backtest or arguments.at is not None or arguments.output == "jsonl":
        raise CommandError(
            "--backtest, --at and --output=jsonl need --history=FILE of past answers", WRONG_USAGE
        )
    return forecasts.show(arguments)


def _show(history: Iterator[Reading], name: str, arguments: argparse.Namespace) -> None:
    if arguments.backtest:
        at = math.inf if arguments.at is None else arguments.at
        guesses = backtest(each for each in history if each.time <= at)
        if arguments.output == "jsonl":
            _lines(guesses)
        else:
            _scores(guesses)
        return
    past = replay(history, arguments.at)
    if past is None:
        when = "" if arguments.at is None else f" up to {plain.moment(arguments.at)}"
        raise CommandError(f"{name}: no rows{when}")
    if arguments.output == "json":
        output.write_json(_plain(past))
    else:
        _table(past)


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
        **_plain_forecast(past.forecast, past.said),
        "days": plain_days(past.days),
        **spikes.plain_expected(None if past.yesterday is None else past.yesterday.compared),
        "known_days": past.known,
    }


def _plain_forecast(forecast: Forecast | None, methods: Sequence[Said]) -> dict[str, Any]:
    if forecast is None:
        amounts = dict.fromkeys(("forecast_usd", "forecast_lower_usd", "forecast_upper_usd"))
        return {**amounts, "method": None, "methods": []}
    return {
        "forecast_usd": plain.number(forecast.usd),
        "forecast_lower_usd": plain.number(forecast.lower),
        "forecast_upper_usd": plain.number(forecast.upper),
        "method": methods[0].name,
        "methods": [
            {
                "name": said.name,
                "forecast_usd": plain.number(said.usd),
                "weight": said.weight,
                "past_error": said.error,
            }
            for said in methods
        ],
    }


def _table(past: Past) -> None:
    print(f"Month to date at {plain.moment(past.at)}: {output.money(past.month_to_date)} USD")
    forecast = past.forecast
    if forecast is None:
        print(f"No forecast: {_why_none(past)}.")
    else:
        low, high = output.money(forecast.lower), output.money(forecast.upper)
        print(f"Forecast: {output.money(forecast.usd)} USD, between {low} and {high}")
    print(f"Known days before that: {past.known}")
    if (spike := spikes.sentence(past.yesterday)) is not None:
        print(spike)
    if forecast is not None:
        print()
        forecasts.show_methods(past.said)
    print()
    columns = (
        Column("Day"),
        *(Column(title, number=True) for title in ("Spend", "Corrections", "Estimated")),
    )
    output.show(columns, [_row(number, day) for number, day in past.days.items()])


def _why_none(past: Past) -> str:
    if abs(past.month_to_date) >= TOO_LARGE:
        return "the amount of the last answer is too large for a bill"
    if past.is_behind:
        return "the last answer is for an earlier period"
    return "the last answer does not say when its period starts and ends"


def _lines(guesses: Iterable[Guess]) -> None:
    for guess in guesses:
        line = {
            "at": plain.moment(guess.at),
            "month_to_date_usd": plain.number(guess.month_to_date),
            **_plain_forecast(guess.forecast, guess.said),
            "actual_usd": plain.number(guess.actual),
            **spikes.plain_compared(guess.compared),
        }
        print(json.dumps(line, allow_nan=False))


def _scores(guesses: Iterable[Guess]) -> None:
    guesses = [*guesses]
    by_day, every = scores(guesses)
    if not every.guesses:
        raise CommandError(
            #: `--output=jsonl` shows the forecasts alone.
            "no period ends in the file, so there is nothing to compare a forecast with"
        )
    spikes.show(guesses)
    columns = (
        Column("Day of the period"),
        *(
            Column(title, number=True)
            for title in ("Forecasts", "Mean error", "Within bounds", "Below")
        ),
    )
    rows = [_score(str(day), score) for day, score in by_day.items()]
    output.show(columns, [Row(row) for row in rows], _score("All", every))


def _score(title: str, score: Score) -> tuple[str, ...]:
    shares = map(plain.number, (score.error, score.within, score.below))
    return (title, str(score.guesses), *map(output.percent, shares))


def _row(number: int, day: Day) -> Row:
    if day.is_unknown:
        return Row((text_of(number), "unknown", "", ""))
    money = output.money
    return Row(
        (text_of(number), money(day.spend), money(day.corrections), money(day.estimated)),
    )
