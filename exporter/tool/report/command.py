"""The command: what it is told, what it reads, and where it writes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from exporter.base.files import path_argument
from exporter.base.text import escaped
from exporter.config import Config
from exporter.model import FoundOrganization
from exporter.tool import arguments as declare
from exporter.tool import bills, ledger_sources, outcomes, output
from exporter.tool.errors import DONE, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.folder import PUBLIC, prepared
from exporter.tool.ledger_sources import Ledgers, LedgersRead, Place
from exporter.tool.output import printable
from exporter.tool.report import pages, periods, programs
from exporter.tool.report.asked import asked
from exporter.tool.report.months import Report, Told, month_of
from exporter.tool.report.periods import PREVIOUS

FORMATS: Final = ("html", "csv", "json")
DESCRIPTION: Final = """\
Writes a month of one or all organizations as one HTML file that opens anywhere and prints well: the
total, the forecast and the budget, each day, what the bill is made of, what changed, spikes and
invoices. A month is the billing period that begins in it. Days, the month before and spikes come
from a running exporter (--exporter) or from the storage of a stopped one (--storage.path); without
either, the data comes from the billing API, and the report covers only the current month.
"""
WITHOUT_LEDGER: Final = (
    "read from the billing API: only the current month is known, without the month before and "
    "without spikes, and its days are estimates; name an exporter with --exporter or its storage "
    "with --storage.path"
)
EARLIER: Final = (
    "an exporter must have run in a month for a report of it; for the invoices of earlier ones, "
    "see viam-billing invoices, pdf and backfill"
)
NOT_FOR_TERMINALS: Final = (
    "the report is HTML, for a browser: give --dest=. to write it to a file here, or send it to "
    "another program"
)
_MONTH: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _report, DESCRIPTION)
    declare.add_configuration(command)
    ledger_sources.add(command)
    command.add_argument(
        "--month",
        metavar="MONTH",
        type=_month,
        help=f"month to report, such as 2026-10, or {PREVIOUS} for the one that ended last "
        "(default: the current one)",
    )
    command.add_argument(
        "--output",
        choices=FORMATS,
        default="html",
        help="HTML for people, CSV or JSON for programs (default: %(default)s)",
    )
    command.add_argument(
        "--dest",
        metavar="FILE",
        type=_destination,
        help="file to write, or a folder, in which it is named after the month, such as "
        "viam-billing-2026-10.html (default: standard output)",
    )


def _month(text: str) -> str:
    if text != PREVIOUS and not _MONTH.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a month as YYYY-MM, or {PREVIOUS}")
    return text


def _destination(text: str) -> Path:
    path = path_argument(text)  # without the / that says that it is a folder
    if text.endswith("/") and not path.is_dir():
        raise argparse.ArgumentTypeError("there is no such folder: make it first")
    return path


def _report(arguments: argparse.Namespace) -> int:
    if arguments.dest is None and arguments.output == "html" and sys.stdout.isatty():
        raise CommandError(NOT_FOR_TERMINALS, WRONG_USAGE)
    config = None
    if not ledger_sources.is_named(arguments):
        config = bills.configuration(arguments)
    elif arguments.exporters and arguments.config_file is None:
        bills.keep_secrets()
    else:
        config = bills.find_configuration(arguments)
    with ledger_sources.named(arguments) as place:
        read = bills.run(_read(place, config, arguments))
    report = _put_together(read, _source(place), arguments)
    match arguments.output:
        case "html":
            text = pages.html(report)
        case "json":
            text = programs.json_of(report)
        case _:
            text = programs.csv_of(report)
    _write(text, report, arguments)
    outcomes.report(report.failures)
    return FAILED if _complain(report) else DONE


async def _read(
    place: Place | None, config: Config | None, arguments: argparse.Namespace
) -> LedgersRead[Told]:
    names, clock = arguments.organizations, arguments.clock

    async def told(ledgers: Ledgers, organization: FoundOrganization) -> Told:
        return Told(await ledgers.whole(organization.id), await ledgers.days(organization.id))

    if place is not None:
        found = await ledger_sources.read(place, names, told, config, clock)
        place.say_read(found.failures)
        known = [FoundOrganization(each.whole.org_id, each.whole.org_name) for each in found.made]
        outcomes.require(names, known, found.failures)
        return found
    assert config is not None  # noqa: S101 - it is there if no place is
    ledgers, failures = await asked(config, names, clock)
    complain(WITHOUT_LEDGER)
    return LedgersRead([await told(ledgers, each) for each in ledgers.organizations()], failures)


def _source(place: Place | None) -> str:
    """Say what it was read from, without an address: the document may go anywhere."""
    if place is None:
        return "Viam's billing service"
    if place.access is None:
        return "the storage of an exporter"
    return "a running exporter" if len(place.access.urls) == 1 else "running exporters"


def _put_together(read: LedgersRead[Told], source: str, arguments: argparse.Namespace) -> Report:
    """Return what is known of the month. Raises CommandError if that is nothing."""
    now, wanted = arguments.clock.time(), arguments.month
    every = sorted(read.made, key=lambda each: (each.whole.org_name.casefold(), each.whole.org_id))
    found = [(told, month_of(told, wanted, now)) for told in every]
    report = Report(
        [month for _, month in found if month is not None],
        [told.whole for told, month in found if month is None],
        read.failures,
        now,
        source,
    )
    if not report.months:
        outcomes.report(read.failures)
        _complain(report)
        raise CommandError(_nothing(every, wanted, now))
    return report


def _nothing(every: Iterable[Told], wanted: str | None, now: float) -> str:
    """Say that nothing is known of a month, and of which months something is."""
    known = {
        period.month
        for told in every
        for period in periods.known_periods(told.whole, told.days, now)
        if period.month
    }
    months = ", ".join(sorted(known)) or "none yet"
    if wanted is None:
        #: The lines before this one say why.
        return "nothing is known of any month"
    what = "a month that has ended" if wanted == PREVIOUS else wanted
    return f"nothing is known of {what}; known months: {months}; {EARLIER}"


def _write(text: str, report: Report, arguments: argparse.Namespace) -> None:
    dest = arguments.dest
    if dest is None:
        output.write_as_utf8()
        if sys.stdout.isatty():  # JSON has escapes already
            text = "\n".join(map(escaped, text.split("\n")))
        sys.stdout.write(text)
        return
    if dest.is_dir():
        month = max((each.period.month or "" for each in report.months), default="") or "unknown"
        dest /= f"viam-billing-{month}.{arguments.output}"
    with prepared(dest.parent, PUBLIC) as folder:
        try:
            with folder.new([dest.name]) as file:
                file.write(text.encode())
        except OSError as error:
            raise CommandError(f"{printable(str(dest))}: {error.strerror}") from error
    complain(f"wrote {printable(str(dest))}")


def _complain(report: Report) -> bool:
    """Say what could not be read, and return whether there was anything."""
    wholes = [*(each.whole for each in report.months), *report.nothing]
    failing = [(each, failure) for each in wholes for failure in each.failures]
    for each, failure in failing:
        complain(printable(f"{each.org_name}: {failure.collector}: {failure.reason}"))
    if report.months:
        for each in report.nothing:
            complain(printable(f"{each.org_name}: nothing is known of this month"))
    return bool(failing or report.failures or report.nothing)
