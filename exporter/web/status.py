"""The status page: every organization with its state, readable without JavaScript."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import jinja2

from exporter.model import OrganizationState
from exporter.store import Store

MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One organization in words."""

    name: str
    id: str
    state: str
    level: str  # ok, wait or bad
    last_success: str


class StatusPage:
    """Renders the status page."""

    def __init__(self, store: Store, *, version: str, telemetry_path: str, links: str = "") -> None:
        """Read the templates. `links` stands before each link: nothing, or a path."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("exporter.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
        )
        style = environment.get_template("style.css").render()
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.security_policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        self._template = environment.get_template("status.html")
        self._store = store
        self._fixed = {
            "style": style,
            "version": version,
            "telemetry_path": telemetry_path.removeprefix("/"),
            "links": links,
        }

    def render(self, *, ready: bool, unpolled: int) -> str:
        """Return the page as HTML."""
        rows = sorted(map(_row, self._store), key=lambda row: (row.level != "bad", row.name))
        return self._template.render(
            **self._fixed, ready=ready, unpolled=unpolled, total=len(rows), rows=rows[:MAX_ROWS]
        )


def _row(state: OrganizationState) -> Row:
    collectors = state.collectors
    failed = [
        f"{name}: {collector.failure.message}"
        for name, collector in collectors.items()
        if collector.failure is not None
    ]
    waiting = [name for name, collector in collectors.items() if not collector.polled]
    successes = [c.answer.received for c in collectors.values() if c.answer is not None]
    if failed:
        words, level = "; ".join(failed), "bad"
    elif waiting:
        words, level = "waiting for the first poll since the start: " + ", ".join(waiting), "wait"
    else:
        words, level = "up", "ok"
    oldest = min(successes) if len(successes) == len(collectors) else None
    return Row(
        state.organization.name,
        state.organization.id,
        words,
        level,
        "never"
        if oldest is None
        else f"{datetime.fromtimestamp(oldest, UTC):%Y-%m-%d %H:%M:%S} UTC",
    )
