"""Where commands get the days of the ledger from: running exporters, or the storage of one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from exporter.api.billing import BillingError
from exporter.base.files import path_argument
from exporter.config import Config
from exporter.model import Clock, FoundOrganization
from exporter.polling.discovery import merge
from exporter.state.copies import copied
from exporter.state.place import LockedError, StorageError
from exporter.state.storage import Storage
from exporter.tool import bills, exporter_flags, exporters, fleet
from exporter.tool.api_answers import DayLine, OrganizationLine, WholeOrganization
from exporter.tool.errors import WRONG_USAGE, CommandError, complain
from exporter.tool.exporter_flags import Access
from exporter.tool.fleet import Member
from exporter.tool.outcomes import ReadFailure, require
from exporter.tool.output import printable
from exporter.tool.stored import KnownLedgers

T = TypeVar("T")

AT_ONCE: Final = 16  # organizations


class LedgersRead(NamedTuple, Generic[T]):
    """What was made of the ledger of each organization, and what could not be read."""

    made: Sequence[T]
    failures: Sequence[ReadFailure]


class Ledgers(Protocol):
    """The ledgers of organizations, wherever they are."""

    def organizations(self) -> Sequence[FoundOrganization]:
        """Return the organizations that have one."""

    async def line(self, org_id: str) -> OrganizationLine:
        """Return one of them in a line."""

    async def whole(self, org_id: str) -> WholeOrganization:
        """Return one of them, with how its forecast is made. Raises BillingError."""

    async def days(self, org_id: str) -> Sequence[DayLine]:
        """Return the days of one of them. Raises BillingError, or StorageError."""


class FleetLedgers:
    """The ledgers that running exporters have."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members: Mapping[str, Member] = {each.line.org_id: each for each in members}

    def organizations(self) -> Sequence[FoundOrganization]:
        """Return the organizations that they have."""
        return [each.organization for each in self._members.values()]

    async def line(self, org_id: str) -> OrganizationLine:
        """Return one of them in a line."""
        return self._members[org_id].line

    async def whole(self, org_id: str) -> WholeOrganization:
        """Return one of them, with how its forecast is made. Raises BillingError."""
        return await fleet.whole(self._members[org_id])

    async def days(self, org_id: str) -> Sequence[DayLine]:
        """Return the days of one of them. Raises BillingError."""
        return await fleet.days(self._members[org_id])


def add(command: argparse.ArgumentParser) -> None:
    """Declare the flags that say where they are."""
    exporter_flags.add(command)
    command.add_argument(
        "--storage.path",
        dest="storage_path",
        metavar="DIR",
        type=path_argument,
        help="storage folder of an exporter that is not running, used instead of --exporter; it is "
        "not changed",
    )


class Place(NamedTuple):
    """Where ledgers are: one of these."""

    access: Access | None
    storage: Storage | None
    names: Sequence[str]  # for people: of the exporters, or of the folder

    def say_read(self, failures: Sequence[ReadFailure], what: str = "read from") -> None:
        """Say on standard error which of them were read, if any was."""
        lost = {each.what for each in failures if each.organization is None}
        if read := [name for name in self.names if name not in lost]:
            complain(f"{what} {', '.join(read)}")


def is_named(arguments: argparse.Namespace) -> bool:
    """Tell whether there is such a place."""
    return bool(arguments.exporters) or arguments.storage_path is not None


@contextmanager
def named(arguments: argparse.Namespace) -> Iterator[Place | None]:
    """Have the place that is named, if one is, while inside.

    What it takes to get there is read. Raises CommandError.
    """
    access = exporter_flags.access(arguments)
    folder: Path | None = arguments.storage_path
    if folder is None:
        yield access and Place(access, None, access.urls)
        return
    if access is not None:
        raise CommandError("use either --exporter or --storage.path, not both", WRONG_USAGE)
    try:
        with ExitStack() as stack:
            with bills.interruptible():
                storage = stack.enter_context(copied(folder))
            yield Place(None, storage, [printable(str(folder))])
    except LockedError as error:
        raise CommandError(f"{error}: name it with --exporter, or stop it first") from error
    except StorageError as error:
        raise CommandError(str(error)) from error


async def read(
    place: Place,
    names: Collection[str],
    make: Callable[[Ledgers, FoundOrganization], Awaitable[T]],
    config: Config | None,
    clock: Clock,
) -> LedgersRead[T]:
    """Return what `make` makes of the ledger of each organization.

    All days of a large fleet would fill the memory. The organizations are those that are named by
    id or name, all if none are. Without a configuration, which knows the others, there must be one
    of each name. Raises CommandError, and StorageError.
    """
    async with _opened(place, config, clock) as (ledgers, failures):
        every = ledgers.organizations()
        if config is None:
            require(names, every, failures)
        wanted = [each for each in every if not names or {each.id, each.name} & {*names}]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(organization: FoundOrganization) -> T | ReadFailure:
            try:
                async with places:
                    return await make(ledgers, organization)
            except BillingError as error:
                return ReadFailure(organization.name, organization, error)

        results = await asyncio.gather(*map(one, wanted))
    return LedgersRead(
        [each for each in results if not isinstance(each, ReadFailure)],
        [*failures, *(each for each in results if isinstance(each, ReadFailure))],
    )


@asynccontextmanager
async def _opened(
    place: Place, config: Config | None, clock: Clock
) -> AsyncIterator[tuple[Ledgers, Sequence[ReadFailure]]]:
    """Have the ledgers of a place while inside, and what of it could not be read."""
    if place.access is not None:
        async with exporters.reached(place.access) as there:
            members, failures = await fleet.members(there)
            yield FleetLedgers(members), failures
    elif place.storage is not None:
        stored = await place.storage.in_thread(place.storage.read)
        # Those without a configured name have the one that the exporter was told.
        configured = () if config is None else merge(config, stored.found).organizations
        yield await KnownLedgers.of(place.storage, stored, configured, clock), ()
