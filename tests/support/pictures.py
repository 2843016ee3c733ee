"""Takes the pictures of the pages for docs/images: `python -m support.pictures`, in tests/."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from exporter.model import OrganizationState
from exporter.pb import billing_pb2 as pb
from exporter.state.day_rows import Day
from exporter.tool.report import pages
from support.browser import DESK, PHONE, Theme, browser, document
from support.ledgers import OF_PERIOD, PERIOD_START, day, with_days
from support.process import ROOT, exporter
from support.reports import report, usual
from support.served import served
from support.status import DAY, invoices, state, usage

SHEET = 1100  # pixels: a report is no wider
FOLDER = ROOT / "docs" / "images"
THEMES: tuple[Theme, ...] = ("light", "dark")
CARD = pb.GetOrgBillingInformationResponse(
    type="PAYMENT_METHOD_TYPE_CARD", method=pb.PaymentMethodCard(brand="visa")
)


def organization() -> OrganizationState:
    """Return one with days of all kinds: the demo has had no time for them."""
    rng = Random(8)
    days = {ago: _day(ago, 10.0 * rng.uniform(0.8, 1.2)) for ago in range(1, 60)}
    days |= {2: _day(2, 35.0), 9: _day(9, 11.0, corrections=15.0)}
    days |= {ago: _day(ago, 10.0, estimated=10.0) for ago in (18, 19)}
    for ago in (24, 25):
        del days[ago]
    known = with_days(days, budget=350.0)
    assert known.spend is not None
    spent = known.spend.month_to_date.baseline or 0.0
    paid = {"id": "INV-1", "invoice_amount": 255.5, "status": "paid", "invoice_date": -14}
    answers = usage(spent), invoices(paid), CARD
    return known._replace(collectors=state(known.organization, *answers, polled=True).collectors)


def _day(ago: int, usd: float, corrections: float = 0.0, estimated: float = 0.0) -> Day:
    period = PERIOD_START if ago <= OF_PERIOD else PERIOD_START - 30 * DAY
    types = {"per_machine": 0.7 * usd, "cloud_storage": 0.2 * usd, "log": 0.1 * usd}
    return day(usd, corrections, estimated, period, **types)


def _reports() -> None:
    """Take those of a month."""
    clip = {"x": 0, "y": 0, "width": SHEET, "height": 1480}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(pages.html(report([usual()])))
        for theme in THEMES:
            with document(file, width=SHEET, theme=theme) as opened:
                opened.page.screenshot(
                    path=FOLDER / f"report-{theme}.png",
                    full_page=True,
                    clip=clip,  # type: ignore[arg-type]
                )


def main() -> int:
    """Write the pictures and return the exit code."""
    one = organization()
    _reports()
    with exporter("--demo") as it, served(one) as port:
        it.wait_until_ready()
        for theme in THEMES:
            with browser(it.port, width=DESK, theme=theme) as opened:
                opened.open().screenshot(path=FOLDER / f"status-{theme}.png", full_page=True)
            with browser(port, width=DESK, theme=theme) as opened:
                page = opened.open(f"/organizations/{one.organization.id}")
                clip = {"x": 0, "y": 0, "width": DESK, "height": 2200}
                page.screenshot(
                    path=FOLDER / f"status-organization-{theme}.png",
                    full_page=True,
                    clip=clip,  # type: ignore[arg-type]
                )
            with browser(it.port, width=PHONE, theme=theme) as opened:
                opened.page.set_viewport_size({"width": PHONE, "height": 1200})
                opened.open().screenshot(path=FOLDER / f"status-phone-{theme}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
