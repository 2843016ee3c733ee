"""What came of asking for organizations: what was read, what was not and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Sized
from typing import Any, NamedTuple, Protocol

from exporter.api.billing import BillingError
from exporter.base.near import did_you_mean, near
from exporter.model import Organization
from exporter.tool.errors import WRONG_USAGE, CommandError, complain
from exporter.tool.output import printable


class Named(Protocol):
    """An organization, whatever else is known of it."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """What people call it."""


class Read(NamedTuple):
    """What was read of an organization."""

    organization: Organization
    value: Any


class ReadFailure(NamedTuple):
    """What could not be read: an organization, or without one, which of them a key reads."""

    what: str  # for people
    organization: Named | None
    error: BillingError


class Answers(NamedTuple):
    """What came of asking for the bills of organizations, in the order of the configuration."""

    read: Sequence[Read]
    failures: Sequence[ReadFailure]


def require(
    names: Iterable[str], known: Iterable[Named], failures: Collection[ReadFailure]
) -> None:
    """Raise CommandError for an id or a name that none of the organizations has."""
    there = dict.fromkeys(each for one in known for each in (one.name, one.id))
    missing = [each for each in names if each not in there]
    if missing:
        report(failures)
        #: `viam-billing usage` lists them all.
        reason = f"--organization={printable(missing[0])}: no such id or name"
        meant = printable(did_you_mean(near(missing[0], there)))
        hint = f": {meant}" if meant else ""
        if failures:
            raise CommandError(f"{reason} among those that could be found{hint}")
        raise CommandError(f"{reason}{hint}", WRONG_USAGE)


def total_of(read: Sized, failures: Collection[ReadFailure], unknown: int = 0) -> str:
    """Return what a line of totals is called: of all organizations, or of how many of them.

    `unknown` is how many more were read, but have no amount that could be added up.
    """
    lacking = unknown + len(failures)
    if not lacking:
        return "Total"
    if any(failure.organization is None for failure in failures):
        return f"Total of {len(read)}; there are others"
    return f"Total of {len(read)} of {len(read) + lacking} organizations"


def with_forecasts(total: str, forecasts: Sequence[float | None]) -> str:
    """Return what a line of totals is called that adds up forecasts: how many it lacks, too."""
    match sum(usd is None for usd in forecasts):
        case 0:
            return total
        case 1:
            return f"{total}; 1 has no forecast"
        case lacking:
            return f"{total}; {lacking} have no forecast"


def report(failures: Iterable[ReadFailure]) -> None:
    """Say on standard error what could not be read, and why."""
    for what, _, error in failures:
        complain(f"{printable(what)}: {printable(str(error))}")


def plain(failures: Iterable[ReadFailure]) -> list[dict[str, str | None]]:
    """Return failures as programs get them."""
    return [
        {
            "org_id": organization.id if organization else None,
            "org_name": organization.name if organization else None,
            "what": what,
            "cause": str(error.cause),
            "code": error.code,
            "message": str(error),
        }
        for what, organization, error in failures
    ]
