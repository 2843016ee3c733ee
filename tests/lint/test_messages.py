"""docs/messages.md is made from the messages in the code, with the comments that explain them."""

from __future__ import annotations

from pathlib import Path

from generate.messages import Message, messages
from support.process import ROOT

CODE = """
class OddError(Exception): ...


def warn(log, size):
    #: Make room. It tries
    #: again every second.
    log.warning("the disk is full: %s", size)
    log.info("nothing that asks for attention")
    raise OddError(f"it has {size} bytes: at most 5 fit")


TEXTS = {
    #: Wait.
    "away": "the server is away",
    "there": "the server is there",
}
"""


def test_warnings_errors_and_what_is_explained_are_messages(tmp_path: Path) -> None:
    """With gaps where values are put in; what the log says at other levels is none."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "odd.py").write_text(CODE)
    assert messages(tmp_path) == [
        Message("log", "the disk is full: %s", "Make room. It tries again every second."),
        Message("polls", "it has … bytes: at most 5 fit"),
        Message("polls", "the server is away", "Wait."),
    ]


def test_every_comment_that_explains_stands_above_a_message() -> None:
    """Else what it says is nowhere in the documentation."""
    comments = sum(
        line.lstrip().startswith("#: ") and not before.lstrip().startswith("#: ")
        for path in (ROOT / "exporter").rglob("*.py")
        for before, line in zip(
            ["", *path.read_text().splitlines()], path.read_text().splitlines(), strict=False
        )
    )
    explained = [message for message in messages() if message.advice]
    assert comments == len(explained) > 70


def test_what_the_log_says_of_trouble_is_explained() -> None:
    """Else a user has a warning or an error, and nothing that says what to do about it."""
    unexplained = [m.text for m in messages() if m.section == "log" and not m.advice]
    assert unexplained == []
