"""All that a person can read in a world, by where they meet it, as one document."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from rules.harness import FILES
from states.asked import Asked, Fired, Series
from states.boards import Panel, boards
from states.commands import printed
from states.living import Living, living
from states.messages import dated, sent
from states.pages import Text
from states.worlds import World
from support.process import get

Section = tuple[str, Sequence[str]]  # a title, and lines

HEAD: Final = (
    "Every text that a person meets in this state, as `pytest tests/states --update-golden` writes "
    "it. Read what has changed: is each line true in this state, and clear?"
)
TEXTS: Final = ("title", "summary", "description")  # of an alert


def written(world: World, folder: Path) -> str:
    """Return the document of a world. Files are made in `folder`."""
    with living(world, folder) as there:
        sections = [*_sections(there, folder)]
    parts = [f"# {world.title}", HEAD, world.situation]
    for title, lines in sections:
        parts.append(title)
        parts.append("\n".join(f"- {line}" for line in lines) or "Nothing.")
    # It is on a dashboard, and differs from machine to machine.
    return ("\n\n".join(parts) + "\n").replace(platform.python_version(), "3.11.0")


def _page(there: Living, path: str) -> str:
    response = get(there.port, path)
    assert response.status == HTTPStatus.OK, response.text
    return response.text


def _sections(there: Living, folder: Path) -> Iterator[Section]:
    first = there.world.bills[0]
    yield "## Status page", Text.of(_page(there, "/"))
    path = f"/organizations/{first.org_id}"
    yield f"## Page of {first.name}", Text.of(_page(there, path))
    for health in ("/-/healthy", "/-/ready"):
        yield f"## {health}", _page(there, health).splitlines()
    yield "## Log", there.log
    for command, lines in printed(there, folder):
        yield f"## `{command}`", lines
    asked = Asked(there, folder, FILES)
    panels = [
        panel for board in boards(first.org_id, there.world.midnight) for panel in board.panels()
    ]
    results, alerts = asked.all([each for panel in panels for each in panel.expressions])
    fired = [dated(alert, there.world.midnight) for alert in alerts]
    for alert in fired:
        yield _title_of(alert), [f"{key}: {alert.annotations[key]}" for key in TEXTS]
    for message in sent(fired, folder):
        lines = [message.subject, *filter(None, message.text.split("\n"))]
        yield f"## Message to {message.receiver}", lines
    yield from _boards(panels, iter(results))


def _title_of(alert: Fired) -> str:
    about = [alert.labels[key] for key in ("org_name", "collector") if key in alert.labels]
    name = f"{alert.labels['alertname']} ({alert.labels['severity']})"
    return f"## Alert {', '.join([name, *about])}"


def _boards(panels: Sequence[Panel], results: Iterator[Sequence[Series]]) -> Iterator[Section]:
    by_board: dict[str, list[str]] = {}
    for panel in panels:
        words = panel.words([next(results) for _ in panel.expressions])
        lines = by_board.setdefault(panel.board.title, [])
        lines += [f"{panel.title}: {each}" for each in words]
    for title, lines in by_board.items():
        yield f"## Dashboard {title}", lines
