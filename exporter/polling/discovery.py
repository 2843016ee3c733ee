"""Which organizations the keys of a configuration read: asked for now and then.

What is listed wins over what is found. Whoever is missing from a good answer is gone; a call that
fails changes nothing. docs/configuration.md says what users may count on.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from exporter import timing
from exporter.api.billing import BillingError, OrganizationLister
from exporter.api.calls import LIST_ORGANIZATIONS
from exporter.config import Config
from exporter.metrics.extract.values import MAX_LABEL_LENGTH, label_text
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Clock, Failure, FoundOrganization, Organization
from exporter.timing import Deadlines

log = structlog.get_logger(__name__)

CONCURRENCY: Final = 4  # calls at once, beside those of the polls
GATHER: Final = 1.0  # seconds in which what is found is gathered: each change concerns all polls
RETRY: Final = 60.0  # seconds until a call is tried again that may succeed soon; doubles each time
LONGEST_WAIT: Final = 86_400.0  # seconds; a server that asks for more is asked again all the same

Found = Mapping[str, Sequence[FoundOrganization]]  # by the id of the key that reads them


def keys_by_id(config: Config) -> Mapping[str, ApiKey]:
    """Return the keys of a configuration by id, in the order of the file; the first one counts."""
    keys: dict[str, ApiKey] = {}
    for key in config.api_keys:
        keys.setdefault(key.id, key)
    return keys


@dataclass(frozen=True, slots=True)
class Looks:
    """How the last looks for organizations ended."""

    keys: int  # that are asked with
    failing: Mapping[str, Failure]  # by the id of the key
    # When each key had given a good answer, in Unix seconds: the oldest of the last ones. None
    # until there is one of each since the start.
    complete: float | None


def merge(config: Config, found: Found) -> Config:
    """Return a configuration with the organizations that were found beside those it lists.

    What is listed stays as it is. Of several keys, the first one in the file has it.
    """
    if not config.discovery.enabled:
        return config
    organizations = {each.id: each for each in config.organizations}
    pattern = re.compile(config.discovery.name_pattern, re.DOTALL)
    interval = config.poll.interval
    for key_id, key in keys_by_id(config).items():
        for org_id, name in found.get(key_id, ()):
            if org_id not in organizations and pattern.fullmatch(name):
                organizations[org_id] = Organization(
                    id=org_id,
                    name=name,
                    api_key=key,
                    interval=interval,
                    max_age=config.poll.max_age_at(interval),
                    budget_usd=config.budget_usd,
                )
    return replace(config, organizations=tuple(organizations.values()))


def usable(organizations: Iterable[FoundOrganization]) -> Sequence[FoundOrganization]:
    """Return the organizations whose id is one that a file could have, each once, with a name.

    In the order of ids: the API's may be another one each time.
    """
    names: dict[str, str] = {}
    for org_id, name in organizations:
        if org_id and org_id.isprintable() and len(org_id) <= MAX_LABEL_LENGTH:
            names.setdefault(org_id, label_text(name) if name.strip() else org_id)
    return tuple(FoundOrganization(*each) for each in sorted(names.items()))


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
        self._keys: Mapping[str, ApiKey] = {}
        self._due: Deadlines[str] = Deadlines()  # by key id, on the monotonic clock
        self._asking: set[asyncio.Task[None]] = set()
        self._unasked: set[str] = set()  # ids of keys that were never asked with
        self._succeeded: Deadlines[str] = Deadlines()  # when last, by key id, in Unix seconds
        self._failing: dict[str, Failure] = {}  # by key id
        self._failures: dict[str, int] = {}  # in a row, by key id
        self._news = False  # other organizations were found, or it has settled, since `changed`
        self._wake = asyncio.Event()
        self._start()

    @property
    def found(self) -> Found:
        """What the keys read, as far as is known now."""
        return dict(self._found)

    @property
    def settled(self) -> bool:
        """Whether every key was asked with, successfully or not."""
        return not self._unasked

    @property
    def looks(self) -> Looks | None:
        """How the last looks ended; None without discovery."""
        if not self._keys:
            return None
        return Looks(len(self._keys), dict(self._failing), self._complete)

    @property
    def _complete(self) -> float | None:
        return self._succeeded.next() if len(self._succeeded) == len(self._keys) else None

    @property
    def _refresh(self) -> float:
        return self._config.discovery.refresh

    @property
    def _slowest(self) -> float:
        """After how many seconds at most a call that failed is made again."""
        return min(self._refresh, max(RETRY, self._config.poll.interval))

    def configure(self, config: Config, lister: OrganizationLister) -> None:
        """Ask with these keys from now on, at once; calls under way are given up."""
        self._config, self._lister = config, lister
        self._start()

    def _start(self) -> None:
        config = self._config
        for task in self._asking:
            task.cancel()
        keys = keys_by_id(config) if config.discovery.enabled else {}
        if keys:
            self._telemetry.count_calls(LIST_ORGANIZATIONS.name)
        for key_id in (self._keys.keys() | self._found.keys()) - keys.keys():
            for at in (self._due, self._succeeded):
                at.discard(key_id)
            for known in (self._found, self._failing, self._failures):
                known.pop(key_id, None)
        self._unasked = (self._unasked & keys.keys()) | (keys.keys() - self._keys.keys())
        self._keys = keys
        now = self._clock.monotonic()
        for key_id in keys:
            self._due.set(key_id, now)
        self._tell()
        self._wake.set()

    async def run(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Ask until cancelled. Awaits `changed` when other organizations are found, or settled."""
        quiet_until = -math.inf
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                while len(self._asking) < CONCURRENCY and (key_id := self._take_due()) is not None:
                    task = tasks.create_task(self._ask(self._keys[key_id]))
                    self._asking.add(task)
                    task.add_done_callback(self._ended)
                now = self._clock.monotonic()
                if self._news and now >= quiet_until:
                    self._news = False
                    await changed()
                    quiet_until = self._clock.monotonic() + GATHER
                    continue  # it took a while
                due = quiet_until if self._news else math.inf
                if len(self._asking) < CONCURRENCY:  # else a call that ends wakes this loop
                    due = min(due, self._due.next())
                await timing.wait(self._wake, due - now)

    def _take_due(self) -> str | None:
        return self._due.take(self._clock.monotonic())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        self._wake.set()

    async def _ask(self, key: ApiKey) -> None:
        try:
            answer = usable(await self._lister.organizations(key))
        except BillingError as error:
            wait = self._fail(key, error)
        else:
            wait = self._refresh
            self._news |= answer != self._found.get(key.id)
            self._found[key.id] = answer
            self._succeeded.set(key.id, self._clock.time())
            self._failures.pop(key.id, None)
            if self._failing.pop(key.id, None) is not None:
                log.info("organizations can be looked for again", api_key_id=key.id)
        self._due.set(key.id, self._clock.monotonic() + wait)
        if key.id in self._unasked:
            self._unasked.remove(key.id)
            self._news |= self.settled
        self._tell()

    def _fail(self, key: ApiKey, error: BillingError) -> float:
        """Note a look that failed, and return after how many seconds comes the next one."""
        before = self._failing.get(key.id)
        self._failing[key.id] = error.failure
        if before is None or before.cause is not error.cause:
            log.warning(
                "cannot look for organizations: those that were found stay",
                api_key_id=key.id,
                cause=error.cause,
                code=error.code,
                reason=str(error),
            )
        failures = self._failures.get(key.id, 0)
        self._failures[key.id] = failures + 1
        wait = RETRY * 2 ** min(failures, 16) if error.transient else math.inf
        return max(min(wait, self._slowest), min(error.retry_after or 0.0, LONGEST_WAIT))

    def _tell(self) -> None:
        if self._keys and (self._failing or self.settled):
            self._telemetry.looked(successful=not self._failing, complete=self._complete)
        else:
            self._telemetry.looked(successful=None, complete=None)
