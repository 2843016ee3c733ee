"""`viam-billing runbook`: what an alert means and what to do, in the terminal."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console

from exporter.base.near import did_you_mean, near
from exporter.base.text import from_system
from exporter.rules.rule import Alert
from exporter.rules.rule_files import alerts
from exporter.rules.rule_settings import load
from exporter.rules.runbook import sections
from exporter.tool import arguments as declare
from exporter.tool.errors import DONE, WRONG_USAGE, CommandError
from exporter.tool.output import NARROWEST, Column, Row, displayable, show

WIDEST: Final = 100  # characters; longer lines are hard to read
INDENT: Final = "  "
PREFIX: Final = "viambilling"  # of the alerts, in lower case
STEP: Final = re.compile(r"^(?=\d+\. )", re.MULTILINE)
DESCRIPTION: Final = """\
Prints the runbook's section on an alert: what to check and what to do. Without ALERT, lists the
alerts. Needs no configuration, key or network.
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _runbook, DESCRIPTION)
    command.add_argument(
        "alert",
        metavar="ALERT",
        nargs="?",
        type=from_system,
        help="the alert's name; case does not matter (default: list all alerts)",
    )


def _runbook(arguments: argparse.Namespace) -> int:
    rules: dict[str, list[Alert]] = {}
    for group in alerts(load()).values():
        for rule in group:
            rules.setdefault(rule.name, []).append(rule)
    if arguments.alert is None:
        columns = (Column("alert"), Column("severity"), Column("meaning"))
        show(columns, [Row(_about(name, of)) for name, of in rules.items()])
        topics = ", ".join(f'"{heading}"' for heading in sections() if heading not in rules)
        print(f"\nOther sections: {topics}")
        return DONE
    heading = title = _heading(arguments.alert)
    section = sections()[heading]
    if heading in rules:
        _, severities, summary = _about(heading, rules[heading])
        title, section = f"{heading} ({severities})", f"{summary}\n\n{section}"
    print(title)
    for line in _lines(section, min(max(Console().width, NARROWEST), WIDEST)):
        print(displayable(line))
    return DONE


def _about(name: str, rules: Sequence[Alert]) -> tuple[str, str, str]:
    """Return an alert's name, its severities, and the summary of its most severe rule."""
    severities = dict.fromkeys(rule.labels["severity"] for rule in rules)
    return name, ", ".join(severities), rules[0].annotations["summary"]


def _heading(name: str) -> str:
    """Return the heading that a name means. Raises CommandError if there is none."""
    known = {heading.lower(): heading for heading in sections()}
    if heading := known.get(name.lower()):
        return heading
    # What all alerts begin with makes none of them close.
    short = {key.removeprefix(PREFIX): heading for key, heading in known.items()}
    found = [short[each] for each in near(name.lower().removeprefix(PREFIX), short)]
    hint = did_you_mean(found) or "viam-billing runbook lists the alerts"
    raise CommandError(f"{name!a}: there is no such alert: {hint}", WRONG_USAGE)


def _lines(section: str, width: int) -> Iterator[str]:
    """Yield a section, in Markdown, as lines for a terminal: paragraphs, and numbered steps."""
    for paragraph in section.split("\n\n"):
        yield ""
        for text in filter(None, STEP.split(paragraph)):
            number = text.split(maxsplit=1)[0] if STEP.match(text) else ""
            yield from textwrap.wrap(
                " ".join(text.split()),
                width,
                initial_indent=INDENT,
                subsequent_indent=INDENT + " " * (len(number) + 1 if number else 0),
                break_long_words=False,
                break_on_hyphens=False,
            )
