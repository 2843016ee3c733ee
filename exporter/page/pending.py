"""When the page is made again, and which organizations' lines with it.

Nothing here runs by the clock: there is a time to make it again only when something waits for that.
"""

from __future__ import annotations

import asyncio
import math

from exporter.base import timing
from exporter.base.timing import Deadlines
from exporter.model import Clock
from exporter.state.store import Store

# How late the page may tell that a poll found nothing new: only the times of polls move then, and
# ten thousand organizations that are polled at once need not be rendered each time.
CONFIRMATION_DELAY = 5.0
# How late the page may show what is not news of a bill: an organization's polls end together, and
# scrapes can come one after another.
GATHER = 1.0


class Pending:
    """Gathers what the page does not show yet. Times are on the monotonic clock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._news = store.subscribe(confirmations=False, noted=self.note)
        self._confirmations = store.subscribe(news=False, noted=self._confirmed)
        self._taken = -math.inf  # when confirmations were last taken
        # When it is to be made again for these, and for the rest.
        self._confirm = self._rest = math.inf
        self._earlier = asyncio.Event()
        self._withdrawals: Deadlines[str] = Deadlines()

    def note(self, delay: float = 0.0) -> None:
        """Have the page made again, at the latest in so many seconds."""
        at = self._clock.monotonic() + delay
        if at < self._rest:
            self._rest = at
            self._earlier.set()

    def _confirmed(self) -> None:
        now = self._clock.monotonic()
        self._confirm = max(now + GATHER, self._taken + CONFIRMATION_DELAY)
        self._earlier.set()

    async def wait(self) -> None:
        """Wait until it is time to make the page again."""
        while True:
            self._earlier.clear()
            due = min(self._confirm, self._rest, self._withdrawals.next())
            left = due - self._clock.monotonic()
            if left <= 0:
                return
            await timing.wait(self._earlier, left)

    def take(self) -> set[str]:
        """Return whose lines have to be made again now."""
        now = self._clock.monotonic()
        self._rest = math.inf
        org_ids = self._news.take()
        if now >= self._confirm:
            self._confirm, self._taken = math.inf, now
            org_ids |= self._confirmations.take()
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
