"""Builds the page aside when something changed, and swaps it in whole.

A scrape sends the page that is there. Nothing is rendered for it, so a scrape costs the same
however many organizations there are, and two scrapes of one page are the same to the byte.

What a change costs depends on what changed, not on the fleet: `organization_lines` renders one
organization, `blocks` compresses it together with its neighbours, and the rest stays what it was.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from exporter.metrics.render import Format
from exporter.metrics.report import report_on
from exporter.metrics.telemetry import Telemetry
from exporter.model import Clock, Moment, OrganizationState, Reason
from exporter.page.blocks import Blocks
from exporter.page.limit import Limit, limit_for
from exporter.page.organization_lines import lines_of
from exporter.page.pending import GATHER, Pending
from exporter.page.pieces import Body, Encoding, Piece, bodies, piece
from exporter.state.store import Store

log = structlog.get_logger(__name__)

# Changes are gathered for twice as long as the last page took to build, within these bounds: so
# building takes at most a third of the time while it takes less than half a second, and a change
# is seen soon in any case.
MIN_PAUSE, MAX_PAUSE = 0.02, 1.0
# For how long organizations are rendered before others get their turn, in seconds.
TURN = 0.002


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a scrape may ask for, ready to send."""

    bodies: Mapping[tuple[Format, Encoding], Body]
    unpolled: int  # organizations with a collector that was neither polled nor restored yet

    @classmethod
    def of(cls, parts: Mapping[Format, Iterable[Piece]], unpolled: int = 0) -> Page:
        """Return the page of what each format has."""
        made = {
            (form, encoding): body
            for form, pieces in parts.items()
            for encoding, body in bodies(pieces).items()
        }
        return cls(made, unpolled)


NOTHING_YET = Page.of({Format.TEXT: [], Format.OPENMETRICS: [piece(b"# EOF\n")]})


class Publisher:
    """Keeps `page` in step with the store and the clock. `publish` once before serving it."""

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        clock: Clock,
        *,
        max_series: int,
        settled: bool = True,
    ) -> None:
        """`max_series` as in `configure`, `settled` as in `settle`."""
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._max_series = max_series
        self._pending = Pending(store, clock)
        self._blocks = Blocks()
        self._series_changed = False  # since the limit was applied
        self._unpolled: set[str] = set()
        self._published = -math.inf  # when, on the monotonic clock
        telemetry.noted = lambda: self._pending.note(GATHER)
        self.limit = Limit()
        self.settled = settled
        self.ready = False  # once true it stays: what a reload adds must not stop the scrapes
        self.page = NOTHING_YET

    def configure(self, *, max_series: int) -> None:
        """Show at most `max_series` series of organizations from now on."""
        self._max_series = max_series
        self._series_changed = True
        self._pending.note()

    def settle(self, *, settled: bool) -> None:
        """Note whether it is known which organizations there are: it is not ready before."""
        self.settled = settled
        self._pending.note()

    def scraped(self) -> None:
        """Measure the process for the next scrape: what moves by itself is one scrape old."""
        since = self._clock.monotonic() - self._published
        self._pending.note(max(0.0, GATHER - since))

    async def run(self) -> None:
        """Publish whenever something changed, until cancelled."""
        while True:
            await self._pending.wait()
            took = await self.publish()
            await asyncio.sleep(min(max(2 * took, MIN_PAUSE), MAX_PAUSE))

    async def publish(self) -> float:
        """Bring the page up to date; returns how many seconds that took.

        Python's share of the work is done in turns on the event loop. A thread would hold the
        interpreter lock for longer, and delay every scrape.
        """
        started = self._clock.monotonic()
        settled = self.settled  # before the page is made, which takes a while
        await self._render_changes()
        self._apply_limit()
        self._blocks.arrange()
        self.page = await asyncio.to_thread(self._build)
        self.ready = self.ready or (settled and not self.page.unpolled)
        self._published = self._clock.monotonic()
        took = self._published - started
        self._telemetry.page_built(took)
        return took

    async def _render_changes(self) -> None:
        turn = self._clock.monotonic()
        for org_id in self._pending.take():
            state = self._store.get(org_id)
            if state is None:
                self._remove(org_id)
            else:
                self._render(state)
            if self._clock.monotonic() - turn > TURN:
                await asyncio.sleep(0)
                turn = self._clock.monotonic()

    def _render(self, state: OrganizationState) -> None:
        org_id = state.organization.id
        known = report_on(state, Moment(self._clock.time(), self._clock.monotonic()))
        self._pending.look_again(org_id, known.next_withdrawal)
        lines, texts = lines_of(known, self._blocks.lines.get(org_id))
        self._series_changed |= self._blocks.put(lines, texts)
        if any(each.attempted is None for each in state.collectors.values()):
            self._unpolled.add(org_id)
        else:
            self._unpolled.discard(org_id)

    def _remove(self, org_id: str) -> None:
        self._series_changed |= self._blocks.remove(org_id)
        self._unpolled.discard(org_id)
        self._pending.forget(org_id)

    def _apply_limit(self) -> None:
        if not self._series_changed:
            return
        self._series_changed = False
        before = self.limit
        self.limit, shown = limit_for(self._blocks.lines, self._max_series)
        self._blocks.withhold(self.limit)
        self._telemetry.published(len(self._blocks.lines), shown)
        self._telemetry.withheld({Reason.LIMIT: max(0, self.limit.samples - before.samples)})
        if (before.without_invoices, before.organizations) != self.limit[:2]:
            self._log_limit()

    def _log_limit(self) -> None:
        if self.limit.samples:
            log.warning(
                #: Raise `limits.max_series`, set `invoices.detail: none`, or use [several
                #: exporters](run.md#from-one-exporter-to-several).
                "more series than limits.max_series: some are withheld",
                max_series=self._max_series,
                withheld=self.limit.samples,
                per_invoice_series="withheld" if self.limit.without_invoices else "shown",
                organizations_withheld=self.limit.organizations,
            )
        else:
            log.info("all series are shown again", max_series=self._max_series)

    def _build(self) -> Page:
        """Return the page. In a thread, of which there is one at a time."""
        self._blocks.build()
        ends = {
            Format.TEXT: self._telemetry.text(),
            Format.OPENMETRICS: self._telemetry.openmetrics(),
        }
        return Page.of(
            {form: [*self._blocks.page_pieces(form), piece(end)] for form, end in ends.items()},
            len(self._unpolled),
        )
