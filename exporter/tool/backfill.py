"""`viam-billing backfill`: the past that invoices and the ledger tell of, for Prometheus."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.api.calls import ReadRpc
from exporter.base.text import from_system
from exporter.config import Config, format_duration
from exporter.metrics.catalog import LABEL_NAMES
from exporter.model import Clock, FoundOrganization
from exporter.tool import arguments as declare
from exporter.tool import bills, ledger_sources, outcomes, output, past_invoices
from exporter.tool.errors import DONE, EXIT_CODES, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.ledger_sources import Ledgers, LedgersRead, Place
from exporter.tool.outcomes import Answers, Read, ReadFailure
from exporter.tool.output import printable
from exporter.tool.past_days import PastDays, past_days
from exporter.tool.past_days import write as write_days
from exporter.tool.past_invoices import History, history

DAY: Final = 86_400.0
# Prometheus has written no block of the last hours itself yet: one of ours would be in its way.
HEAD: Final = 3 * 3600.0
NO_DAYS: Final = "days are left out: to include them, use --exporter or --storage.path"
NO_INVOICES: Final = "invoices are left out: there is no configuration to read them with"
# By default a block has two hours. Of a year those are thousands, and promtool reads the whole file
# for each of them.
MAKE_BLOCKS: Final = "promtool tsdb create-blocks-from openmetrics --max-block-duration=720h"
IMPORT: Final = f"{MAKE_BLOCKS} past.om DATA_FOLDER_OF_PROMETHEUS"
DESCRIPTION: Final = """\
Writes past data to standard output, as OpenMetrics with timestamps: invoices and the amounts that
were unpaid and overdue, as the exporter would have shown them; and the spend of each day, from the
ledger of a running exporter (--exporter) or the storage of a stopped one (--storage.path). The last
three hours are left out, because Prometheus has not written its own block for them yet. The last
line on standard error is the command that imports the data into Prometheus.
"""
EPILOG: Final = f"""\
To import the data into Prometheus with the labels of your target:
  viam-billing backfill --label=job=viam-billing --label=instance=localhost:8426 > past.om
  {IMPORT}

{EXIT_CODES}
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _backfill, DESCRIPTION, EPILOG)
    declare.add_configuration(command)
    ledger_sources.add(command)
    command.add_argument(
        "--label",
        dest="labels",
        metavar="NAME=VALUE",
        type=_label,
        action="append",
        default=[],
        help="label to add to every series, such as the job and the instance of the target; "
        "repeatable",
    )
    command.add_argument(
        "--step",
        metavar="DURATION",
        type=_step,
        default="1h",
        help="time between samples of invoices; 5m fills a graph at any zoom level, at twelve "
        "times the size (default: %(default)s)",
    )
    command.add_argument(
        "--since",
        metavar="DATE",
        type=declare.date,
        default=0.0,
        help="first day to write, YYYY-MM-DD in UTC (default: the first known day)",
    )
    command.add_argument(
        "--until",
        metavar="DATE",
        type=declare.date,
        default=math.inf,
        help="write the days before this one, such as the first day of live data (default: up to "
        "three hours ago)",
    )
    command.add_argument(
        "--retention",
        metavar="DURATION",
        type=declare.seconds,
        default="15d",
        help="how long Prometheus keeps data; older data causes a warning (default: %(default)s, "
        "as in Prometheus)",
    )


def _step(text: str) -> float:
    seconds = declare.seconds(text)
    if seconds < 1:  # samples have whole seconds
        raise argparse.ArgumentTypeError("must be at least 1s")
    return seconds


def _label(text: str) -> tuple[str, str]:
    name, equals, value = from_system(text).partition("=")
    if not (equals and re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)) or name.startswith("__"):
        raise argparse.ArgumentTypeError("must be NAME=VALUE, NAME being a Prometheus label name")
    if name in LABEL_NAMES:
        raise argparse.ArgumentTypeError(f"{name} is a label of the metrics themselves")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"the value of {name} must be UTF-8") from None
    return name, value


class _Past(NamedTuple):
    """What is known of the past, and what could not be read."""

    invoices: Sequence[Read]
    days: Sequence[PastDays]
    failures: Sequence[ReadFailure]


def _backfill(arguments: argparse.Namespace) -> int:
    if len(dict(arguments.labels)) < len(arguments.labels):
        raise CommandError("--label names a label more than once", WRONG_USAGE)
    has_ledger = ledger_sources.is_named(arguments)
    config = bills.find_configuration(arguments) if has_ledger else bills.configuration(arguments)
    declare.warn_of_future(arguments.since, arguments.clock.time())
    with ledger_sources.named(arguments) as place:
        past = bills.run(_read(place, config, arguments.organizations, arguments.clock))
    with bills.interruptible():
        return _write(arguments, config, past)


async def _read(
    place: Place | None, config: Config | None, names: Sequence[str], clock: Clock
) -> _Past:
    """Read what there is of the past, and say where days come from and what is missing."""
    invoices, days = Answers((), ()), LedgersRead[PastDays]((), ())
    if place is None:
        complain(NO_DAYS)
    else:

        async def of(ledgers: Ledgers, organization: FoundOrganization) -> PastDays:
            return past_days(organization, await ledgers.days(organization.id))

        days = await ledger_sources.read(place, names, of, config, clock)
        place.say_read(days.failures, "days are those of")
    if config is None:
        complain(NO_INVOICES)
    else:
        invoices = await bills.answers(config, ReadRpc.GET_INVOICES_SUMMARY, names)
    return _Past(invoices.read, days.made, [*invoices.failures, *days.failures])


def _write(arguments: argparse.Namespace, config: Config | None, past: _Past) -> int:
    now = arguments.clock.time()
    since, end = arguments.since, min(now - HEAD, arguments.until - 1)
    labels = tuple(arguments.labels)
    histories = []
    if config is not None:
        histories = [
            history(each.organization, each.value, config.invoice_detail, labels, end)
            for each in past.invoices
        ]
    output.write_as_utf8()
    put, count = sys.stdout.write, 0
    if config is not None:
        count += past_invoices.write(histories, arguments.step, since, end, put)
    if past.days:
        count += write_days(past.days, labels, since, end, put)
    put("# EOF\n")
    outcomes.report(past.failures)
    if not count:
        #: Try other days, or a shorter `--step`.
        complain("nothing to write: there is no data for that time, or no step falls in it")
        return FAILED if past.failures else DONE
    for each in histories:
        if each.uncertain_from < end:
            complain(_uncertain(each))
    _advise(arguments, [*histories, *past.days], now)
    complain(f"to import the data, saved as past.om: {IMPORT}")
    return FAILED if past.failures else DONE


def _uncertain(past: History) -> str:
    since = output.day(past.uncertain_from) if past.uncertain_from > 0 else "the beginning"
    return (
        f"{printable(past.organization.name)}: unpaid amounts are left out from {since} on: an "
        "invoice has no date, or is settled without a payment date"
    )


def _advise(arguments: argparse.Namespace, pasts: Sequence[History | PastDays], now: float) -> None:
    """Say what would make the samples useless."""
    names = {name for name, _ in arguments.labels}
    if missing := [name for name in ("job", "instance") if name not in names]:
        complain(
            f"these series lack the labels {' and '.join(missing)} that a target's series have: "
            "see --label"
        )
    starts = [past.start for past in pasts if past.start is not None]
    first = max(min(starts, default=now), arguments.since)
    if now - first > arguments.retention:
        days = math.ceil((now - first) / DAY)
        complain(
            f"the first sample is from {output.day(first)}, and Prometheus deletes it with a "
            f"retention of {format_duration(arguments.retention)}: set storage.tsdb.retention.time "
            f"to {days}d or more, then pass that as --retention"
        )
