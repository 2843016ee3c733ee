"""`viam-billing check`: whether the configuration is right, and each key reads its bill."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exporter.api.billing import BillingError
from exporter.base.files import path_argument
from exporter.config import DEFAULT_FILE, Config
from exporter.metrics.catalog import COLLECTORS
from exporter.model import Cause, Organization
from exporter.process import privileges
from exporter.tool import arguments as declare
from exporter.tool import bills
from exporter.tool.errors import DONE, FAILED, WRONG_USAGE, CommandError, complain
from exporter.tool.folder import Folder
from exporter.tool.output import printable
from exporter.tool.saved_answers import empty_folder, save

DESCRIPTION: Final = """\
Checks the configuration and the files that it names, like `viam-billing-exporter --config.check`.
All errors are reported at once, and no secret is shown. With --connect it also reads each
organization's bill once, without showing it, and says what to do about each failure. With
--save-answers, it also writes the answers to files for a bug report, without anything personal and
with all amounts multiplied by a secret factor.
"""
# What to do, by cause; the error itself says what is wrong.
ADVICE: Final[Mapping[Cause, str]] = {
    Cause.CREDENTIALS: "create a key with scope organization and role Owner, or correct the id and "
    "the key in the configuration",
    Cause.PERMISSION: "use a key of this organization with scope organization and role Owner, and "
    "check the organization's id",
    Cause.OUTAGE: "check the network, any proxy or firewall, and api.address",
    Cause.THROTTLED: "wait, and try again with fewer organizations at once (api.max_concurrency)",
    Cause.INVALID_ANSWER: "make sure that api.address is Viam's; if it is, report a bug",
    Cause.OTHER: "check the organization's id and api.address",
}
KEY_FILE: Final = "make the key file readable by the user who runs this"


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _check, DESCRIPTION)
    declare.add_configuration(command)
    command.add_argument(
        "--connect",
        action="store_true",
        help="read each organization's bill once to check its API key",
    )
    command.add_argument(
        "--save-answers",
        metavar="DIR",
        type=path_argument,
        help="write the answers, disguised, to this folder, which must be new or empty; needs "
        "--connect",
    )


def _check(arguments: argparse.Namespace) -> int:
    if arguments.organizations and not arguments.connect:
        raise CommandError("--organization needs --connect", WRONG_USAGE)
    if arguments.save_answers and not arguments.connect:
        raise CommandError("--save-answers needs --connect", WRONG_USAGE)
    config = bills.configuration(arguments)
    print(f"the configuration is valid: {config.extent}", flush=True)
    file = arguments.config_file or DEFAULT_FILE
    privileges.warn(config, file, privileges.Reader.current(os.environ))
    for doubt in config.doubts:
        complain(doubt)
    if not arguments.connect:
        return DONE
    dest: Path | None = arguments.save_answers
    if dest is None:
        return bills.run(_connect(config, arguments))
    with empty_folder(dest) as folder:
        code = bills.run(_connect(config, arguments, folder))
    print(f"saved in {printable(str(dest))}: read the files before you share them")
    return code


async def _connect(
    config: Config, arguments: argparse.Namespace, folder: Folder | None = None
) -> int:
    collectors = [each for each in COLLECTORS if each.name in config.collectors]
    async with bills.BillReader.connected(config) as reader:

        async def attempt(organization: Organization) -> None:
            for collector in collectors:
                await reader.answer(collector, organization)

        organizations = await reader.organizations(config, arguments.organizations)
        wanted = organizations.wanted
        if folder is None:
            read, failures = await reader.each(wanted, attempt)
        else:
            read, failures = await save(reader, wanted, collectors, folder, arguments.clock)
    for organization, _ in read:
        print(f"{printable(organization.name)}: its bill can be read", flush=True)
    for what, _, error in (*organizations.failures, *failures):
        complain(f"{printable(what)}: {printable(str(error))}. To do: {_advice(error)}")
    print(f"{len(read)} of {len(wanted)} organizations can be read")
    return FAILED if organizations.failures or failures else DONE


def _advice(error: BillingError) -> str:
    return KEY_FILE if error.code == "KEY_FILE" else ADVICE[error.cause]
