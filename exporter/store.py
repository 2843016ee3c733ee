"""The current snapshot: what is known of every organization.

States are immutable and replaced whole, so whoever reads one holds a consistent set. Only
the poller writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from exporter.model import OrganizationState


class Store:
    """Holds an immutable state for each organization, and notes whose changed."""

    def __init__(self) -> None:
        self._states: dict[str, OrganizationState] = {}
        self._changed: set[str] = set()
        self.changed = asyncio.Event()  # set while `take_changed` has something to give

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[OrganizationState]:
        """Yield the states in the order of organization ids."""
        return iter([self._states[org_id] for org_id in sorted(self._states)])

    def get(self, org_id: str) -> OrganizationState | None:
        """Return the state of an organization, or None if there is no such organization."""
        return self._states.get(org_id)

    def put(self, state: OrganizationState) -> None:
        """Make a state current."""
        self._states[state.organization.id] = state
        self._note(state.organization.id)

    def remove(self, org_id: str) -> None:
        """Forget an organization."""
        del self._states[org_id]
        self._note(org_id)

    def take_changed(self) -> set[str]:
        """Return the ids put or removed since the last call."""
        changed, self._changed = self._changed, set()
        self.changed.clear()
        return changed

    def _note(self, org_id: str) -> None:
        self._changed.add(org_id)
        self.changed.set()
