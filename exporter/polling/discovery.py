"""Which organizations the keys of a configuration read: asked for now and then.

What is listed wins over what is found. An organization missing from a good answer is gone; a call
that fails changes nothing. docs/configuration.md says what users may count on.

Without discovery, keys of organizations that are listed without a name are asked for it. If that
fails, their ids are shown, and nothing else is the matter.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from exporter.api.billing import BillingError, OrganizationLister
from exporter.api.calls import LIST_ORGANIZATIONS
from exporter.api.retries import LONGEST_DELAY
from exporter.base import timing
from exporter.base.text import is_visible
from exporter.base.timing import Deadlines
from exporter.config import Config, matcher
from exporter.metrics.extract.values import MAX_LABEL_LENGTH, label_text
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Clock, FoundOrganization, Organization
from exporter.polling.key_records import DiscoveryStatus, KeyRecords

log = structlog.get_logger(__name__)

CONCURRENCY: Final = 4  # calls at once, beside those of the polls
# Seconds after which a call that has no answer yet leaves its place to one with another key: many
# keys may hang, in their logins or in their calls.
PLACE: Final = 2.0
SLOW: Final = 12  # of those, at once: their answers may come together, and be long
FEW: Final = 500  # organizations; a longer list is read in a thread
GATHER: Final = 1.0  # seconds in which what is found is gathered: each change concerns all polls
RETRY: Final = 60.0  # seconds until a call is tried again that may succeed soon; doubles each time

Found = Mapping[str, Sequence[FoundOrganization]]  # by the id of the key that reads them


def keys_by_id(config: Config) -> Mapping[str, ApiKey]:
    """Return the keys of a configuration by id, in the order of the file; the first one counts."""
    keys: dict[str, ApiKey] = {}
    for key in config.api_keys:
        keys.setdefault(key.id, key)
    return keys


def keys_to_ask(config: Config) -> Mapping[str, ApiKey]:
    """Return the keys that are asked what they read, by id: all, or those of who has no name."""
    if config.discovery.enabled:
        return keys_by_id(config)
    keys: dict[str, ApiKey] = {}
    for each in config.organizations:
        if each.is_unnamed:
            keys.setdefault(each.api_key.id, each.api_key)
    return keys


def merge(config: Config, found: Found) -> Config:
    """Return a configuration with the organizations that were found beside those it lists.

    What is listed stays as it is, but gets its name if it has none. If several keys read an
    organization, the first in the file is used.
    """
    organizations = {each.id: each for each in _named(config.organizations, found)}
    if not config.discovery.enabled:
        return replace(config, organizations=tuple(organizations.values()))
    matches = matcher(config.discovery.name_pattern)
    interval = config.poll.interval
    for key_id, key in keys_by_id(config).items():
        for org_id, name in found.get(key_id, ()):
            if org_id not in organizations and matches(name):
                organizations[org_id] = Organization(
                    id=org_id,
                    name=name,
                    api_key=key,
                    interval=interval,
                    max_age=config.poll.max_age_at(interval),
                    budget_usd=config.budget_usd,
                )
    return replace(config, organizations=tuple(organizations.values()))


def _named(organizations: Iterable[Organization], found: Found) -> Iterator[Organization]:
    """Yield organizations, those without a name with the API's, if it is known."""
    names: dict[str, Mapping[str, str]] = {}  # of organizations, for each key that is looked up
    for each in organizations:
        key_id = each.api_key.id
        if not each.is_unnamed or key_id not in found:
            yield each
            continue
        if key_id not in names:
            names[key_id] = dict(found[key_id])
        yield replace(each, name=names[key_id].get(each.id, each.name))


def usable(organizations: Iterable[FoundOrganization]) -> Sequence[FoundOrganization]:
    """Return the organizations whose id is one that a file could have, each once, with a name.

    In the order of ids: the API's may be another one each time.
    """
    names: dict[str, str] = {}
    for org_id, name in organizations:
        if is_usable(org_id):
            shown = label_text(name)  # which cuts it
            names.setdefault(org_id, shown if is_visible(shown) else org_id)
    return tuple(FoundOrganization(*each) for each in sorted(names.items()))


def is_usable(org_id: str) -> bool:
    """Tell whether an id is one that a file could have, and of which people see something."""
    return len(org_id) <= MAX_LABEL_LENGTH and org_id.isprintable() and is_visible(org_id)


class Discovery:
    """Asks with every key of the configuration, each for itself, and remembers the answers."""

    def __init__(
        self,
        config: Config,
        lister: OrganizationLister,
        *,
        clock: Clock,
        telemetry: Telemetry,
        found: Found,
    ) -> None:
        """`found` is what a process before this one found."""
        self._config = config
        self._lister = lister
        self._clock = clock
        self._telemetry = telemetry
        self._found = dict(found)
        self._records = KeyRecords()
        self._due: Deadlines[str] = Deadlines()  # by key id, on the monotonic clock
        self._asking: set[asyncio.Task[None]] = set()
        self._slow: set[asyncio.Task[None]] = set()  # of those, the ones without a place
        self._news = False  # discovered organizations changed, or it has settled, since `changed`
        self._wake = asyncio.Event()
        self._told = asyncio.Event()
        self._apply_configuration()

    @property
    def found(self) -> Found:
        """What the keys read, as far as is known now."""
        return dict(self._found)

    @property
    def settled(self) -> bool:
        """Whether every key was asked with, successfully or not, and `run` has told so."""
        return not self._is_enabled or (self._records.settled and not self._news)

    @property
    def status(self) -> DiscoveryStatus | None:
        """What asking with the keys gave last; None without discovery."""
        return self._records.status if self._is_enabled else None

    async def told(self) -> None:
        """Wait until every key was asked with, successfully or not, and `run` has told so."""
        await self._told.wait()

    @property
    def _is_enabled(self) -> bool:
        return self._config.discovery.enabled

    def configure(self, config: Config, lister: OrganizationLister) -> None:
        """Ask with these keys from now on, at once; calls under way are given up."""
        self._config, self._lister = config, lister
        self._apply_configuration()

    def restore(self, found: Found) -> bool:
        """Take in what a process before this one found, and could not be read at the start.

        That is, with keys that have given no answer since. Tells whether there is any.
        """
        unknown = (self._records.keys.keys() & found.keys()) - self._found.keys()
        self._found |= {key_id: usable(found[key_id]) for key_id in unknown}
        return bool(unknown)

    def _apply_configuration(self) -> None:
        for task in self._asking:
            task.cancel()
        keys = keys_to_ask(self._config)
        if keys:
            self._telemetry.prepare_call(LIST_ORGANIZATIONS.name)
        for key_id in (self._records.keys.keys() | self._found.keys()) - keys.keys():
            self._due.discard(key_id)
            self._found.pop(key_id, None)
        self._records.replace(keys)
        now = self._clock.monotonic()
        for key_id in keys:
            self._due.set(key_id, now)
        self._tell()
        self._wake.set()

    @property
    def next_due(self) -> float:
        """When organizations are listed next, on the monotonic clock; infinity if never."""
        return self._due.next()

    async def run(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Ask until cancelled. Awaits `changed` when other organizations are found, or settled."""
        quiet_until = -math.inf
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                while (
                    self._has_place
                    and (key_id := self._due.take(self._clock.monotonic())) is not None
                ):
                    task = tasks.create_task(self._ask(key_id))
                    self._asking.add(task)
                    asyncio.get_running_loop().call_later(PLACE, self._leave_place, task)
                    task.add_done_callback(self._ended)
                now = self._clock.monotonic()
                if self._news and now >= quiet_until:
                    self._news = False
                    await changed()
                    if self._records.settled:
                        self._told.set()
                    quiet_until = self._clock.monotonic() + GATHER
                    continue  # it took a while
                due = quiet_until if self._news else math.inf
                if self._has_place:  # else a call that ends wakes this loop
                    due = min(due, self._due.next())
                await timing.wait(self._wake, due - now)

    @property
    def _has_place(self) -> bool:
        slow = len(self._slow)
        return len(self._asking) - min(slow, SLOW) < CONCURRENCY

    def _leave_place(self, task: asyncio.Task[None]) -> None:
        if task in self._asking:
            self._slow.add(task)
            self._wake.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        self._slow.discard(task)
        self._wake.set()

    async def _ask(self, key_id: str) -> None:
        settled = self._records.settled
        try:
            listed = tuple(await self._lister.organizations(self._records.keys[key_id]))
        except BillingError as error:
            wait = self._fail(key_id, error)
        else:
            wait = self._config.discovery.refresh
            few = len(listed) <= FEW
            answer = usable(listed) if few else await asyncio.to_thread(usable, listed)
            self._warn_of_left_out(key_id, listed)
            self._news |= answer != self._found.get(key_id)
            self._found[key_id] = answer
            failed = self._records.succeed(key_id, self._clock.time()) is not None
            if failed and self._is_enabled:
                log.info("discovery works again", api_key_id=key_id)
            elif failed:
                log.info("organization names are available again", api_key_id=key_id)
        self._due.set(key_id, self._clock.monotonic() + wait)
        self._news |= self._records.settled and not settled
        self._tell()

    def _warn_of_left_out(self, key_id: str, listed: Iterable[FoundOrganization]) -> None:
        if not self._is_enabled:  # what is not polled is none of its business
            return
        left_out = sum(not is_usable(each.id) for each in listed)
        if self._records.leave_out(key_id, left_out):
            log.warning(
                #: No page or file could name them.
                "organizations skipped: their ids are empty, too long or not printable",
                api_key_id=key_id,
                organizations=left_out,
            )

    def _fail(self, key_id: str, error: BillingError) -> float:
        """Note a call that failed, and return after how many seconds comes the next one."""
        before, failures = self._records.fail(key_id, error.failure)
        is_known = before is not None and before.cause is error.cause
        if not is_known and not self._is_enabled:
            log.info(
                #: Nothing to do if `organization names are available again` follows. Otherwise
                #: `reason` says why.
                "cannot get organization names; showing the last known names, or ids",
                api_key_id=key_id,
                cause=error.cause,
                code=error.code,
                reason=str(error),
            )
        elif not is_known:
            log.warning(
                #: `reason` says why: [below](#why-a-poll-failed).
                "discovery failed; keeping the organizations found before",
                api_key_id=key_id,
                cause=error.cause,
                code=error.code,
                reason=str(error),
            )
        slowest = min(self._config.discovery.refresh, max(RETRY, self._config.poll.interval))
        wait = RETRY * 2 ** min(failures - 1, 16) if error.transient else math.inf
        return max(min(wait, slowest), min(error.retry_after or 0.0, LONGEST_DELAY))

    def _tell(self) -> None:
        records = self._records
        if self._is_enabled and records.keys and (records.failing or records.settled):
            self._telemetry.refreshed(successful=not records.failing, complete=records.complete)
        else:
            self._telemetry.refreshed(successful=None, complete=None)
