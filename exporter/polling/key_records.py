"""Pure: what asking with each API key which organizations it reads has given so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.base.timing import Deadlines
from exporter.model import ApiKey, Failure


@dataclass(frozen=True, slots=True)
class DiscoveryStatus:
    """What asking with the keys gave last."""

    keys: int  # that are asked with
    failing: Mapping[str, Failure]  # by the id of the key, those that have failed for longest first
    # When each key had given a good answer, in Unix seconds: the oldest of the last ones. None
    # until there is one of each since the start.
    complete: float | None


class KeyRecords:
    """The keys, and how each fares. An answer costs the same however many keys there are."""

    def __init__(self) -> None:
        self.keys: Mapping[str, ApiKey] = {}  # by id
        self._unasked: set[str] = set()  # ids of keys that were never asked with
        self._succeeded: Deadlines[str] = Deadlines()  # when last, in Unix seconds
        self._failing: dict[str, Failure] = {}
        self._failures: dict[str, int] = {}  # in a row
        self._left_out: dict[str, int] = {}  # organizations that cannot be polled

    def replace(self, keys: Mapping[str, ApiKey]) -> None:
        """Have these keys from now on. Those that stay keep their record."""
        for key_id in self.keys.keys() - keys.keys():
            self._succeeded.discard(key_id)
            self._failing.pop(key_id, None)
            self._failures.pop(key_id, None)
            self._left_out.pop(key_id, None)
        self._unasked = (self._unasked & keys.keys()) | (keys.keys() - self.keys.keys())
        self.keys = keys

    @property
    def settled(self) -> bool:
        """Whether every key was asked with, successfully or not."""
        return not self._unasked

    @property
    def failing(self) -> bool:
        """Whether any key failed the last time."""
        return bool(self._failing)

    @property
    def complete(self) -> float | None:
        """As in the status."""
        return self._succeeded.next() if len(self._succeeded) == len(self.keys) else None

    @property
    def status(self) -> DiscoveryStatus | None:
        """What asking gave last; None without keys."""
        if not self.keys:
            return None
        return DiscoveryStatus(len(self.keys), dict(self._failing), self.complete)

    def succeed(self, key_id: str, now: float) -> Failure | None:
        """Note a good answer at `now`, in Unix seconds; returns the failure that it ends."""
        self._unasked.discard(key_id)
        self._succeeded.set(key_id, now)
        self._failures.pop(key_id, None)
        return self._failing.pop(key_id, None)

    def fail(self, key_id: str, failure: Failure) -> tuple[Failure | None, int]:
        """Note a failure; returns the one before in the row, and how long the row is now."""
        self._unasked.discard(key_id)
        before = self._failing.get(key_id)
        self._failing[key_id] = failure
        self._failures[key_id] = self._failures.get(key_id, 0) + 1
        return before, self._failures[key_id]

    def leave_out(self, key_id: str, organizations: int) -> bool:
        """Note how many organizations of an answer are left out; tells whether there are more."""
        before = self._left_out.get(key_id, 0)
        self._left_out[key_id] = organizations
        return organizations > before
