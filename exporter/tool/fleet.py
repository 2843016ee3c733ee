"""Several exporters as one: shards are merged, and of an organization that two have, the best."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.api.billing import BillingError
from exporter.model import Cause, FoundOrganization
from exporter.tool import times
from exporter.tool.api_answers import DayLine, OrganizationLine, WholeOrganization
from exporter.tool.exporters import Exporter, Listing
from exporter.tool.outcomes import ReadFailure

NOT_READ: Final = "no exporter that has it could be read: give each shard with --exporter"


class Member(NamedTuple):
    """An organization, and the exporters that have it."""

    line: OrganizationLine  # of the exporter that polled it last
    exporters: Sequence[Exporter]  # that one first

    @property
    def organization(self) -> FoundOrganization:
        """Who it is."""
        return FoundOrganization(self.line.org_id, self.line.org_name)


class Members(NamedTuple):
    """The organizations of all exporters, by name, and what could not be read."""

    members: Sequence[Member]
    failures: Sequence[ReadFailure]


async def members(exporters: Sequence[Exporter]) -> Members:
    """Return the organizations of these exporters."""
    listings: list[tuple[Exporter, Listing]] = []
    failures = []
    results = await asyncio.gather(*map(_listing, exporters))
    for exporter, result in zip(exporters, results, strict=True):
        if isinstance(result, BillingError):
            failures.append(ReadFailure(exporter.url, None, result))
        else:
            listings.append((exporter, result))
    found: dict[str, list[tuple[Exporter, OrganizationLine]]] = {}
    for exporter, listing in listings:
        for line in listing.organizations:
            found.setdefault(line.org_id, []).append((exporter, line))
    every = [_merged(each) for each in found.values()]
    every.sort(key=lambda member: (member.line.org_name.casefold(), member.line.org_id))
    return Members(every, [*failures, *_missing([listing for _, listing in listings])])


async def _listing(exporter: Exporter) -> Listing | BillingError:
    try:
        return await exporter.organizations()
    except BillingError as error:
        return error


def _merged(lines: Sequence[tuple[Exporter, OrganizationLine]]) -> Member:
    def last_success(line: OrganizationLine) -> float:
        return 0.0 if line.last_success is None else times.parsed(line.last_success)

    ordered = sorted(lines, key=lambda each: last_success(each[1]), reverse=True)
    return Member(ordered[0][1], [exporter for exporter, _ in ordered])


def _missing(listings: Sequence[Listing]) -> Sequence[ReadFailure]:
    """Return a failure that names the shards that are none of these, if there are any."""
    total = max((listing.shard.total for listing in listings), default=1)
    there = {each.shard.ordinal for each in listings if each.shard.total == total}
    missing = [str(ordinal) for ordinal in range(total) if ordinal not in there]
    if not listings or not missing:
        return []
    what = f"shard {', '.join(missing)} of {total}, counted from 0"
    return [ReadFailure(what, None, BillingError(Cause.OTHER, "MISSING_SHARD", NOT_READ))]


async def whole(member: Member) -> WholeOrganization:
    """Return an organization whole, from the exporter that polled it last. Raises BillingError."""
    return await member.exporters[0].organization(member.line.org_id)


async def days(member: Member) -> Sequence[DayLine]:
    """Return the days of an organization, from the exporter that knows most of them.

    Raises BillingError if no exporter that has it can say.
    """
    results = await asyncio.gather(*(_days(each, member.line.org_id) for each in member.exporters))
    found = [each for each in results if not isinstance(each, BillingError)]
    if not found:
        raise next(each for each in results if isinstance(each, BillingError))
    return max(found, key=lambda each: sum(day.spend_usd is not None for day in each))


async def _days(exporter: Exporter, org_id: str) -> Sequence[DayLine] | BillingError:
    try:
        return await exporter.days(org_id)
    except BillingError as error:
        return error
