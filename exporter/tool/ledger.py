"""`viam-billing ledger`: days from one storage to another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, TextIO

from exporter.base.files import path_argument
from exporter.base.text import from_system
from exporter.process import logs
from exporter.state import carried
from exporter.state.copies import copied
from exporter.state.place import LockedError, StorageError
from exporter.state.storage import Storage
from exporter.tool import arguments as declare
from exporter.tool import bills, output
from exporter.tool.errors import DONE, EXIT_CODES, FAILED, CommandError, complain
from exporter.tool.output import printable

STANDARD_INPUT: Final = Path("-")
MAX_LINE: Final = 64 * 1024 * 1024  # characters: four hundred days of a hundred types are 4 MB
DESCRIPTION: Final = """\
Copies ledgers, which hold the spend of each day, from one storage folder to another, for example
when organizations move to another shard or the exporter moves to another machine. `export` writes
them to standard output, one line for each organization; `import` adds them to a folder. Neither
uses the network.

No exporter may be using the folder. Existing data is never replaced: an organization that already
has data only gains earlier days. A failed import can be repeated.
"""
EPILOG: Final = f"""\
To move everything from one folder to another:
  viam-billing ledger export --storage.path=OLD > ledger.jsonl
  viam-billing ledger import --storage.path=NEW ledger.jsonl

{EXIT_CODES}
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    command.description = DESCRIPTION
    command.epilog = EPILOG
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, summary in (
        ("export", _export, "write stored ledgers to standard output"),
        ("import", _import, "add exported ledgers to a storage folder"),
    ):
        action = actions.add_parser(name, help=summary, allow_abbrev=False)
        says = f"{summary.capitalize().replace(' ', 's ', 1)}."
        declare.describe(action, partial(_refusing, run), says)
        if name == "import":
            action.add_argument(
                "file",
                metavar="FILE",
                type=path_argument,
                help="output of `ledger export`; - is standard input",
            )
        action.add_argument(
            "--storage.path",
            dest="storage_path",
            metavar="DIR",
            type=path_argument,
            required=True,
            help="the storage folder of an exporter that is not running",
        )
        action.add_argument(
            "--organization",
            dest="organizations",
            metavar="ID",
            type=from_system,
            action="append",
            default=[],
            help="only the organization with this id; repeatable (default: all)",
        )


def _refusing(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run an action. Raises CommandError if the storage cannot be used."""
    logs.configure("warning", "logfmt")
    try:
        with bills.interruptible():
            return run(arguments)
    except LockedError as error:
        raise CommandError(f"{error}: stop the exporter first") from error
    except StorageError as error:
        raise CommandError(str(error)) from error


def _export(arguments: argparse.Namespace) -> int:
    output.write_as_utf8()
    wanted = set(arguments.organizations)
    with copied(arguments.storage_path) as storage:
        storage.mend()
        for org_id, saved in sorted(storage.read().organizations.items()):
            if wanted and org_id not in wanted:
                continue
            found = carried.taken(storage, saved)
            if found is not None:
                print(carried.line(found))
                wanted.discard(org_id)
                complain(f"{printable(org_id)}: {len(found.days)} days")
    #: The status page shows the organization's id.
    return _missing(wanted, f"no days are stored in {arguments.storage_path}")


def _import(arguments: argparse.Namespace) -> int:
    wanted = set(arguments.organizations)
    folder = arguments.storage_path
    where = "standard input" if arguments.file == STANDARD_INPUT else str(arguments.file)
    with _opened(arguments.file) as lines, closing(Storage(folder)) as storage:
        storage.mend()
        organizations = storage.read().organizations
        for each in _read(lines, where):
            if arguments.organizations and each.org_id not in wanted:
                continue
            wanted.discard(each.org_id)
            new = carried.added(storage, each, organizations.get(each.org_id))
            complain(f"{printable(each.org_id)}: {new} days added of {len(each.days)}")
    return _missing(wanted, f"no days in {where}")


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if file == STANDARD_INPUT:
        yield sys.stdin
        return
    with file.open(encoding="utf-8") as lines:
        yield lines


def _read(lines: TextIO, where: str) -> Iterator[carried.Carried]:
    """Yield what each line has. Raises CommandError; what was yielded before is good."""
    for number in count(1):
        try:
            text = lines.readline(MAX_LINE + 1)  # a longer one is none
            if not text:
                return
            yield carried.read(text)
        except UnicodeDecodeError:
            raise CommandError(f"{where}: it is not UTF-8") from None
        except ValueError as error:
            raise CommandError(f"{where}, line {number}: {error}") from None


def _missing(wanted: Collection[str], what: str) -> int:
    for org_id in sorted(wanted):
        complain(f"{printable(org_id)}: {what}")
    return FAILED if wanted else DONE
