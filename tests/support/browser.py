"""Debian's Chromium, looked over the shoulder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, sync_playwright

from support.process import PATIENCE

CHROMIUM: Final = "/usr/bin/chromium"
PHONE: Final = 360  # pixels
DESK: Final = 1280
Theme = Literal["light", "dark"]


class Document:
    """A page, and what the browser had to say of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []  # of the console
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    @property
    def hidden(self) -> int:
        """By how many pixels a table is wider than what is seen of it; of all the most."""
        return int(
            self.page.evaluate(
                "Math.max(0, ...Array.from(document.querySelectorAll('.wide'),"
                " e => e.scrollWidth - e.clientWidth))"
            )
        )

    def obstacles(self) -> str:
        """Return what axe-core finds that keeps people from using the page; empty if nothing."""
        # It looks from inside the page, where the policy lets no script in but a debugger's.
        results = Axe().run(self.page)
        return results.generate_report() if results.violations_count else ""


class Browser(Document):
    """A page of the exporter."""

    def __init__(self, page: Page, port: int) -> None:
        super().__init__(page)
        self._port = port

    def open(self, path: str = "/") -> Page:
        """Open a page."""
        answer = self.page.goto(f"http://127.0.0.1:{self._port}{path}")
        assert answer is not None
        assert answer.ok, answer.status
        return self.page

    def column(self, place: int = 1) -> list[str]:
        """Return the texts of a column of the table, counted from 1."""
        cells = self.page.locator(f"table.cards tbody tr > :nth-child({place})")
        return [text.strip() for text in cells.all_inner_texts()]


@contextmanager
def opened(*, width: int = DESK, theme: Theme = "light") -> Iterator[Page]:
    """Run the browser while inside, with an empty page."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=2 * PATIENCE * 1000
        )
        try:
            context = chromium.new_context(
                viewport={"width": width, "height": 800}, color_scheme=theme
            )
            context.set_default_timeout(PATIENCE * 1000)
            yield context.new_page()
        finally:
            chromium.close()


@contextmanager
def browser(port: int, *, width: int = DESK, theme: Theme = "light") -> Iterator[Browser]:
    """Run it while inside, for the exporter at a port of this machine."""
    with opened(width=width, theme=theme) as page:
        yield Browser(page, port)


@contextmanager
def document(file: Path, *, width: int = DESK, theme: Theme = "light") -> Iterator[Document]:
    """Have a file open while inside, as one that came with a mail."""
    with opened(width=width, theme=theme) as page:
        shown = Document(page)
        page.goto(file.as_uri())
        yield shown
