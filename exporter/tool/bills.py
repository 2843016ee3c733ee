"""Reads bills as the exporter does: its configuration, its client, its retries, its extractors."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import pwd
import random
import signal
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from exporter.api.billing import BillingError, aside, decoded
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.api.retries import retry_after
from exporter.api.route import find_route, route_to
from exporter.api.tokens import LOGIN_PLACE
from exporter.base.arguments import CONFIGURATION
from exporter.config import ApiConfig, Config, ConfigError, find
from exporter.metrics.catalog import COLLECTORS, LABEL_NAMES, Collector
from exporter.model import ApiKey, FoundOrganization, Organization
from exporter.polling.discovery import is_usable, keys_to_ask, merge, usable
from exporter.process import logs, privileges, signals
from exporter.process.clock import SystemClock
from exporter.process.version import DISTRIBUTION, version
from exporter.tool import room
from exporter.tool.errors import STOPPED, CommandError, complain, discard
from exporter.tool.outcomes import Answers, Read, ReadFailure, require

T = TypeVar("T")

STOP_WITHIN = 5.0  # seconds, also while nobody reads what is printed
DOWNLOADS = 4  # at once
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is a failure to somebody who waits
# Of the Debian package, and of the units in deploy/systemd.
INSTALLED: Final = Path("/etc", DISTRIBUTION, CONFIGURATION)


class Organizations(NamedTuple):
    """The organizations that are wanted, and why there may be others."""

    wanted: Sequence[Organization]
    failures: Sequence[ReadFailure]
    every: Sequence[Organization] = ()  # those that are not wanted, too


def configuration(arguments: argparse.Namespace) -> Config:
    """Return the configuration, and see to it that its keys stay where they are.

    Raises CommandError if there is none, or if it is wrong.
    """
    config = find_configuration(arguments)
    if config is None:
        raise CommandError(no_configuration(has_exporters="exporters" in arguments))
    return config


def no_configuration(*, has_exporters: bool, installed: Path = INSTALLED) -> str:
    """Say what to do without one: `has_exporters` tells whether exporters can be asked."""
    ways = ["name one with --config.file", "set VIAM_API_KEY_ID and VIAM_API_KEY"]
    if has_exporters:
        ways.append("ask a running exporter with --exporter")
    text = f"no configuration: {', '.join(ways[:-1])}, or {ways[-1]}"
    if not installed.exists():
        return text
    as_user = "" if _may_enter(installed.parent / "keys") else f"sudo -u {DISTRIBUTION} "
    return f"{text}. The service's is {as_user}viam-billing ... --config.file={installed}"


def _may_enter(keys: Path) -> bool:
    """Tell whether this user can read the keys, or there is no user of the package's who can."""
    try:
        pwd.getpwnam(DISTRIBUTION)
    except KeyError:
        return True
    return os.access(keys, os.X_OK)


def find_configuration(arguments: argparse.Namespace) -> Config | None:
    """Return the configuration, as `configuration` does, or None if there is none."""
    keep_secrets()
    try:
        # Whether the exporter has storage is of no interest to a command.
        config = find(arguments.config_file, os.environ, LABEL_NAMES, storage=True)
        if config is not None:
            route_to(config.api, os.environ)
    except ConfigError as error:
        raise CommandError(str(error), prefix="") from error
    return config


def keep_secrets() -> None:
    """See to it that what this process learns stays where it is, and have a log."""
    logs.configure("warning", "logfmt")
    privileges.start_without_tracing(os.environ)
    privileges.leave_no_core_dump()


def _chosen(found: Organizations, names: Sequence[str]) -> Organizations:
    """Return the organizations that are named by id or name, all if none are named.

    Raises CommandError for a name that none of them has, and if there are none.
    """
    every, failures, _ = found
    require(names, every, failures)
    if not (every or failures):
        raise CommandError(
            #: The keys can read none, or the pattern matches none.
            "no organizations: discovery found none that match discovery.name_pattern"
        )
    wanted = [o for o in every if {o.id, o.name} & set(names)] if names else every
    return Organizations(wanted, failures, every)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what reads bills until it is done, or stopped by SIGINT or SIGTERM.

    Raises CommandError if it was stopped, or if the machine has no room for it.
    """
    try:
        room.require()
    except CommandError:
        work.close()  # it would complain that nobody awaits it
        raise

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy
        handlers = {signal.SIGINT: task.cancel, signal.SIGTERM: task.cancel}
        with signals.heeded(handlers, STOP_WITHIN):
            return await work

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise CommandError(STOPPED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Stop at SIGINT or SIGTERM whatever is done inside, outside of `run`: also a write that waits.

    Raises CommandError if it was stopped; then what was printed and waits for a reader is dropped.
    """

    def stop(_number: int, _frame: object) -> NoReturn:
        raise CommandError(STOPPED)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except CommandError:
        discard()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class NoTelemetry:
    """In place of the exporter's telemetry: nobody scrapes a command."""

    def api_request(self, method: str, seconds: float, failure_code: str | None) -> None:
        """Count nothing."""


class BillReader:
    """Reads bills over one connection, no more of them at once than the configuration allows."""

    def __init__(self, client: BillingClient, api: ApiConfig) -> None:
        self.client = client
        self._slots = asyncio.Semaphore(api.max_concurrency)
        # A chunk of a PDF may have 32 MiB, and is in memory several times.
        self.downloads = asyncio.Semaphore(DOWNLOADS)

    @classmethod
    @asynccontextmanager
    async def connected(cls, config: Config) -> AsyncIterator[BillReader]:
        """Have a connection while inside. Raises CommandError if what it needs went away."""
        api = config.api
        agent = f"viam-billing/{version().number}"
        try:
            route = await find_route(api, os.environ)
        except ConfigError as error:
            raise CommandError(str(error), prefix="") from error
        client = BillingClient.along(
            route, api, user_agent=agent, telemetry=NoTelemetry(), clock=SystemClock()
        )
        try:
            yield cls(client, api)
        finally:
            await client.close()

    async def answer(self, collector: Collector[Any, Any], organization: Organization) -> Any:
        """Return a collector's answer, without what is personal in it. Raises BillingError."""
        raw = await self.raw(collector, organization)
        answer = await aside(raw, decoded, collector.rpc, collector.message, raw)
        return collector.keep(answer)

    async def raw(self, collector: Collector[Any, Any], organization: Organization) -> bytes:
        """Return a collector's answer as it comes. Raises BillingError."""
        rpc, key = collector.rpc, organization.api_key
        return await self.with_retries(key, lambda: self.client.read(rpc, organization.id, key))

    async def answers(self, rpc: ReadRpc, organizations: Sequence[Organization]) -> Answers:
        """Return the answer to a call for each organization."""
        collector = next(each for each in COLLECTORS if each.rpc is rpc)
        return await self.each(organizations, lambda each: self.answer(collector, each))

    async def organizations(self, config: Config, names: Sequence[str]) -> Organizations:
        """Return the organizations that are named by id or name, those discovered among them.

        Raises CommandError as `_chosen` does.
        """

        async def listed(key: ApiKey) -> Sequence[FoundOrganization] | BillingError:
            try:
                listed = [*await self.with_retries(key, partial(self.client.organizations, key))]
            except BillingError as error:
                return error
            left_out = sum(not is_usable(each.id) for each in listed)
            if left_out and config.discovery.enabled:
                complain(
                    f"organizations of the key {key.id} skipped because their ids are empty, too "
                    f"long or not printable: {left_out}"
                )
            return usable(listed)

        keys = keys_to_ask(config)
        found, failures = {}, []
        results = await asyncio.gather(*map(listed, keys.values()))
        for key_id, result in zip(keys, results, strict=True):
            if not isinstance(result, BillingError):
                found[key_id] = result
            elif config.discovery.enabled:  # else ids are shown in place of names
                what = f"organizations of the key {key_id}"
                failures.append(ReadFailure(what, None, result))
        every = (await asyncio.to_thread(merge, config, found)).organizations
        return _chosen(Organizations(every, failures), names)

    async def with_retries(self, key: ApiKey, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call with a key when there is room for it, and again if its failure may pass.

        Raises BillingError.
        """
        failures = 0
        while True:
            try:
                await self._log_in(key)
                async with self._slots:
                    return await call()
            except BillingError as error:
                failures += 1
                patience = math.nextafter(LONGEST_WAIT, math.inf)
                wait = retry_after(error, failures, random.random, patience=patience)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    async def _log_in(self, key: ApiKey) -> None:
        """Have a token for a key; a login that takes long leaves its place to other calls."""
        login = asyncio.create_task(self.client.log_in(key))
        try:
            async with self._slots:
                await asyncio.wait([login], timeout=LOGIN_PLACE)
            await login
        finally:
            login.cancel()

    async def each(
        self,
        organizations: Sequence[Organization],
        read: Callable[[Organization], Awaitable[Any]],
    ) -> Answers:
        """Return what `read` makes of each organization, or the BillingError that it raises."""

        async def one(organization: Organization) -> Read | ReadFailure:
            try:
                return Read(organization, await read(organization))
            except BillingError as error:
                return ReadFailure(organization.name, organization, error)

        every = await asyncio.gather(*map(one, organizations))
        return Answers(
            [each for each in every if isinstance(each, Read)],
            [each for each in every if isinstance(each, ReadFailure)],
        )


async def answers(config: Config, rpc: ReadRpc, names: Sequence[str]) -> Answers:
    """Return the answer to a call for each organization that is named, and all failures."""
    async with BillReader.connected(config) as reader:
        organizations = await reader.organizations(config, names)
        read, failures = await reader.answers(rpc, organizations.wanted)
    return Answers(read, [*organizations.failures, *failures])
