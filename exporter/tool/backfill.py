"""`viam-billing backfill`: the past that invoices tell of, for Prometheus."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import Final

from exporter.api.calls import ReadRpc
from exporter.base.text import from_system
from exporter.config import Config, format_duration
from exporter.metrics.catalog import LABEL_NAMES
from exporter.tool import arguments as declare
from exporter.tool import bills, output
from exporter.tool.errors import DONE, EXIT_CODES, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.output import printable
from exporter.tool.past_invoices import History, history, write

DAY: Final = 86_400.0
# Prometheus has written no block of the last hours itself yet: one of ours would be in its way.
HEAD: Final = 3 * 3600.0
DESCRIPTION: Final = """\
Writes what the invoices tell of the past as OpenMetrics with timestamps, to standard output: what
was unpaid and overdue, and each invoice, as the exporter would have shown it. Nothing of the last
three hours is written, because Prometheus itself still has those in the making.
"""
EPILOG: Final = f"""\
To put it into Prometheus, with the labels that its target has there:
  viam-billing backfill --label=job=viam-billing --label=instance=localhost:8426 > past.om
  promtool tsdb create-blocks-from openmetrics past.om DATA_FOLDER_OF_PROMETHEUS

{EXIT_CODES}
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _backfill, DESCRIPTION, EPILOG)
    declare.add_configuration(command)
    command.add_argument(
        "--label",
        dest="labels",
        metavar="NAME=VALUE",
        type=_label,
        action="append",
        default=[],
        help="a label for every series, such as the job and the instance of the target; may be "
        "given several times",
    )
    command.add_argument(
        "--step",
        metavar="DURATION",
        type=_step,
        default="1h",
        help="time between two samples of a series; 5m fills a graph at any scale, at twelve times "
        "the size (default: %(default)s)",
    )
    command.add_argument(
        "--since",
        metavar="DATE",
        type=declare.date,
        default=0.0,
        help="begin with this day, YYYY-MM-DD in UTC (default: the first invoice)",
    )
    command.add_argument(
        "--until",
        metavar="DATE",
        type=declare.date,
        default=math.inf,
        help="end before this day, such as the first of the live data (default: three hours ago)",
    )
    command.add_argument(
        "--retention",
        metavar="DURATION",
        type=declare.seconds,
        default="15d",
        help="how long Prometheus keeps data, to warn of what it would delete (default: "
        "%(default)s, as Prometheus' own)",
    )


def _step(text: str) -> float:
    seconds = declare.seconds(text)
    if seconds < 1:  # samples have whole seconds
        raise argparse.ArgumentTypeError("must be at least 1s")
    return seconds


def _label(text: str) -> tuple[str, str]:
    name, equals, value = from_system(text).partition("=")
    if not (equals and re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)) or name.startswith("__"):
        raise argparse.ArgumentTypeError("must be NAME=VALUE, NAME a label's name in Prometheus")
    if name in LABEL_NAMES:
        raise argparse.ArgumentTypeError(f"{name} is a label of the metrics themselves")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"the value of {name} must be UTF-8") from None
    return name, value


def _backfill(arguments: argparse.Namespace) -> int:
    if len(dict(arguments.labels)) < len(arguments.labels):
        raise CommandError("--label names a label more than once", WRONG_USAGE)
    config = bills.configuration(arguments)
    declare.warn_of_future(arguments.since, arguments.clock.time())
    call = ReadRpc.GET_INVOICES_SUMMARY
    answers = bills.run(bills.answers(config, call, arguments.organizations))
    with bills.interruptible():
        return _write(arguments, config, answers)


def _write(arguments: argparse.Namespace, config: Config, answers: bills.Answers) -> int:
    now = arguments.clock.time()
    end = min(now - HEAD, arguments.until - 1)
    read, failures = answers
    labels = tuple(arguments.labels)
    histories = [
        history(each.organization, each.value, config.invoice_detail, labels, end) for each in read
    ]
    output.write_as_utf8()
    count = write(histories, arguments.step, arguments.since, end, sys.stdout.write)
    bills.report(failures)
    if not count:
        complain("nothing to write: no invoice says anything of that time, or no step ends in it")
        return FAILED if failures else DONE
    for each in histories:
        if each.uncertain_from < end:
            complain(_uncertain(each))
    _advise(arguments, histories, now)
    return FAILED if failures else DONE


def _uncertain(past: History) -> str:
    since = output.day(past.uncertain_from) if past.uncertain_from > 0 else "the beginning"
    return (
        f"{printable(past.organization.name)}: what was unpaid is left out from {since} on: an "
        "invoice without its date, or settled without a date of payment, hides it"
    )


def _advise(arguments: argparse.Namespace, histories: Sequence[History], now: float) -> None:
    """Say what would make the samples useless."""
    names = {name for name, _ in arguments.labels}
    if missing := [name for name in ("job", "instance") if name not in names]:
        complain(
            f"these series are not those of a target, which have the labels {' and '.join(missing)}"
            " too: see --label"
        )
    starts = [past.start for past in histories if past.start is not None]
    first = max(min(starts, default=now), arguments.since)
    if now - first > arguments.retention:
        days = math.ceil((now - first) / DAY)
        complain(
            f"the first sample is of {output.day(first)}, and a Prometheus that keeps "
            f"{format_duration(arguments.retention)} deletes such blocks: let it keep {days}d or "
            "more (storage.tsdb.retention.time), and then say so with --retention"
        )
