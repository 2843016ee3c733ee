"""The current snapshot: what is known of every organization.

States are immutable and replaced as a whole, so every reader has a consistent set. Only
the intake writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from exporter.model import OrganizationState, Spend


class Changes:
    """Whose state changed since the last look; each subscriber has its own."""

    def __init__(self, noted: Callable[[], object]) -> None:
        """`noted` is called when there is something to take, and there was nothing."""
        self._org_ids: set[str] = set()
        self._some = asyncio.Event()
        self._noted = noted

    def note(self, org_id: str) -> None:
        """Add an organization."""
        if not self._org_ids:
            self._some.set()
            self._noted()
        self._org_ids.add(org_id)

    def take(self) -> set[str]:
        """Return the ids noted since the last call."""
        org_ids, self._org_ids = self._org_ids, set()
        self._some.clear()
        return org_ids

    async def wait(self) -> None:
        """Wait until there is something to take."""
        await self._some.wait()


class Store:
    """Holds an immutable state for each organization, and tells subscribers whose changed."""

    def __init__(self) -> None:
        self._states: dict[str, OrganizationState] = {}
        self._left: dict[str, Spend] = {}  # of organizations that may come back
        self._of_news: list[Changes] = []
        self._of_confirmations: list[Changes] = []

    def subscribe(
        self,
        *,
        news: bool = True,
        confirmations: bool = True,
        noted: Callable[[], object] = lambda: None,
    ) -> Changes:
        """Return the changes from now on: what is new, or polls that found what was known.

        `noted` is as in `Changes`.
        """
        changes = Changes(noted)
        if news:
            self._of_news.append(changes)
        if confirmations:
            self._of_confirmations.append(changes)
        return changes

    def get(self, org_id: str) -> OrganizationState | None:
        """Return the state of an organization, or None if there is no such organization."""
        return self._states.get(org_id)

    def states(self) -> tuple[OrganizationState, ...]:
        """Return all states of one moment, in no order. A thread may read them at leisure."""
        return tuple(self._states.values())

    def org_ids(self) -> set[str]:
        """Return the ids of all organizations of which anything is known."""
        return self._states.keys() | self._left.keys()

    def put(self, state: OrganizationState, *, confirms: bool = False) -> None:
        """Make a state current. One that confirms the state before differs in times only."""
        self._states[state.organization.id] = state
        self._left.pop(state.organization.id, None)
        for changes in self._of_confirmations if confirms else self._of_news:
            changes.note(state.organization.id)

    def left(self, org_id: str) -> Spend | None:
        """Return the spend counters of an organization that left, while they are kept."""
        return self._left.get(org_id)

    def leave(self, org_id: str, spend: Spend | None) -> None:
        """Forget an organization but for its spend counters, or, with None, whole."""
        self._states.pop(org_id, None)
        self._left.pop(org_id, None)
        if spend is not None:
            self._left[org_id] = spend
        for changes in self._of_news:
            changes.note(org_id)
