"""Whose lines have to be made again: by news, by confirmations, and by withdrawals."""

from __future__ import annotations

import math

from exporter.base.timing import Deadlines
from exporter.model import Clock
from exporter.state.store import Store

# How late the page may tell that a poll found nothing new: only the times of polls move then, and
# ten thousand organizations that are polled at once need not be rendered each time.
CONFIRMATION_DELAY = 5.0


class Pending:
    """Gathers the ids of organizations until they are taken."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._news = store.subscribe(confirmations=False)
        self._confirmations = store.subscribe(news=False)
        self._confirmed = -math.inf  # when they were last taken, on the monotonic clock
        self._withdrawals: Deadlines[str] = Deadlines()  # on the monotonic clock

    async def wait(self, seconds: float) -> None:
        """Wait until there is news, at most `seconds`."""
        await self._news.wait(seconds)

    def take(self) -> set[str]:
        """Return whose lines have to be made again now."""
        now = self._clock.monotonic()
        org_ids = self._news.take()
        if now - self._confirmed >= CONFIRMATION_DELAY:
            org_ids |= self._confirmations.take()
            self._confirmed = now
        while (org_id := self._withdrawals.take(now)) is not None:
            org_ids.add(org_id)
        return org_ids

    def look_again(self, org_id: str, at: float | None) -> None:
        """Have an organization's lines made again when its next data is withdrawn, if any is.

        A time that turns out to be later is noted when the earlier one has come: most are put off
        by every poll, and nothing is ever withdrawn.
        """
        known = self._withdrawals.get(org_id)
        if at is not None and not (known is not None and known <= at):
            self._withdrawals.set(org_id, at)

    def forget(self, org_id: str) -> None:
        """Forget an organization that left."""
        self._withdrawals.discard(org_id)
