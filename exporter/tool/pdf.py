"""`viam-billing pdf`: invoices as PDF files in a folder."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.base.text import from_system
from exporter.config import Config
from exporter.metrics.extract.invoices import Invoice
from exporter.model import Organization
from exporter.tool import arguments as declare
from exporter.tool import bills, file_names, output
from exporter.tool.download import WantedInvoice, download
from exporter.tool.errors import DONE, EXIT_CODES, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.folder import PRIVATE, Folder, prepared
from exporter.tool.invoices import every_invoice, is_since
from exporter.tool.outcomes import Read
from exporter.tool.output import printable
from exporter.tool.progress import Progress, progress

DESCRIPTION: Final = """\
Downloads invoices as PDF files: those with the given ids, all of them (--all), or those since a
date (--since). Files appear only once they are complete, and existing files are kept, so you can
run the command again after a failure, or every month.
"""
EPILOG: Final = "\n".join(
    (
        "Fields of --name-template:",
        *(f"  {f'{{{field}}}':18}{meaning}" for field, meaning in file_names.FIELDS.items()),
        "",
        EXIT_CODES,
    )
)


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _pdf, DESCRIPTION, EPILOG)
    command.add_argument(
        "invoices", metavar="INVOICE", type=from_system, nargs="*", help="ids of invoices"
    )
    declare.add_configuration(command)
    command.add_argument("--all", action="store_true", help="download all invoices")
    command.add_argument(
        "--since",
        metavar="DATE",
        type=declare.date,
        help="download invoices dated on or after this day, YYYY-MM-DD in UTC",
    )
    declare.add_dest(command, "invoices")
    command.add_argument(
        "--name-template",
        metavar="TEMPLATE",
        type=_template,
        default=file_names.DEFAULT_TEMPLATE,
        help="path of each file within the --dest folder; see below (default: %(default)s)",
    )


def _template(text: str) -> str:
    try:
        return file_names.check(from_system(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _pdf(arguments: argparse.Namespace) -> int:
    named, every = arguments.invoices, arguments.all or arguments.since is not None
    if bool(named) == every:
        raise CommandError("give invoice ids, or --all or --since, but not both", WRONG_USAGE)
    declare.warn_of_future(arguments.since, arguments.clock.time())
    config = bills.configuration(arguments)
    with prepared(arguments.dest, PRIVATE) as folder:
        return bills.run(Run(arguments, config, folder).make())


class Run:
    """One run of the command, and what has come of it."""

    def __init__(self, arguments: argparse.Namespace, config: Config, folder: Folder) -> None:
        self._arguments = arguments
        self._config = config
        self._folder = folder
        self._done = self._skipped = self._failed = 0

    async def make(self) -> int:
        """Download what is wanted, say what came of it, and return the exit code."""
        try:
            async with bills.BillReader.connected(self._config) as reader:
                await self._make(reader)
        finally:  # also when it is stopped
            print(
                f"{self._done} downloaded, {self._skipped} already there, {self._failed} failed",
                flush=True,
            )
        return FAILED if self._failed else DONE

    async def _make(self, reader: bills.BillReader) -> None:
        organizations = await reader.organizations(self._config, self._arguments.organizations)
        call = ReadRpc.GET_INVOICES_SUMMARY
        read, failures = await reader.answers(call, organizations.wanted)
        for what, _, error in (*organizations.failures, *failures):
            self._fail(what, str(error))
        names = file_names.distinct((each.id, each.name) for each in organizations.every)
        wanted = self._wanted(read, names)
        missing = [each for each in wanted if self._is_missing(each)]
        with progress(len(missing)) as bars:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for each in missing:
                        tasks.create_task(self._download(reader, each, bars))
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from group  # such as a reader that stopped early

    def _wanted(self, found: Iterable[Read], names: Mapping[str, str]) -> list[WantedInvoice]:
        """Return the invoices that are wanted.

        What is wanted and not there, and what would replace another one, is a failure.
        """
        named: dict[str, bool] = dict.fromkeys(self._arguments.invoices, False)
        by_path: dict[tuple[str, ...], WantedInvoice] = {}
        for organization, answer in found:
            every = every_invoice(answer, self._arguments.clock.time()).all
            for received, invoice in zip(answer.invoices, every, strict=True):
                whole_id = received.id  # that of the view is cut, as that of a label is
                if not self._is_wanted(whole_id, invoice, named):
                    continue
                parts = self._parts(organization, names[organization.id], whole_id, invoice)
                wanted = WantedInvoice(organization, whole_id, parts)
                # An invoice that came twice is one file.
                if by_path.setdefault(wanted.parts, wanted) != wanted:
                    self._fail(
                        wanted.path,
                        "another invoice has the same name: put {organization_id} into "
                        "--name-template",
                    )
        for invoice_id, is_there in named.items():
            if not is_there:
                self._fail(
                    #: `viam-billing invoices` lists the ids.
                    invoice_id,
                    "no organization that could be read has an invoice with that id",
                )
        return list(by_path.values())

    def _is_wanted(self, whole_id: str, invoice: Invoice, named: dict[str, bool]) -> bool:
        if named:
            if whole_id not in named:
                return False
            named[whole_id] = True
            return True
        return is_since(invoice, self._arguments.since)

    def _parts(
        self, organization: Organization, name: str, whole_id: str, invoice: Invoice
    ) -> tuple[str, ...]:
        date = output.day(invoice.issued) or file_names.UNDATED
        return file_names.path(
            self._arguments.name_template,
            {
                "organization": name,
                "organization_id": file_names.part(organization.id),
                "date": date,
                "year": date.partition("-")[0],
                "id": file_names.part(whole_id),
            },
        )

    def _is_missing(self, wanted: WantedInvoice) -> bool:
        """Tell whether to download an invoice; counts it if it is there, or cannot be."""
        try:
            there = self._folder.has(wanted.parts)
        except FileExistsError as error:
            self._fail(wanted.path, str(error.strerror))
            return False
        except OSError:
            return True  # whatever stands in the way shows when the file is written
        self._skipped += there
        return not there

    async def _download(
        self, reader: bills.BillReader, wanted: WantedInvoice, bars: Progress
    ) -> None:
        with bars.file(wanted.path) as received:
            try:
                await download(reader, wanted, self._folder, received)
            except BillingError as error:
                self._fail(wanted.path, str(error))
            except OSError as error:
                self._fail(wanted.path, error.strerror or "it cannot be written")
            else:
                self._done += 1
                bars.say(f"downloaded {printable(wanted.path)}")

    def _fail(self, what: str, why: str) -> None:
        self._failed += 1
        complain(f"{printable(what)}: {printable(why)}")
