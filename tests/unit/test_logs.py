"""The log: a line for each event, whatever is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from exporter.flags import LOG_FORMATS
from exporter.process import logs


class Unprintable:
    """What cannot be put into a log."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Put back what other tests rely on."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("form", LOG_FORMATS)
def test_what_cannot_be_logged_is_a_line_too(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By this program or by a library: neither an exception nor text in another form."""
    lines = logs.configure("info", form)
    structlog.get_logger("ours").warning("never seen", value=Unprintable())
    logging.getLogger("theirs").warning("%d", "no number")
    logging.getLogger("theirs").info("two\nlines\u2028\x1b[1m")
    lines.flush(10.0)
    ours, theirs, last = capfd.readouterr().err.split("\n")[:-1]
    if form == "json":
        assert json.loads(ours)["msg"] == json.loads(theirs)["msg"]
        assert json.loads(last)["msg"] == "two\nlines\u2028\x1b[1m"
    else:
        assert r"msg=two\nlines\u2028\x1b[1m" in last
    for line in (ours, theirs):
        assert "a log line could not be formatted" in line
        assert "warning" in line
