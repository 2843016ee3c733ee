"""The worlds that dashboards are looked at in: rules remember there what they recorded before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.rules.series import SINCE, STATE, UNREADABLE, last
from support.process import ROOT
from support.quarter import database
from support.quarter.world import DAY, HOUR, Life, World
from support.quarter.worlds import OPEN, WORLDS

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("stack")]

OWED = "viam_billing_invoices_unpaid_amount_usd"


def shorter(world: World, days: float) -> World:
    """Return the last days of a world, scraped every two hours throughout."""
    start = world.end - days * DAY
    lives = (Life(start, world.end + 1, HOUR / 2),)
    return replace(world, start=start, lives=lives, fine=world.coarse)


def test_an_invoice_is_open_after_three_days_of_outage(tmp_path: Path) -> None:
    """It is withdrawn from the page, remembered, and of an organization known from the start."""
    world = shorter(WORLDS["outage"], 4)
    database.make(tmp_path / "made", database.scraped(tmp_path, world), world)
    with database.serving(tmp_path / "made", world=world) as server:
        assert server.instant(OWED) == []
        owed = server.instant(f'{last(OWED)}{{org_id="{OPEN.id}"}}')
        assert [float(each["value"][1]) for each in owed] == [1200.0]
        since = {float(each["value"][1]) for each in server.instant(SINCE)}
        assert since == {world.start + world.coarse}
        states = {float(each["value"][1]) for each in server.instant(STATE)}
        assert states == {UNREADABLE}


def test_worlds_are_in_the_readme() -> None:
    """Each of them, and no other."""
    readme = (ROOT / "grafana" / "README.md").read_text()
    named = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert named == [*WORLDS]
