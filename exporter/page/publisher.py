"""Builds the page aside when something changed, and swaps it in whole.

A scrape sends the page that is there. Nothing is rendered for it, so a scrape costs the same
however many organizations there are, and two scrapes of one page are the same to the byte.

What a change costs depends on what changed, not on the fleet. An organization is rendered by
itself. Its lines stand, family by family, in a block with those of its neighbours; a block is
joined and compressed anew when a line of it changed. The rest of the page stays what it was.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import structlog

from exporter.metrics import health, render
from exporter.metrics.catalog import COLLECTORS, SECTIONS, SPECS, apply
from exporter.metrics.render import Format
from exporter.metrics.telemetry import Telemetry
from exporter.model import Clock, Organization, OrganizationState
from exporter.page import pages
from exporter.page.pages import Body, Encoding, Piece
from exporter.state.store import Store
from exporter.timing import Deadlines

log = structlog.get_logger(__name__)

# How old the exporter's own metrics may be, and how late a withdrawal, in seconds.
HEARTBEAT = 1.0
# How late the page may tell that a poll found nothing new: only the times of polls move then, and
# ten thousand organizations that are polled at once need not be rendered each time.
CONFIRMATIONS = 5.0
# Changes are gathered for twice as long as the last page took to build, within these bounds, so
# that building takes no more than a third of the time, and a change is seen soon.
MIN_PAUSE, MAX_PAUSE = 0.02, 1.0
# For how long organizations are rendered before others get their turn, in seconds.
TURN = 0.002
# Organizations in a block: 0.1 MB in each family, which is compressed in less than a millisecond.
BLOCK = 512

GROUPS = [*(each.specs for each in COLLECTORS), *(each.specs for each in SECTIONS)]
FIRST = [*accumulate([len(specs) for specs in GROUPS[:-1]], initial=0)]  # places in SPECS
# For each of SPECS: its group, and its place there.
PLACES = [(group, place) for group, specs in enumerate(GROUPS) for place in range(len(specs))]
PER_INVOICE = [at for at, spec in zip(PLACES, SPECS, strict=True) if spec.per_invoice]


class Row(NamedTuple):
    """An organization's lines, a group for each collector and section, as in SPECS.

    What the sections were made from is there, too, and how many series there are.
    """

    organization: Organization
    groups: tuple[tuple[bytes, ...], ...]
    sources: tuple[object, ...]
    series: int
    per_invoice: int  # of the series


class Limit(NamedTuple):
    """What limits.max_series withholds from the page."""

    without_invoices: bool = False
    organizations: int = 0
    samples: int = 0
    first: str | None = None  # id of the first organization that is withheld; so are all after it

    def withholds(self, org_id: str, *, per_invoice: bool = False) -> bool:
        """Say whether the series of an organization, or those of its invoices, are off the page."""
        if per_invoice and self.without_invoices:
            return True
        return self.first is not None and org_id >= self.first


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a scrape may ask for, ready to send."""

    bodies: Mapping[tuple[Format, Encoding], Body]
    unpolled: int  # organizations with a collector that was not polled yet


class Block:
    """Neighbours on the page, and what each family has of them. `None` has to be made anew."""

    def __init__(self, org_ids: Sequence[str]) -> None:
        self.org_ids = org_ids
        self.pieces: list[Piece | None] = [None] * len(SPECS)


class Publisher:
    """Keeps `page` in step with the store and the clock. `publish` once before serving it."""

    def __init__(
        self, store: Store, telemetry: Telemetry, clock: Clock, *, max_series: int
    ) -> None:
        self._store = store
        self._news = store.subscribe(confirmations=False)
        self._confirmations = store.subscribe(news=False)
        self._confirmed = -math.inf  # when they were last shown, on the monotonic clock
        self._telemetry = telemetry
        self._clock = clock
        self._max_series = max_series
        self._withdrawals: Deadlines[str] = Deadlines()  # by the monotonic clock
        self._rows: dict[str, Row] = {}  # by organization
        self._series_changed = False  # since the limit was applied
        self._unpolled: set[str] = set()
        self.limit = Limit()
        self._blocks: list[Block] = []  # in the order of organization ids
        self._arranged = True  # whoever is shown is in a block, and nobody else
        self._first: list[str] = []  # each block's first organization
        self._headers = {
            form: [pages.piece(render.header(spec, form)) for spec in SPECS] for form in Format
        }
        self._families: list[Piece | None] = [None] * len(SPECS)  # None: has to be made anew
        self.page: Page  # there from the first `publish` on
        self.settled = True  # False while it is not known yet which organizations there are
        self.ready = False  # once true it stays: what a reload adds must not stop the scrapes

    @property
    def max_series(self) -> int:
        """How many series of organizations the page may have."""
        return self._max_series

    @max_series.setter
    def max_series(self, most: int) -> None:
        self._max_series = most
        self._series_changed = True

    async def run(self) -> None:
        """Publish whenever something changed, and once a heartbeat, until cancelled."""
        while True:
            started = self._clock.monotonic()
            await self.publish()
            took = self._clock.monotonic() - started
            await asyncio.sleep(min(max(2 * took, MIN_PAUSE), MAX_PAUSE))
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def publish(self) -> None:
        """Bring the page up to date.

        Python's share of the work is done in turns on the event loop. In a thread it would hold
        the interpreter for longer, and every scrape up.
        """
        settled = self.settled  # before the page is made, which takes a while
        await self._render_changes()
        self._apply_limit()
        self._arrange()
        self.page = await asyncio.to_thread(self._build)
        self.ready = self.ready or (settled and not self.page.unpolled)

    # --- Lines ---

    async def _render_changes(self) -> None:
        changed = self._news.take()
        now = turn = self._clock.monotonic()
        if now - self._confirmed >= CONFIRMATIONS:
            changed |= self._confirmations.take()
            self._confirmed = now
        while (org_id := self._withdrawals.take(now)) is not None:
            changed.add(org_id)
        for org_id in changed:
            state = self._store.get(org_id)
            if state is None:
                self._remove(org_id)
            else:
                self._replace(org_id, self._render(state, self._clock.monotonic()))
                if any(each.attempted is None for each in state.collectors.values()):
                    self._unpolled.add(org_id)
                else:
                    self._unpolled.discard(org_id)
            if self._clock.monotonic() - turn > TURN:
                await asyncio.sleep(0)
                turn = self._clock.monotonic()

    def _render(self, state: OrganizationState, now: float) -> Row:
        """Return the lines of an organization, without what is withdrawn.

        Those that are the same as before are not rendered again.
        """
        report = health.report(state, now)
        # One that turns out to come later is noted when the earlier one has come: most are put off
        # by every poll, and nothing is ever withdrawn.
        known = self._withdrawals.get(state.organization.id)
        if report.next_withdrawal is not None and not (known and known <= report.next_withdrawal):
            self._withdrawals.set(state.organization.id, report.next_withdrawal)
        groups: list[tuple[bytes, ...]] = []
        for collector in COLLECTORS:
            answer = report.current.get(collector.name)
            groups.append(answer.fragments if answer else (b"",) * len(collector.specs))
        before = self._rows.get(state.organization.id)
        if before is not None and before.organization != state.organization:
            before = None  # its name is in every line
        sources = tuple([section.source(report) for section in SECTIONS])
        for index, section in enumerate(SECTIONS):
            if before is not None and before.sources[index] == sources[index]:
                groups.append(before.groups[len(COLLECTORS) + index])
                continue
            families = [apply(spec, state.organization, report)[0] for spec in section.specs]
            groups.append(tuple(map(render.fragment, families)))
        return Row(
            state.organization,
            tuple(groups),
            sources,
            sum([lines.count(b"\n") for group in groups for lines in group]),
            sum([groups[group][place].count(b"\n") for group, place in PER_INVOICE]),
        )

    def _replace(self, org_id: str, row: Row) -> None:
        """Note an organization's lines, and which of them changed."""
        before = self._rows.get(org_id)
        self._rows[org_id] = row
        if before is None or (before.series, before.per_invoice) != (row.series, row.per_invoice):
            self._series_changed = True
        if before is None or not self._blocks:
            self._arranged = False
            return
        block = self._blocks[max(0, bisect_right(self._first, org_id) - 1)]
        for first, old, new in zip(FIRST, before.groups, row.groups, strict=True):
            if old is not new:
                for index in range(len(new)):
                    if old[index] != new[index]:
                        block.pieces[first + index] = self._families[first + index] = None

    def _remove(self, org_id: str) -> None:
        if self._rows.pop(org_id, None) is not None:
            self._series_changed, self._arranged = True, False
        self._unpolled.discard(org_id)
        self._withdrawals.discard(org_id)

    # --- What is shown, and where ---

    def _apply_limit(self) -> None:
        """Note what the limit withholds.

        Per-invoice series go first, then whole organizations, from the end; never half of one.
        """
        if not self._series_changed:
            return
        self._series_changed = False
        everything = sum([row.series for row in self._rows.values()])
        shown, withheld, first = everything, 0, None
        without_invoices = everything > self._max_series
        if without_invoices:
            shown -= sum([row.per_invoice for row in self._rows.values()])
            for org_id in sorted(self._rows, reverse=True):
                if shown <= self._max_series:
                    break
                row = self._rows[org_id]
                shown -= row.series - row.per_invoice
                withheld, first = withheld + 1, org_id
        limit = Limit(without_invoices, withheld, everything - shown, first)
        if limit != self.limit:
            self._families = [None] * len(SPECS)
            self._arranged = False
            self._note_limit(limit)
        self._telemetry.published(len(self._rows), shown)

    def _note_limit(self, limit: Limit) -> None:
        before, self.limit = self.limit, limit
        self._telemetry.withheld({"limit": max(0, limit.samples - before.samples)})
        if (before.without_invoices, before.organizations) == limit[:2]:
            return
        if limit.samples:
            log.warning(
                "more series than limits.max_series: some are withheld",
                max_series=self._max_series,
                withheld=limit.samples,
                per_invoice_series="withheld" if limit.without_invoices else "shown",
                organizations_withheld=limit.organizations,
            )
        else:
            log.info("all series are shown again", max_series=self.max_series)

    def _arrange(self) -> None:
        """Put the organizations that are shown into blocks. Blocks that stay cost nothing."""
        if self._arranged:
            return
        self._arranged = True
        shown = len(self._rows) - self.limit.organizations
        ordered = sorted(self._rows)[:shown]
        known = {tuple(block.org_ids): block for block in self._blocks}
        groups = [tuple(ordered[at : at + BLOCK]) for at in range(0, shown, BLOCK)]
        self._blocks = [known.get(org_ids) or Block(org_ids) for org_ids in groups]
        self._first = [block.org_ids[0] for block in self._blocks]
        self._families = [None] * len(SPECS)

    # --- Bytes: in a thread, of which there is one at a time, while nobody changes a line ---

    def _build(self) -> Page:
        for index, known in enumerate(self._families):
            if known is None:
                self._families[index] = self._family(index)
        ends = {
            Format.TEXT: pages.piece(self._telemetry.text()),
            Format.OPENMETRICS: pages.piece(self._telemetry.openmetrics()),
        }
        return Page(
            {
                (form, encoding): body
                for form, end in ends.items()
                for encoding, body in pages.bodies([*self._above(form), end]).items()
            },
            len(self._unpolled),
        )

    def _family(self, index: int) -> Piece:
        """Return a family's lines of all organizations."""
        if self.limit.without_invoices and SPECS[index].per_invoice:
            return pages.EMPTY
        pieces = []
        for block in self._blocks:
            piece = block.pieces[index]
            if piece is None:
                group, place = PLACES[index]
                rows = [self._rows[org_id] for org_id in block.org_ids]
                lines = b"".join([row.groups[group][place] for row in rows])
                piece = block.pieces[index] = pages.piece(lines)
            pieces.append(piece)
        return pages.join(pieces)

    def _above(self, form: Format) -> Iterable[Piece]:
        """Yield all pieces above the exporter's own metrics."""
        for header, lines in zip(self._headers[form], self._families, strict=True):
            if lines is not None and lines.size:
                yield header
                yield lines
