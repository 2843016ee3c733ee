"""Takes the pictures of the pages for docs/images: `python -m support.pictures`, in tests/."""

from __future__ import annotations

import sys

from exporter.demo import SEED
from exporter.simulator import demo_fleet
from support.browser import DESK, PHONE, Theme, browser
from support.process import ROOT, exporter

FOLDER = ROOT / "docs" / "images"
THEMES: tuple[Theme, ...] = ("light", "dark")
FRAGMENTS = demo_fleet(SEED)[4]  # the one with the most to explain


def main() -> int:
    """Write the pictures of a demo and return the exit code."""
    with exporter("--demo") as it:
        it.wait_until_ready()
        for theme in THEMES:
            with browser(it.port, width=DESK, theme=theme) as opened:
                opened.open().screenshot(path=FOLDER / f"status-{theme}.png", full_page=True)
                page = opened.open(f"/organizations/{FRAGMENTS.id}")
                clip = {"x": 0, "y": 0, "width": DESK, "height": 1400}
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
