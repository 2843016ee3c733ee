"""Builds the page aside when something changed, and swaps it in whole.

A scrape sends the page that is there. Nothing is rendered for it, so a scrape costs the same
however many organizations there are, and two scrapes of one page are the same to the byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from exporter import health, render
from exporter.catalog import COLLECTORS, ORGANIZATION, SPECS, apply
from exporter.model import Clock, Fragment, OrganizationState
from exporter.render import Body, Encoding, Format, Piece, Stem
from exporter.schedule import Deadlines
from exporter.store import Store
from exporter.telemetry import Telemetry

log = structlog.get_logger(__name__)

# How old the exporter's own metrics may be, and how late a withdrawal, in seconds.
HEARTBEAT = 1.0
# Changes are gathered for as long as the last page took to build, and at least so long.
MIN_PAUSE = 0.02


EMPTY = Fragment()


class Limit(NamedTuple):
    """What limits.max_series withholds from the page."""

    without_invoices: bool
    organizations: int
    samples: int


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a scrape may ask for, ready to send."""

    bodies: Mapping[tuple[Format, Encoding], Body]
    unpolled: int  # organizations with a collector that was not polled yet


class Publisher:
    """Keeps `page` in step with the store and the clock. `publish` once before serving it."""

    def __init__(
        self, store: Store, telemetry: Telemetry, clock: Clock, *, max_series: int
    ) -> None:
        self._store = store
        self._changes = store.subscribe()
        self._telemetry = telemetry
        self._clock = clock
        self.max_series = max_series
        self._fragments: dict[str, tuple[Fragment, ...]] = {}  # by organization, as in SPECS
        self._series = 0  # in all of them
        self._pieces: list[Piece | None] = [None] * len(SPECS)  # None: has to be made anew
        self._stems: dict[Format, Stem] = {}
        self._headers = {
            form: [render.piece(render.header(spec, form)) for spec in SPECS] for form in Format
        }
        self._unpolled: set[str] = set()
        self._withdrawals: Deadlines[str] = Deadlines()  # by the monotonic clock
        self._limit = Limit(without_invoices=False, organizations=0, samples=0)
        self.page: Page  # there from the first `publish` on
        self.ready = False  # once true it stays: what a reload adds must not stop the scrapes

    async def run(self) -> None:
        """Publish whenever something changed, and once a heartbeat, until cancelled."""
        while True:
            started = self._clock.monotonic()
            await self.publish()
            await asyncio.sleep(max(MIN_PAUSE, self._clock.monotonic() - started))
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._changes.wait()
            except TimeoutError:
                pass

    async def publish(self) -> None:
        """Bring the page up to date. Off the event loop: states are immutable."""
        now = self._clock.monotonic()
        changed = self._changes.take()
        while (org_id := self._withdrawals.take(now)) is not None:
            changed.add(org_id)
        states = [(org_id, self._store.get(org_id)) for org_id in changed]
        self.page = await asyncio.to_thread(self._build, states, now)
        self.ready = self.ready or (len(self._store) > 0 and not self.page.unpolled)

    # --- What follows runs in one thread at a time, never beside itself ---

    def _build(self, changed: Iterable[tuple[str, OrganizationState | None]], now: float) -> Page:
        for org_id, state in changed:
            self._replace(org_id, None if state is None else self._render(state, now))
            if state and any(c.attempted is None for c in state.collectors.values()):
                self._unpolled.add(org_id)
            else:
                self._unpolled.discard(org_id)
        self._apply_limit()
        if None in self._pieces:
            self._join()
        ends = {
            Format.TEXT: render.piece(self._telemetry.text()),
            Format.OPENMETRICS: render.piece(self._telemetry.openmetrics()),
        }
        return Page(
            {
                (form, encoding): body
                for form, end in ends.items()
                for encoding, body in render.bodies(self._stems[form], end).items()
            },
            len(self._unpolled),
        )

    def _join(self) -> None:
        """Make the pieces that have to be made anew, and put all of them together."""
        organizations = sorted(self._fragments)[: len(self._fragments) - self._limit.organizations]
        for index, known in enumerate(self._pieces):
            if known is None:
                hidden = self._limit.without_invoices and SPECS[index].per_invoice
                shown = [] if hidden else organizations
                lines = b"".join(self._fragments[org_id][index].lines for org_id in shown)
                self._pieces[index] = render.piece(lines)
        for form, headers in self._headers.items():
            pairs = zip(headers, self._pieces, strict=True)
            self._stems[form] = render.stem(
                piece
                for header, lines in pairs
                if lines and lines.plain
                for piece in (header, lines)
            )

    def _render(self, state: OrganizationState, now: float) -> tuple[Fragment, ...]:
        """Return the fragments of an organization as in SPECS, without what is withdrawn."""
        report = health.report(state, now)
        if report.next_withdrawal is not None:
            self._withdrawals.set(state.organization.id, report.next_withdrawal)
        fragments: list[Fragment] = []
        for collector in COLLECTORS:
            answer = report.current.get(collector.name)
            fragments.extend(answer.fragments if answer else [EMPTY] * len(collector.specs))
        for spec in ORGANIZATION:
            family, _ = apply(spec, state.organization, report)
            fragments.append(render.fragment(family))
        return tuple(fragments)

    def _replace(self, org_id: str, fragments: tuple[Fragment, ...] | None) -> None:
        """Note an organization's fragments, and which families they change."""
        nothing = (EMPTY,) * len(SPECS)
        before = self._fragments.pop(org_id, nothing)
        if fragments is not None:
            self._fragments[org_id] = fragments
        for index, (old, new) in enumerate(zip(before, fragments or nothing, strict=True)):
            if old != new:
                self._pieces[index] = None
                self._series += new.series - old.series

    def _apply_limit(self) -> None:
        """Note what the limit withholds.

        Per-invoice series go first, then whole organizations, from the end; never half of one.
        """
        withheld = 0
        without_invoices = self._series > self.max_series
        total = self._series
        if without_invoices:
            series = {}
            for org_id, fragments in self._fragments.items():
                pairs = zip(SPECS, fragments, strict=True)
                series[org_id] = sum(f.series for spec, f in pairs if not spec.per_invoice)
            total = sum(series.values())
            for org_id in sorted(series, reverse=True):
                if total <= self.max_series:
                    break
                total -= series[org_id]
                withheld += 1
        limit = Limit(without_invoices, withheld, self._series - total)
        if limit != self._limit:
            self._pieces = [None] * len(SPECS)
            self._note_limit(limit)
        self._telemetry.published(len(self._fragments), total)

    def _note_limit(self, limit: Limit) -> None:
        before, self._limit = self._limit, limit
        self._telemetry.withheld({"limit": max(0, limit.samples - before.samples)})
        if (before.without_invoices, before.organizations) == limit[:2]:
            return
        if limit.samples:
            log.warning(
                "more series than limits.max_series: some are withheld",
                max_series=self.max_series,
                withheld=limit.samples,
                per_invoice_series="withheld" if limit.without_invoices else "shown",
                organizations_withheld=limit.organizations,
            )
        else:
            log.info("all series are shown again", max_series=self.max_series)
