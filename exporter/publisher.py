"""Builds the page aside when something changed, and swaps it in whole.

A scrape sends the page that is there. Nothing is rendered for it, so a scrape costs the same
however many organizations there are, and two scrapes of one page are the same to the byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from exporter import health, render
from exporter.catalog import COLLECTORS, ORGANIZATION, SPECS, apply
from exporter.model import Clock, Fragment, OrganizationState
from exporter.render import Body, Encoding, Format, Piece
from exporter.schedule import Alarms
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
        self._telemetry = telemetry
        self._clock = clock
        self.max_series = max_series
        self._fragments: dict[str, tuple[Fragment, ...]] = {}  # by organization, as in SPECS
        self._pieces: list[Piece | None] = [None] * len(SPECS)  # None: has to be made anew
        self._headers = {
            form: [render.piece(render.header(spec, form)) for spec in SPECS] for form in Format
        }
        self._unpolled: set[str] = set()
        self._withdrawals: Alarms[str] = Alarms()  # by the monotonic clock
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
                    await self._store.changed.wait()
            except TimeoutError:
                pass

    async def publish(self) -> None:
        """Bring the page up to date. Off the event loop: states are immutable."""
        now = self._clock.monotonic()
        changed = self._store.take_changed() | self._withdrawals.take(now)
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
        shown = self._apply_limit()
        for index, known in enumerate(self._pieces):
            if known is None:
                hidden = self._limit.without_invoices and SPECS[index].per_invoice
                lines = [] if hidden else [self._fragments[org][index].lines for org in shown]
                self._pieces[index] = render.piece(b"".join(lines))
        return Page(
            {
                (form, encoding): body
                for form in Format
                for encoding, body in render.bodies(list(self._page(form))).items()
            },
            len(self._unpolled),
        )

    def _render(self, state: OrganizationState, now: float) -> tuple[Fragment, ...]:
        """Return the fragments of an organization as in SPECS, without what is withdrawn."""
        report = health.report(state, now)
        if report.next_withdrawal is not None:
            self._withdrawals.ask(state.organization.id, report.next_withdrawal)
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

    def _apply_limit(self) -> list[str]:
        """Return the organizations that are shown, in order, and note what the limit withholds.

        Per-invoice series go first, then whole organizations, from the end; never half of one.
        """
        shown = sorted(self._fragments)
        series = {org: sum(f.series for f in self._fragments[org]) for org in shown}
        total = wanted = sum(series.values())
        without_invoices = total > self.max_series
        if without_invoices:
            for org in shown:
                fragments = zip(SPECS, self._fragments[org], strict=True)
                series[org] -= sum(f.series for spec, f in fragments if spec.per_invoice)
            total = sum(series.values())
        while total > self.max_series:
            total -= series[shown.pop()]
        limit = Limit(without_invoices, len(self._fragments) - len(shown), wanted - total)
        if limit != self._limit:
            self._pieces = [None] * len(SPECS)
            self._note_limit(limit)
        self._telemetry.published(len(self._fragments), total)
        return shown

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

    def _page(self, form: Format) -> Iterator[Piece]:
        for header, lines in zip(self._headers[form], self._pieces, strict=True):
            if lines is not None and lines.plain:
                yield header
                yield lines
        is_text = form is Format.TEXT
        yield render.piece(self._telemetry.text() if is_text else self._telemetry.openmetrics())
