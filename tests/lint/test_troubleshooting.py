"""docs/troubleshooting.md has every message that asks for attention, and none that is not said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from exporter.tool.errors import CommandError
from support.process import ROOT
from support.told import GAP, Message, covers, messages

PAGE: Final = (ROOT / "docs" / "troubleshooting.md").read_text()
MESSAGES: Final = sorted(messages())
# Rules of values say what has to be, so one line of the page may stand for many of them.
RULES: Final = ("config/", "files.py", "simulator/", "web/toolkit/")
ONE_FOR_MANY: Final = "## Errors of a configuration"


def documented(part: str) -> Iterator[str]:
    """Yield the messages of a part of the page: what comes first in a row or stands in a list."""
    for first in re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", first)
    for item in re.findall(r"^- (`.*(?:\n  .*)*)", part, re.MULTILINE):
        before = re.split(r"`: ", item.replace("\n ", ""))[0] + "`"
        yield from re.findall(r"`([^`]+)`", before)
    for item in re.findall(r"^What `reason` may say: (.*(?:\n.+)*?)\. For", part, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", item.replace("\n", " "))


EXACT_PART, _, MANY_PART = PAGE.partition(ONE_FOR_MANY)
EXACT: Final = frozenset(documented(EXACT_PART))
MANY: Final = frozenset(documented(MANY_PART))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda it: f"{it.file}: {it.text}"[:80])
def test_every_message_is_on_the_page(message: Message) -> None:
    """To the letter, but for the rules of configurations, which explain themselves."""
    assert message.text in EXACT or (
        message.file.startswith(RULES) and any(covers(text, message.text) for text in MANY)
    )


@pytest.mark.parametrize("text", sorted(EXACT))
def test_what_is_on_the_page_is_said(text: str) -> None:
    """In these words."""
    assert text in {message.text for message in MESSAGES}


@pytest.mark.parametrize("text", sorted(MANY))
def test_every_rule_on_the_page_is_said(text: str) -> None:
    """By a configuration, about something."""
    assert any(covers(text, message.text) for message in MESSAGES if message.file.startswith(RULES))


def test_the_source_is_read() -> None:
    """A message of each kind is found: of the log, of an exception, of a table, of a function."""
    texts = {message.text for message in MESSAGES}
    assert len(texts) > 150
    assert {
        "poll failed",
        f"cannot listen on {GAP}: {GAP}. Choose another with --web.listen-address.",
        "the API key was refused: check its id and the key",
        "the server is unavailable",
        "must be above zero",
        "name invoices by id, or say --all or --since",
    } <= texts
    assert CommandError.__name__ not in texts
