"""Polls whose key has to log in first. They hold no place of other polls meanwhile."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from exporter.api.billing import BillingError, BillingReader, TokenNeeded
from exporter.model import Organization
from exporter.polling.schedule import Schedule, Unit

# Logins that may go on without a place; while there are more, they hold one, as calls do.
ASIDE = 512


class Poll(NamedTuple):
    """A poll under way, and what it was begun with."""

    unit: Unit
    organization: Organization
    reader: BillingReader
    due: float  # on the monotonic clock
    begun: float  # on the monotonic clock
    again: Callable[[], Awaitable[bytes]] | None = None  # goes on with it after a login


class Login(NamedTuple):
    """A key that logs in, and the polls that go on when it has."""

    task: asyncio.Task[None]
    polls: list[Poll]


class Logins:
    """One login for each key, however many polls wait for it."""

    def __init__(
        self, schedule: Schedule, fail: Callable[[Poll, BillingError], None], wake: asyncio.Event
    ) -> None:
        """`fail` is called for polls whose login failed; `wake` is set whenever a login ends."""
        self._schedule = schedule
        self._fail = fail
        self._wake = wake
        self._under_way: dict[str, Login] = {}  # by the id of the key
        self._over: dict[Unit, Poll] = {}  # polls that go on at their next turn, which is at once

    @property
    def are_few(self) -> bool:
        """Whether they may go on without a place."""
        return len(self._under_way) <= ASIDE

    @property
    def waiting(self) -> int:
        """How many polls wait."""
        return sum([len(login.polls) for login in [*self._under_way.values()]])

    def wait(
        self, poll: Poll, needed: TokenNeeded, tasks: asyncio.TaskGroup
    ) -> asyncio.Task[None] | None:
        """Have a poll wait for its key; returns the login if it is begun for this poll."""
        key_id, begun = poll.organization.api_key.id, None
        login = self._under_way.get(key_id)
        if login is None:
            begun = tasks.create_task(self._log_in(key_id, needed.log_in))
            login = self._under_way[key_id] = Login(begun, [])
        login.polls.append(poll._replace(again=needed.again))
        return begun

    def take(self, unit: Unit) -> Poll | None:
        """Return the poll of a unit that has waited, if it has."""
        return self._over.pop(unit, None)

    def give_up(self, concerns: Callable[[Poll], bool], now: float) -> None:
        """Have polls that a change concerns be due at once, from the beginning."""
        for key_id, login in [*self._under_way.items()]:
            if any(map(concerns, login.polls)):
                del self._under_way[key_id]
                login.task.cancel()
                for poll in login.polls:
                    self._schedule.give_back(poll.unit, now)
        self._over = {unit: poll for unit, poll in self._over.items() if not concerns(poll)}

    async def _log_in(self, key_id: str, log_in: Callable[[], Awaitable[None]]) -> None:
        """Let polls go on, each when there is a place for it, once their key has logged in."""
        try:
            await log_in()
        except BillingError as error:
            for poll in self._under_way.pop(key_id).polls:
                self._fail(poll, error)
        else:
            for poll in self._under_way.pop(key_id).polls:
                self._over[poll.unit] = poll
                # Before all others of the same turn: who waited first is first.
                self._schedule.give_back(poll.unit, math.nextafter(poll.due, -math.inf))
        self._wake.set()
